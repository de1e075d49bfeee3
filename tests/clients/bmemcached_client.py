"""python-binary-memcached against the server at argv[1]; argv[2] and argv[3] are user and password, or
--authority and the authority of a server that speaks TLS."""

import ssl
import sys

import bmemcached


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


credentials = sys.argv[2:4] if len(sys.argv) > 3 else (None, None)
tls = None
if credentials[0] == "--authority":
    tls = ssl.create_default_context(cafile=credentials[1])
    credentials = (None, None)
client = bmemcached.Client((sys.argv[1],), *credentials, socket_timeout=5, tls_context=tls)
same(client.flush_all(), True, "flush_all")
same(client.set("k", "text"), True, "set")
same(client.get("k"), "text", "get")
same(client.add("k", "other"), False, "add to what is there")
same(client.replace("none", "x"), False, "replace of nothing")
same(client.set("object", {"a": [1, 2]}), True, "set of an object")
same(client.get("object"), {"a": [1, 2]}, "get of an object")
same(client.incr("n", 5, default=40), 40, "incr that makes its number")
same(client.incr("n", 5), 45, "incr")
same(client.decr("n", 3), 42, "decr")
value, cas = client.gets("k")
same(client.cas("k", "swapped", cas), True, "cas")
same(client.cas("k", "late", cas), False, "cas that comes late")
many = {f"many{n}": "v" * (n + 1) for n in range(200)}
same(client.set_multi(many), [], "set_multi")
same(client.get_multi(list(many)), many, "get_multi")
same(client.delete_multi(list(many)), True, "delete_multi")
same(client.get_multi(list(many)), {}, "get_multi of what was deleted")
stats, = client.stats().values()
assert int(stats["pid"]) > 0, stats
same(client.delete("k"), True, "delete")
same(client.get("k"), None, "get of what was deleted")
client.disconnect_all()
print("bmemcached: passed")
