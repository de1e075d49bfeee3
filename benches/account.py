#!/usr/bin/env python3
"""The account of a request: where its instructions, system calls and completions go.

    cargo build --release --workspace && python3 benches/account.py [--only WORD]

The first table has instructions of user code for each request (for each key of a multi-get), by
what they are for. They are counted by valgrind's callgrind while one connection asks, so they are
nearly the same in every run; the kernel's part isn't in them. Code that the compiler has put into
another function counts where its source stands. Needs valgrind.

The second table is of the real thing, 50 connections of loadgen on one core: how many requests and
completions an entry into the kernel brings, and how much of its time the core sleeps.
"""

import contextlib
import itertools
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import bench
from bench import ITEM, ROOT, Server, table

KEYS = [b"key%011d" % number for number in range(1000)]
VALUE = b"v" * 64
# What code is for, by where its source lies: the first that matches.
STAGES = {
    "parse": ["protocol/parser", "protocol/text", "protocol/key", "protocol/number",
              "protocol/mod"],
    "make the reply": ["protocol/reply", "core/execute"],
    "look up or store": ["shard"],
    "group, route, token": ["core/gather", "core/group", "core/state", "mesh", "conn/input"],
    "deliver and send": ["core/deliver", "core/client", "core/outbox", "core/plans", "conn",
                         "ring/message"],
    "the loop and its ring": ["core", "ring", "os"],
}
OTHERS = "libraries: copying, comparing, hashing"
# Now and then the control thread waits in io_uring_enter with valgrind's lock, which lets one
# thread run at a time, so that the core does not get it: then the case begins anew.
TIMEOUT_S = 5
TRIES_MAX = 10


def store(key):
    return b"set " + key + b" 0 0 %d\r\n" % len(VALUE) + VALUE + b"\r\n"


def get(keys):
    return b"get " + b" ".join(keys) + b"\r\n"


# Name: keys in a batch, the batch, the same as a load.
CASES = {
    "get, depth 1": (1, get, "--depth 1 --mix get=1"),
    "get, depth 16": (16, lambda keys: b"".join(get([key]) for key in keys),
                      "--depth 16 --mix get=1"),
    "set, depth 16": (16, lambda keys: b"".join(map(store, keys)), "--depth 16 --mix set=1"),
    "50-key multi-get": (50, get, "--depth 1 --mix get=1 --mget 50"),
}


# ---- Instructions ----

@contextlib.contextmanager
def server_under_callgrind(port, folder):
    """A server and a connection to it."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
               *bench.peers()["ringcached"]]
    command = [part.format(port=port, cores=1, mb=64) for part in command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid, connect(port)
    finally:
        process.kill()
        process.wait()


def connect(port):
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        time.sleep(0.05)
    sys.exit("the server does not start under valgrind")


def instructions(case, ports, batches):
    """Instructions by stage for each request, or each key, of a case."""
    for _ in range(TRIES_MAX):
        with contextlib.suppress(TimeoutError):
            return count(case, next(ports), batches)
    sys.exit(f"no answer under valgrind, {TRIES_MAX} times")


def count(case, port, batches):
    size, batch, _ = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        with server_under_callgrind(port, folder) as (pid, client):
            for key in KEYS:
                exchange(client, store(key))
            control("--zero", pid)
            for at in range(batches):
                some = [(at * size + number) * 7 % len(KEYS) for number in range(size)]
                exchange(client, batch([KEYS[number] for number in some]))
            control("--dump", pid)
        dumps = sorted(pathlib.Path(folder).glob("out.*"), key=lambda dump: int(dump.suffix[1:]))
        counts = by_stage(dumps[-1].read_text().splitlines())
    return {stage: count / (batches * size) for stage, count in counts.items()}


def control(what, pid):
    subprocess.run(["callgrind_control", what, str(pid)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def exchange(client, request):
    """Sends a batch and reads until each line of it is answered."""
    client.sendall(request)
    lines = request.count(b"\r\n") // (2 if request.startswith(b"set") else 1)
    answer = b""
    while answer.count(b"END\r\n") + answer.count(b"STORED\r\n") < lines:
        answer += client.recv(1 << 16)


def by_stage(lines):
    """Sums up a profile of callgrind; its format is described in valgrind's manual."""
    names, counts = {}, {}
    own = here = None
    skip = False
    for line in lines:
        if match := re.match(r"(fl|fi|fe|cfi|cfl)=\((\d+)\)(?: (.*))?", line):
            kind, number, name = match.groups()
            if name:
                names[number] = name
            if kind.startswith("c"):
                continue
            here = stage_of(names[number])
            if kind == "fl":
                own = here
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+\-*\d]", line):
            # The line behind a call has what the callee took.
            if not skip:
                stage = here or own or OTHERS
                counts[stage] = counts.get(stage, 0) + int(line.split()[1])
            skip = False
    return counts


def stage_of(file):
    """What a source file is for; None if it isn't ours."""
    if not file or not file.startswith(f"{ROOT}/src/"):
        return None
    path = file.removeprefix(f"{ROOT}/src/")
    return next((stage for stage, starts in STAGES.items()
                 if any(path.startswith(start) for start in starts)), OTHERS)


# ---- Entries into the kernel ----

def entries(case, options):
    _, _, load = CASES[case]
    load = f"-c 50 {load} --keys 100k {ITEM}"
    with Server("ringcached", options.port, 1, 1024) as server:
        bench.load(server, f"{load} --time 300ms")
        before = server.statistics("cores")
        report = bench.load(server, f"{load} --no-preload --time {options.seconds}s")
        after = server.statistics("cores")
    turns, completions, operations = (
        int(after[f"0:{name}"]) - int(before[f"0:{name}"])
        for name in ("turns", "completions", "operations"))
    cpu = report["server_cpu"]
    user_us = cpu["user_us_per_request"] * cpu["us_per_key"] / cpu["us_per_request"]
    return [case, f"{operations / turns:.1f}", f"{completions / turns:.1f}",
            f"{cpu['us_per_key']:.2f}", f"{user_us:.2f}", f"{1 - cpu['cores']:.0%}"]


def main():
    parser = bench.options(__doc__, port=21600, seconds=2.0)
    parser.add_argument("--batches", type=int, default=500,
                        help="of requests that are counted (500)")
    options = parser.parse_args()
    bench.begin(1, options.seconds)
    if not shutil.which("valgrind"):
        sys.exit("no valgrind, which counts the instructions: install the package of that name")
    cases = [case for case in CASES if options.only in case]
    ports = itertools.count(options.port + 1)
    counts = {case: instructions(case, ports, options.batches) for case in cases}
    stages = [*STAGES, OTHERS]
    rows = [[stage, *(f"{counts[case].get(stage, 0):.0f}" for case in cases)] for stage in stages]
    rows.append(["together", *(f"{sum(counts[case].values()):.0f}" for case in cases)])
    table("Instructions of user code for each key", ["for", *cases], rows)
    table("Entries into the kernel, 50 connections",
          ["load", "keys an entry", "completions an entry", "CPU us/key", "user us/key", "asleep"],
          [entries(case, options) for case in cases])


if __name__ == "__main__":
    main()
