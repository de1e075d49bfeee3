//! Connections by TLS: from cipher text to what any other connection receives, and back.
//!
//! At the start of a turn all that came for such connections is opened, side by side in one piece
//! of memory ([`Unsealed`]), so that the requests of many of them still run as one group. From
//! there on nothing knows how the bytes came, until a connection may send: then its [`Outbox`] is
//! sealed, so much a turn that nobody waits long for it.
//!
//! A session is with its connection, or, while it shakes hands, on its way through a helper
//! ([`super::handshakes`]); for that time the connection is paused.

use std::ops::Range;

use super::admin::log_put;
use super::client::{Client, Ending, Pin};
use super::group::Group;
use super::handshakes::{Handshake, Shaken};
use super::outbox::Outbox;
use super::state::State;
use crate::config::limits::{
    TLS_RECORD_EXTRA_BYTES, TLS_RECORD_PLAIN_BYTES, TLS_SEALED_BYTES_PER_TURN,
};
use crate::conn::ConnId;
use crate::protocol::admin::WatchStreams;
use crate::ring::{BlockPool, Completion, Message, Op, Ring};
use crate::tls::{Error, Opened, Session};

/// A connection's session, and what waits on either side of it.
pub(super) struct Secure {
    /// None while a helper has it.
    session: Option<Session>,
    /// Cipher text that came meanwhile.
    waiting: Vec<u8>,
    outbox: Outbox,
}

impl Secure {
    pub(super) fn new(session: Session) -> Self {
        Self { session: Some(session), waiting: Vec::new(), outbox: Outbox::default() }
    }

    /// Whether requests can be exchanged.
    pub(super) fn is_established(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.is_shaking_hands())
    }

    /// Whether a helper has the session.
    pub(super) fn is_away(&self) -> bool {
        self.session.is_none()
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(super) fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Appends records to `message`: of what waits, as much as is due in one turn, or, if there is
    /// nothing to send at all, the last word. Pins of values that are sealed whole go to
    /// `unpinned`.
    ///
    /// # Errors
    /// The session's keys are worn out; it says so to the client, and nothing more can be said.
    pub(super) fn seal(
        &mut self,
        message: &mut Message,
        pool: &mut BlockPool,
        scratch: &mut Vec<u8>,
        unpinned: &mut Vec<Pin>,
    ) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        scratch.clear();
        if self.outbox.bytes() == 0 && message.left() == 0 {
            session.say_goodbye(scratch);
            message.append(scratch, pool);
            return Ok(());
        }
        self.outbox.take(TLS_SEALED_BYTES_PER_TURN, scratch, pool, unpinned);
        for plain in scratch.chunks(TLS_RECORD_PLAIN_BYTES) {
            let mut outcome = Ok(0);
            message.append_with(plain.len() + TLS_RECORD_EXTRA_BYTES, pool, |room| {
                outcome = session.seal(plain, room);
                *outcome.as_ref().unwrap_or(&0)
            });
            outcome?;
        }
        Ok(())
    }
}

/// The plain text of all that came by TLS in one turn.
#[derive(Default)]
pub(super) struct Unsealed {
    plain: Vec<u8>,
    parts: Vec<Part>,
}

/// What one completion brought.
struct Part {
    /// Its place in the turn's list. Parts are in this order.
    completion: usize,
    plain: Range<usize>,
}

impl Unsealed {
    /// Opens all that the completions bring by TLS.
    pub(super) fn fill(&mut self, ring: &Ring, state: &mut State, completions: &[Completion]) {
        self.plain.clear();
        self.parts.clear();
        for (index, completion) in completions.iter().enumerate() {
            let (Op::Receive, Some(received)) = (completion.token.op(), &completion.received)
            else {
                continue;
            };
            let Some(id) = state.tenant(completion.token) else { continue };
            if state.clients.get_mut(id).is_some_and(|client| client.secure().is_some()) {
                let start = self.plain.len();
                state.open(id, ring.bytes(received), &mut self.plain);
                let plain = start..self.plain.len();
                self.parts.push(Part { completion: index, plain });
            }
        }
    }

    /// The plain text of a completion, if what it brought came by TLS.
    #[inline]
    pub(super) fn of(&self, completion: usize) -> Option<&[u8]> {
        if self.parts.is_empty() {
            return None;
        }
        let place = self.parts.binary_search_by_key(&completion, |part| part.completion);
        place.ok().map(|place| &self.plain[self.parts[place].plain.clone()])
    }
}

impl State {
    /// Opens what a connection has received, or has a helper do so while it shakes hands.
    fn open(&mut self, id: ConnId, received: &[u8], plain: &mut Vec<u8>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.conn.is_open() {
            return;
        }
        let Some(secure) = client.secure_mut() else { return };
        if !secure.is_established() {
            secure.waiting.extend_from_slice(received);
            return self.shake_hands(id);
        }
        let Some(session) = &mut secure.session else { return };
        let mut answer = Vec::new();
        let opened = session.open(received, &mut self.tls_scratch, plain, &mut answer);
        client.send_as_is(&answer, &mut self.blocks);
        self.heed(id, &opened);
    }

    /// Hands the session of a connection to a helper, with what has come for it. Until it is back
    /// the connection receives nothing but what is on its way already: clients need not wait for
    /// the end of the handshake with their requests, and may send many.
    fn shake_hands(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(secure) = client.secure_mut() else { return };
        let Some(session) = secure.session.take() else { return };
        let received = std::mem::take(&mut secure.waiting);
        client.conn.pause();
        let handshake = Handshake { core: self.index, conn: id, session, received };
        self.shared.handshakes.begin(handshake);
    }

    /// A helper has made a step of a handshake.
    pub(super) fn shaken(&mut self, shaken: Shaken) {
        let Shaken { conn: id, session, opened, plain, answer } = shaken;
        let Some(client) = self.clients.get_mut(id) else { return };
        client.conn.resume();
        client.send_as_is(&answer, &mut self.blocks);
        let is_established = !session.is_shaking_hands();
        let is_new = session.is_new();
        if is_established && opened.failure.is_none() {
            client.conn.owe_last_word();
            self.counters().tls_sessions_new.add(u64::from(is_new));
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(secure) = client.secure_mut() else { return };
        secure.session = Some(session);
        let waiting = std::mem::take(&mut secure.waiting);
        self.heed(id, &opened);
        self.feed_alone(id, &plain);
        if !waiting.is_empty() {
            let mut plain = plain;
            plain.clear();
            self.open(id, &waiting, &mut plain);
            self.feed_alone(id, &plain);
        }
        self.list(id);
    }

    /// Takes in plain text outside of a turn's group.
    pub(super) fn feed_alone(&mut self, id: ConnId, plain: &[u8]) {
        let mut group = Group::new();
        self.feed(id, plain, &mut group);
        self.run(&mut group);
    }

    /// Does what follows from the state that a session is in.
    fn heed(&mut self, id: ConnId, opened: &Opened) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if opened.is_closed {
            client.conn.peer_ended();
        }
        let Some(failure) = &opened.failure else { return };
        let was_established = client.conn.owes_last_word();
        let unpinned = client.break_off(&mut self.blocks);
        let fd = client.conn.fd;
        self.unpin(unpinned);
        let counters = self.counters();
        if was_established {
            counters.tls_record_errors.add(1);
        } else {
            counters.tls_handshake_errors.add(1);
        }
        self.log(WatchStreams::CONNEVENTS, |line| {
            log_put(line, format_args!("type=conntlserr fd={fd} msg={failure}"));
        });
        self.list(id);
    }
}

impl Client {
    /// Ends a connection whose session has failed: an alert that waits is sent, replies are not.
    pub(super) fn break_off(&mut self, pool: &mut BlockPool) -> Vec<Pin> {
        let mut unpinned = Vec::new();
        if let Some(secure) = self.secure_mut() {
            secure.outbox.clear(pool, &mut unpinned);
        }
        self.ending = Ending::Error;
        self.conn.owe_nothing();
        self.conn.finish();
        unpinned
    }
}
