#!/usr/bin/env python3
"""Cost as it grows: CPU time of the server per key over items, connections and sizes of values.

    cargo build --release --workspace && python3 benches/growth.py [--quick] [--only WORD]

Each curve varies one thing and leaves the others: from 10 thousand to 20 million items, from 1 to
10,000 connections, from values of 1 byte to 1 MB, on one core and on two. CPU time is read from
/proc/PID/stat when all connections are up and again when the last reply has come. The servers of a
curve are all started and filled first; the points then take turns.

The last table is about 15,000 connections that are idle, each after one request: what each of them
takes of the server's resident memory, and what the active ones beside them cost and wait, compared
with a server that has only the active ones. It needs 20,000 descriptors (ulimit -n).
"""

import bench
from bench import ITEM, Server, ask, cpu_us, median, spread, table

ITEMS = [10_000, 100_000, 1_000_000, 5_000_000, 20_000_000]
CONNECTIONS = [1, 10, 100, 1_000, 10_000]
VALUE_BYTES = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
# All values of a point together take about this, so that no cache of the processor holds them.
VALUES_BYTES_MAX = 512_000_000

# Descriptors of a process beside its connections.
FILES_BESIDE = 500

IDLE_CONNECTIONS = 15_000
IDLE_BYTES_MAX = 512
ACTIVE = f"-c 50 --rate 40k --mix 9:1 --keys 100k {ITEM} --no-preload"


def items_load(items):
    return f"-c 50 --depth 16 --mix get=1 --keys {items} {ITEM}"


def connections_load(connections):
    return f"-c {connections} --depth 1 --mix 9:1 --keys 100k {ITEM}"


def values_load(value_bytes):
    keys = min(100_000, VALUES_BYTES_MAX // value_bytes)
    return f"-c 16 --depth 1 --mix 9:1 --keys {keys} --key-size 14 --value-size {value_bytes}"


# (title, what varies, its values, the load at a value, whether all can share a server)
CURVES = [
    ("Items: get, 50 connections, depth 16", "items", ITEMS, items_load, False),
    ("Connections: 90:10, depth 1", "connections", CONNECTIONS, connections_load, True),
    ("Values: 90:10, 16 connections, depth 1", "bytes", VALUE_BYTES, values_load, False),
]


def measure(curve, cores, options):
    """The reports of every point of a curve."""
    _, _, points, load_at, shares = curve
    timing = f"--no-preload --warmup 200ms --time {options.seconds}s"
    servers = {}
    try:
        for at, point in enumerate(points):
            if shares and servers:
                servers[point] = servers[points[0]]
                continue
            server = Server("ringcached", options.port + at, cores, 4096, "-c 16384")
            servers[point] = server
            bench.fill(server, load_at(point))
        return bench.interleaved(options.rounds, points,
                                 lambda point: bench.load(servers[point],
                                                          f"{load_at(point)} {timing}"))
    finally:
        for server in servers.values():
            server.stop()


def tell_curve(curve, options):
    title, varies, points, _, _ = curve
    by_cores = {cores: measure(curve, cores, options) for cores in (1, 2)}
    most = max(median(map(cpu_us, runs)) for reports in by_cores.values()
               for runs in reports.values())
    rows = []
    for point in points:
        row = [f"{point:,}"]
        for reports in by_cores.values():
            runs = reports[point]
            cost = median(map(cpu_us, runs))
            rate = median(run["keys_per_s"] for run in runs)
            tail = median(run["response_us"]["p99"] for run in runs)
            row += [spread(map(cpu_us, runs)), f"`{bench.bar(cost, most, 16)}`",
                    f"{rate / 1000:,.1f}", f"{tail:.0f}"]
        rows.append(row)
    head = [varies]
    for cores in by_cores:
        head += [f"-t {cores}: CPU us/key", "", "thousand keys/s", "p99 us"]
    table(title, head, rows)


# ---- Idle connections ----

class Idle:
    """Connections that have each asked once and say nothing since."""

    def __init__(self, server, count):
        self.sockets = [server.connect() for _ in range(count)]
        for client in self.sockets:
            ask(client, "get none", "END")

    def close(self):
        for client in self.sockets:
            client.close()


def tell_idle(options):
    rows = []
    for cores in (1, 2):
        with Server("ringcached", options.port, cores, 1024, "-c 16384") as alone, \
                Server("ringcached", options.port + 1, cores, 1024, "-c 16384") as beside:
            load = f"{ACTIVE} --warmup 200ms --time {options.seconds}s"
            for server in (alone, beside):
                bench.fill(server, ACTIVE.replace("--no-preload", ""))
                bench.load(server, load)
            before = beside.rss_bytes()
            idle = Idle(beside, IDLE_CONNECTIONS)
            each = (beside.rss_bytes() - before) / IDLE_CONNECTIONS
            reports = bench.interleaved(options.rounds, (alone, beside),
                                        lambda server: bench.load(server, load))
            idle.close()
        for server, who in ((alone, "0"), (beside, f"{IDLE_CONNECTIONS:,}")):
            runs = reports[server]
            rows.append([cores, who, f"{each:.0f}" if server is beside else "",
                         spread(map(cpu_us, runs)),
                         *(spread((run["response_us"][name] for run in runs), 0)
                           for name in ("p50", "p99"))])
    table(f"Idle connections beside 50 that ask 40,000 times a second "
          f"(at most {IDLE_BYTES_MAX} bytes each)",
          ["-t", "idle", "bytes each", "CPU us/key", "p50 us", "p99 us"], rows)


def main():
    parser = bench.options(__doc__, port=21300, rounds=3, seconds=1.0)
    parser.add_argument("--quick", action="store_true", help="one round of half a second")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    bench.begin(options.rounds, options.seconds)
    files = bench.raise_file_limit()
    for curve in CURVES:
        if options.only not in curve[0]:
            continue
        if curve[2] is CONNECTIONS and files < CONNECTIONS[-1] + FILES_BESIDE:
            print(f"\n{curve[0]}: not measured, only {files} descriptors (ulimit -n)")
        else:
            tell_curve(curve, options)
    if options.only in "Idle connections":
        if files < IDLE_CONNECTIONS + FILES_BESIDE:
            print(f"\nIdle connections: not measured, only {files} descriptors (ulimit -n)")
        else:
            tell_idle(options)


if __name__ == "__main__":
    main()
