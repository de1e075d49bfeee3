"""What the commands in this directory share: servers, the load generator, statistics, tables.

Every command prints a line with the date, the machine and the words that it was called with, then
tables in Markdown. Runs that will be compared are interleaved: what drifts on the host drifts for
all of them alike, and medians are told with the lowest and the highest.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# The items of all commands that don't vary them.
ITEM = "--key-size 14 --value-size 64"

# With one core the server has CPU 0 and the client CPU 1; with two, both have both.
CLIENT_CPUS = {1: [1], 2: [0, 1]}


def options(about, port, rounds=5, seconds=1.0):
    """The options that all commands have; add to it, then parse_args()."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"of each case ({rounds})")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of a run ({seconds})")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--port", type=int, default=port, help=f"first of the ports used ({port})")
    return parser


def begin(rounds, seconds, programs=()):
    """Looks whether all is built and prints what the tables below it were made on."""
    for program in ("ringcached", "loadgen", *programs):
        if not (RELEASE / program).exists():
            sys.exit(f"{program} is not built: "
                     "run cargo build --release --workspace --bins --examples first")
    words = ["python3", f"benches/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]]
    print(f"{datetime.date.today()}, {cpu_model()}, {os.cpu_count()} CPUs, "
          f"{platform.system()} {platform.release()}; {rounds} interleaved rounds of "
          f"{seconds:g} s, medians; `{shlex.join(words)}`", flush=True)


def cpu_model():
    with open("/proc/cpuinfo") as lines:
        models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


# ---- Servers ----

def peers():
    """Name and command line of each server that is there, ringcached last; {port}, {cores} and
    {mb} are to be filled in."""
    user = ["-u", "root"] if os.geteuid() == 0 else []
    as_memcached = [*user, "-l", "127.0.0.1", "-p", "{port}", "-t", "{cores}", "-m", "{mb}"]
    found = {}
    memcached = os.environ.get("MEMCACHED") or shutil.which("memcached")
    if memcached:
        found["memcached"] = [memcached, *as_memcached]
    pogocache = os.environ.get("POGOCACHE") or shutil.which("pogocache")
    if pogocache:
        found["pogocache"] = [pogocache, "-h", "127.0.0.1", "-p", "{port}",
                              "--threads", "{cores}", "--maxmemory", "{mb}mb"]
    found["ringcached"] = [str(RELEASE / "ringcached"), *as_memcached]
    return found


# Answers END to every line and does nothing else.
ECHO = {"bare echo": [str(RELEASE / "examples/echo"), "{port}", "{cores}"]}


class Server:
    """A running server. With one core all its threads are on CPU 0."""

    def __init__(self, name, port, cores, mb, flags="", before_exec=None):
        self.name, self.port, self.cores = name, port, cores
        command = [part.format(port=port, cores=cores, mb=mb) for part in {**ECHO, **peers()}[name]]
        self.process = subprocess.Popen([*command, *flags.split()], preexec_fn=before_exec,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        self._await_port()
        if cores == 1:
            for task in os.listdir(f"/proc/{self.pid}/task"):
                os.sched_setaffinity(int(task), {0})

    def _await_port(self):
        for _ in range(300):
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended at start with status {self.process.returncode}")
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"{self.name} does not listen on port {self.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it, and waits until the kernel has closed its port, which is later for a ring."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            for _ in range(500):
                self.connect().close()
                time.sleep(0.01)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def cpu_s(self):
        """CPU time that it has used."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S

    def rss_bytes(self):
        """Memory of it that is resident."""
        with open(f"/proc/{self.pid}/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))

    def statistics(self, which=""):
        """What `stats` tells, as text by name."""
        with self.connect() as client:
            lines = ask(client, f"stats {which}".strip(), "END").splitlines()
        return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("STAT "))


def ask(client, command, last=""):
    """Sends a command line; returns the answer up to the line `last`, or one line."""
    client.sendall(command.encode() + b"\r\n")
    answer = b""
    while not answer.endswith(last.encode() + b"\r\n"):
        part = client.recv(1 << 16)
        if not part:
            sys.exit(f"the server hung up on {command!r}")
        answer += part
    return answer.decode()


# ---- The load generator ----

class Load:
    """A running load generator. As root it can be given `priority`: it then runs whenever it has
    something to do, whatever else wants its CPU."""

    def __init__(self, server, arguments, cpus=None, priority=False):
        cpus = CLIENT_CPUS[server.cores] if cpus is None else cpus
        self._report = tempfile.NamedTemporaryFile(suffix=".json")
        command = [RELEASE / "loadgen", "--servers", f"127.0.0.1:{server.port}",
                   "--server-pid", str(server.pid), "--threads", str(len(cpus)),
                   "--pin", ",".join(map(str, cpus)), "--quiet", "--json", self._report.name]
        self.process = subprocess.Popen(
            [*command, *arguments.split()], stdout=subprocess.DEVNULL,
            preexec_fn=take_priority if priority and os.geteuid() == 0 else None)

    def is_running(self):
        return self.process.poll() is None

    def result(self):
        """The report, once it has ended."""
        if self.process.wait() != 0:
            sys.exit(f"loadgen failed: {shlex.join(map(str, self.process.args))}")
        with open(self._report.name) as report:
            return json.load(report)


def take_priority():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))


def load(server, arguments, **how):
    """Loads a server and returns the report."""
    return Load(server, arguments, **how).result()


def fill(server, arguments):
    """Stores every key of a load once."""
    load(server, f"{arguments} -c 4 --depth 1 --requests 1")


def interleaved(rounds, cases, run):
    """Runs every case once a round. Returns, case by case, what its runs gave."""
    results = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            results[case].append(run(case))
    return results


def raise_file_limit():
    """As many descriptors as the system lets us and our children have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


# ---- Statistics and tables ----

def cpu_us(report):
    return report["server_cpu"]["us_per_key"]


def median(values):
    return statistics.median(values)


def spread(values, digits=2):
    """The median, with the lowest and the highest."""
    values = list(values)
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def ratio(values, base):
    """The median of ratios taken round by round, between runs that were neighbours in time."""
    return median(a / b for a, b in zip(values, base) if b > 0)


def bar(value, most, columns=24):
    """A value as a length."""
    return "#" * max(1, round(value / most * columns))


def table(title, head, rows):
    """Prints a Markdown table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
