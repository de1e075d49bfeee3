//! Facts about huge pages on this host: how many are reserved, and whether transparent ones are on.

use std::fmt;
use std::fs;

/// What the kernel says about huge pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFacts {
    /// Reserved huge pages (vm.nr_hugepages).
    pub reserved: u64,
    /// Reserved ones that nobody uses yet.
    pub free: u64,
    /// Bytes of one.
    pub bytes: u64,
    /// Mode of transparent huge pages: `always`, `madvise`, `never`, or `absent`.
    pub transparent: String,
}

impl PageFacts {
    /// Reads them from /proc and /sys; what is not there counts as none.
    pub fn read() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let mode = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        Self::parse(&meminfo, mode.as_deref().unwrap_or_default())
    }

    fn parse(meminfo: &str, mode: &str) -> Self {
        let field = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let chosen = mode.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        Self {
            reserved: field("HugePages_Total:"),
            free: field("HugePages_Free:"),
            bytes: field("Hugepagesize:") * 1024,
            transparent: chosen.map_or("absent", |(mode, _)| mode).to_owned(),
        }
    }
}

impl fmt::Display for PageFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} KB reserved, {} free; transparent: {}",
            self.reserved,
            self.bytes / 1024,
            self.free,
            self.transparent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_form() {
        let meminfo = "MemTotal: 5 kB\nHugePages_Total:      12\nHugePages_Free:   7\n\
                       Hugepagesize:       2048 kB\n";
        let facts = PageFacts::parse(meminfo, "always [madvise] never\n");
        assert_eq!((facts.reserved, facts.free, facts.bytes), (12, 7, 2 << 20));
        assert_eq!(facts.transparent, "madvise");
        assert_eq!(PageFacts::parse("", "").transparent, "absent");
    }
}
