//! Cores: enough of them for the threads, awake, and near their memory.

use super::memory::cgroup_files;
use super::{Finding, Mend, Need, Setting};
use crate::host::{Host, cpu_list};

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";
const NUMA_BALANCING: &str = "/proc/sys/kernel/numa_balancing";

/// A deeper sleep than this shows in the 99th percentile of a lightly loaded server.
const WAKE_UP_US_MAX: u64 = 20;

pub(super) fn cpuset(host: &Host, need: &Need) -> Finding {
    let allowed = host.cpus().len();
    let online = cpu_list(&host.text(&format!("{CPUS}/online")).unwrap_or_default()).len();
    let reading = format!("{allowed} of {online} cores, for -t {}", need.threads);
    if allowed == 0 {
        return Finding::unknown("not shown here");
    }
    if allowed >= need.threads {
        return Finding::good(reading);
    }
    let advice = format!("start with -t {allowed}, or widen the set: taskset, --cpuset-cpus");
    Finding::fair(reading, Mend::advice(advice))
}

pub(super) fn quota(host: &Host, need: &Need) -> Finding {
    let v2 = cgroup_files(host, "cpu", "cpu.max", "").into_iter().filter_map(|text| {
        let (quota, period) = text.split_once(' ')?;
        cores(quota, period)
    });
    let quotas = cgroup_files(host, "cpu", "", "cpu.cfs_quota_us");
    let periods = cgroup_files(host, "cpu", "", "cpu.cfs_period_us");
    let v1 = quotas.iter().zip(&periods).filter_map(|(quota, period)| cores(quota, period));
    let Some(limit) = v2.chain(v1).min_by(f64::total_cmp) else {
        return Finding::good("no quota");
    };
    let reading = format!("{limit:.2} cores, for -t {}", need.threads);
    if limit >= need.threads as f64 {
        return Finding::good(reading);
    }
    Finding::fair(reading, Mend::advice("docker run without --cpus, or CPUQuota= in the unit"))
}

/// A quota as a number of cores, if it is one: "max" and -1 stand for none.
fn cores(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.parse().ok()?;
    (quota > 0.0).then_some(quota / period.parse::<f64>().ok()?)
}

pub(super) fn governor(host: &Host, _: &Need) -> Finding {
    let files: Vec<String> = host
        .numbered(CPUS, "cpu")
        .iter()
        .map(|cpu| format!("{CPUS}/{cpu}/cpufreq/scaling_governor"))
        .collect();
    let read: Vec<(&String, String)> =
        files.iter().filter_map(|file| Some((file, host.text(file)?))).collect();
    let Some((_, first)) = read.first() else {
        return Finding::unknown("no frequency scaling, as in most guests");
    };
    let slow = read.iter().filter(|(_, governor)| governor != "performance");
    let settings: Vec<_> = slow.map(|(file, _)| Setting::new(*file, "performance")).collect();
    if settings.is_empty() {
        return Finding::good("performance");
    }
    let reading = format!("{first}, on {} of {} cores", settings.len(), read.len());
    Finding::fair(reading, Mend::Settings(settings))
}

pub(super) fn idle(host: &Host, _: &Need) -> Finding {
    let mut settings = Vec::new();
    let mut slowest_us = None;
    for cpu in host.numbered(CPUS, "cpu") {
        let states = format!("{CPUS}/{cpu}/cpuidle");
        for state in host.numbered(&states, "state") {
            let state = format!("{states}/{state}");
            let Some(wake_up_us) = host.number::<u64>(&format!("{state}/latency")) else {
                continue;
            };
            if host.number(&format!("{state}/disable")) == Some(1) {
                continue;
            }
            slowest_us = slowest_us.max(Some(wake_up_us));
            if wake_up_us > WAKE_UP_US_MAX {
                settings.push(Setting::new(format!("{state}/disable"), 1));
            }
        }
    }
    match slowest_us {
        None => Finding::unknown("no idle states shown"),
        Some(slowest) if settings.is_empty() => Finding::good(format!("wakes within {slowest} us")),
        Some(slowest) => {
            Finding::fair(format!("may take {slowest} us to wake"), Mend::Settings(settings))
        }
    }
}

pub(super) fn numa(host: &Host, need: &Need) -> Finding {
    let nodes = host.numbered(NODES, "node");
    if nodes.len() < 2 {
        return Finding::good("one node");
    }
    let reading = format!("{} nodes", nodes.len());
    // A thread allocates its shard itself, on its own node; the kernel need not move anything.
    if host.number(NUMA_BALANCING).is_some_and(|mode: u64| mode != 0) {
        let mend = Mend::setting(NUMA_BALANCING, 0);
        return Finding::fair(format!("{reading}, pages are moved between them"), mend);
    }
    let cpus_of = |node: &String| host.text(&format!("{NODES}/{node}/cpulist"));
    let widest = nodes.iter().filter_map(cpus_of).map(|list| cpu_list(&list).len()).max();
    if widest.is_none_or(|cpus| need.threads <= cpus) && host.cpus().len() > widest.unwrap_or(0) {
        let advice = "numactl --cpunodebind=0 --membind=0 ringcached ..., the NIC's node";
        return Finding::fair(format!("{reading}, one would do"), Mend::advice(advice));
    }
    Finding::good(reading)
}
