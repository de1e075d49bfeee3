//! One connection: the bytes to send, the requests under way, the replies as they come in pieces.
//!
//! Requests are answered in their order, so the queue of pending requests is all the book-keeping a reply
//! needs. Invariant: `unsent <= pending.len()`, and the last `unsent` of them are those whose bytes
//! still lie in `out`.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::net::ring::ConnToken;
use crate::wire::{self, Decoded, Element, Protocol, Status, Verb};
use crate::workload::mix::Command;

/// Names a fan-out that a request is part of.
pub(super) const NO_FAN: u32 = u32::MAX;

/// A request that awaits its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// When it should have started; 0 until it is sent if it has no schedule.
    pub(super) intended_ns: u64,
    /// When its bytes were handed to the kernel; 0 before.
    pub(super) sent_ns: u64,
    /// The client whose slot it takes.
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
    /// The unique number of the value seen last.
    pub(super) unique: u64,
}

/// A request with its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) pending: Pending,
    pub(super) status: Status,
    /// The first key named.
    pub(super) key: u64,
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

/// A connection of a worker.
pub(super) struct Conn {
    pub(super) token: ConnToken,
    pub(super) client: u32,
    pub(super) server: usize,
    pub(super) state: State,
    pub(super) fd: Option<OwnedFd>,
    /// Losses since the last reply, for the back-off.
    pub(super) losses: u32,
    /// Bytes to send next.
    pub(super) out: Vec<u8>,
    /// The other buffer, when no send is under way.
    pub(super) spare: Option<Vec<u8>>,
    /// Bytes of the send under way that already went.
    pub(super) sent_bytes: usize,
    pub(super) pending: VecDeque<Pending>,
    pub(super) unsent: usize,
    /// Key numbers of the pending requests, in order.
    pub(super) keys: VecDeque<u64>,
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
    pub(super) fn new(index: u32, client: u32, server: usize, depth: usize) -> Self {
        Self {
            token: ConnToken { index, generation: 0 },
            client,
            server,
            state: State::Down { retry_ns: 0 },
            fd: None,
            losses: 0,
            out: Vec::with_capacity(4096),
            spare: Some(Vec::with_capacity(4096)),
            sent_bytes: 0,
            pending: VecDeque::with_capacity(depth),
            unsent: 0,
            keys: VecDeque::with_capacity(depth),
            dirty: false,
            input: Vec::new(),
            needed: 0,
        }
    }

    /// Queues a request whose bytes were just appended to `out`.
    pub(super) fn queue(&mut self, pending: Pending, keys: &[u64]) {
        self.pending.push_back(pending);
        self.keys.extend(keys);
        self.unsent += 1;
    }

    /// Whether there is something to send and a buffer to send it with.
    pub(super) fn can_send(&self) -> bool {
        self.state == State::Up && self.spare.is_some() && !self.out.is_empty()
    }

    /// The buffer to hand to the kernel.
    pub(super) fn take_out(&mut self) -> Vec<u8> {
        let spare = self.spare.take().expect("no send is under way");
        self.sent_bytes = 0;
        std::mem::replace(&mut self.out, spare)
    }

    /// The requests whose bytes `take_out` takes.
    pub(super) fn stamp_unsent(&mut self) -> impl Iterator<Item = &mut Pending> {
        let first = self.pending.len() - self.unsent;
        self.unsent = 0;
        self.pending.range_mut(first..)
    }

    /// Forgets everything about the life that ended and returns the requests that ended with it.
    pub(super) fn reset(&mut self) -> std::collections::vec_deque::Drain<'_, Pending> {
        self.token.generation = (self.token.generation + 1) & 0xff_ffff;
        self.fd = None;
        self.out.clear();
        self.spare.get_or_insert_with(Vec::new).clear();
        self.keys.clear();
        self.unsent = 0;
        self.input.clear();
        self.needed = 0;
        self.losses = self.losses.saturating_add(1);
        self.pending.drain(..)
    }

    /// Takes bytes in, calls `on_value` for every item and `on_answer` for every reply that is whole.
    pub(super) fn receive(
        &mut self,
        protocol: Protocol,
        bytes: &[u8],
        mut on_value: impl FnMut(&Pending, u64, Element<'_>),
        mut on_answer: impl FnMut(Answered),
    ) -> Result<(), Malformed> {
        if self.input.is_empty() {
            let used = self.parse(protocol, bytes, &mut on_value, &mut on_answer)?;
            self.input.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        self.input.extend_from_slice(bytes);
        if self.input.len() < self.needed {
            return Ok(());
        }
        let mut input = std::mem::take(&mut self.input);
        let used = self.parse(protocol, &input, &mut on_value, &mut on_answer)?;
        input.drain(..used);
        self.input = input;
        Ok(())
    }

    fn parse(
        &mut self,
        protocol: Protocol,
        bytes: &[u8],
        on_value: &mut impl FnMut(&Pending, u64, Element<'_>),
        on_answer: &mut impl FnMut(Answered),
    ) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < bytes.len() {
            // Bytes that nobody asked for are as wrong as bytes that mean nothing.
            let Some(front) = self.pending.front_mut() else { return Err(Malformed) };
            match wire::decode(protocol, front.verb, &bytes[used..]) {
                Decoded::Need(needed) => {
                    self.needed = needed;
                    break;
                }
                Decoded::Malformed => return Err(Malformed),
                Decoded::Element(Element::End(status), bytes) => {
                    used += bytes;
                    self.answer(status, on_answer);
                }
                Decoded::Element(Element::Value { key, data, unique, last }, bytes) => {
                    used += bytes;
                    front.hits += 1;
                    front.unique = unique;
                    let first = self.keys.front().copied().unwrap_or_default();
                    on_value(front, first, Element::Value { key, data, unique, last });
                    if last {
                        self.answer(Status::Success, on_answer);
                    }
                }
            }
        }
        Ok(used)
    }

    fn answer(&mut self, status: Status, on_answer: &mut impl FnMut(Answered)) {
        let pending = self.pending.pop_front().expect("a reply belongs to a request");
        let key = self.keys.front().copied().unwrap_or_default();
        self.keys.drain(..pending.keys as usize);
        self.losses = 0;
        on_answer(Answered { pending, status, key });
    }
}
