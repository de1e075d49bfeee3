//! A value that threads lend each other: its token, its mailbox, and a job's way through them.
//!
//! ```text
//!   run(job):   token free? --yes--> take, empty mailbox, job, free ----> look at mailbox again
//!                    |
//!                    no --> post job to mailbox --> done? --> return
//!                                ^                  token free? --> take, empty mailbox, free
//!                                +---- spin, then sleep on the job's signal <-+
//! ```
//!
//! A posted job lies on its poster's stack and is reached by a raw pointer. That is sound because
//! the poster stays in [`Lent::run`] until the job's signal says that it is done, and giving that
//! signal is the last time the runner touches the job.

use super::sync::{AtomicPtr, AtomicU32, Ordering, Signal, UnsafeCell, fence, pause};

/// Work on a lent value. It runs on whichever thread holds the token.
pub trait Job<T>: Send {
    /// Does the work.
    fn run(&mut self, value: &mut T);
}

impl<T, F: FnMut(&mut T) + Send> Job<T> for F {
    fn run(&mut self, value: &mut T) {
        self(value);
    }
}

const FREE: u32 = 0;
const HELD: u32 = 1;

/// Looks at the signal before the poster sleeps: some ten microseconds, several times what a group
/// of jobs takes. A holder that takes longer has most likely lost its CPU.
const SPINS: u32 = if cfg!(loom) { 1 } else { 300 };

/// A value behind a token and a mailbox. On cache lines of its own.
#[repr(align(128))]
pub struct Lent<T> {
    token: AtomicU32,
    mailbox: AtomicPtr<Posted<T>>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the thread that took the token, one at a time.
unsafe impl<T: Send> Sync for Lent<T> {}
// SAFETY: it holds nothing that is bound to a thread but what T holds.
unsafe impl<T: Send> Send for Lent<T> {}

/// A job in a mailbox.
struct Posted<T> {
    next: *mut Self,
    job: *mut (dyn Job<T> + 'static),
    done: Signal,
}

impl<T> Lent<T> {
    /// Lends `value`.
    pub fn new(value: T) -> Self {
        Self {
            token: AtomicU32::new(FREE),
            mailbox: AtomicPtr::new(std::ptr::null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    /// Has `job` done: here if the token is free, else by the token's holder. Returns when it is
    /// done; true if it was done in place.
    pub fn run(&self, job: &mut dyn Job<T>) -> bool {
        let is_done = self.try_run(job);
        if !is_done {
            self.post(job);
        }
        is_done
    }

    /// Does `job` here if the token is free; false, and nothing is done, if it is not.
    pub fn try_run(&self, job: &mut dyn Job<T>) -> bool {
        let is_taken = self.try_take();
        if is_taken {
            self.with_token(|value| job.run(value));
        }
        is_taken
    }

    fn try_take(&self) -> bool {
        self.token.load(Ordering::Relaxed) == FREE
            && self.token.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Empties the mailbox, does `work`, frees the token, and sees to what was posted meanwhile.
    fn with_token(&self, work: impl FnOnce(&mut T)) {
        self.value.with_mut(|value| {
            // SAFETY: this thread holds the token, so nobody else reaches the value.
            let value = unsafe { &mut *value };
            self.empty_mailbox(value);
            work(value);
        });
        self.free();
        // Whoever posted before the token was free may have gone to sleep: look once more.
        while self.has_mail() && self.try_take() {
            self.value.with_mut(|value| {
                // SAFETY: as above.
                self.empty_mailbox(unsafe { &mut *value });
            });
            self.free();
        }
    }

    fn free(&self) {
        self.token.store(FREE, Ordering::Release);
        // Pairs with the fence in `post`: either the poster sees the token free, or we see its job.
        fence(Ordering::SeqCst);
    }

    fn has_mail(&self) -> bool {
        !self.mailbox.load(Ordering::Relaxed).is_null()
    }

    /// Runs all jobs that are posted, first come first served. Needs the token.
    fn empty_mailbox(&self, value: &mut T) {
        if !self.has_mail() {
            return;
        }
        let newest = self.mailbox.swap(std::ptr::null_mut(), Ordering::Acquire);
        let mut posted = reversed(newest);
        while !posted.is_null() {
            // SAFETY: its poster keeps it in place until it is done.
            let (next, job) = unsafe { ((*posted).next, (*posted).job) };
            // SAFETY: likewise, and the poster doesn't touch the job meanwhile.
            unsafe { (*job).run(value) };
            // SAFETY: it is still in place; this is the last use of it.
            unsafe { Signal::finish(&raw const (*posted).done) };
            posted = next;
        }
    }

    fn post(&self, job: &mut dyn Job<T>) {
        let job: *mut (dyn Job<T> + '_) = job;
        // SAFETY: only the lifetime is stretched; this function returns after the job's last use.
        let job: *mut (dyn Job<T> + 'static) = unsafe { std::mem::transmute(job) };
        let mut posted = Posted { next: std::ptr::null_mut(), job, done: Signal::new() };
        self.push(&raw mut posted);
        // Pairs with the fence in `free`.
        fence(Ordering::SeqCst);
        let posted = &raw const posted;
        // SAFETY: other threads only read the other fields and finish the signal.
        let done = unsafe { &(*posted).done };
        self.await_done(done);
    }

    fn push(&self, posted: *mut Posted<T>) {
        let mut newest = self.mailbox.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else sees it before it is in the mailbox.
            unsafe { (*posted).next = newest };
            let pushed =
                self.mailbox.compare_exchange(newest, posted, Ordering::Release, Ordering::Relaxed);
            match pushed {
                Ok(_) => return,
                Err(other) => newest = other,
            }
        }
    }

    fn await_done(&self, done: &Signal) {
        let mut spins = 0;
        while !done.is_done() {
            if self.try_take() {
                self.with_token(|_| ());
            } else if spins < SPINS {
                spins += 1;
                pause();
            } else {
                done.announce_sleep();
                // Pairs with the fence in `free`: if the token is free by now, nobody may have
                // seen that we sleep.
                fence(Ordering::SeqCst);
                if self.token.load(Ordering::Relaxed) == HELD {
                    done.sleep();
                }
            }
        }
    }
}

/// Turns the newest-first list round.
fn reversed<T>(mut posted: *mut Posted<T>) -> *mut Posted<T> {
    let mut first = std::ptr::null_mut();
    while !posted.is_null() {
        // SAFETY: posted jobs stay in place until they are done, and none here is yet.
        let next = unsafe { std::mem::replace(&mut (*posted).next, first) };
        first = posted;
        posted = next;
    }
    first
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::Lent;

    #[test]
    fn every_job_of_every_thread_is_done_once_and_in_order() {
        const JOBS: u64 = 20_000;
        let lent = Arc::new(Lent::new(Vec::<(u64, u64)>::new()));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lent = Arc::clone(&lent);
                scope.spawn(move || {
                    for number in 0..JOBS {
                        lent.run(&mut |seen: &mut Vec<(u64, u64)>| seen.push((thread, number)));
                    }
                });
            }
        });
        lent.run(&mut |seen: &mut Vec<(u64, u64)>| {
            for thread in 0..4 {
                let of_thread = seen.iter().filter(|(by, _)| *by == thread).map(|(_, n)| *n);
                assert!(of_thread.eq(0..JOBS));
            }
        });
    }

    #[test]
    fn a_poster_sleeps_through_a_long_job_and_wakes() {
        let lent = Arc::new(Lent::new(0_u32));
        let holder = Arc::clone(&lent);
        let (started, has_started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            holder.run(&mut |value: &mut u32| {
                started.send(()).expect("the test waits");
                std::thread::sleep(std::time::Duration::from_millis(100));
                *value += 1;
            });
        });
        has_started.recv().expect("the holder started");
        let in_place = lent.run(&mut |value: &mut u32| *value += 1);
        assert!(!in_place, "the token was taken");
        thread.join().expect("holder");
        lent.run(&mut |value: &mut u32| assert_eq!(*value, 2));
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;

    use super::Lent;

    fn all_interleavings(threads: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(if threads > 2 { 2 } else { 4 });
        // A thread that waits spins, which is many branches to the model.
        model.max_branches = 20_000;
        model.check(move || {
            let lent = Arc::new(Lent::new(0_usize));
            let others: Vec<_> = (1..threads)
                .map(|_| {
                    let lent = Arc::clone(&lent);
                    loom::thread::spawn(move || {
                        lent.run(&mut |value: &mut usize| *value += 1);
                    })
                })
                .collect();
            lent.run(&mut |value: &mut usize| *value += 1);
            for other in others {
                other.join().expect("a thread of the model");
            }
            lent.run(&mut |value: &mut usize| assert_eq!(*value, threads));
        });
    }

    #[test]
    fn two_threads_lose_no_job() {
        all_interleavings(2);
    }

    #[test]
    fn three_threads_lose_no_job() {
        all_interleavings(3);
    }
}
