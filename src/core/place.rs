//! New connections: which core takes one, and when none may be taken.
//!
//! Every core accepts on listeners of its own (`SO_REUSEPORT`), and the kernel spreads connections
//! over them by a hash of the addresses: evenly over many, badly over few (of eight connections on
//! two cores, in 29 of 100 cases one gets six or more). So the core that accepts looks at how many
//! each core has and gives the connection to the one with the fewest, itself if that is a tie. The
//! counts are changed under one lock, once a connection, so two cores can't both choose the same
//! last place.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use super::client::Client;
use super::secure::Secure;
use super::shared::{Letter, Note};
use super::state::State;
use crate::config::{self, Manner};
use crate::conn::ConnId;
use crate::protocol::{Binding, Parser};

/// What a client above the limit is told, as by memcached.
const TOO_MANY: &[u8] = b"ERROR Too many open connections\r\n";

impl State {
    /// Finds a place for a connection just accepted.
    pub(super) fn place(&mut self, socket: OwnedFd, manner: Manner) {
        let Some(core) = self.choose() else {
            if self.shared.config.maxconns_fast {
                self.counters().rejected.add(1);
                refuse(&socket);
            } else {
                self.let_wait(socket, manner);
            }
            return;
        };
        if core == self.index {
            self.adopt(socket, manner);
        } else {
            self.shared.inboxes[core].post(Letter::Adopt(socket, manner));
        }
    }

    /// Counts the connection in at the core with the fewest.
    fn choose(&self) -> Option<usize> {
        let mut counts = self.shared.placement.lock().expect("no thread panics with the lock");
        if counts.iter().sum::<usize>() >= self.shared.config.connections_max {
            return None;
        }
        let fewest = *counts.iter().min()?;
        let core = if counts[self.index] == fewest {
            self.index
        } else {
            counts.iter().position(|count| *count == fewest)?
        };
        counts[core] += 1;
        Some(core)
    }

    /// Counts a connection in here, wherever others are fewer. False at the limit.
    pub(super) fn count_in_here(&self) -> bool {
        let mut counts = self.shared.placement.lock().expect("no thread panics with the lock");
        let has_room = counts.iter().sum::<usize>() < self.shared.config.connections_max;
        counts[self.index] += usize::from(has_room);
        has_room
    }

    /// Takes in a connection that was counted in for this core.
    pub(super) fn adopt(&mut self, socket: OwnedFd, manner: Manner) -> ConnId {
        let fd = socket.into_raw_fd();
        let client = self.welcome(fd, manner);
        let id = self.clients.insert(client);
        let peer = self.registry().add(id, fd, self.clock.now);
        if let (Some(seen), Some(peer)) = (&self.shared.seen, peer) {
            seen.connected(peer.ip(), self.clock.now);
        }
        self.log_connection("conn_new", peer, format_args!("cfd={fd}"));
        self.counters().connections_total.add(1);
        self.list(id);
        id
    }

    /// A client that talks in this manner.
    fn welcome(&self, fd: RawFd, manner: Manner) -> Client {
        let binding = binding_of(manner.protocol);
        let parser = Parser::new(binding, self.gate, self.limits);
        let now = self.clock.now;
        let session = match (manner.tls, &self.shared.tls) {
            (Some(check), Some(keeper)) => keeper.session(check),
            _ => return Client::new(fd, parser, now),
        };
        match session {
            Ok(session) => Client::of_session(fd, parser, Secure::new(session), now),
            Err(_) => {
                let mut client = Client::new(fd, parser, now);
                client.conn.close();
                client
            }
        }
    }

    /// Stops accepting until a connection ends; this one goes first then.
    fn let_wait(&mut self, socket: OwnedFd, manner: Manner) {
        if self.shared.admin.accepting.close_on(socket, manner) {
            self.shared.tell_all(Note::Doors);
        }
        // A connection may have ended since the places were counted.
        self.admit_waiting();
    }

    /// Lets those in who wait, as far as there are places, and opens the doors behind them.
    fn admit_waiting(&mut self) {
        while !self.is_full() {
            let Some((socket, manner)) = self.shared.admin.accepting.next_waiting() else {
                if self.shared.admin.accepting.open() {
                    self.shared.tell_all(Note::Doors);
                }
                return;
            };
            self.place(socket, manner);
        }
    }

    fn is_full(&self) -> bool {
        let counts = self.shared.placement.lock().expect("no thread panics with the lock");
        counts.iter().sum::<usize>() >= self.shared.config.connections_max
    }

    /// Forgets a connection whose socket has been closed.
    pub(super) fn forget(&mut self, id: ConnId) {
        let Some(mut client) = self.clients.remove(id) else { return };
        let (messages, pins) = client.take_leftovers(&mut self.blocks);
        for message in messages.into_iter().flatten() {
            self.blocks.give_message(message);
        }
        self.unpin(pins);
        if let Some(upload) = client.upload.take() {
            self.abandon_upload(id, *upload);
        }
        client.input.clear(&mut self.inputs);
        if let Some(task) = client.task.take() {
            self.end_task(id, &task);
        }
        let peer = self.registry().remove(id);
        if let (Some(seen), Some(peer)) = (&self.shared.seen, peer) {
            seen.disconnected(peer.ip(), self.clock.now);
        }
        let rest = format_args!("reason={} cfd={}", client.ending.name(), client.conn.fd);
        self.log_connection("conn_close", peer, rest);
        self.counters().connections_closed.add(1);
        self.shared.placement.lock().expect("no thread panics with the lock")[self.index] -= 1;
        if !self.shared.config.maxconns_fast {
            self.admit_waiting();
        }
    }
}

/// The parser's name of a protocol.
pub(super) const fn binding_of(protocol: config::Binding) -> Binding {
    match protocol {
        config::Binding::Auto => Binding::Auto,
        config::Binding::Ascii => Binding::Ascii,
        config::Binding::Binary => Binding::Binary,
    }
}

/// Tells a client that there is no place, if its socket takes the line at once, and hangs up.
fn refuse(socket: &OwnedFd) {
    let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT | nix::sys::socket::MsgFlags::MSG_NOSIGNAL;
    let _ = nix::sys::socket::send(socket.as_raw_fd(), TOO_MANY, flags);
}
