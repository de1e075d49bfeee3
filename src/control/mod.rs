//! The control plane: one glommio executor beside the cores, and the thread that wakes it.
//!
//! Whatever does not stand between a client and its answer runs here: signals and the pace of the
//! cores' background work. It can't delay a core: it takes no shard's token and only leaves letters
//! in inboxes, it is not pinned, and where it meets a core on a CPU it gives way.
//!
//! A plain thread waits for signals and counts the seconds. It stops the server itself, because
//! that must not depend on anything, and strikes a [`Beat`] that the executor's task waits for.
//! glommio's own timers are not used: on a host without a CPU to spare, executors were found asleep
//! for good with a timer of 50 ms outstanding (glommio 0.9, Linux 6.18).

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use glommio::{LocalExecutorBuilder, Placement};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::config::Failure;
use crate::core::{Note, Shared};
use crate::os::priority;

/// glommio registers this much memory for file input and output, which is resident from then on.
/// Its own default is 10 MB; timers need none of it.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Entries of each of glommio's rings.
const RING_DEPTH: usize = 32;

/// How often background work is asked for, in milliseconds.
const BEAT_MS: u16 = 1000;

/// The signals that mean something here. All other threads leave them alone.
fn signals() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
        set.add(signal);
    }
    set
}

/// Keeps signals from every thread that is started from now on; the control plane reads them.
///
/// # Errors
/// What `pthread_sigmask(3)` answered.
pub fn block_signals() -> Result<(), Failure> {
    signals().thread_block().map_err(|error| Failure::os("signals", error))
}

/// Starts the control plane. It goes on until the process ends, or soon after the cores have.
///
/// # Errors
/// When the kernel refuses a thread or a descriptor.
pub fn spawn(shared: &Arc<Shared>) -> Result<(), Failure> {
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals =
        SignalFd::with_flags(&signals(), flags).map_err(|error| Failure::os("signalfd", error))?;
    let beat = Arc::new(Beat::default());
    let (mine, its) = (Arc::clone(shared), Arc::clone(&beat));
    spawn_thread("control", move || execute(mine, its))?;
    let shared = Arc::clone(shared);
    spawn_thread("signals", move || watch(&shared, &signals, &beat))
}

fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let work = || {
        priority::step_back();
        work();
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|error| Failure::os("no thread for the control plane", error))
}

/// Handles signals as they come, and strikes the beat.
fn watch(shared: &Shared, signals: &SignalFd, beat: &Beat) {
    while shared.cores_running.load(Ordering::Acquire) > 0 {
        let mut ready = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait is a short one.
        let _ = poll(&mut ready, PollTimeout::from(BEAT_MS));
        while let Ok(Some(signal)) = signals.read_signal() {
            handle(shared, signal.ssi_signo);
        }
        beat.strike();
    }
    beat.strike();
}

fn execute(shared: Arc<Shared>, beat: Arc<Beat>) {
    LocalExecutorBuilder::new(Placement::Unbound)
        .name("control")
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .make()
        .expect("the control plane's io_uring, as the probe has shown, is to be had")
        .run(pace(shared, beat));
}

/// Asks the cores for background work at each beat.
async fn pace(shared: Arc<Shared>, beat: Arc<Beat>) {
    let mut seen = 0;
    while shared.cores_running.load(Ordering::Acquire) > 0 {
        seen = beat.next(seen).await;
        shared.tell_all(Note::Maintain);
    }
}

/// Strokes of a clock on one thread, which a task on another one waits for.
#[derive(Default)]
struct Beat {
    strokes: AtomicU32,
    waiting: Mutex<Option<Waker>>,
}

impl Beat {
    fn strike(&self) {
        self.strokes.fetch_add(1, Ordering::Release);
        let waiting = self.waiting.lock().expect("no thread panics with the lock").take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Waits until it has struck other than `seen` times in all; returns how often.
    async fn next(&self, seen: u32) -> u32 {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock().expect("no thread panics with the lock");
            *waiting = Some(context.waker().clone());
            match self.strokes.load(Ordering::Acquire) {
                strokes if strokes == seen => Poll::Pending,
                strokes => Poll::Ready(strokes),
            }
        })
        .await
    }
}

fn handle(shared: &Shared, number: u32) {
    match Signal::try_from(number.cast_signed()) {
        // The second one exits at once: whoever sent it does not want to wait.
        Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGUSR1) if !shared.stop() => {
            std::process::exit(0);
        }
        Ok(Signal::SIGHUP) => shared.reload(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_hears_the_beat_of_another_thread() {
        let beat = Arc::new(Beat::default());
        let striking = Arc::clone(&beat);
        let clock = std::thread::spawn(move || {
            for _ in 0..50 {
                std::thread::sleep(std::time::Duration::from_millis(2));
                striking.strike();
            }
        });
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .make()
            .expect("this host has io_uring");
        let heard = executor.run(async move {
            let mut seen = 0;
            while seen < 50 {
                let now = beat.next(seen).await;
                assert!(now > seen, "it strikes on");
                seen = now;
            }
            seen
        });
        assert_eq!(heard, 50);
        clock.join().expect("the clock ends");
    }
}
