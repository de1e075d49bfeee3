#!/usr/bin/env python3
"""Bytes per item: resident memory of five million items, and items held in the same -m.

    cargo build --release --workspace && MEMCACHED=/path/to/memcached python3 benches/bytes.py

The first table fills each server with five million items of 14-byte keys and 64-byte values and
reads VmRSS. The second stores ever new items of given sizes until well after evictions began, and
counts what is held: Facebook's ETC sizes, and the mean sizes of Twitter's clusters. The third stores
items of so many sizes that a small shard has fewer pages than classes for them, though they would
take no more than 60 % of its memory, and counts what is held.
"""

import argparse
import datetime
import itertools
import math
import os
import pathlib
import platform
import random
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
ITEMS, KEY_BYTES, VALUE_BYTES = 5_000_000, 14, 64
# Name, key sizes, value sizes, and bytes that an item takes at least, to know when memory is full.
SIZES = [
    ("ETC", "fb-key", "fb-value", 180),
    ("cluster 18", "18", "37", 85),
    ("cluster 24", "32", "699", 750),
    ("cluster 44", "25", "22", 75),
    ("cluster 52", "20", "273", 320),
]
# Values of the third table: lognormal by median and spread, up to a bound; and what memcached takes
# beside each.
MIXED_MEDIAN_BYTES, MIXED_SIGMA, MIXED_BYTES_MAX, MIXED_BESIDE_BYTES = 600, 1.6, 200_000, 60
MIXED_SHARE, MIXED_MEMORIES_MB = 0.6, (8, 16, 32, 64)


class Server:
    """A server that runs while it is needed."""

    def __init__(self, command, port, memory_mb, cores):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        words = [command, *user, "-l", "127.0.0.1", "-p", str(port), "-m", str(memory_mb),
                 "-t", str(cores)]
        self.port = port
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        if self.process.poll() is not None:
            sys.exit(f"{command} ended at start with status {self.process.returncode}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def store_new(self, items, key_size, value_size):
        subprocess.run(
            [RELEASE / "loadgen", "--servers", f"127.0.0.1:{self.port}", "-c", "4", "--depth",
             "16", "--mix", "set", "--popularity", "sequential", "--no-preload", "--keys",
             str(items), "--requests", str(items), "--key-prefix", "k", "--key-size", key_size,
             "--value-size", value_size, "--timeout", "60s", "--quiet"],
            check=True, stdout=subprocess.DEVNULL)

    def store_mixed(self, bytes_in_all):
        """Stores items of widely spread sizes, one by one; returns how many."""
        draw, stored, taken = random.Random(3), 0, 0
        with socket.create_connection(("127.0.0.1", self.port)) as wire:
            while taken < bytes_in_all:
                size = int(draw.lognormvariate(math.log(MIXED_MEDIAN_BYTES), MIXED_SIGMA)) + 1
                size = min(size, MIXED_BYTES_MAX)
                wire.sendall(b"set k%d 0 0 %d\r\n" % (stored, size) + bytes(size) + b"\r\n")
                assert wire.recv(64) == b"STORED\r\n"
                stored, taken = stored + 1, taken + size + MIXED_BESIDE_BYTES
        return stored

    def items(self):
        with socket.create_connection(("127.0.0.1", self.port)) as wire:
            wire.sendall(b"stats\r\nquit\r\n")
            text = b"".join(iter(lambda: wire.recv(1 << 16), b"")).decode()
        stats = dict(line.split()[1:3] for line in text.splitlines() if line.startswith("STAT"))
        return int(stats["curr_items"])

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memcached", help="the peer's program",
                        default=os.environ.get("MEMCACHED") or shutil.which("memcached"))
    parser.add_argument("--cores", type=int, default=1, help="-t of both servers (1)")
    parser.add_argument("--memory", type=int, default=256, help="-m of the second table (256)")
    parser.add_argument("--only", choices=["resident", "held", "mixed"],
                        help="only one of the tables")
    parser.add_argument("--port", type=int, default=21310, help="first of the ports used (21310)")
    options = parser.parse_args()
    if not options.memcached:
        sys.exit("no memcached: give --memcached or MEMCACHED")
    servers = [options.memcached, str(RELEASE / "ringcached")]
    print(f"{datetime.date.today()}, {platform.system()} {platform.release()}, {os.cpu_count()} "
          f"CPUs; python3 {' '.join(sys.argv)}\n")
    # Each has a port of its own: the kernel takes a while to close what a killed ring holds.
    ports = itertools.count(options.port)
    if options.only in (None, "resident"):
        print("| five million items of 14 and 64 bytes | VmRSS | bytes an item over the data |")
        print("|---|---|---|")
        for command in servers:
            with Server(command, next(ports), 1024, options.cores) as server:
                server.store_new(ITEMS, str(KEY_BYTES), str(VALUE_BYTES))
                items, resident = server.items(), server.resident_bytes()
            over = resident / items - KEY_BYTES - VALUE_BYTES
            print(f"| {pathlib.Path(command).name}, {items} held | {resident / 1e6:.0f} MB | "
                  f"{over:.2f} |", flush=True)
        print()
    if options.only in (None, "held"):
        print(f"| held in -m {options.memory} -t {options.cores} | memcached | ringcached | ratio |")
        print("|---|---|---|---|")
        for name, key_size, value_size, item_bytes in SIZES:
            held = []
            for command in servers:
                with Server(command, next(ports), options.memory, options.cores) as server:
                    stored = options.memory * (1 << 20) * 5 // 4 // item_bytes
                    server.store_new(stored, key_size, value_size)
                    held.append(server.items())
            print(f"| {name} | {held[0]} | {held[1]} | {held[1] / held[0]:.3f} |", flush=True)
        print()
    if options.only in (None, "mixed"):
        print(f"| all sizes, 60 % of -m, -t {options.cores} | stored | memcached | ringcached |")
        print("|---|---|---|---|")
        for memory_mb in MIXED_MEMORIES_MB:
            held = []
            for command in servers:
                with Server(command, next(ports), memory_mb, options.cores) as server:
                    stored = server.store_mixed(MIXED_SHARE * memory_mb * 1e6)
                    held.append(server.items())
            print(f"| -m {memory_mb} | {stored} | {held[0]} | {held[1]} |", flush=True)


if __name__ == "__main__":
    main()
