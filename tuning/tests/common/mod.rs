//! What the tests share: made hosts, and the binaries under test.
//!
//! Each test binary uses a part of this, hence the allowance for the rest.
#![allow(dead_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tuning::host::Host;

/// A directory of files that looks like a machine.
pub(crate) struct Tree(TempDir);

impl Tree {
    /// A sound two-core machine: every check that it shows is good.
    pub(crate) fn sound() -> Self {
        let tree = Self(tempfile::tempdir().expect("a temporary directory"));
        for (path, text) in SOUND {
            tree.put(path, text);
        }
        tree
    }

    /// Writes one file, making its directories.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let place = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("a directory")).expect("directories");
        fs::write(place, format!("{text}\n")).expect("a file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        self.host().text(path).unwrap_or_else(|| panic!("{path} is not in the tree"))
    }

    pub(crate) fn host(&self) -> Host {
        Host::at(self.0.path())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

const SOUND: &[(&str, &str)] = &[
    ("/proc/sys/kernel/osrelease", "6.18.44-made"),
    ("/proc/sys/kernel/io_uring_disabled", "0"),
    ("/proc/sys/kernel/numa_balancing", "0"),
    ("/proc/sys/net/core/somaxconn", "4096"),
    ("/proc/sys/net/ipv4/tcp_max_syn_backlog", "4096"),
    ("/proc/sys/vm/swappiness", "1"),
    ("/proc/self/status", "Name:\ttune\nSeccomp:\t0\nCpus_allowed_list:\t0-1"),
    (
        "/proc/self/limits",
        "Max open files            20000                20000                files\n\
         Max locked memory         8388608              8388608              bytes",
    ),
    ("/proc/self/cgroup", "0::/system.slice/cache.service"),
    ("/proc/meminfo", "MemAvailable:   16000000 kB\nSwapTotal:       1048576 kB"),
    ("/proc/interrupts", "           CPU0       CPU1"),
    ("/sys/fs/cgroup/system.slice/cache.service/cpu.max", "max 100000"),
    ("/sys/fs/cgroup/system.slice/cache.service/memory.max", "max"),
    ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
    ("/sys/kernel/mm/transparent_hugepage/defrag", "always defer [madvise] never"),
    ("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0"),
    ("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0"),
    ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
    ("/sys/devices/system/cpu/online", "0-1"),
    ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "10"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "0"),
    ("/sys/devices/system/node/node0/cpulist", "0-1"),
    ("/sys/class/net/eth0/device/msi_irqs/40", "msi"),
    ("/sys/class/net/eth0/device/msi_irqs/41", "msi"),
    ("/proc/irq/40/effective_affinity_list", "0"),
    ("/proc/irq/40/smp_affinity_list", "0"),
    ("/proc/irq/41/effective_affinity_list", "1"),
    ("/proc/irq/41/smp_affinity_list", "1"),
    ("/sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
    ("/sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
    ("/sys/class/net/eth0/queues/tx-0/xps_cpus", "1"),
    ("/sys/class/net/eth0/queues/tx-1/xps_cpus", "2"),
];

/// Runs the `tune` binary to its end.
pub(crate) fn tune(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tune"));
    command.args(args).output().expect("tune runs")
}

/// A server on a free loopback port, ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts `program` with `-p` of a free port and waits until it accepts.
    pub(crate) fn start(program: &Path, args: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-u", "root", "-l", "127.0.0.1", "-p", &port.to_string()]).args(args);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let server = Self { child, address: format!("127.0.0.1:{port}") };
        assert!(accepts(&server.address), "{program:?} does not listen");
        server
    }

    /// As [`exchange`], with this server.
    pub(crate) fn exchange(&self, bytes: &[u8], end: &str) -> String {
        exchange(&self.address, bytes, end)
    }

    /// One number of `stats`.
    pub(crate) fn stat(&self, name: &str) -> f64 {
        let stats = self.exchange(b"stats\r\n", "END\r\n");
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no stat {name}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `bytes` in one go and reads until the answer ends with `end`.
pub(crate) fn exchange(address: &str, bytes: &[u8], end: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    stream.write_all(bytes).expect("a request");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(end.as_bytes()) {
        let count = stream.read(&mut buffer).expect("an answer in time");
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Whether somebody accepts at `address` within seconds.
pub(crate) fn accepts(address: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Debian's memcached, which `tests/setup.sh` installs.
pub(crate) const MEMCACHED: &str = "/usr/bin/memcached";

/// What a program printed.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that another package of the workspace builds, if it has been built.
///
/// `RINGCACHED` or `LOADGEN` in the environment names another one.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(name.to_uppercase()) {
        return Some(path.into());
    }
    let beside = Path::new(env!("CARGO_BIN_EXE_tune")).with_file_name(name);
    let version = Command::new(&beside).arg("--version").output().ok()?;
    // A program that says nothing of itself is a beginning, not yet a server.
    (!version.stdout.is_empty()).then_some(beside)
}
