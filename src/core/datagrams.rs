//! Requests by UDP (`-U`).
//!
//! A datagram is a client that lives for one request: it is parsed, run and answered like what
//! comes over a connection, its reply gathers in memory, and then it is gone. The reply is cut into
//! datagrams of 1400 bytes that are numbered from 0, as one message, whatever the number of keys.
//!
//! A reply goes out whole only to a host that has been [seen](super::seen) to answer. Towards all
//! others no reply is larger than [`AMPLIFICATION_MAX`] times its request; they are told to connect
//! by TCP first, if that fits, and else nothing.
//!
//! The network may lose datagrams, and so may we: when too many wait, a reply is dropped.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::client::Client;
use super::group::Group;
use super::place::binding_of;
use super::seen::Seen;
use super::state::State;
use crate::config::{self, limits::DATAGRAM_REPLY_BYTES_MAX};
use crate::protocol::admin::{Admin, Crawler, Stats};
use crate::protocol::binary::MAGIC_REQUEST;
use crate::protocol::reply::line;
use crate::protocol::udp::{self, DATAGRAM_BYTES_MAX, FRAME_BYTES, PAYLOAD_BYTES_MAX, RequestId};
use crate::protocol::{Binding, Gate, Parser};
use crate::ring::{Completion, Datagram, Op, Ring, Token};

/// How much larger than its request a reply may be towards a host that was not seen to answer.
pub(super) const AMPLIFICATION_MAX: usize = 3;

/// What such a host is told instead of a larger reply.
const UNSEEN: &[u8] = b"SERVER_ERROR connect by TCP first\r\n";

/// Bytes of the longest datagram that there can be.
const REQUEST_BYTES_MAX: usize = 65_536;

/// Receives that are armed on each socket: so many datagrams are taken in one turn.
const RECEIVES: u32 = 16;

/// Datagrams that may wait to be sent.
const SENDS_MAX: u32 = 4096;

/// The UDP sockets of one core and what is in flight on them.
pub(super) struct Datagrams {
    sockets: Vec<(RawFd, config::Binding)>,
    /// Datagrams for replies that wait for use.
    #[expect(clippy::vec_box, reason = "a datagram keeps its address while the kernel reads it")]
    free: Vec<Box<Datagram>>,
    /// Slots for sends, behind those for receives, that are free.
    free_slots: Vec<u32>,
}

impl Datagrams {
    pub(super) fn new(sockets: Vec<(RawFd, config::Binding)>) -> Self {
        let receives = sockets.len() as u32 * RECEIVES;
        let sends = if sockets.is_empty() { 0 } else { SENDS_MAX };
        let free_slots = (receives..receives + sends).rev().collect();
        Self { sockets, free: Vec::new(), free_slots }
    }

    /// Arms all receives.
    pub(super) fn arm(&self, ring: &mut Ring) {
        for slot in 0..self.sockets.len() as u32 * RECEIVES {
            self.receive(ring, slot, Datagram::new(REQUEST_BYTES_MAX));
        }
    }

    fn receive(&self, ring: &mut Ring, slot: u32, datagram: Box<Datagram>) {
        ring.receive_datagram(
            self.socket_of(slot).0,
            datagram,
            Token::new(Op::ReceiveFrom, slot, 0),
        );
    }

    fn socket_of(&self, slot: u32) -> (RawFd, config::Binding) {
        self.sockets[(slot / RECEIVES) as usize]
    }

    /// A datagram came: it is answered, and the next one may come.
    pub(super) fn received(&mut self, ring: &mut Ring, state: &mut State, completion: &Completion) {
        let Some(request) = ring.take_datagram(completion) else { return };
        let slot = completion.token.slot();
        // An error is news of an earlier reply that did not arrive; nobody needs it.
        if completion.result > 0 {
            let (socket, protocol) = self.socket_of(slot);
            state.counters().bytes_read.add(request.bytes().len() as u64);
            if let Some((id, text)) = state.answer_datagram(&request, binding_of(protocol)) {
                self.send(ring, state, socket, &request, id, &text);
                state.give_back_reply(text);
            }
        }
        self.receive(ring, slot, request);
    }

    /// Sends a reply in as many datagrams as it takes, or none if there are not slots for all.
    fn send(
        &mut self,
        ring: &mut Ring,
        state: &State,
        socket: RawFd,
        request: &Datagram,
        id: RequestId,
        text: &[u8],
    ) {
        let Some(total) = udp::datagrams(text.len()) else { return };
        if usize::from(total) > self.free_slots.len() {
            return;
        }
        for (sequence, part) in (0..total).zip(text.chunks(PAYLOAD_BYTES_MAX)) {
            let Some(slot) = self.free_slots.pop() else { return };
            let mut datagram = self.free.pop().unwrap_or_else(|| Datagram::new(DATAGRAM_BYTES_MAX));
            datagram.clear();
            datagram.append(&udp::frame(id, sequence, total));
            datagram.append(part);
            datagram.reply_to(request);
            state.counters().bytes_written.add(datagram.bytes().len() as u64);
            ring.send_datagram(socket, datagram, Token::new(Op::SendTo, slot, 0));
        }
    }

    /// A datagram went, or could not; either way nothing is to be done about it.
    pub(super) fn sent(&mut self, ring: &mut Ring, completion: &Completion) {
        if let Some(datagram) = ring.take_datagram(completion) {
            self.free.push(datagram);
            self.free_slots.push(completion.token.slot());
        }
    }
}

impl State {
    /// The reply to a request by UDP, and the number that the client gave it.
    fn answer_datagram(
        &mut self,
        datagram: &Datagram,
        binding: Binding,
    ) -> Option<(RequestId, Vec<u8>)> {
        let (id, request) = udp::parse(datagram.bytes())?;
        let source = datagram.source()?;
        let mut text = self.run_datagram(request, binding);
        if !self.may_reply(datagram.bytes().len(), source, text.len()) {
            let has_room = is_within(datagram.bytes().len(), UNSEEN.len());
            refuse(request, if has_room { UNSEEN } else { b"" }, &mut text);
        }
        if text.is_empty() {
            self.give_back_reply(text);
            return None;
        }
        Some((id, text))
    }

    /// Runs what a datagram asks. What is not a whole request is dropped.
    fn run_datagram(&mut self, request: &[u8], binding: Binding) -> Vec<u8> {
        let parser = Parser::new(binding, Gate::Open, self.limits);
        let reply = std::mem::take(&mut self.datagram_reply);
        let id = self.clients.insert(Client::of_datagram(parser, reply, self.clock.now));
        let mut group = Group::new();
        self.feed(id, request, &mut group);
        self.run(&mut group);
        let Some(mut client) = self.clients.remove(id) else { return Vec::new() };
        if let Some(upload) = client.upload.take() {
            self.abandon_upload(id, *upload);
        }
        let is_cut_off = client.conn.is_paused() && !client.input.is_empty();
        client.input.clear(&mut self.inputs);
        let mut text = client.take_datagram_reply();
        if is_cut_off || text.len() > DATAGRAM_REPLY_BYTES_MAX {
            refuse(request, line::TOO_LARGE, &mut text);
        }
        text
    }

    /// Whether a reply can't flood somebody who did not ask for it.
    fn may_reply(&self, request_bytes: usize, source: SocketAddr, text_bytes: usize) -> bool {
        let is_seen = |seen: &Seen| seen.has(source.ip(), self.clock.now);
        is_within(request_bytes, text_bytes) || self.shared.seen.as_ref().is_some_and(is_seen)
    }

    /// Keeps a reply's memory for the next one.
    fn give_back_reply(&mut self, mut text: Vec<u8>) {
        text.clear();
        self.datagram_reply = text;
    }
}

/// Replaces a reply by a line that says why; a client of the binary protocol could not read that.
fn refuse(request: &[u8], line: &[u8], text: &mut Vec<u8>) {
    text.clear();
    if request.first() != Some(&MAGIC_REQUEST) {
        text.extend_from_slice(line);
    }
}

/// Whether a reply of `text_bytes` is small enough for anybody.
fn is_within(request_bytes: usize, text_bytes: usize) -> bool {
    let frames = text_bytes.div_ceil(PAYLOAD_BYTES_MAX) * FRAME_BYTES;
    text_bytes + frames <= AMPLIFICATION_MAX * request_bytes
}

/// Whether a command may come by UDP: not one that goes on after its answer, and not the one that
/// ends the server, since anybody can send it in anybody's name.
pub(super) fn may_come_by_datagram(command: &Admin<'_>) -> bool {
    !matches!(
        command,
        Admin::Watch(_)
            | Admin::Shutdown { .. }
            | Admin::RefreshCerts { .. }
            | Admin::Stats(Stats::Sizes)
            | Admin::Crawler { command: Crawler::Metadump(_) | Crawler::Mgdump(_), .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_and_its_frames_are_at_most_three_times_the_request() {
        // `get k` in its frame has 15 bytes.
        assert!(is_within(15, 37) && !is_within(15, 38));
        assert!(is_within(15, UNSEEN.len()), "the shortest request has an answer");
        assert!(is_within(1000, PAYLOAD_BYTES_MAX * 2 + 192));
        assert!(!is_within(1000, PAYLOAD_BYTES_MAX * 2 + 193));
    }
}
