//! How a thread steps back behind others.

#![allow(unsafe_code)]

/// Steps behind the usual priority. A thread with this one gets about a quarter of a CPU on which a
/// usual one never rests, and all of a CPU that is free.
const STEPS_BACK: i32 = 5;

/// Lowers the calling thread's priority. Where the system refuses, it goes on as it was.
pub fn step_back() {
    const THIS_THREAD: libc::id_t = 0;
    // SAFETY: the call takes numbers only; on Linux it is about the calling thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, THIS_THREAD, STEPS_BACK) };
}

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
