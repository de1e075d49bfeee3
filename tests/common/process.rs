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
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it runs");
        Duration::from_millis(ticks(&stat) * 10)
    }

    /// Processor time of the thread of this name so far, in ticks.
    pub(crate) fn thread_ticks(self, name: &str) -> u64 {
        let folder = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the process runs");
        let paths = folder.map(|entry| entry.expect("an entry").path());
        let mut threads = paths.filter(|path| {
            fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        });
        let thread = threads.next().expect("a thread of that name");
        ticks(&fs::read_to_string(thread.join("stat")).expect("it runs"))
    }

    fn status_kb(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number of KB")
    }
}

/// User and system time in a line of /proc, in hundredths of a second.
fn ticks(stat: &str) -> u64 {
    // The command name may hold spaces, so fields are counted from the bracket that ends it.
    let fields: Vec<&str> =
        stat[stat.rfind(')').expect("a bracket")..].split_whitespace().collect();
    [12, 13].iter().map(|&at| fields[at].parse::<u64>().expect("ticks")).sum()
}
