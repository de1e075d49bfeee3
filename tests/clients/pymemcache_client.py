"""pymemcache against the server at the address in argv[1]: every command it has, with and without replies.
argv[2], if there is one, is the authority of a server that speaks TLS."""

import ssl
import sys
import time

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

host, port = sys.argv[1].rsplit(":", 1)
address = (host, int(port))
tls = {"tls_context": ssl.create_default_context(cafile=sys.argv[2])} if len(sys.argv) > 2 else {}
client = Client(address, timeout=5, connect_timeout=5, **tls)


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def refused(kind, call, what):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"{what} was not refused")


assert client.version().startswith(b"1."), client.version()
same(client.flush_all(noreply=False), True, "flush_all")
for noreply in (True, False):
    same(client.set("k", b"v", noreply=noreply), True, "set")
    same(client.get("k"), b"v", "get")
    same(client.append("k", b"2", noreply=noreply), True, "append")
    same(client.prepend("k", b"0", noreply=noreply), True, "prepend")
    same(client.get("k"), b"0v2", "get of what was joined")
    same(client.replace("k", b"r", noreply=noreply), True, "replace")
    same(client.touch("k", 100, noreply=noreply), True, "touch")
    same(client.delete("k", noreply=noreply), True, "delete")
    same(client.add("k", b"a", noreply=noreply), True, "add")
    client.delete("k", noreply=noreply)
same(client.add("k", b"1", noreply=False), True, "add")
same(client.add("k", b"2", noreply=False), False, "add to what is there")
same(client.replace("none", b"2", noreply=False), False, "replace of nothing")
same(client.delete("none", noreply=False), False, "delete of nothing")
same(client.touch("none", 1, noreply=False), False, "touch of nothing")
same(client.incr("k", 41), 42, "incr")
same(client.decr("k", 2), 40, "decr")
same(client.decr("k", 100), 0, "decr below nothing")
same(client.incr("none", 1), None, "incr of nothing")
same(client.incr("k", 1, noreply=True), None, "incr without reply")

value, cas = client.gets("k")
same(client.cas("k", b"swapped", cas, noreply=False), True, "cas")
same(client.cas("k", b"late", cas, noreply=False), False, "cas that comes late")
same(client.cas("none", b"x", b"1", noreply=False), None, "cas of nothing")
same(client.gets("none"), (None, None), "gets of nothing")
same(client.raw_command(b"gat 100 k", b"END\r\n"), b"VALUE k 0 7\r\nswapped\r\n", "gat")

many = {f"many{n}": b"v" * n for n in range(200)}
same(client.set_many(many, noreply=False), [], "set_many")
same(client.get_many(list(many)), many, "get_many")
same({k: v for k, (v, _) in client.gets_many(list(many)).items()}, many, "gets_many")
same(client.delete_many(list(many), noreply=False), True, "delete_many")
same(client.get_many(list(many)), {}, "get_many of what was deleted")

large = b"x" * 1_000_000
same(client.set("large", large, noreply=False), True, "set of a large value")
same(client.get("large"), large, "get of a large value")
refused(MemcacheServerError, lambda: client.set("l", b"x" * 2_000_000, noreply=False), "2 MB")
same(client.get("k"), b"swapped", "get after a value that was too large")
refused(MemcacheClientError, lambda: client.set("x" * 251, b"v"), "a key of 251 bytes")
refused(MemcacheClientError, lambda: client.incr("large", 1), "incr of what is no number")
key = "k" * 250
same(client.set(key, b"v", noreply=False), True, "set of a key of 250 bytes")
same(client.get(key), b"v", "get of a key of 250 bytes")

same(client.set("short", b"lived", expire=1, noreply=False), True, "set for a second")
same(client.set("never", b"lived", expire=-1, noreply=False), True, "set for no time")
same(client.get("never"), None, "get of what never lived")
time.sleep(2.1)
same(client.get("short"), None, "get of what expired")

stats = client.stats()
for name in (b"pid", b"cmd_get", b"curr_items", b"evictions", b"threads", b"limit_maxbytes"):
    assert name in stats, f"stats has no {name}"
assert client.stats("settings")[b"maxconns"] > 0
assert client.stats("items") and client.stats("slabs")
same(client.cache_memlimit(64), True, "cache_memlimit")

pool = PooledClient(address, max_pool_size=4, default_noreply=False, **tls)
same(pool.set("pooled", b"1"), True, "set through a pool")
same(pool.get("pooled"), b"1", "get through a pool")
hashed = HashClient([address], use_pooling=True, default_noreply=False, **tls)
same(hashed.set_many({"h1": b"1", "h2": b"2"}), [], "set_many through a ring")
same(hashed.get_many(["h1", "h2"]), {"h1": b"1", "h2": b"2"}, "get_many through a ring")

same(client.flush_all(noreply=False), True, "flush_all")
same(client.get("large"), None, "get after flush_all")
client.quit()
print("pymemcache: passed")
