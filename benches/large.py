#!/usr/bin/env python3
"""What small requests pay while large values stream through the same core, one command.

    cargo build --release && python3 benches/large.py [--seconds N] [--value-mb 64] [--rounds N]
    python3 benches/large.py --binary target/release/ringcached --binary memcached

A server of one core (-t 1 -I 256m), pinned to CPU 0; everything else runs on CPU 1. A prober sends a
get of 64 bytes every millisecond and measures each from when it was due. In each round it first probes
alone, then while two clients store and fetch values of 64 MB as fast as they can, one in the text
protocol and one in meta commands. The prober is SCHED_RR, if it may, and the others are
nice: it measures the server, not who gets CPU 1. With several binaries each has its turn in each round. The
last lines have the medians of the rounds and their ratio: the promise is that the prober's p99 at most
doubles.
"""

import argparse
import multiprocessing
import os
import pathlib
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PERIOD_S = 0.001
MB = 1 << 20
# What the streaming clients send or receive in one call. While the kernel is at it, the prober waits for
# their CPU, whatever its priority: on many kernels nothing interrupts a call.
CALL_BYTES = 64 << 10
# How long the large values stream before it counts: until the cache has touched all of its memory.
WARM_UP_S = 3


def connect(port):
    wire = socket.create_connection(("127.0.0.1", port))
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def read_line(wire):
    line = b""
    while not line.endswith(b"\r\n"):
        line += wire.recv(1)
    return line


def read_bytes(wire, count):
    buffer = memoryview(bytearray(CALL_BYTES))
    while count > 0:
        taken = wire.recv_into(buffer[: min(count, CALL_BYTES)])
        assert taken, "the server closed"
        count -= taken


def stream(port, kind, value_mb, streamed):
    """Stores and fetches one value again and again; counts the megabytes."""
    os.sched_setaffinity(0, {1})
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(19)
    wire, block = connect(port), bytes(CALL_BYTES)
    store, fetch = {
        "text": (f"set {kind} 0 0 {value_mb * MB}\r\n", f"get {kind}\r\n"),
        "meta": (f"ms {kind} {value_mb * MB}\r\n", f"mg {kind} v\r\n"),
    }[kind]
    while True:
        wire.sendall(store.encode())
        for _ in range(value_mb * MB // CALL_BYTES):
            wire.sendall(block)
        wire.sendall(b"\r\n")
        assert read_line(wire) in (b"STORED\r\n", b"HD\r\n")
        wire.sendall(fetch.encode())
        read_line(wire)
        read_bytes(wire, value_mb * MB + 2)
        if kind == "text":
            read_line(wire)
        streamed.value += 2 * value_mb


def go_first():
    """Has the kernel prefer this process; an ordinary user may not."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass


def probe(port, seconds, wire=None):
    """Response times of a small get, in microseconds."""
    go_first()
    wire = wire or connect(port)
    wire.sendall(b"set small 0 0 64\r\n" + bytes(64) + b"\r\n")
    read_line(wire)
    times, due = [], time.perf_counter()
    end = due + seconds
    while due < end:
        while time.perf_counter() < due:
            time.sleep(max(0, due - time.perf_counter() - 50e-6))
        wire.sendall(b"get small\r\n")
        reply = b""
        while not reply.endswith(b"END\r\n"):
            reply += wire.recv(4096)
        times.append((time.perf_counter() - due) * 1e6)
        due += PERIOD_S
    times.sort()
    return times


def percentile(times, share):
    return times[min(len(times) - 1, int(len(times) * share))]


def show(what, times):
    figures = " ".join(f"{percentile(times, share):8.0f}" for share in (0.5, 0.99, 0.999))
    print(f"{what:28} p50/p99/p99.9 us: {figures}", flush=True)
    return percentile(times, 0.99)


def round_of(port, args):
    alone = show("alone", probe(port, args.seconds))
    streamed = [multiprocessing.Value("q", 0) for _ in range(2)]
    clients = [
        multiprocessing.Process(
            target=stream, args=(port, kind, args.value_mb, count), daemon=True
        )
        for kind, count in zip(("text", "meta"), streamed)
    ]
    for client in clients:
        client.start()
    time.sleep(WARM_UP_S)
    before, since = sum(count.value for count in streamed), time.perf_counter()
    beside = show(f"beside values of {args.value_mb} MB", probe(port, args.seconds))
    rate = (sum(count.value for count in streamed) - before) / (time.perf_counter() - since)
    print(f"{'':28} {rate:.0f} MB/s were streamed", flush=True)
    for client in clients:
        client.kill()
        client.join()
    return alone, beside


def start(binary, port):
    user = ["-u", "root"] if os.geteuid() == 0 else []
    where = ["-l", "127.0.0.1", "-p", str(port)]
    os.sched_setaffinity(0, {0})
    server = subprocess.Popen([binary, *user, *where, "-t", "1", "-m", "1024", "-I", "256m"])
    os.sched_setaffinity(0, {1})
    return server


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--value-mb", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=22122)
    parser.add_argument("--binary", action="append", help="may be given several times")
    args = parser.parse_args()
    binaries = args.binary or [str(RELEASE / "ringcached")]
    ports = [args.port + index for index in range(len(binaries))]
    servers = [start(binary, port) for binary, port in zip(binaries, ports)]
    rounds = [[] for _ in binaries]
    try:
        time.sleep(1)
        for _ in range(args.rounds):
            for figures, port, binary in zip(rounds, ports, binaries):
                print(binary)
                figures.append(round_of(port, args))
        for binary, figures in zip(binaries, rounds):
            alone, beside = (statistics.median(p99s) for p99s in zip(*figures))
            ratio = beside / alone
            print(f"{binary}: median p99 {alone:.0f} us alone, {beside:.0f} us beside; {ratio:.2f} times")
    finally:
        for server in servers:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
