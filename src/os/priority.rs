//! The priority of a thread that nobody waits for.

#![allow(unsafe_code)]

/// Gives the calling thread the lowest priority: it runs where nobody else wants the CPU and makes
/// way at once. Everybody may do that; a system that refuses leaves the priority as it is.
pub fn lowest() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the parameters and concerns the calling thread alone.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_is_put_last() {
        // SAFETY: the call has no arguments in memory.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let put_last = std::thread::spawn(move || {
            lowest();
            policy()
        });
        assert_eq!(put_last.join().unwrap(), libc::SCHED_IDLE);
        assert_ne!(policy(), libc::SCHED_IDLE);
    }
}
