#!/usr/bin/env python3
"""The paired end-to-end benchmark: ringcached beside every peer found, one command.

    cargo build --release --workspace --examples && python3 benches/peers.py [--rounds N] [--time 1s] [--only WORD]

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

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
SMALL = "--keys 100k --key-size 14 --value-size 64"
LARGE = "--keys 5M --key-size 14 --value-size 64"

# (name, cores, arguments of loadgen)
SCENARIOS = [
    ("90:10, 50 conns, depth 1", 1, f"-c 50 --depth 1 --mix 9:1 {SMALL}"),
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
]


def peers():
    """Name and command line of each server that is there; {port}, {cores} and {mb} are filled in."""
    found = []
    memcached = os.environ.get("MEMCACHED") or shutil.which("memcached")
    user = ["-u", "root"] if os.geteuid() == 0 else []
    if memcached:
        found.append(("memcached", [memcached, *user, "-l", "127.0.0.1", "-p", "{port}",
                                    "-t", "{cores}", "-m", "{mb}", "-c", "4096"]))
    pogocache = os.environ.get("POGOCACHE") or shutil.which("pogocache")
    if pogocache:
        found.append(("pogocache", [pogocache, "-h", "127.0.0.1", "-p", "{port}",
                                    "--threads", "{cores}", "--maxmemory", "{mb}mb"]))
    found.append(("ringcached", [str(RELEASE / "ringcached"), *user, "-l", "127.0.0.1",
                                 "-p", "{port}", "-t", "{cores}", "-m", "{mb}", "-c", "4096"]))
    return found


ECHO = ("bare echo", [str(RELEASE / "examples/echo"), "{port}"])


def start(command, port, cores):
    filled = [part.format(port=port, cores=cores, mb=2048) for part in command]
    server = subprocess.Popen(filled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    if server.poll() is not None:
        sys.exit(f"{filled[0]} ended at start with status {server.returncode}")
    if cores == 1:
        for task in os.listdir(f"/proc/{server.pid}/task"):
            os.sched_setaffinity(int(task), {0})
    return server


def run(scenario, options, servers):
    _, cores, load = scenario
    running = [start(command, options.port + at, cores) for at, (_, command) in enumerate(servers)]
    try:
        addresses = [f"127.0.0.1:{options.port + at},{server.pid}"
                     for at, server in enumerate(running)]
        client = ["--threads", "1", "--pin", "1"] if cores == 1 else \
            ["--threads", "2", "--pin", "0,1"]
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            subprocess.run(
                [RELEASE / "loadgen", "--compare", *addresses, "--rounds", str(options.rounds),
                 "--time", options.time, "--warmup", "200ms", *client, *load.split(),
                 "--quiet", "--json", report.name],
                check=True, stdout=subprocess.DEVNULL)
            return json.load(open(report.name))
    finally:
        for server in running:
            server.kill()
            server.wait()


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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each scenario (5)")
    parser.add_argument("--time", default="1s", help="length of each run (1s)")
    parser.add_argument("--only", default="", help="only scenarios whose name holds this")
    parser.add_argument("--port", type=int, default=21200, help="first of the ports used (21200)")
    options = parser.parse_args()
    for program in ("ringcached", "loadgen", "examples/echo"):
        if not (RELEASE / program).exists():
            sys.exit(f"{program} is not built: run cargo build --release --workspace --examples first")
    servers = peers()
    names = [name for name, _ in servers]
    print(f"{datetime.date.today()}, {platform.system()} {platform.release()}, "
          f"{os.cpu_count()} CPUs; medians of {options.rounds} interleaved runs of {options.time}")
    print("CPU of the server per key; keys/s; p50/p99/p99.9 us; **ringcached's CPU / this one's**\n")
    print("| scenario | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for scenario in SCENARIOS:
        if options.only not in scenario[0]:
            continue
        floor = scenario[0].startswith("floor")
        standings = run(scenario, options, [ECHO] * floor + servers)
        base = standings[-1]
        cells = [cell(standing, base) for standing in standings]
        if floor:
            cells[:2] = [f"{cells[1]} (bare echo: {cells[0]})"]
        print(f"| {scenario[0]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
