//! What the kernel tells about a running server: memory, processor time, open files, threads.

use std::fs;
use std::time::Duration;

/// Reads of /proc for one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(self) -> u64 {
        self.status_kb("VmRSS") * 1024
    }

    /// The largest resident memory so far, in bytes.
    pub(crate) fn resident_bytes_max(self) -> u64 {
        self.status_kb("VmHWM") * 1024
    }

    /// How many descriptors are open.
    pub(crate) fn open_files(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("the process runs").count()
    }

    /// How many threads there are.
    pub(crate) fn threads(self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the process runs").count()
    }

    /// Processor time so far, user and system together.
    pub(crate) fn processor_time(self) -> Duration {
        // The command name may hold spaces, so fields are counted from the bracket that ends it.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it runs");
        let fields: Vec<&str> =
            stat[stat.rfind(')').expect("a bracket")..].split_whitespace().collect();
        let ticks: u64 = [12, 13].iter().map(|&at| fields[at].parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 10)
    }

    fn status_kb(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number of KB")
    }
}
