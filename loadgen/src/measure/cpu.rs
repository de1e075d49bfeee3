//! CPU time: of this process's threads by getrusage, of a server on this host by /proc.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// CPU time spent, user and system apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuTime {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
    /// Ready to run, with no CPU to run on; known of threads of this process only.
    #[serde(default)]
    pub waited: Duration,
}

impl CpuTime {
    /// What the calling thread used up to now.
    pub fn of_this_thread() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Self::default() };
        let time = |value: nix::sys::time::TimeVal| {
            Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000)
        };
        // A kernel without this file tells nothing, and then nothing was waited for.
        let waits = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Self {
            user: time(usage.user_time()),
            system: time(usage.system_time()),
            waited: parse_schedstat(&waits).unwrap_or_default(),
        }
    }

    /// What a process used up to now, exited threads included. Good to a clock tick, 10 ms.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        parse_stat(&stat, ticks_per_second())
            .ok_or_else(|| io::Error::other("strange /proc/PID/stat"))
    }

    /// User and system together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// The time spent since an earlier reading.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.user += other.user;
        self.system += other.system;
        self.waited += other.waited;
    }
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks.ok().flatten().and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100)
}

/// Fields 14 and 15, counted behind the name, which may itself hold blanks and brackets.
fn parse_stat(stat: &str, ticks_per_second: u64) -> Option<CpuTime> {
    let fields: Vec<_> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let time = |field: &str| {
        let ticks: u64 = field.parse().ok()?;
        Some(Duration::from_nanos(ticks * 1_000_000_000 / ticks_per_second))
    };
    let (user, system) = (time(fields.get(11)?)?, time(fields.get(12)?)?);
    Some(CpuTime { user, system, ..CpuTime::default() })
}

/// The second of three fields: nanoseconds on a run queue.
fn parse_schedstat(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_brackets() {
        let stat = "12 (a) b (c)) S 1 1 1 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 1 0 5";
        let time = parse_stat(stat, 100).expect("a reading");
        assert_eq!((time.user.as_millis(), time.system.as_millis()), (2500, 500));
    }

    #[test]
    fn the_wait_for_a_cpu_is_the_second_field() {
        assert_eq!(parse_schedstat("52000 1700 9\n"), Some(Duration::from_nanos(1700)));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn a_busy_thread_uses_cpu_time() {
        let before = CpuTime::of_this_thread();
        let end = std::time::Instant::now() + Duration::from_millis(30);
        while std::time::Instant::now() < end {}
        assert!(CpuTime::of_this_thread().since(before).total() > Duration::from_millis(1));
        let own = CpuTime::of_process(std::process::id()).expect("a reading");
        assert!(own.total() > Duration::ZERO);
    }
}
