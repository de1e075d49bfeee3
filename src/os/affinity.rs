//! Which CPUs the process may run on, and pinning a thread to one of them.
//!
//! The set is the process's own (a cpuset of a container or service, taskset), not the machine's:
//! with two CPUs allowed of sixty-four, two cores are the right number.

use core_affinity::CoreId;

use crate::config::CpuId;

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

#[cfg(test)]
mod tests {
    use super::*;

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
