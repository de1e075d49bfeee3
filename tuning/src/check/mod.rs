//! `tune check`: what this host gives a cache server, and what it holds back.
//!
//! [`CHECKS`] is the whole of it: one entry a fact, and each entry's function does the three steps
//! that belong together: it takes a reading, forms the verdict for what is [`Need`]ed, and names
//! what mends it. Nothing is written while checking. A mend is either settings, files of `/proc`
//! or `/sys` with the value they should hold, which `--apply` can write and `--undo` take back, or
//! advice, a command that only the operator can give: a boot parameter, a container's option.

pub mod apply;
mod cpu;
mod kernel;
mod memory;
mod network;
pub mod report;

use crate::host::Host;

/// What the server will be started with: the yardstick of the verdicts.
#[derive(Debug, Clone)]
pub struct Need {
    /// `-m`, in MB.
    pub memory_mb: u64,
    /// `-c`.
    pub connections: u64,
    /// `-t`.
    pub threads: usize,
    /// `-b`.
    pub backlog: u64,
    /// `-L`.
    pub large_pages: bool,
    /// `-k`.
    pub lock_memory: bool,
}

impl Default for Need {
    fn default() -> Self {
        Self {
            memory_mb: 64,
            connections: 1024,
            threads: 1,
            backlog: 1024,
            large_pages: false,
            lock_memory: false,
        }
    }
}

/// How well a fact serves, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// This host does not show the fact, as a guest without frequency scaling.
    Unknown,
    /// Nothing to gain.
    Good,
    /// The server runs, but slower or with longer tails.
    Fair,
    /// The server does not start, or fails under load.
    Bad,
}

/// A file of `/proc` or `/sys` and the value it should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Absolute path.
    pub path: String,
    /// The value, as it is written.
    pub value: String,
}

impl Setting {
    fn new(path: impl Into<String>, value: impl ToString) -> Self {
        Self { path: path.into(), value: value.to_string() }
    }

    /// The command that makes the setting by hand.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { path, value } = self;
        match path.strip_prefix("/proc/sys/") {
            Some(key) => format!("sysctl -w {}={value}", key.replace('/', ".")),
            None => format!("echo {value} > {path}"),
        }
    }
}

/// What would make the verdict a good one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Nothing, or nothing that is known.
    None,
    /// Files to write.
    Settings(Vec<Setting>),
    /// A command for the operator.
    Advice(String),
}

impl Mend {
    fn setting(path: &str, value: impl ToString) -> Self {
        Self::Settings(vec![Setting::new(path, value)])
    }

    fn advice(text: impl Into<String>) -> Self {
        Self::Advice(text.into())
    }

    /// Every command, one a line.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Settings(settings) => settings.iter().map(Setting::command).collect(),
            Self::Advice(text) => vec![text.clone()],
        }
    }
}

/// A fact of this host, judged.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The fact as a person would say it.
    pub reading: String,
    /// What it means for the server.
    pub verdict: Verdict,
    /// What to do about it.
    pub mend: Mend,
}

impl Finding {
    fn good(reading: impl Into<String>) -> Self {
        Self { reading: reading.into(), verdict: Verdict::Good, mend: Mend::None }
    }

    fn fair(reading: impl Into<String>, mend: Mend) -> Self {
        Self { reading: reading.into(), verdict: Verdict::Fair, mend }
    }

    fn bad(reading: impl Into<String>, mend: Mend) -> Self {
        Self { reading: reading.into(), verdict: Verdict::Bad, mend }
    }

    fn unknown(reading: impl Into<String>) -> Self {
        Self { reading: reading.into(), verdict: Verdict::Unknown, mend: Mend::None }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Check {
    /// The word for `--only`.
    pub name: &'static str,
    /// Why a cache server cares.
    pub why: &'static str,
    judge: fn(&Host, &Need) -> Finding,
}

impl Check {
    /// Reads and judges; writes nothing.
    #[must_use]
    pub fn judge(&self, host: &Host, need: &Need) -> Finding {
        (self.judge)(host, need)
    }
}

macro_rules! checks {
    ($($name:literal $judge:path, $why:literal;)*) => {
        /// Every fact that matters, in the order of a report: what stops the server first.
        pub const CHECKS: &[Check] = &[$(Check { name: $name, why: $why, judge: $judge }),*];
    };
}

checks! {
    "kernel" kernel::release, "the server's io_uring needs 6.1; 6.12 fills receive buffers in turn";
    "io_uring" kernel::io_uring, "all networking goes through io_uring";
    "seccomp" kernel::seccomp, "container runtimes filter io_uring out unless told otherwise";
    "clock" kernel::clock, "a clock that is read by a system call costs more than a cache hit";
    "memory" memory::available, "a cache that is swapped or killed is worse than none";
    "cgroup-memory" memory::cgroup, "beyond its limit the kernel kills the server";
    "huge-pages" memory::huge_pages, "with -L the cache lies on reserved 2 MB pages: fewer misses";
    "thp" memory::transparent, "without reserved pages, transparent ones are the next best";
    "swap" memory::swap, "an item on disk turns a hit into milliseconds";
    "memlock" memory::memlock, "-k locks the cache, and rings need a little";
    "nofile" kernel::open_files, "each connection is a file";
    "cpuset" cpu::cpuset, "each thread owns a core: fewer cores than threads share one";
    "cgroup-cpu" cpu::quota, "a quota stops all threads for the rest of each period: the tail";
    "governor" cpu::governor, "a clock that ramps up with load answers the first requests late";
    "idle" cpu::idle, "a core that sleeps deeply answers late";
    "numa" cpu::numa, "memory of another node costs a third more, and moving it stalls";
    "backlog" network::backlog, "the kernel cuts -b to somaxconn: bursts of connects are dropped";
    "syn-backlog" network::syn_backlog, "half-open connections wait here before -b counts";
    "irq" network::irq, "interrupts of all queues on one core make that core the limit";
    "rps" network::rps, "with fewer receive queues than cores one core does all protocol work";
    "xps" network::xps, "cores that share a send queue contend for its lock";
}

/// Judges every check whose name passes the filter.
pub fn run<'a>(
    host: &'a Host,
    need: &'a Need,
    wanted: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (&'static Check, Finding)> + 'a {
    CHECKS
        .iter()
        .filter(move |check| wanted(check.name))
        .map(move |check| (check, check.judge(host, need)))
}

/// The common case of a file that should hold at least a number.
fn at_least(host: &Host, path: &str, wanted: u64) -> Finding {
    match host.number::<u64>(path) {
        None => Finding::unknown("not shown here"),
        Some(found) if found >= wanted => Finding::good(found.to_string()),
        Some(found) => {
            Finding::fair(format!("{found}, below {wanted}"), Mend::setting(path, wanted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_reason_is_given() {
        for (index, check) in CHECKS.iter().enumerate() {
            assert!(!check.why.is_empty(), "{} has no reason", check.name);
            let later = &CHECKS[index + 1..];
            assert!(later.iter().all(|other| other.name != check.name), "{} twice", check.name);
        }
    }

    #[test]
    fn a_setting_is_a_command_for_the_shell() {
        let sysctl = Setting::new("/proc/sys/net/core/somaxconn", 4096);
        assert_eq!(sysctl.command(), "sysctl -w net.core.somaxconn=4096");
        let file = Setting::new("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
        let command = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
        assert_eq!(file.command(), command);
    }
}
