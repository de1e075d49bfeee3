//! Where a worker's requests come from: drawn from the workload, or every key once to fill the server.

use std::ops::Range;

use crate::workload::mix::Command;
use crate::workload::{Generator, Request};

/// A stream of requests.
pub(super) enum Source {
    /// Drawn from the workload.
    Drawn(Box<Generator>),
    /// Each key of a range is set once.
    Preload { keys: Range<u64>, current: [u64; 1] },
}

impl Source {
    /// The next request; its keys stand in [`keys`](Self::keys). `None` when there are no more.
    pub(super) fn draw(&mut self) -> Option<Request> {
        match self {
            Self::Drawn(generator) => Some(generator.draw()),
            Self::Preload { keys, current } => {
                current[0] = keys.next()?;
                Some(Request { command: Command::Set, expiry_s: 0 })
            }
        }
    }

    /// The keys of the request drawn last.
    pub(super) fn keys(&self) -> &[u64] {
        match self {
            Self::Drawn(generator) => &generator.keys,
            Self::Preload { current, .. } => current,
        }
    }
}
