#!/usr/bin/env python3
"""No stall: what a client waits for at worst while the server does something large.

    cargo build --release --workspace && python3 benches/stalls.py [--quick] [--only WORD]

A prober asks at a low fixed rate, open loop, so that a request that waits is counted with all its
wait, and so are those that were due meanwhile. Its 99.9th percentile is told for the same server
left alone ("idle") and during each of these:

- growing: the empty server takes 5 million new items at a fixed rate, its index growing;
- steady: the same rate of stores to the keys that are there, which shows what the load alone costs;
- reassigning: memory is full and pages go from one class to another and back, one after the other;
- flushed: 2 million items are flushed and new ones stored;
- crawling: the crawler walks through 2 million items that expire one after the other;
- dumping: somebody reads `lru_crawler metadump all`, again and again.

One serving core; memcached beside it where $MEMCACHED or PATH has one. As root the prober has
priority over the other clients on its CPU, so that it measures the server and not its neighbours.
"""

import time

import bench
from bench import ITEM, Load, Server, ask, median, table

PROBE = "-c 4 --rate 4k --mix 9:1 --keys 1000 --key-prefix probe: --no-preload --warmup 100ms"
# An idle machine stalls too, some times a second at most: long enough to see how often.
IDLE_S = 5.0
GROWN_ITEMS = 5_000_000
RATE = 100_000
STORES = f"-c 50 --rate {RATE} --mix set=1 {ITEM} --no-preload"
HELD = f"--keys 2M {ITEM}"
# Preloading stores for ever, so these are stored one after the other by the load itself.
EXPIRING = f"{HELD} --ttl 1-20 --mix set=1 --popularity sequential --no-preload --depth 32"
TWO_CLASSES = "--keys 2M --key-size 14 --value-size 64:1,300:1"


class Case:
    """Something large that a server does, and what it needs beforehand."""

    def __init__(self, name, fill, during, mb=1024, seconds=None):
        self.name, self.fill, self.during, self.mb = name, fill, during, mb
        self.seconds = seconds

    def run(self, server, seconds):
        """The prober's reports, idle and during, and a word on what was done."""
        bench.load(server, f"{PROBE} --mix set=1 --time 500ms")
        idle = probe(server, IDLE_S)
        prober = Load(server, f"{PROBE} --time {seconds}s", priority=True)
        done = self.during(server, seconds, prober.is_running)
        return idle, prober.result(), done


def probe(server, seconds):
    return Load(server, f"{PROBE} --time {seconds}s", priority=True).result()


# ---- What a server has ----

def filled(load):
    return lambda server: bench.fill(server, load)


def fill_expiring(server):
    bench.load(server, f"{EXPIRING} --requests 2M")


# ---- What a server does ----

def grow(server, seconds, _):
    keys = f"--keys {GROWN_ITEMS} --popularity sequential"
    report = bench.load(server, f"{STORES} {keys} --time {seconds}s")
    return f"{report['requests'] / 1e6:.1f} M stored"


def store_again(server, seconds, _):
    report = bench.load(server, f"{STORES} --keys {GROWN_ITEMS} --time {seconds}s")
    return f"{report['requests'] / 1e6:.1f} M stored"


def reassign(server, seconds, goes_on):
    """Moves pages between the two fullest classes, one way until refused, then the other."""
    stores = Load(server, f"-c 50 --rate {RATE // 2} --mix set=1 {TWO_CLASSES} --no-preload "
                          f"--time {seconds}s")
    pages = {int(name.split(":")[0]): int(value) for name, value in
             server.statistics("slabs").items() if name.endswith(":total_pages")}
    giver, taker = sorted(pages, key=pages.get)[-2:]
    moved = int(server.statistics().get("slabs_moved", 0))
    with server.connect() as client:
        while goes_on():
            answer = ask(client, f"slabs reassign {giver} {taker}")
            if answer.startswith(("NOSPARE", "NOTFULL")):
                giver, taker = taker, giver
            elif answer.startswith("BUSY"):
                time.sleep(0.001)
    stores.result()
    moved = int(server.statistics().get("slabs_moved", 0)) - moved
    return f"{moved} pages moved of {sum(pages.values())}"


def flush(server, seconds, _):
    with server.connect() as client:
        ask(client, "flush_all")
    keys = "--keys 2M --key-prefix new: --popularity sequential"
    report = bench.load(server, f"{STORES} {keys} --time {seconds}s")
    return f"{report['requests'] / 1e6:.1f} M stored"


def crawl(server, _, goes_on):
    before = reclaimed(server)
    with server.connect() as client:
        while goes_on():
            ask(client, "lru_crawler crawl all")
            time.sleep(0.02)
    return f"{(reclaimed(server) - before) / 1e6:.1f} M reclaimed"


def reclaimed(server):
    return int(server.statistics().get("crawler_reclaimed", 0))


def dump(server, _, goes_on):
    """Reads dumps until the prober ends; the last one is left in its middle."""
    lines = 0
    with server.connect() as client:
        client.sendall(b"lru_crawler metadump all\r\n")
        while goes_on():
            part = client.recv(1 << 20)
            lines += part.count(b"\n")
            if part.endswith(b"END\r\n"):
                client.sendall(b"lru_crawler metadump all\r\n")
    return f"{lines / 1e6:.1f} M lines"


GROWING_S = GROWN_ITEMS / RATE
CASES = [
    Case("growing", None, grow, seconds=GROWING_S),
    Case("steady", filled(f"--keys {GROWN_ITEMS} {ITEM}"), store_again, seconds=8.0),
    Case("reassigning", filled(TWO_CLASSES), reassign, mb=256),
    Case("flushed", filled(HELD), flush),
    Case("crawling", fill_expiring, crawl),
    Case("dumping", filled(HELD), dump),
]


# ---- The command ----

def measure(case, names, options):
    """Results of every server, in turns."""
    seconds = max(options.seconds, case.seconds or 0)

    def run(name):
        with Server(name, options.port, 1, case.mb, "-o slab_automove=0") as server:
            if case.fill:
                case.fill(server)
            return case.run(server, seconds)

    return bench.interleaved(options.rounds, names, run)


def row(case, name, runs):
    def tail(reports, which):
        return [report["response_us"][which] for report in reports]

    idle, during = [run[0] for run in runs], [run[1] for run in runs]
    ratios = [a / b for a, b in zip(tail(during, "p99_9"), tail(idle, "p99_9"))]
    return [case.name, name, *(f"{median(tail(idle, which)):.0f}" for which in ("p50", "p99_9")),
            *(f"{median(tail(during, which)):.0f}" for which in ("p50", "p99_9")),
            f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
            f"{max(tail(during, 'max')) / 1000:.1f}", runs[-1][2]]


def main():
    parser = bench.options(__doc__, port=21350, rounds=3, seconds=4.0)
    parser.add_argument("--quick", action="store_true", help="one round, and no growing")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case.name]
    if options.quick:
        options.rounds = 1
        cases = [case for case in cases if case.name != "growing"]
    bench.begin(options.rounds, options.seconds)
    names = [name for name in bench.peers() if name != "pogocache"]
    rows = []
    for case in cases:
        results = measure(case, names, options)
        rows += [row(case, name, runs) for name, runs in results.items()]
    table("A prober's response times in us, the server left alone and doing something large",
          ["during", "server", "idle p50", "idle p99.9", "p50", "p99.9", "p99.9 / idle p99.9",
           "max ms", "done"], rows)


if __name__ == "__main__":
    main()
