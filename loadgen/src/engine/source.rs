//! Where a worker's requests come from: drawn from the workload, or every key once to fill the
//! server.

use std::ops::Range;

use crate::workload::mix::Command;
use crate::workload::trace::Replay;
use crate::workload::{COUNTER_BYTES, Family, Generator, Request, Spec};

/// A stream of requests.
pub(super) enum Source {
    /// Drawn from the workload.
    Drawn(Box<Generator>),
    /// Each key of some ranges is set once.
    Preload(Box<Filler>),
    /// A part of a trace is made again.
    Trace(Replay),
    /// Keys of a range are read in turn, to see what the server kept.
    Probe { keys: Range<u64>, step: usize, current: Vec<u64> },
}

/// Sets keys in order.
pub(super) struct Filler {
    pub(super) spec: Spec,
    pub(super) ranges: Vec<(Family, Range<u64>)>,
    pub(super) current: Vec<u64>,
}

impl Source {
    /// The next request; its keys stand in [`keys`](Self::keys). `None` when there are no more.
    pub(super) fn draw(&mut self) -> Option<Request> {
        match self {
            Self::Drawn(generator) => Some(generator.draw()),
            Self::Preload(filler) => filler.draw(),
            Self::Trace(replay) => replay.draw(),
            Self::Probe { keys, step, current } => {
                current.clear();
                current.push(keys.next()?);
                if *step > 1 {
                    keys.nth(*step - 2);
                }
                Some(request(Command::Get, 0))
            }
        }
    }

    /// The keys of the request drawn last.
    pub(super) fn keys(&mut self) -> &mut Vec<u64> {
        match self {
            Self::Drawn(generator) => &mut generator.keys,
            Self::Preload(filler) => &mut filler.current,
            Self::Trace(replay) => replay.keys(),
            Self::Probe { current, .. } => current,
        }
    }
}

impl Filler {
    fn draw(&mut self) -> Option<Request> {
        let (family, key) = self.ranges.iter_mut().find_map(|(family, range)| {
            let key = range.next()?;
            Some((*family, key))
        })?;
        self.current.clear();
        self.current.push(key);
        let counter = family == Family::Counter;
        let bytes = if counter { COUNTER_BYTES } else { self.spec.value_bytes_of(key) };
        let expiry_s = if counter { 0 } else { self.spec.expiry_s_of(key) };
        Some(Request { counter, expiry_s, ..request(Command::Set, bytes) })
    }
}

fn request(command: Command, value_bytes: usize) -> Request {
    Request { command, expiry_s: 0, restart: false, value_bytes, key_bytes: 0, counter: false }
}
