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
from bench import ITEM, Server, cpu_us, ratio, spread, table

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
            base = {how_fast: [how_fast(run, 1) for run in runs[CASES[0]]] for how_fast in RATES}
            for case in CASES:
                row = [depth, case[0], spread(map(cpu_us, runs[case]))]
                for how_fast in RATES:
                    rates = [how_fast(run, case[1]) for run in runs[case]]
                    row += [spread(rates, 0), f"**{ratio(rates, base[how_fast]):.2f}**"]
                rows.append(row)
    table("Gets of 100,000 keys, 100 connections; rates also as multiples of uniform on one core",
          ["load", "keys", "CPU us/key", "thousand keys/s", "", "cores alone: thousand keys/s", ""],
          rows)


def measured(run, _):
    return run["keys_per_s"] / 1000


def alone(run, cores):
    return cores * 1000 / cpu_us(run)


RATES = (measured, alone)


if __name__ == "__main__":
    main()
