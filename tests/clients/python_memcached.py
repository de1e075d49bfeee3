"""python-memcached against the server at the address in argv[1]: text protocol, pickles, multi-sets."""

import sys
import time

import memcache

client = memcache.Client([sys.argv[1]], socket_timeout=5)


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


assert client.flush_all() is None or True
same(client.set("plain", "text"), True, "set")
same(client.get("plain"), "text", "get")
same(client.set("number", 41), True, "set of a number")
same(client.incr("number"), 42, "incr")
same(client.decr("number", 2), 40, "decr")
same(client.get("number"), 40, "get of a number")
same(client.set("object", {"a": [1, 2, 3]}), True, "set of an object")
same(client.get("object"), {"a": [1, 2, 3]}, "get of an object")
same(client.add("plain", "other"), False, "add to what is there")
same(client.add("fresh", "new"), True, "add")
same(client.replace("nothing", "x"), False, "replace of nothing")
same(client.replace("fresh", "newer"), True, "replace")
same(client.append("fresh", " still"), True, "append")
same(client.prepend("fresh", "even "), True, "prepend")
same(client.get("fresh"), "even newer still", "get of what was joined")
same(client.delete("fresh"), 1, "delete")
same(client.get("fresh"), None, "get of what was deleted")
same(client.touch("plain", 100), 1, "touch")

many = {f"many{n}": "v" * n for n in range(300)}
same(client.set_multi(many), [], "set_multi")
same(client.get_multi(list(many)), many, "get_multi")
same(client.delete_multi(list(many)), 1, "delete_multi")
same(client.get_multi(list(many)), {}, "get_multi of what was deleted")

same(client.gets("plain"), "text", "gets")
same(client.cas("plain", "swapped"), True, "cas")
same(client.get("plain"), "swapped", "get of what was swapped")
other = memcache.Client([sys.argv[1]], cache_cas=True)
same(other.gets("plain"), "swapped", "gets of another")
same(client.set("plain", "meanwhile"), True, "set between")
same(other.cas("plain", "late"), False, "cas that comes late")

large = "x" * 900_000
same(client.set("large", large), True, "set of a large value")
same(client.get("large"), large, "get of a large value")
same(client.set("noreply", "1", noreply=True), True, "set without reply")
same(client.get("noreply"), "1", "get of what was set without reply")
same(client.set("short", "lived", time=1), True, "set for a second")
time.sleep(2.1)
same(client.get("short"), None, "get of what expired")

(name, stats), = client.get_stats()
for key in ("pid", "uptime", "curr_items", "total_items", "get_hits", "limit_maxbytes", "threads"):
    assert key in stats, f"stats has no {key}: {stats}"
client.flush_all()
same(client.get("large"), None, "get after flush_all")
client.disconnect_all()
print("python-memcached: passed")
