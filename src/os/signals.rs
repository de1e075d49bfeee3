//! Signals that must be settled before the first thread starts.
//!
//! A write to a closed connection or a closed log must be an error of that write, not the end of
//! the process, so SIGPIPE is ignored. All other signals are the control plane's.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Ignores SIGPIPE for the whole process, whatever the parent had set.
pub fn ignore_sigpipe() {
    // SAFETY: SIG_IGN installs no code of ours that could run inside a handler.
    let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    assert!(set.is_ok(), "SIGPIPE can always be ignored");
}
