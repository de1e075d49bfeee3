//! Memory: enough of it, on large pages, and never on disk.
//!
//! How much is enough the server itself says: its budget adds rings, buffers and connections to
//! the cache.

use ringcached::config::{Asked, Budget, Config, CpuId, Flags, Host as ServerHost};

use super::{Finding, Mend, Need, Setting, kernel};
use crate::host::Host;

const HUGE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
const THP: &str = "/sys/kernel/mm/transparent_hugepage";
const SWAPPINESS: &str = "/proc/sys/vm/swappiness";

/// What is mapped but in no budget, stacks and libraries, and yet locked under -k.
const LOCKED_BESIDE_BUDGET_MB: u64 = 64;

/// A glommio executor and the rings ask for this much locked memory at most.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// What the server takes at most, in MB, beside the cache; for flags that it refuses, nothing.
fn beside_cache_mb(need: &Need) -> u64 {
    let flags = [
        "ringcached".to_owned(),
        format!("-m{}", need.memory_mb),
        format!("-c{}", need.connections),
        format!("-t{}", need.threads),
    ];
    let Ok(Asked::Run(flags)) = Flags::parse(flags) else { return 0 };
    let host = ServerHost { cpus: vec![CpuId(0)], ..ServerHost::default() };
    let budget = Config::new(&flags, &host).map(|config| Budget::new(&config));
    budget.map_or(0, |sum| (sum.total_bytes() - sum.cache_bytes).div_ceil(1 << 20) as u64)
}

pub(super) fn available(host: &Host, need: &Need) -> Finding {
    let Some(available_kb) = host.meminfo("MemAvailable") else {
        return Finding::unknown("not shown here");
    };
    // Pages that lie reserved are no longer available, yet -L will take them.
    let reserved_mb = if need.large_pages { free_huge_pages(host).unwrap_or(0) * 2 } else { 0 };
    let usable_mb = available_kb / 1024 + reserved_mb;
    let wanted = need.memory_mb + beside_cache_mb(need);
    let reading = format!("{usable_mb} MB to be had, -m {} takes {wanted}", need.memory_mb);
    if usable_mb >= wanted {
        return Finding::good(reading);
    }
    let fits = usable_mb.saturating_sub(wanted - need.memory_mb);
    Finding::bad(reading, Mend::advice(format!("start the server with -m {fits} or less")))
}

pub(super) fn cgroup(host: &Host, need: &Need) -> Finding {
    let limit = cgroup_files(host, "memory", "memory.max", "memory.limit_in_bytes")
        .into_iter()
        .filter_map(|text| text.parse::<u64>().ok())
        .min();
    // Version 1 writes no limit as the highest multiple of a page, far beyond any machine.
    let Some(limit_mb) = limit.map(|bytes| bytes >> 20).filter(|&mb| mb < 1 << 40) else {
        return Finding::good("no limit");
    };
    let wanted = need.memory_mb + beside_cache_mb(need);
    let reading = format!("{limit_mb} MB, -m {} takes {wanted}", need.memory_mb);
    if limit_mb >= wanted {
        return Finding::good(reading);
    }
    Finding::bad(reading, Mend::advice(format!("docker run --memory {wanted}m, or MemoryMax=")))
}

/// The texts of a control file in this process's group and all above it, under either version.
pub(super) fn cgroup_files(host: &Host, controller: &str, v2: &str, v1: &str) -> Vec<String> {
    let groups = host.text("/proc/self/cgroup").unwrap_or_default();
    let mut texts = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (base, file) = match controllers {
            "" => (String::from("/sys/fs/cgroup"), v2),
            names if names.split(',').any(|name| name == controller) => {
                (format!("/sys/fs/cgroup/{names}"), v1)
            }
            _ => continue,
        };
        let ancestors = std::path::Path::new(group).ancestors();
        texts.extend(
            ancestors.filter_map(|up| host.text(&format!("{base}{}/{file}", up.display()))),
        );
    }
    texts
}

fn free_huge_pages(host: &Host) -> Option<u64> {
    host.number(&format!("{HUGE}/free_hugepages"))
}

pub(super) fn huge_pages(host: &Host, need: &Need) -> Finding {
    let path = format!("{HUGE}/nr_hugepages");
    let (Some(free), Some(all)) = (free_huge_pages(host), host.number::<u64>(&path)) else {
        return Finding::unknown("this kernel has no 2 MB pages");
    };
    let reading = format!("{free} of {all} pages of 2 MB free");
    // Each thread rounds its share of the cache up to whole pages.
    let wanted = need.memory_mb.div_ceil(2) + need.threads as u64;
    if !need.large_pages {
        return Finding::good(format!("{reading}; only -L uses them"));
    }
    if free >= wanted {
        return Finding::good(reading);
    }
    let reading = format!("{reading}, -L -m {} takes {wanted}", need.memory_mb);
    let missing_mb = (wanted - free) * 2;
    let fits = host.meminfo("MemAvailable").is_none_or(|kb| kb / 1024 > missing_mb);
    let mend = if fits {
        Mend::setting(&path, all + wanted - free)
    } else {
        Mend::advice(format!("add {missing_mb} MB of memory, or start with a smaller -m"))
    };
    Finding::fair(reading, mend)
}

pub(super) fn transparent(host: &Host, _: &Need) -> Finding {
    let Some(enabled) = host.chosen(&format!("{THP}/enabled")) else {
        return Finding::unknown("this kernel has none");
    };
    let defrag = host.chosen(&format!("{THP}/defrag")).unwrap_or_default();
    let mut settings = Vec::new();
    if enabled == "never" {
        settings.push(Setting::new(format!("{THP}/enabled"), "madvise"));
    }
    // With `always` any page fault of any program may stop to compact memory.
    if defrag == "always" {
        settings.push(Setting::new(format!("{THP}/defrag"), "madvise"));
    }
    let reading = format!("enabled {enabled}, defrag {defrag}");
    if settings.is_empty() {
        return Finding::good(reading);
    }
    Finding::fair(reading, Mend::Settings(settings))
}

pub(super) fn swap(host: &Host, need: &Need) -> Finding {
    let total_kb = host.meminfo("SwapTotal").unwrap_or(0);
    if total_kb == 0 {
        return Finding::good("none");
    }
    let swappiness: u64 = host.number(SWAPPINESS).unwrap_or(60);
    let reading = format!("{} MB, swappiness {swappiness}", total_kb / 1024);
    if need.lock_memory || swappiness <= 1 {
        return Finding::good(reading);
    }
    Finding::fair(reading, Mend::setting(SWAPPINESS, 1))
}

pub(super) fn memlock(host: &Host, need: &Need) -> Finding {
    let Some((_, hard)) = kernel::limit(host, "Max locked memory") else {
        return Finding::unknown("not shown here");
    };
    let locked_mb = need.memory_mb + beside_cache_mb(need) + LOCKED_BESIDE_BUDGET_MB;
    let wanted = if need.lock_memory { locked_mb << 20 } else { MEMLOCK_BYTES_MIN };
    let shown = if hard == u64::MAX { "unlimited".into() } else { format!("{} KB", hard / 1024) };
    if hard >= wanted {
        return Finding::good(shown);
    }
    let advice = "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited as root";
    Finding::bad(format!("{shown}, needs {} KB", wanted / 1024), Mend::advice(advice))
}
