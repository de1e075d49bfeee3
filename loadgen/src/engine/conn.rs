//! One connection: the bytes to send, the requests under way, the replies as they come in pieces.
//!
//! Requests on a stream are answered in their order, so the queue of pending requests is all the
//! book-keeping a reply needs; a quiet request has no reply and counts as done when a later one is
//! answered. Datagrams name their request by number instead. Invariant: `unsent <= pending.len()`,
//! and the last `unsent` of them are those whose bytes still lie in `out`.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::link::Link;
use crate::check::ledger::Floor;
use crate::wire::{self, Decoded, Element, Protocol, Status, Verb};
use crate::workload::mix::Command;

/// The client of requests that are nobody's: barriers and credentials.
pub(super) const NOBODY: u32 = u32::MAX;
/// Not part of a fan-out.
pub(super) const NO_FAN: u32 = u32::MAX;

/// A request that awaits its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// When it should have started; 0 until it is sent if it has no schedule.
    pub(super) intended_ns: u64,
    /// When its bytes were handed to the kernel; 0 before.
    pub(super) sent_ns: u64,
    /// The version it writes, or the unique number of the value it read last.
    pub(super) version: u64,
    /// The unique number it expects, if it is a cas.
    pub(super) unique: u64,
    /// The client whose slot it takes, or [`NOBODY`].
    pub(super) client: u32,
    /// The fan-out it is part of, or [`NO_FAN`].
    pub(super) fan: u32,
    /// Keys named.
    pub(super) keys: u32,
    /// Values seen so far.
    pub(super) hits: u32,
    /// The command it is tallied under.
    pub(super) command: Command,
    /// The verb on the wire.
    pub(super) verb: Verb,
    /// Success is not answered.
    pub(super) quiet: bool,
    /// A datagram's request whose reply has come or will not come.
    pub(super) settled: bool,
}

impl Pending {
    /// A request of our own, behind or before those of clients.
    pub(super) fn nobodys(verb: Verb) -> Self {
        Self {
            // In the past, so that it is never tallied.
            intended_ns: 1,
            sent_ns: 0,
            version: 0,
            unique: 0,
            client: NOBODY,
            fan: NO_FAN,
            keys: 0,
            hits: 0,
            command: Command::Get,
            verb,
            quiet: false,
            settled: false,
        }
    }
}

/// A key of a pending request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) number: u64,
    /// What was known of it when the request was made.
    pub(super) floor: Floor,
}

/// Whether bytes may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Lost; to be made anew at this time.
    Down { retry_ns: u64 },
    /// On its way up.
    Connecting { since_ns: u64 },
    /// Up.
    Up,
}

/// Takes what a connection reads. The keys of the request are the first `pending.keys` of the
/// queue.
pub(super) trait Sink {
    /// An item came.
    fn value(&mut self, pending: &Pending, keys: &mut VecDeque<Key>, key: &[u8], data: &[u8]);
    /// A request is done.
    fn answer(&mut self, pending: &Pending, status: Status, keys: &VecDeque<Key>);
}

/// A connection of a worker.
pub(super) struct Conn {
    pub(super) index: u32,
    pub(super) generation: u32,
    pub(super) server: usize,
    pub(super) state: State,
    pub(super) fd: Option<OwnedFd>,
    pub(super) link: Link,
    /// Losses since the last reply, for the back-off.
    pub(super) losses: u32,
    /// A send is under way.
    pub(super) sending: bool,
    /// Bytes to send next.
    pub(super) out: Vec<u8>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) unsent: usize,
    /// Keys of the pending requests, in order.
    pub(super) keys: VecDeque<Key>,
    /// Quiet requests since the last that will be answered.
    pub(super) quiet_tail: u32,
    /// Requests queued in this life: the number of the next one.
    pub(super) sequence: u32,
    /// Stands in its worker's list of connections to flush.
    pub(super) dirty: bool,
    /// The start of an element whose rest has not come.
    input: Vec<u8>,
    /// Bytes `input` must have before it is worth another look.
    needed: usize,
}

/// The stream broke its protocol.
#[derive(Debug)]
pub(super) struct Malformed;

impl Conn {
    pub(super) fn new(index: u32, server: usize, depth: usize) -> Self {
        Self {
            index,
            generation: 0,
            server,
            state: State::Down { retry_ns: 0 },
            fd: None,
            link: Link::Plain,
            losses: 0,
            sending: false,
            out: Vec::with_capacity(4096),
            pending: VecDeque::with_capacity(depth),
            unsent: 0,
            keys: VecDeque::with_capacity(depth),
            quiet_tail: 0,
            sequence: 0,
            dirty: false,
            input: Vec::new(),
            needed: 0,
        }
    }

    /// Queues a request whose bytes were just appended to `out`.
    pub(super) fn queue(&mut self, pending: Pending) {
        self.quiet_tail = if pending.quiet { self.quiet_tail + 1 } else { 0 };
        self.pending.push_back(pending);
        self.unsent += 1;
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// The requests whose bytes are sent now.
    pub(super) fn stamp_unsent(&mut self) -> impl Iterator<Item = &mut Pending> {
        let first = self.pending.len() - self.unsent;
        self.unsent = 0;
        self.pending.range_mut(first..)
    }

    /// Forgets the life that ended; what was pending is the caller's to take before.
    pub(super) fn reset(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.fd = None;
        self.out.clear();
        self.pending.clear();
        self.keys.clear();
        self.unsent = 0;
        self.quiet_tail = 0;
        self.sequence = 0;
        self.input.clear();
        self.needed = 0;
        self.losses = self.losses.saturating_add(1);
    }

    /// Takes bytes of the stream in and tells the sink of all that is whole.
    pub(super) fn receive(
        &mut self,
        protocol: Protocol,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        if self.input.is_empty() {
            let used = self.parse(protocol, bytes, sink)?;
            self.input.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        self.input.extend_from_slice(bytes);
        if self.input.len() < self.needed {
            return Ok(());
        }
        let mut input = std::mem::take(&mut self.input);
        let used = self.parse(protocol, &input, sink)?;
        input.drain(..used);
        self.input = input;
        Ok(())
    }

    fn parse(
        &mut self,
        protocol: Protocol,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < bytes.len() {
            let quiet = self.pending.iter().take_while(|pending| pending.quiet).count();
            // Bytes that nobody asked for are as wrong as bytes that mean nothing.
            let asked = self.pending.get(quiet).ok_or(Malformed)?;
            match wire::decode(protocol, asked.verb, asked.keys > 1, &bytes[used..]) {
                Decoded::Malformed => return Err(Malformed),
                Decoded::Need(needed) => {
                    self.needed = needed;
                    break;
                }
                Decoded::Element(element, bytes) => {
                    used += bytes;
                    self.take(element, quiet, sink)?;
                }
            }
        }
        Ok(used)
    }

    fn take(
        &mut self,
        element: Element<'_>,
        quiet: usize,
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        if let Element::QuietFailure { status, opaque } = element {
            let first = self.sequence.wrapping_sub(self.pending.len() as u32);
            let failed = opaque.wrapping_sub(first) as usize;
            if failed >= quiet {
                return Err(Malformed);
            }
            (0..failed).for_each(|_| self.answer(Status::Success, sink));
            self.answer(status, sink);
            return Ok(());
        }
        // Whatever answers a later request tells that the quiet ones before it are done.
        (0..quiet).for_each(|_| self.answer(Status::Success, sink));
        let front = self.pending.front_mut().ok_or(Malformed)?;
        match element {
            Element::Value { key, data, unique, last } => {
                front.hits += 1;
                front.unique = unique;
                sink.value(front, &mut self.keys, key, data);
                if last {
                    self.answer(Status::Success, sink);
                }
            }
            Element::End(status) => self.answer(status, sink),
            Element::QuietFailure { .. } => {}
        }
        Ok(())
    }

    fn answer(&mut self, status: Status, sink: &mut impl Sink) {
        let pending = self.pending.pop_front().expect("a reply belongs to a request");
        sink.answer(&pending, status, &self.keys);
        match pending.keys {
            1 => drop(self.keys.pop_front()),
            keys => drop(self.keys.drain(..keys as usize)),
        }
        self.losses = 0;
    }

    /// Takes what a datagram, or several that say they belong together, brought for request
    /// `number`.
    ///
    /// memcached itself sends every value of a multi-get as a reply of its own, "1 of 1", with the
    /// same number: so a reply is whole when the protocol says so, not when the frames do.
    pub(super) fn receive_datagram(
        &mut self,
        protocol: Protocol,
        number: u16,
        reply: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let first = (self.sequence as u16).wrapping_sub(self.pending.len() as u16);
        let index = usize::from(number.wrapping_sub(first));
        // A reply that comes after its request was given up is no error.
        let Some(pending) = self.pending.get(index).filter(|pending| !pending.settled) else {
            return Ok(());
        };
        let mut pending = *pending;
        let Link::Udp(datagrams) = &mut self.link else { return Err(Malformed) };
        let Some(reply) = datagrams.gather(protocol, &pending, number, reply)? else {
            return Ok(());
        };
        let mut keys = self.keys_of(index);
        let status = read_whole(protocol, &mut pending, &reply, &mut keys, sink)?;
        for before in 0..index {
            if self.pending[before].quiet && !self.pending[before].settled {
                self.pending[before].settled = true;
                sink.answer(&self.pending[before], Status::Success, &self.keys_of(before));
            }
        }
        sink.answer(&pending, status, &keys);
        self.pending[index].settled = true;
        self.losses = 0;
        Ok(())
    }

    /// The keys of one pending request.
    fn keys_of(&self, index: usize) -> VecDeque<Key> {
        let skip: usize = self.pending.iter().take(index).map(|before| before.keys as usize).sum();
        self.keys.range(skip..skip + self.pending[index].keys as usize).copied().collect()
    }

    /// Drops settled datagram requests from the front.
    pub(super) fn drop_settled(&mut self) {
        while self.pending.front().is_some_and(|pending| pending.settled) {
            let pending = self.pending.pop_front().expect("a front");
            self.keys.drain(..pending.keys as usize);
        }
    }
}

/// Reads a reply that is there as a whole.
fn read_whole(
    protocol: Protocol,
    pending: &mut Pending,
    reply: &[u8],
    keys: &mut VecDeque<Key>,
    sink: &mut impl Sink,
) -> Result<Status, Malformed> {
    let mut used = 0;
    loop {
        let decoded = wire::decode(protocol, pending.verb, pending.keys > 1, &reply[used..]);
        let Decoded::Element(element, bytes) = decoded else { return Err(Malformed) };
        used += bytes;
        match element {
            Element::Value { key, data, unique, last } => {
                pending.hits += 1;
                pending.unique = unique;
                sink.value(pending, keys, key, data);
                if last {
                    return Ok(Status::Success);
                }
            }
            Element::End(status) | Element::QuietFailure { status, .. } => return Ok(status),
        }
    }
}
