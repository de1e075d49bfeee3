//! Which CPUs the process may run on, which of them share memory, and pinning a thread to some.
//!
//! The set is the process's own (a cpuset of a container or service, taskset), not the machine's:
//! with two CPUs allowed of sixty-four, two cores are the right number.

use std::fs;

use core_affinity::CoreId;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::config::CpuId;

/// Where the kernel lists its memory nodes.
const NODES: &str = "/sys/devices/system/node";

/// The CPUs that the calling thread may run on, in the kernel's order. At least one.
pub fn allowed() -> Vec<CpuId> {
    let cpus: Vec<CpuId> =
        core_affinity::get_core_ids().into_iter().flatten().map(|core| CpuId(core.id)).collect();
    // A machine whose numbering exceeds the fixed-size set of the call still runs us somewhere.
    if cpus.is_empty() { vec![CpuId(0)] } else { cpus }
}

/// Pins the calling thread to `cpu`. False when the kernel refuses, as it does for a CPU outside
/// the process's set; the thread then goes on where it may.
#[must_use]
pub fn pin(cpu: CpuId) -> bool {
    core_affinity::set_for_current(CoreId { id: cpu.0 })
}

/// The CPUs of the memory node that `cpu` is on; `None` on a host with only one node.
pub fn node_of(cpu: CpuId) -> Option<Vec<CpuId>> {
    let lists = fs::read_dir(NODES).ok()?.flatten().filter_map(|entry| {
        let is_node = entry.file_name().to_str()?.strip_prefix("node")?.parse::<u32>().is_ok();
        is_node.then(|| fs::read_to_string(entry.path().join("cpulist")).ok())?
    });
    let nodes: Vec<_> = lists.map(|list| parse_list(&list)).collect();
    if nodes.len() < 2 { None } else { nodes.into_iter().find(|cpus| cpus.contains(&cpu)) }
}

/// Has the calling thread run on these CPUs only. False when the kernel refuses.
pub fn stay_on(cpus: &[CpuId]) -> bool {
    let mut set = CpuSet::new();
    let all = cpus.iter().try_for_each(|cpu| set.set(cpu.0));
    all.and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).is_ok()
}

/// Reads the kernel's form of a set: `0-3,8`.
fn parse_list(list: &str) -> Vec<CpuId> {
    let ranges = list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().map(CpuId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_in_the_kernels_form() {
        assert_eq!(parse_list("0-2,8\n"), [0, 1, 2, 8].map(CpuId));
        assert_eq!(parse_list("\n"), []);
    }

    #[test]
    fn a_thread_stays_where_it_is_told() {
        let cpus = allowed();
        let first = cpus[0];
        let seen = std::thread::spawn(move || {
            assert!(stay_on(&[first]));
            allowed()
        });
        assert_eq!(seen.join().unwrap(), [first]);
        assert!(node_of(first).is_none_or(|node| node.contains(&first)));
    }

    #[test]
    fn a_pinned_thread_may_run_on_one_cpu() {
        let cpus = allowed();
        let last = *cpus.last().unwrap();
        let seen = std::thread::spawn(move || {
            assert!(pin(last));
            allowed()
        });
        assert_eq!(seen.join().unwrap(), [last]);
        assert_eq!(allowed(), cpus, "another thread's pin is its own");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        assert!(std::thread::spawn(|| !pin(CpuId(1023))).join().unwrap());
    }
}
