#!/usr/bin/env python3
"""What a request costs the client: loadgen beside the load generators found, in one run.

    cargo build --release --workspace && python3 benches/clients.py [--rounds N] [--memtier PATH]

Peers, each used where it is installed: memcslap and memcaslap (Debian's libmemcached-tools) and
memtier_benchmark, which --memtier names where it is not in the PATH. All of them load one memcached, in turn, round after round, in a closed loop: 50
connections, one request each at a time, one thread, 64-byte values where the program can be told
so. The figure is CPU time of the client process (user and system, as the kernel counts it
at its end) over the requests it made, the making of keys included; medians, with the lowest and
highest round. The last row has loadgen keep 16 requests under way on each connection.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CONNECTIONS = 50
OWN = f"--connections {CONNECTIONS} --mix 9:1 --keys 10k --key-size 64 --value-size 64 --quiet"


def clients(port, requests, memtier):
    """Name, requests and command line of each client that is there."""
    server = f"127.0.0.1:{port}"
    each = requests // CONNECTIONS
    known = [
        # Its threads are its connections.
        ("memcslap, get", f"memcslap -s {server} -c {CONNECTIONS} -e {each} -t get -q"),
        ("memcaslap, 9:1", f"memcaslap -s {server} -T 1 -c {CONNECTIONS} -x {requests} -X 64"),
        ("memtier, 9:1", f"{memtier} -s 127.0.0.1 -p {port} -P memcache_text -t 1 "
                         f"-c {CONNECTIONS} -n {each} -d 64 --ratio 1:9 --hide-histogram"),
    ]
    found = [(name, command.split()) for name, command in known
             if shutil.which(command.split()[0])]
    own = f"{RELEASE / 'loadgen'} --servers {server} {OWN} --requests {requests}"
    found.append(("loadgen, 9:1", own.split()))
    found.append(("loadgen, 9:1, depth 16", own.split() + ["--depth", "16"]))
    return found


def cpu_us(command, requests):
    """CPU time of one run per request, in microseconds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e6 / requests


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each client (5)")
    parser.add_argument("--requests", type=int, default=500_000, help="of each run (500000)")
    parser.add_argument("--port", type=int, default=21190, help="port of the server (21190)")
    parser.add_argument("--memtier", default="memtier_benchmark", metavar="PATH",
                        help="memtier_benchmark, if it is not in the PATH")
    options = parser.parse_args()
    memcached = os.environ.get("MEMCACHED") or shutil.which("memcached")
    if not memcached:
        sys.exit("memcached is needed: set MEMCACHED or install it")
    user = ["-u", "root"] if os.geteuid() == 0 else []
    server = subprocess.Popen([memcached, *user, "-l", "127.0.0.1", "-p", str(options.port),
                               "-t", "1", "-m", "256"])
    try:
        time.sleep(0.5)
        found = clients(options.port, options.requests, options.memtier)
        costs = {name: [] for name, _ in found}
        for _ in range(options.rounds):
            for name, command in found:
                costs[name].append(cpu_us(command, options.requests))
    finally:
        server.kill()
        server.wait()
    print("| client | CPU us per request | lowest - highest |\n|---|---|---|")
    for name, values in costs.items():
        print(f"| {name} | {statistics.median(values):.2f} "
              f"| {min(values):.2f} - {max(values):.2f} |")


if __name__ == "__main__":
    main()
