//! A client: a connection with its buffers.
//!
//! An idle client has none: input memory, message and pins come when bytes come and go when
//! they are done with. That is what keeps an idle connection within a few hundred bytes.

use std::os::fd::RawFd;

use super::admin::Dump;
use super::secure::Secure;
use super::upload::Upload;
use crate::config::limits::DATAGRAM_REPLY_BYTES_MAX;
use crate::conn::{Connection, Input};
use crate::protocol::Parser;
use crate::ring::{BlockPool, Message};
use crate::shard::Pinned;

/// A pinned value and the shard that it goes back to.
pub(super) struct Pin {
    pub(super) shard: usize,
    pub(super) value: Pinned,
}

/// What a connection does besides answering requests.
pub(super) enum Task {
    /// It receives a dump; its requests wait.
    Dump(Box<Dump>),
    /// It receives the log; its requests are dropped.
    Watch,
    /// It waits for the certificates to be read again, and is told how that went unless `noreply`.
    Refresh { noreply: bool },
}

/// Why a connection ends, in the log's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Normal,
    Error,
    Idle,
    Shutdown,
}

impl Ending {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Error => "error",
            Self::Idle => "idle_timeout",
            Self::Shutdown => "shutdown",
        }
    }
}

/// How replies get to the client.
pub(super) enum Carrier {
    /// As they are, by sends of its connection.
    Plain,
    /// Sealed, in records of TLS.
    Tls(Box<Secure>),
    /// In datagrams, made of what gathers here.
    Datagram(Vec<u8>),
}

/// One connection and all that belongs to it.
pub(super) struct Client {
    pub(super) conn: Connection,
    carrier: Carrier,
    /// The front of a request whose rest is to come.
    pub(super) input: Input,
    /// A large value on its way into the arena.
    pub(super) upload: Option<Box<Upload>>,
    /// Replies that gather for the next send.
    output: Option<Box<Message>>,
    /// The message of a send that the socket took in part.
    partly_sent: Option<Box<Message>>,
    /// Values that `output` refers to.
    pins: Vec<Pin>,
    /// Values that the message in flight refers to.
    pins_in_flight: Vec<Pin>,
    /// A SASL exchange has begun and waits for the client's message.
    pub(super) is_in_sasl: bool,
    /// The client stands in this turn's list of those to plan for.
    pub(super) listed: bool,
    pub(super) task: Option<Task>,
    pub(super) ending: Ending,
    /// When bytes came last, on the cache's clock.
    pub(super) active_at: u32,
}

impl Client {
    pub(super) fn new(fd: RawFd, parser: Parser, now: u32) -> Self {
        Self {
            conn: Connection::new(fd, parser),
            carrier: Carrier::Plain,
            input: Input::default(),
            upload: None,
            output: None,
            partly_sent: None,
            pins: Vec::new(),
            pins_in_flight: Vec::new(),
            is_in_sasl: false,
            listed: false,
            task: None,
            ending: Ending::Normal,
            active_at: now,
        }
    }

    /// A client by TLS, whose handshake is to come.
    pub(super) fn of_session(fd: RawFd, parser: Parser, secure: Secure, now: u32) -> Self {
        Self { carrier: Carrier::Tls(Box::new(secure)), ..Self::new(fd, parser, now) }
    }

    /// A client for one datagram. It has no connection; its reply is appended to `reply`.
    pub(super) fn of_datagram(parser: Parser, reply: Vec<u8>, now: u32) -> Self {
        const NO_SOCKET: RawFd = -1;
        Self { carrier: Carrier::Datagram(reply), ..Self::new(NO_SOCKET, parser, now) }
    }

    /// Whether it came by UDP.
    pub(super) fn is_of_datagram(&self) -> bool {
        matches!(self.carrier, Carrier::Datagram(_))
    }

    /// The reply to a datagram.
    pub(super) fn take_datagram_reply(&mut self) -> Vec<u8> {
        match &mut self.carrier {
            Carrier::Datagram(reply) => std::mem::take(reply),
            Carrier::Plain | Carrier::Tls(_) => Vec::new(),
        }
    }

    /// Its side of TLS, if it came by that.
    #[inline]
    pub(super) fn secure(&self) -> Option<&Secure> {
        match &self.carrier {
            Carrier::Tls(secure) => Some(secure),
            Carrier::Plain | Carrier::Datagram(_) => None,
        }
    }

    /// The same, to work with.
    #[inline]
    pub(super) fn secure_mut(&mut self) -> Option<&mut Secure> {
        match &mut self.carrier {
            Carrier::Tls(secure) => Some(secure),
            Carrier::Plain | Carrier::Datagram(_) => None,
        }
    }

    /// Adds reply text that lies in pieces.
    #[inline]
    pub(super) fn reply<'t>(
        &mut self,
        pieces: impl IntoIterator<Item = &'t [u8]>,
        pool: &mut BlockPool,
    ) {
        if !self.conn.may_send() {
            return;
        }
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        match &mut self.carrier {
            Carrier::Plain => {
                for piece in pieces {
                    let output = self.output.get_or_insert_with(|| pool.take_message());
                    output.append(piece, pool);
                }
                if self.output.is_some() {
                    self.conn.output_ready();
                }
            }
            Carrier::Tls(secure) => {
                for piece in pieces {
                    secure.outbox_mut().append(piece, pool);
                    self.conn.output_ready();
                }
            }
            Carrier::Datagram(reply) => pieces.for_each(|piece| reply.extend_from_slice(piece)),
        }
    }

    /// Adds bytes that go out as they are, whatever carries the client's replies.
    pub(super) fn send_as_is(&mut self, bytes: &[u8], pool: &mut BlockPool) {
        if !bytes.is_empty() && self.conn.may_send() {
            let output = self.output.get_or_insert_with(|| pool.take_message());
            output.append(bytes, pool);
            self.conn.output_ready();
        }
    }

    /// Adds a value that stays where it is. A client that can't be sent to gives it back.
    pub(super) fn reply_pinned(&mut self, pin: Pin, pool: &mut BlockPool) -> Option<Pin> {
        if !self.conn.may_send() {
            return Some(pin);
        }
        match &mut self.carrier {
            Carrier::Plain => {
                let output = self.output.get_or_insert_with(|| pool.take_message());
                for piece in pin.value.pieces() {
                    output.append_in_place(piece);
                }
                self.pins.push(pin);
            }
            Carrier::Tls(secure) => secure.outbox_mut().push(pin),
            Carrier::Datagram(reply) => {
                // One that is too long to be sent is at least seen to be.
                for piece in pin.value.pieces() {
                    let room = (DATAGRAM_REPLY_BYTES_MAX + 1).saturating_sub(reply.len());
                    reply.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                return Some(pin);
            }
        }
        self.conn.output_ready();
        None
    }

    /// Bytes that wait to be sent, those in flight not counted.
    pub(super) fn output_bytes(&self) -> usize {
        match &self.carrier {
            Carrier::Plain => self.output.as_ref().map_or(0, |output| output.left()),
            Carrier::Tls(secure) => secure.outbox().bytes(),
            Carrier::Datagram(reply) => reply.len(),
        }
    }

    /// The message to send now. None if there is nothing that could be sent: the client is to be
    /// let go. `scratch` is memory to seal in.
    #[inline]
    pub(super) fn take_output(
        &mut self,
        pool: &mut BlockPool,
        scratch: &mut Vec<u8>,
    ) -> Option<Box<Message>> {
        if let Some(message) = self.partly_sent.take() {
            return Some(message);
        }
        if let Carrier::Tls(secure) = &mut self.carrier {
            let output = self.output.get_or_insert_with(|| pool.take_message());
            let sealed = secure.seal(output, pool, scratch, &mut self.pins);
            if sealed.is_err() || output.left() == 0 {
                pool.give_message(self.output.take()?);
                return None;
            }
        }
        std::mem::swap(&mut self.pins, &mut self.pins_in_flight);
        self.output.take()
    }

    /// Whether anything has to be done as soon as a message has been sent that is about to be. One
    /// that found no room before has to wait for it.
    pub(super) fn awaits_end_of(&self, message: &Message) -> bool {
        let has_more = !self.pins_in_flight.is_empty() || self.has_output();
        let is_settled = self.conn.is_settled() && self.task.is_none() && !has_more;
        !is_settled || message.is_begun() || !message.is_of_one_send()
    }

    /// Whether it receives the log.
    pub(super) fn is_watching(&self) -> bool {
        matches!(self.task, Some(Task::Watch))
    }

    /// Whether output waits.
    pub(super) fn has_output(&self) -> bool {
        let is_unsealed = self.secure().is_some_and(|secure| secure.outbox().bytes() > 0);
        self.output.is_some() || self.partly_sent.is_some() || is_unsealed
    }

    /// Whether replies wait. Unlike other output they are seen: a command that goes on after its
    /// answer can't come behind them.
    pub(super) fn owes_replies(&self) -> bool {
        self.secure().map_or_else(|| self.has_output(), |secure| secure.outbox().bytes() > 0)
    }

    /// Whether its requests have to wait for more than for the end of a send.
    pub(super) fn is_held(&self) -> bool {
        let waits = |secure: &Secure| secure.is_away() || secure.outbox().bytes() > 0;
        self.task.is_some() || self.secure().is_some_and(waits)
    }

    /// Keeps a message that was sent in part; it goes before what was added since.
    pub(super) fn put_back(&mut self, message: Box<Message>) {
        self.partly_sent = Some(message);
    }

    /// Pins of the message that has just been sent whole.
    pub(super) fn take_pins_in_flight(&mut self) -> Vec<Pin> {
        std::mem::take(&mut self.pins_in_flight)
    }

    /// All that must be given back when the client is gone.
    pub(super) fn take_leftovers(
        &mut self,
        pool: &mut BlockPool,
    ) -> ([Option<Box<Message>>; 2], Vec<Pin>) {
        let mut pins = std::mem::take(&mut self.pins);
        pins.append(&mut self.pins_in_flight);
        if let Carrier::Tls(secure) = &mut self.carrier {
            secure.outbox_mut().clear(pool, &mut pins);
        }
        ([self.output.take(), self.partly_sent.take()], pins)
    }
}
