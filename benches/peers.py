#!/usr/bin/env python3
"""The paired end-to-end benchmark: ringcached beside every peer found, one command.

    cargo build --release --workspace --examples && python3 benches/peers.py [--only WORD]

Peers: memcached from $MEMCACHED or PATH, pogocache from $POGOCACHE or PATH. Every scenario is run by
`loadgen --compare`: the servers take turns, round after round, with the same client, so that what
drifts on the host drifts for all; medians and ratios are told with their lowest and highest.
One-core scenarios pin each server to CPU 0 and the client to CPU 1, two-core ones leave both on
both. All servers are started before a scenario and ended after it; only the one under load works.

The first figure is CPU time of the server per key (user and system), which a busy client can't
flatter. The tail of a saturated server whose client shares its cores is the scheduler's time slice;
for two cores look at the open-loop rows ("half rate").

The "floor" rows have one server more: `bare echo` (benches/echo.rs) answers END to every line on the
same ring and does nothing else, so it shows what of a request is the network's.
"""

import contextlib
import json
import subprocess
import tempfile

import bench
from bench import CLIENT_CPUS, ITEM, RELEASE, Server

SMALL = f"--keys 100k {ITEM}"
LARGE = f"--keys 5M {ITEM}"
MEMORY_MB = 2048

# (name, cores, arguments of loadgen)
SCENARIOS = [
    ("90:10, 50 conns, depth 1", 1, f"-c 50 --depth 1 --mix 9:1 {SMALL}"),
    ("90:10, 8 conns, depth 1", 1, f"-c 8 --depth 1 --mix 9:1 {SMALL}"),
    ("90:10, 16 conns, depth 1, 10 KB", 1,
     "-c 16 --depth 1 --mix 9:1 --keys 10k --key-size 14 --value-size 10000"),
    ("90:10, 50 conns, depth 16", 1, f"-c 50 --depth 16 --mix 9:1 {SMALL}"),
    ("set only, depth 16", 1, f"-c 50 --depth 16 --mix set=1 {SMALL}"),
    ("50-key multi-get, 5 M keys", 1, f"-c 50 --depth 1 --mix get=1 --mget 50 {LARGE}"),
    ("get, depth 32, 5 M keys", 1, f"-c 50 --depth 32 --mix get=1 {LARGE}"),
    ("get, depth 1, 5 M keys", 1, f"-c 50 --depth 1 --mix get=1 {LARGE}"),
    ("two cores, 90:10, 100 conns, depth 1", 2, f"-c 100 --depth 1 --mix 9:1 {SMALL}"),
    ("two cores, 90:10, 100 conns, depth 16", 2, f"-c 100 --depth 16 --mix 9:1 {SMALL}"),
    ("two cores, set only, depth 16", 2, f"-c 100 --depth 16 --mix set=1 {SMALL}"),
    ("two cores, Zipf 0.99, depth 1", 2, f"-c 100 --depth 1 --mix 9:1 --zipf 0.99 {SMALL}"),
    ("two cores, 1 connection each, depth 1", 2, f"-c 2 --depth 1 --mix 9:1 {SMALL}"),
    ("two cores, half rate, 100 conns", 2, f"-c 100 --rate 60k --mix 9:1 {SMALL}"),
    ("floor: misses, 50 conns, depth 1", 1, f"-c 50 --depth 1 --mix get=1 --no-preload {SMALL}"),
    ("floor: misses, 50 conns, depth 16", 1, f"-c 50 --depth 16 --mix get=1 --no-preload {SMALL}"),
    ("floor: misses, two cores, 100 conns, depth 16", 2,
     f"-c 100 --depth 16 --mix get=1 --no-preload {SMALL}"),
]


def run(scenario, options, names):
    _, cores, load = scenario
    with contextlib.ExitStack() as servers, tempfile.NamedTemporaryFile(suffix=".json") as report:
        running = [servers.enter_context(Server(name, options.port + at, cores, MEMORY_MB))
                   for at, name in enumerate(names)]
        addresses = [f"127.0.0.1:{server.port},{server.pid}" for server in running]
        cpus = CLIENT_CPUS[cores]
        subprocess.run(
            [RELEASE / "loadgen", "--compare", *addresses, "--rounds", str(options.rounds),
             "--time", f"{options.seconds}s", "--warmup", "200ms", "--threads", str(len(cpus)),
             "--pin", ",".join(map(str, cpus)), *load.split(), "--quiet", "--json", report.name],
            check=True, stdout=subprocess.DEVNULL)
        return json.load(report)


def cell(standing, base):
    cpu, rate = standing["server_cpu_us_per_key"], standing["keys_per_s"]
    tail = "/".join(f"{standing[name]['median']:.0f}" for name in ("p50_us", "p99_us", "p99_9_us"))
    text = f"{cpu['median']:.2f} us; {rate['median'] / 1000:.0f} k/s; {tail}"
    if base is not standing:
        # Round by round: neighbours in time are compared with each other.
        pairs = zip(standing["runs"], base["runs"])
        ratios = sorted(b["server_cpu"]["us_per_key"] / a["server_cpu"]["us_per_key"]
                        for a, b in pairs)
        text += f"; **{ratios[len(ratios) // 2]:.2f}** ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    return text


def main():
    options = bench.options(__doc__, port=21200).parse_args()
    bench.begin(options.rounds, options.seconds, ("examples/echo",))
    names = list(bench.peers())
    print("CPU of the server per key; keys/s; p50/p99/p99.9 us; **ringcached's CPU / this one's**\n")
    print("| scenario | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for scenario in SCENARIOS:
        if options.only not in scenario[0]:
            continue
        floor = scenario[0].startswith("floor")
        standings = run(scenario, options, list(bench.ECHO) * floor + names)
        base = standings[-1]
        cells = [cell(standing, base) for standing in standings]
        if floor:
            cells[:2] = [f"{cells[1]} (bare echo: {cells[0]})"]
        print(f"| {scenario[0]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
