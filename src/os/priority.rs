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
