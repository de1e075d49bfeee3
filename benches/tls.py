#!/usr/bin/env python3
"""What TLS costs a request, and what a request waits for while others shake hands, one command.

    cargo build --release --workspace && python3 benches/tls.py [--seconds N] [--rounds N]

A server of one core with TLS and one without, both pinned to CPU 0, everything else on CPU 1. First each has
90:10 gets and sets of 100,000 keys from 50 connections, at depth 1 and 16: CPU time of the server per
request, helpers included. Then a prober sends a get by TLS every millisecond, alone, beside 50 clients
that connect at once each second, and beside 50 that do so again and again; each resumes no session.
Figures are medians of the rounds.
"""

import argparse
import multiprocessing
import os
import pathlib
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

import large

CLIENTS = 50
TICKS_S = os.sysconf("SC_CLK_TCK")
CLOCKS = {"1": "50 connections, depth 1", "16": "50 connections, depth 16"}


def certificate(folder, kind):
    key, chain = f"{folder}/{kind}.key", f"{folder}/{kind}.pem"
    new = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-newkey", *new, "-keyout", key, "-out", chain]
    subprocess.run(command, check=True, capture_output=True)
    return f"ssl_chain_cert={chain},ssl_key={key}"


def start(binary, port, options):
    user = ["-u", "root"] if os.geteuid() == 0 else []
    where = ["-l", "127.0.0.1", "-p", str(port), "-t", "1"]
    os.sched_setaffinity(0, {0})
    server = subprocess.Popen([binary, *user, *where, *options], stderr=subprocess.DEVNULL)
    os.sched_setaffinity(0, {1})
    return server


def cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def connect(port, tls):
    wire = large.connect(port)
    if not tls:
        return wire
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(wire)


def requests(port, tls):
    wire = connect(port, tls)
    wire.sendall(b"stats\r\n")
    text = b""
    while not text.endswith(b"END\r\n"):
        text += wire.recv(65536)
    words = dict(line.split()[1:3] for line in text.decode().splitlines() if line.count(" ") >= 2)
    return int(words["cmd_get"]) + int(words["cmd_set"])


def cost(loadgen, server, port, tls, depth, seconds):
    """CPU time of a request in microseconds."""
    by = ["--tls", "--tls-insecure"] if tls else []
    load = ["-s", f"127.0.0.1:{port}", "-c", "50", "--depth", depth, "-t", f"{seconds}s"]
    load += ["--keys", "100000", "--mix", "9:1", "-q", *by]
    before = requests(port, tls), cpu_s(server)
    subprocess.run([loadgen, *load], check=True, stdout=subprocess.DEVNULL)
    after = requests(port, tls), cpu_s(server)
    return (after[1] - before[1]) * 1e6 / (after[0] - before[0])


def shake_hands(port, period_s, made):
    """Has 50 clients connect at once, in turns of `period_s`; counts them."""
    os.sched_setaffinity(0, {1})
    os.nice(19)

    def one():
        connect(port, True).close()
        with made.get_lock():
            made.value += 1

    while True:
        since = time.perf_counter()
        threads = [threading.Thread(target=one) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(0, period_s - (time.perf_counter() - since)))


def probe_beside(port, period_s, seconds):
    made = multiprocessing.Value("q", 0)
    others = []
    if period_s is not None:
        others = [multiprocessing.Process(target=shake_hands, args=(port, period_s, made), daemon=True)]
    for other in others:
        other.start()
    time.sleep(0.5)
    before = made.value
    times = large.probe(port, seconds, connect(port, True))
    rate = (made.value - before) / seconds
    for other in others:
        other.kill()
        other.join()
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return large.percentile(times, 0.5), large.percentile(times, 0.99), rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=22150)
    args = parser.parse_args()
    binary, loadgen = (str(large.RELEASE / name) for name in ("ringcached", "loadgen"))
    with tempfile.TemporaryDirectory() as folder:
        tls = {kind: ["-Z", "-o", certificate(folder, kind)] for kind in ("rsa", "ec")}
        kinds = {"plain": [], **tls}
        ports = {kind: args.port + number for number, kind in enumerate(kinds)}
        servers = {kind: start(binary, ports[kind], kinds[kind]) for kind in kinds}
        try:
            time.sleep(1)
            measure(args, loadgen, ports, servers)
        finally:
            for server in servers.values():
                server.kill()
                server.wait()


def measure(args, loadgen, ports, servers):
    for depth, what in CLOCKS.items():
        found = {"plain": [], "rsa": []}
        for _ in range(args.rounds):
            for kind, costs in found.items():
                is_tls = kind != "plain"
                costs.append(cost(loadgen, servers[kind], ports[kind], is_tls, depth, args.seconds))
        plain, tls = (statistics.median(costs) for costs in found.values())
        print(f"{what:26} CPU us/request: {plain:.2f} plain, {tls:.2f} TLS, {tls / plain:.2f} times", flush=True)
    for kind in ("rsa", "ec"):
        for what, period_s in (("alone", None), ("beside 50/s", 1), ("beside 50 at once", 0)):
            rounds = [probe_beside(ports[kind], period_s, args.seconds) for _ in range(args.rounds)]
            p50, p99, rate = (statistics.median(figures) for figures in zip(*rounds))
            print(f"{kind:4} {what:18} p50/p99 us: {p50:6.0f} {p99:6.0f}   {rate:.0f} handshakes/s", flush=True)


if __name__ == "__main__":
    main()
