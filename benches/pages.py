#!/usr/bin/env python3
"""Huge pages: 50-key multi-gets over 5 million items on reserved, transparent and plain pages.

    cargo build --release --workspace && python3 benches/pages.py [--rounds N]

The three servers take turns. What kind of pages the items really lie on is read from
/proc/PID/smaps after they were stored. Reserved pages (-L) need root: vm.nr_hugepages is raised for
the run and set back afterwards. For plain pages the server is started with transparent ones
forbidden to its process (PR_SET_THP_DISABLE). It runs on one core, the client on another.
"""

import contextlib
import ctypes
import os
import pathlib
import re

import bench
from bench import ITEM, Server, cpu_us, median, ratio, spread, table

LOAD = f"-c 50 --depth 1 --mix get=1 --mget 50 --keys 5M {ITEM} --no-preload"
MEMORY_MB = 1024
# Beside the arena: the index, which grows, and the buffers.
RESERVED_MB = MEMORY_MB + 256
HUGE_PAGE_MB = 2
NR_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
PR_SET_THP_DISABLE = 41


@contextlib.contextmanager
def reserved_pages():
    """Reserves huge pages and lets go of them again. Gives whether there are enough."""
    before = NR_HUGEPAGES.read_text().strip()
    wanted = int(before) + RESERVED_MB // HUGE_PAGE_MB
    try:
        NR_HUGEPAGES.write_text(str(wanted))
        yield int(NR_HUGEPAGES.read_text()) >= wanted
    except PermissionError:
        yield False
    finally:
        if os.access(NR_HUGEPAGES, os.W_OK):
            NR_HUGEPAGES.write_text(before)


def forbid_transparent():
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def pages_of(server):
    """Megabytes of a server on reserved, transparent and plain pages."""
    with open(f"/proc/{server.pid}/smaps") as lines:
        found = re.findall(r"^(Rss|AnonHugePages|Private_Hugetlb): +(\d+) kB", lines.read(), re.M)
    sums = {name: 0 for name in ("Rss", "AnonHugePages", "Private_Hugetlb")}
    for name, kib in found:
        sums[name] += int(kib)
    plain = sums["Rss"] - sums["AnonHugePages"]
    return [round(kib / 1024) for kib in (sums["Private_Hugetlb"], sums["AnonHugePages"], plain)]


def main():
    options = bench.options(__doc__, port=21400, rounds=7, seconds=1.0).parse_args()
    bench.begin(options.rounds, options.seconds)
    with reserved_pages() as enough, contextlib.ExitStack() as servers:
        kinds = [("reserved (-L)", "-L", None)] if enough else []
        kinds += [("transparent (default)", "", None), ("plain", "", forbid_transparent)]
        started = {}
        for at, (kind, flags, before_exec) in enumerate(kinds):
            server = Server("ringcached", options.port + at, 1, MEMORY_MB, flags, before_exec)
            started[kind] = servers.enter_context(server)
            bench.fill(server, LOAD.replace("--no-preload", ""))
        sizes = {kind: pages_of(server) for kind, server in started.items()}
        timing = f"--warmup 200ms --time {options.seconds}s"
        runs = bench.interleaved(options.rounds, list(started),
                                 lambda kind: bench.load(started[kind], f"{LOAD} {timing}"))
    plain = [cpu_us(run) for run in runs["plain"]]
    rows = []
    for kind in started:
        costs = [cpu_us(run) for run in runs[kind]]
        rate = median(run["keys_per_s"] for run in runs[kind])
        rows.append([kind, *sizes[kind], spread(costs, 3), f"{ratio(costs, plain):.2f}",
                     f"{rate / 1e6:.2f}"])
    if not enough:
        print("\nReserved pages: not measured, the kernel has not given enough of them "
              "(vm.nr_hugepages)")
    table("50-key multi-get over 5 million items, one core",
          ["pages", "MB reserved", "MB transparent", "MB plain", "CPU us/key", "of plain",
           "million keys/s"], rows)


if __name__ == "__main__":
    main()
