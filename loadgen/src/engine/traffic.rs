//! The socket side of a worker: sends, receives, losses and new connections.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{Shutdown, shutdown};
use ringcached::ring::{Completion, Message, Op, Ring, Token};

use super::conn::{Conn, Malformed, NOBODY, Pending, State};
use super::link::{Datagrams, Link, Sealed};
use super::start::mark_dirty;
use super::worker::Worker;
use crate::measure::tally::ErrorKind;
use crate::net::target::Transport;
use crate::net::tls::Session;
use crate::wire::Verb;

/// The first pause before a lost connection is made anew; it doubles up to the last.
const BACKOFF_NS_FIRST: u64 = 10_000_000;
const BACKOFF_NS_LAST: u64 = 1_000_000_000;
const BACKOFF_DOUBLINGS: u32 = 7;

impl Conn {
    pub(super) fn token(&self, op: Op) -> Token {
        Token::new(op, self.index, self.generation)
    }

    /// Ends what the kernel does with the socket, and forgets this life of the connection.
    pub(super) fn close(&mut self) {
        if let Some(fd) = &self.fd {
            // An error says that it has ended already.
            let _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
        }
        self.reset();
    }
}

impl Worker {
    /// Arms the receive of a connection that is up.
    pub(super) fn arm(&mut self, ring: &mut Ring, index: usize) {
        let conn = &self.conns[index];
        if let Some(fd) = &conn.fd {
            ring.receive(fd.as_raw_fd(), conn.token(Op::Receive));
            self.kernel_ops += 1;
        }
    }

    /// Hands the bytes of every connection that has some to the kernel.
    pub(super) fn flush(&mut self, ring: &mut Ring) -> io::Result<()> {
        self.cancel(ring);
        if self.dirty.is_empty() {
            return Ok(());
        }
        let sent_ns = self.elapsed_ns();
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            self.conns[index as usize].dirty = false;
            self.flush_one(ring, index as usize, sent_ns)?;
        }
        // Nothing is marked while it is flushed, but a datagram socket has more to send afterwards.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
        Ok(())
    }

    /// Ends receives on sockets whose closing would not.
    pub(super) fn cancel(&mut self, ring: &mut Ring) {
        for target in self.cancels.drain(..) {
            ring.cancel(target, Token::new(Op::Cancel, target.slot(), 0));
            self.kernel_ops += 1;
        }
    }

    fn flush_one(&mut self, ring: &mut Ring, index: usize, sent_ns: u64) -> io::Result<()> {
        let conn = &self.conns[index];
        if conn.state != State::Up || conn.sending {
            return Ok(());
        }
        if conn.quiet_tail > 0 {
            self.queue_barrier(index);
        }
        self.stamp(index, sent_ns);
        let conn = &mut self.conns[index];
        let mut message = self.pool.take_message();
        match &mut conn.link {
            Link::Plain => {
                message.append(&conn.out, &mut self.pool);
                conn.out.clear();
            }
            Link::Tls(sealed) => {
                message.append(sealed.seal(&conn.out)?, &mut self.pool);
                conn.out.clear();
            }
            Link::Udp(datagrams) => {
                let end = datagrams.ends.pop_front().unwrap_or(0);
                message.append(&conn.out[..end], &mut self.pool);
                conn.out.drain(..end);
                datagrams.ends.iter_mut().for_each(|later| *later -= end);
            }
        }
        if message.left() == 0 {
            self.pool.give_message(message);
            return Ok(());
        }
        self.book.tally.bytes_sent += message.left() as u64;
        self.send(ring, index, message);
        Ok(())
    }

    fn stamp(&mut self, index: usize, sent_ns: u64) {
        let allowed_ns = self.plan.lag_allowed.as_nanos() as u64;
        let book = &mut self.book;
        for pending in self.conns[index].stamp_unsent() {
            if pending.sent_ns > 0 {
                // The second half of a request that is counted as one.
                continue;
            }
            pending.sent_ns = sent_ns;
            if pending.intended_ns == 0 {
                pending.intended_ns = sent_ns;
            } else if pending.client != NOBODY && book.measures(pending.intended_ns) {
                book.tally.note_lag(sent_ns.saturating_sub(pending.intended_ns), allowed_ns);
            }
        }
    }

    fn send(&mut self, ring: &mut Ring, index: usize, message: Box<Message>) {
        let conn = &mut self.conns[index];
        let fd = conn.fd.as_ref().expect("a connection that is up has a socket");
        ring.send(fd.as_raw_fd(), message, conn.token(Op::Send));
        conn.sending = true;
        self.kernel_ops += 1;
    }

    /// Acts on a completion.
    pub(super) fn complete(&mut self, ring: &mut Ring, completion: &Completion) -> io::Result<()> {
        let index = completion.token.slot() as usize;
        let current = completion.token.is_of(self.conns[index].generation);
        if !completion.more {
            self.kernel_ops -= 1;
        }
        match completion.token.op() {
            Op::Receive if current => self.received(ring, index, completion),
            Op::Send => self.sent(ring, index, completion.result, current),
            Op::Connect if current => self.connected(ring, index, completion.result)?,
            _ => {}
        }
        Ok(())
    }

    /// Notes a completion after the run.
    pub(super) fn let_go_of(&mut self, ring: &mut Ring, completion: &Completion) {
        if !completion.more {
            self.kernel_ops -= 1;
        }
        if completion.token.op() == Op::Send {
            drop(ring.take_message(completion.token.slot()));
        }
    }

    fn received(&mut self, ring: &mut Ring, index: usize, completion: &Completion) {
        if completion.result > 0
            && let Some(received) = &completion.received
        {
            let bytes = ring.bytes(received);
            self.book.tally.bytes_received += bytes.len() as u64;
            self.book.conn = index as u32;
            let read = self.read(index, bytes);
            self.follow_up();
            if read.is_err() {
                return self.lose(index, ErrorKind::Protocol);
            }
        } else if completion.result != -libc::ENOBUFS {
            return self.lose(index, ErrorKind::Reset);
        }
        if !completion.more {
            self.arm(ring, index);
        }
    }

    /// Takes bytes of the socket through the connection's layer to its replies.
    fn read(&mut self, index: usize, bytes: &[u8]) -> Result<(), Malformed> {
        let (conn, protocol) = (&mut self.conns[index], self.plan.protocol);
        match &mut conn.link {
            Link::Plain => conn.receive(protocol, bytes, &mut self.book),
            Link::Tls(sealed) => {
                let mut plain = std::mem::take(&mut sealed.plain);
                plain.clear();
                sealed.session.open(bytes, &mut plain).map_err(|_| Malformed)?;
                if conn.link.wants_send() {
                    mark_dirty(conn, &mut self.dirty);
                }
                let read = conn.receive(protocol, &plain, &mut self.book);
                if let Link::Tls(sealed) = &mut conn.link {
                    sealed.plain = plain;
                }
                read
            }
            Link::Udp(datagrams) => {
                let Some((number, reply)) = datagrams.reassembly.take(bytes) else { return Ok(()) };
                conn.receive_datagram(protocol, number, &reply, &mut self.book)?;
                conn.drop_settled();
                Ok(())
            }
        }
    }

    fn sent(&mut self, ring: &mut Ring, index: usize, result: i32, current: bool) {
        let Some(mut message) = ring.take_message(index as u32) else { return };
        self.conns[index].sending = false;
        if current && result >= 0 {
            message.advance(result as usize);
            if message.left() > 0 {
                return self.send(ring, index, message);
            }
        }
        self.pool.give_message(message);
        if current && result < 0 {
            return self.lose(index, ErrorKind::Reset);
        }
        let conn = &mut self.conns[index];
        if !conn.out.is_empty() || conn.link.wants_send() {
            mark_dirty(conn, &mut self.dirty);
        }
    }

    fn connected(&mut self, ring: &mut Ring, index: usize, result: i32) -> io::Result<()> {
        if result < 0 {
            self.lose(index, ErrorKind::Refused);
            return Ok(());
        }
        let conn = &mut self.conns[index];
        conn.state = State::Up;
        conn.link = match (&self.plan.tls, self.plan.transport) {
            (_, Transport::Udp) => Link::Udp(Datagrams::default()),
            (None, Transport::Stream) => Link::Plain,
            (Some(config), Transport::Stream) => {
                let host = &self.plan.servers[conn.server].member.host;
                Link::Tls(Sealed::new(Session::new(config, host)?))
            }
        };
        if self.plan.tls.is_some() {
            // The first message of the handshake is ours, with or without a request.
            mark_dirty(conn, &mut self.dirty);
        }
        self.book.tally.reconnects += 1;
        self.show_credentials(index);
        self.arm(ring, index);
        Ok(())
    }

    fn show_credentials(&mut self, index: usize) {
        let Some(credentials) = &self.plan.credentials else { return };
        let conn = &mut self.conns[index];
        credentials.write(&mut conn.out, self.plan.protocol);
        conn.queue(Pending::nobodys(Verb::Auth));
        mark_dirty(conn, &mut self.dirty);
    }

    /// A connection is gone, and what was under way on it with it.
    fn lose(&mut self, index: usize, kind: ErrorKind) {
        let conn = &mut self.conns[index];
        let mut lost = 0;
        for pending in std::mem::take(&mut conn.pending) {
            let key = conn.keys.front().map_or(0, |key| key.number);
            conn.keys.drain(..pending.keys as usize);
            self.book.lose(&pending, key, kind);
            lost += 1;
        }
        if let Link::Udp(_) = conn.link {
            // Closing a datagram socket does not end a receive.
            self.cancels.push(conn.token(Op::Receive));
        }
        conn.close();
        let pause_ns = BACKOFF_NS_FIRST << (conn.losses - 1).min(BACKOFF_DOUBLINGS);
        let retry_ns = self.book.now_ns + pause_ns.min(BACKOFF_NS_LAST);
        conn.state = State::Down { retry_ns };
        if lost == 0 && self.book.measures(self.book.now_ns) {
            // Losing an idle connection, or not getting one, is an error of its own.
            self.book.tally.fail(kind, 1);
        }
    }

    /// Gives up what has waited too long: a stream with all it carries, a datagram alone.
    pub(super) fn expire(&mut self) {
        let limit_ns = self.plan.timeout.as_nanos() as u64;
        let now_ns = self.book.now_ns;
        let expired = |since_ns: u64| since_ns > 0 && now_ns > since_ns + limit_ns;
        for index in 0..self.conns.len() {
            let conn = &self.conns[index];
            let front_ns = conn.pending.front().map_or(0, |pending| pending.sent_ns);
            match conn.state {
                State::Up if expired(front_ns) && matches!(conn.link, Link::Udp(_)) => {
                    self.expire_datagrams(index, &expired);
                }
                State::Up if expired(front_ns) => self.lose(index, ErrorKind::Timeout),
                State::Connecting { since_ns } if expired(since_ns) => {
                    self.lose(index, ErrorKind::Timeout);
                }
                _ => {}
            }
        }
    }

    fn expire_datagrams(&mut self, index: usize, expired: &impl Fn(u64) -> bool) {
        let conn = &mut self.conns[index];
        while let Some(pending) = conn.pending.front().copied() {
            if !pending.settled && !expired(pending.sent_ns) {
                return;
            }
            let key = conn.keys.front().map_or(0, |key| key.number);
            let number = (conn.sequence as u16).wrapping_sub(conn.pending.len() as u16);
            if let Link::Udp(datagrams) = &mut conn.link {
                datagrams.forget(number);
            }
            conn.pending.pop_front();
            conn.keys.drain(..pending.keys as usize);
            self.book.lose(&pending, key, ErrorKind::Timeout);
        }
    }

    /// Makes lost connections anew when their pause is over.
    pub(super) fn reconnect(&mut self, ring: &mut Ring) -> io::Result<()> {
        if self.stopped_ns.is_some() {
            return Ok(());
        }
        let now_ns = self.book.now_ns;
        for conn in &mut self.conns {
            let State::Down { retry_ns } = conn.state else { continue };
            // A send of the former life still holds the slot.
            if retry_ns > now_ns || conn.sending {
                continue;
            }
            let server = &self.plan.servers[conn.server];
            let fd = server.target.socket(self.plan.transport, self.plan.no_delay)?;
            ring.connect(fd.as_raw_fd(), server.address, conn.token(Op::Connect));
            self.kernel_ops += 1;
            conn.fd = Some(fd);
            conn.state = State::Connecting { since_ns: now_ns };
        }
        Ok(())
    }
}
