#!/usr/bin/env python3
"""Hot key: one key that takes 90 % of all gets on two cores, beside uniform keys on one core.

    cargo build --release --workspace && python3 benches/hotkey.py [--rounds N] [--only WORD]

Where a key has one owner that alone may touch it, a hot key leaves all but one core idle. Here any
core runs any key under its shard's token, so two cores must serve the hot key no slower than one
core serves keys that are all alike. One core: the server on CPU 0, the client on CPU 1. Two cores:
server and client both on both CPUs, so the client takes its part of them away; the CPU time per key
tells what is left of that.
"""

import bench
from bench import ITEM, Server, cpu_us, median, ratio, spread, table

KEYS = 100_000
UNIFORM = "--popularity uniform"
HOT = f"--popularity hot:{1 / KEYS:.5f}:0.9"
DEPTHS = [("depth 1", "-c 100 --depth 1"), ("depth 16", "-c 100 --depth 16"),
          ("50-key multi-get", "-c 100 --depth 1 --mget 50")]
# (keys, cores, how they are drawn); the first is what the others are compared with.
CASES = [("uniform, one core", 1, UNIFORM), ("one hot key, one core", 1, HOT),
         ("uniform, two cores", 2, UNIFORM), ("one hot key, two cores", 2, HOT)]


def main():
    options = bench.options(__doc__, port=21450, rounds=5, seconds=1.0).parse_args()
    bench.begin(options.rounds, options.seconds)
    load = f"--mix get=1 --keys {KEYS} {ITEM}"
    timing = f"--no-preload --warmup 200ms --time {options.seconds}s"
    rows = []
    with Server("ringcached", options.port, 1, 1024) as one, \
            Server("ringcached", options.port + 1, 2, 1024) as two:
        servers = {1: one, 2: two}
        for server in servers.values():
            bench.fill(server, load)
        for depth, how in DEPTHS:
            if options.only not in depth:
                continue
            runs = bench.interleaved(
                options.rounds, CASES,
                lambda case: bench.load(servers[case[1]], f"{load} {how} {case[2]} {timing}"))
            base = [run["keys_per_s"] for run in runs[CASES[0]]]
            for case in CASES:
                rates = [run["keys_per_s"] for run in runs[case]]
                rows.append([depth, case[0], spread((rate / 1000 for rate in rates), 0),
                             f"**{ratio(rates, base):.2f}**", spread(map(cpu_us, runs[case])),
                             f"{median(run['response_us']['p99'] for run in runs[case]):.0f}"])
    table("Gets of 100,000 keys, 100 connections",
          ["load", "keys", "thousand keys/s", "of uniform on one core", "CPU us/key", "p99 us"],
          rows)


if __name__ == "__main__":
    main()
