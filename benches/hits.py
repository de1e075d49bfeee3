#!/usr/bin/env python3
"""Hits for the same memory: ringcached beside memcached on replays of Twitter's clusters, one command.

    cargo build --release --workspace && MEMCACHED=/path/to/memcached python3 benches/hits.py

A replay is made of what Twitter's table tells of a cluster (twitter/cache-trace, CC BY; Yang et al.,
OSDI 2020) and a seed, so both servers get the same requests:

- keys of the cluster's mean length, values evenly between half and one and a half of the mean;
- a population of keys under Zipf's law with the cluster's exponent, stored once before the replay;
- new keys at the rate of the compulsory misses: as many of them as the share of one-hit wonders are
  asked for once, the others replace a key of the population, whatever its rank;
- the cluster's shares of operations; a get that misses is followed by a set (read-through).

The population takes so many bytes as memcached stores it, and the caches hold fractions of it.

Time: a replay of N requests stands for N / rate seconds of the cluster. Times to live beyond that
cannot matter and are sent as they are. Where there are shorter ones, the replay is run at a fixed
rate and they are divided by its speed-up, so that they end after as many requests as in production.
Both servers are run at the same rate; a replay that fell behind it is marked with a "late".
"""

import argparse
import datetime
import itertools
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
# Bytes of the population: key, value and memcached's 59 bytes an item.
POPULATION_BYTES = 128 << 20
SIZES_MB = (16, 32, 64)
MEMCACHED_ITEM_BYTES = 59

# Cluster: key bytes, mean value bytes, operations, Zipf exponent, share of one-hit wonders among
# keys, share of compulsory misses, requests a second, times to live with their shares; then the
# requests of the replay and, where times to live matter, its rate.
CLUSTERS = {
    6: (44, 252, "get=98,set=2", 1.882, .0063, .0031, 12610, {550: 1}, 1_500_000, None),
    7: (17, 1936, "get=82,set=18", 1.0666, .0001, .0137, 1620, {6300: 1}, 600_000, None),
    12: (44, 1030, "set=80,get=20", 0.3048, .8143, .7945, 4360, {300: 1}, 600_000, None),
    18: (18, 37, "get=97,add=1,cas=1", 2.0994, .0071, .0015, 26400, {43200: 1}, 1_500_000, None),
    19: (42, 101, "get=75,set=25", 0.735, .0746, .212, 3310, {25200: 1}, 2_000_000, None),
    24: (32, 699, "get=99,set=1", 1.3726, .0565, .0074, 5290,
         {60: 20, 3600: 2, 86400: 2, 1209600: 73, 2592000: 3}, 1_000_000, 40_000),
    29: (36, 799, "get=87,set=13", 1.2323, .2304, .0445, 10730, {3600: 67, 7200: 33}, 1_000_000,
         None),
    37: (72, 20134, "get=63,set=37", 0.4251, .1488, .2635, 4150,
         {20: 91, 300: 6, 600: 1, 7200: 2}, 150_000, 8_300),
    42: (40, 4703, "get=96,add=4", 1.5974, .0005, .0043, 6840, {300: 16, 600: 82, 21600: 2},
         400_000, None),
    44: (25, 22, "get=98,add=1", 1.4084, .2024, .0165, 9410, {2592000: 1}, 1_500_000, None),
    52: (20, 273, "get=93,add=4,cas=2", 1.2117, .1936, .0307, 24250,
         {86400: 65, 1209600: 27, 43200: 8}, 1_500_000, None),
}


def replay_options(number):
    """The options of loadgen that make a cluster's replay."""
    key, value, mix, zipf, wonders, new, kept_rate, ttls, requests, rate = CLUSTERS[number]
    stands_for_s = requests / kept_rate
    speedup = (rate or kept_rate) / kept_rate
    scaled = {ttl if ttl > stands_for_s else max(1, round(ttl / speedup)): share
              for ttl, share in ttls.items()}
    population = POPULATION_BYTES // (key + value + MEMCACHED_ITEM_BYTES)
    return {
        "mix": mix, "key-size": key, "key-prefix": "k", "keys": population,
        "value-size": f"{value // 2}-{value * 3 // 2}", "popularity": f"zipf:{zipf}",
        "once": f"{wonders * new:.6f}", "churn": f"{(1 - wonders) * new:.6f}",
        "ttl": ",".join(f"{ttl}s:{share}" for ttl, share in scaled.items()),
        "requests": requests, **({"rate": rate} if rate else {}),
    }


def servers(options):
    """Name and command line of each server; {port} and {mb} are filled in."""
    user = ["-u", "root"] if os.geteuid() == 0 else []
    common = [*user, "-l", "127.0.0.1", "-p", "{port}", "-m", "{mb}", "-t", str(options.cores)]
    return [("memcached", [options.memcached, *common]),
            ("ringcached", [str(RELEASE / "ringcached"), *common])]


def replay(command, number, size_mb, port, seed):
    """Misses per read and whether the replay kept its rate."""
    filled = [part.format(port=port, mb=size_mb) for part in command]
    server = subprocess.Popen(filled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        if server.poll() is not None:
            sys.exit(f"{filled[0]} ended at start with status {server.returncode}")
        load = replay_options(number)
        words = [word for name, value in load.items() for word in (f"--{name}", str(value))]
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            started = time.monotonic()
            subprocess.run(
                [RELEASE / "loadgen", "--servers", f"127.0.0.1:{port}", "--fill-misses",
                 "-c", "4", "--depth", "16", "--timeout", "60s", "--seed", str(seed), *words,
                 "--quiet", "--json", report.name], check=True, stdout=subprocess.DEVNULL)
            result = json.load(open(report.name))
        took_s = result.get("seconds", time.monotonic() - started)
        late = "rate" in load and took_s > 1.1 * load["requests"] / load["rate"]
        return result["misses"] / (result["hits"] + result["misses"]), late
    finally:
        server.kill()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memcached", help="the peer's program",
                        default=os.environ.get("MEMCACHED") or shutil.which("memcached"))
    parser.add_argument("--cores", type=int, default=1, help="-t of both servers (1)")
    parser.add_argument("--clusters", help="only these, separated by commas",
                        default=",".join(map(str, CLUSTERS)))
    parser.add_argument("--seed", type=int, default=1, help="seed of the replays (1)")
    parser.add_argument("--port", type=int, default=21300, help="first of the ports used (21300)")
    options = parser.parse_args()
    if not options.memcached:
        sys.exit("no memcached: give --memcached or MEMCACHED")
    print(f"{datetime.date.today()}, {platform.system()} {platform.release()}, {os.cpu_count()} "
          f"CPUs; python3 {' '.join(sys.argv)}")
    print("misses per read: memcached, ringcached, **ringcached's over memcached's**\n")
    print("| cluster | " + " | ".join(f"-m {size}" for size in SIZES_MB) + " |")
    print("|---" * (1 + len(SIZES_MB)) + "|")
    ratios, ports = [], itertools.count(options.port)
    for number in map(int, options.clusters.split(",")):
        cells = []
        for size_mb in SIZES_MB:
            # Each on a port of its own: the kernel takes a while to close what a killed ring holds.
            results = [replay(command, number, size_mb, next(ports), options.seed)
                       for _, command in servers(options)]
            (theirs, _), (ours, _) = results
            ratios.append(ours / theirs)
            late = " late" if any(late for _, late in results) else ""
            cells.append(f"{theirs:.4f}, {ours:.4f}, **{ours / theirs:.3f}**{late}")
        print(f"| {number} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nmean ratio {sum(ratios) / len(ratios):.3f}, highest {max(ratios):.3f}, "
          f"lowest {min(ratios):.3f}")


if __name__ == "__main__":
    main()
