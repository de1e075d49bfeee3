"""Clients that authenticate themselves against the server at argv[2]: argv[1] names the client, argv[3] and
argv[4] are user and password, argv[5] is the authority of a server that speaks TLS, if it does. Whoever has
no or a wrong password is refused."""

import glob
import os
import ssl
import sys

import bmemcached
from bmemcached.exceptions import MemcachedException
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheClientError

kind, server, user, password = sys.argv[1:5]
tls = ssl.create_default_context(cafile=sys.argv[5]) if len(sys.argv) > 5 else None


def same(found, expected, what):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def refused(kinds, call, what):
    try:
        call()
    except kinds:
        return
    raise AssertionError(f"{what} was not refused")


def text():
    """pymemcache knows no authentication, but memcached's in text is a set that any client can send."""
    host, port = server.rsplit(":", 1)
    options = {"tls_context": tls} if tls else {}
    make = lambda: Client((host, int(port)), timeout=5, connect_timeout=5, **options)
    refused(MemcacheClientError, lambda: make().get("k"), "a stranger")
    wrong = lambda: make().set("auth", f"{user} wrong", noreply=False)
    refused(MemcacheClientError, wrong, "a wrong password")
    client = make()
    same(client.set("auth", f"{user} {password}", noreply=False), True, "authentication")
    return client


def sasl_bmemcached():
    def make(secret):
        return bmemcached.Client((server,), user, secret, socket_timeout=5, tls_context=tls)

    refused(MemcachedException, lambda: make("wrong").set("k", "x"), "a wrong password")
    return make(password)


def sasl_pylibmc():
    # The SASL library that comes with it looks for mechanisms where another distribution has them.
    os.environ["SASL_PATH"] = ":".join(glob.glob("/usr/lib/*/sasl2"))
    import pylibmc

    assert pylibmc.support_sasl, "this pylibmc was built without SASL"

    def make(secret):
        return pylibmc.Client([server], binary=True, username=user, password=secret)

    refused(pylibmc.Error, lambda: make("wrong").set("k", "x"), "a wrong password")
    stranger = pylibmc.Client([server], binary=True)
    refused(pylibmc.Error, lambda: stranger.set("k", "x"), "a stranger")
    return make(password)


client = {"pymemcache": text, "bmemcached": sasl_bmemcached, "pylibmc": sasl_pylibmc}[kind]()
for size in (0, 3, 900_000):
    value = "v" * size
    same(client.set("k", value), True, f"set of {size} bytes")
    found = client.get("k")
    same(found.decode() if isinstance(found, bytes) else found, value, f"get of {size} bytes")
same(client.delete("k"), True, "delete")
same(client.get("k"), None, "get of what was deleted")
print(f"{kind}: passed")
