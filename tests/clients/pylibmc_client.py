"""pylibmc (libmemcached) against the server at argv[1], in the text and in the binary protocol."""

import sys

import pylibmc


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def exercise(binary):
    client = pylibmc.Client([sys.argv[1]], binary=binary, behaviors={"cas": True, "tcp_nodelay": True})
    same(client.flush_all(), True, "flush_all")
    same(client.set("k", "text"), True, "set")
    same(client.get("k"), "text", "get")
    same(client.add("k", 1), False, "add to what is there")
    try:
        same(client.replace("none", 1), False, "replace of nothing")
    except pylibmc.NotFound:
        assert binary, "only the binary protocol says why"
    same(client.set("n", 40), True, "set of a number")
    same(client.incr("n", 3), 43, "incr")
    same(client.decr("n", 1), 42, "decr")
    same(client.append("k", "!"), True, "append")
    same(client.prepend("k", "?"), True, "prepend")
    same(client.get("k"), "?text!", "get of what was joined")
    same(client.touch("k", 100), True, "touch")
    value, cas = client.gets("k")
    same(client.cas("k", "swapped", cas), True, "cas")
    same(client.cas("k", "late", cas), False, "cas that comes late")
    many = {f"many{n}": "v" * n for n in range(300)}
    same(client.set_multi(many), [], "set_multi")
    same(client.get_multi(list(many)), many, "get_multi")
    same(client.delete_multi(list(many)), True, "delete_multi")
    same(client.get_multi(list(many)), {}, "get_multi of what was deleted")
    large = b"x" * 900_000
    same(client.set("large", large), True, "set of a large value")
    same(client.get("large"), large, "get of a large value")
    (_, stats), = client.get_stats()
    assert int(stats["curr_items"]) >= 3, stats
    same(client.delete("k"), True, "delete")
    same(client.get("k"), None, "get of what was deleted")
    client.disconnect_all()


exercise(binary=False)
exercise(binary=True)
print("pylibmc: passed")
