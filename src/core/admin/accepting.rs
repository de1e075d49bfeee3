//! Whether connections are accepted, and what waits while they are not.
//!
//! With `-o no_maxconns_fast` a client above the limit is not refused: the listeners are left
//! alone until somebody leaves. Each core's listener may have accepted a few more by the time
//! it hears of that; they wait here, unserved, as they would have in the listener's backlog.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Instant;

use crate::config::Manner;

/// The doors of all cores.
#[derive(Default)]
pub(crate) struct Accepting(Mutex<Doors>);

#[derive(Default)]
struct Doors {
    closed_since: Option<Instant>,
    times_closed: u64,
    us_closed: u64,
    waiting: VecDeque<(OwnedFd, Manner)>,
}

impl Accepting {
    /// Closes the doors behind a connection that has to wait. True if they were open.
    pub(in crate::core) fn close_on(&self, socket: OwnedFd, manner: Manner) -> bool {
        let mut doors = self.0.lock().expect("no thread panics with the lock");
        doors.waiting.push_back((socket, manner));
        if doors.closed_since.is_some() {
            return false;
        }
        doors.closed_since = Some(Instant::now());
        doors.times_closed += 1;
        true
    }

    /// A place is free: the next that waits for one, if any does.
    pub(in crate::core) fn next_waiting(&self) -> Option<(OwnedFd, Manner)> {
        self.0.lock().expect("no thread panics with the lock").waiting.pop_front()
    }

    /// Opens the doors if nobody waits. True if they were closed.
    pub(in crate::core) fn open(&self) -> bool {
        let mut doors = self.0.lock().expect("no thread panics with the lock");
        if !doors.waiting.is_empty() {
            return false;
        }
        let Some(since) = doors.closed_since.take() else { return false };
        doors.us_closed += since.elapsed().as_micros() as u64;
        true
    }

    /// Whether connections are accepted.
    pub(in crate::core) fn is_on(&self) -> bool {
        self.0.lock().expect("no thread panics with the lock").closed_since.is_none()
    }

    /// How often accepting was stopped.
    pub(super) fn times_off(&self) -> u64 {
        self.0.lock().expect("no thread panics with the lock").times_closed
    }

    /// For how long in all, in microseconds.
    pub(super) fn us_off(&self) -> u64 {
        let doors = self.0.lock().expect("no thread panics with the lock");
        let now = doors.closed_since.map_or(0, |since| since.elapsed().as_micros() as u64);
        doors.us_closed + now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> OwnedFd {
        std::os::unix::net::UnixStream::pair().expect("a pair of sockets").0.into()
    }

    #[test]
    fn doors_open_again_only_when_nobody_waits() {
        let accepting = Accepting::default();
        assert!(accepting.is_on() && !accepting.open());
        let manner = Manner { protocol: crate::config::Binding::Auto, tls: None };
        assert!(accepting.close_on(socket(), manner));
        assert!(!accepting.close_on(socket(), manner), "they are closed already");
        assert!(!accepting.is_on() && accepting.times_off() == 1);
        assert!(accepting.next_waiting().is_some() && !accepting.open());
        assert!(accepting.next_waiting().is_some() && accepting.open());
        assert!(accepting.is_on());
    }
}
