"""Python's ssl against the server at argv[1]; argv[2] is the authority, argv[3] and argv[4] are our own
certificate and its key. Sessions are resumed, both sides end by close_notify, records are split anywhere."""

import socket
import ssl
import sys

host, port = sys.argv[1].rsplit(":", 1)


def context(version):
    made = ssl.create_default_context(cafile=sys.argv[2])
    made.load_cert_chain(sys.argv[3], sys.argv[4])
    made.minimum_version = made.maximum_version = version
    return made


def connect(made, session=None):
    plain = socket.create_connection((host, int(port)), timeout=10)
    return made.wrap_socket(plain, server_hostname=host, session=session)


def exchange(conn, request, reply):
    conn.sendall(request)
    found = b""
    while len(found) < len(reply):
        more = conn.recv(65536)
        assert more, f"the end instead of {reply[len(found):][:100]!r}"
        found += more
    assert found == reply, f"{found[:200]!r} instead of {reply[:200]!r}"


for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    made = context(version)
    conn = connect(made)
    assert not conn.session_reused
    for size in (0, 1, 1000, 16383, 16384, 16385, 1_000_000):
        value = bytes(97 + n % 26 for n in range(size))
        exchange(conn, b"set k 0 0 %d\r\n%s\r\n" % (size, value), b"STORED\r\n")
        exchange(conn, b"get k\r\n", b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (size, value))
    for byte in b"get none\r\n":
        conn.sendall(bytes([byte]))
    exchange(conn, b"", b"END\r\n")
    session = conn.session
    # We end: what was asked for before is answered, and the server's own close_notify follows.
    conn.sendall(b"get none\r\n" * 100)
    try:
        conn.unwrap()
    except ssl.SSLError as error:
        # Replies that come behind our close_notify are, to OpenSSL, data where there should be none.
        assert "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" in str(error), error
    conn.close()
    again = connect(made, session)
    assert again.session_reused, f"{version}: not resumed"
    # The server ends.
    exchange(again, b"mn\r\nquit\r\n", b"MN\r\n")
    assert again.recv(10) == b"", "quit ends the connection, by close_notify"
    again.close()
print("ssl: passed")
