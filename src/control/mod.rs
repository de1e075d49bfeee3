//! The control plane: one glommio executor beside the cores.
//!
//! Whatever does not stand between a client and its answer runs here: signals and the pace of the
//! cores' background work. It can't delay a core: it takes no shard's token and only leaves letters
//! in inboxes, it is not pinned, and where it meets a core on a CPU it gives way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, timer};
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

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Background work is asked for every so many ticks.
const TICKS_PER_MAINTENANCE: u32 = 20;

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

/// Starts the control plane. It ends when the cores have.
///
/// # Errors
/// When the kernel refuses its thread or descriptor.
pub fn spawn(shared: Arc<Shared>) -> Result<JoinHandle<()>, Failure> {
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals =
        SignalFd::with_flags(&signals(), flags).map_err(|error| Failure::os("signalfd", error))?;
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            priority::step_back();
            LocalExecutorBuilder::new(Placement::Unbound)
                .name("control")
                .io_memory(IO_MEMORY_BYTES)
                .ring_depth(RING_DEPTH)
                .make()
                .expect("the control plane's io_uring, as the probe has shown, is to be had")
                .run(run(shared, signals));
        })
        .map_err(|error| Failure::os("no thread for the control plane", error))
}

async fn run(shared: Arc<Shared>, signals: SignalFd) {
    let mut ticks = 0_u32;
    while shared.cores_running.load(Ordering::Acquire) > 0 {
        while let Ok(Some(signal)) = signals.read_signal() {
            handle(&shared, signal.ssi_signo);
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(TICKS_PER_MAINTENANCE) {
            shared.tell_all(Note::Maintain);
        }
        timer::sleep(TICK).await;
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
