//! The end of a core: what has been received is answered, then all connections close.
//!
//! When the news comes, each listener hands over the connections that wait to be accepted and
//! refuses all others, and each connection is asked how many bytes lie unread in its socket. Those
//! are still taken in and their requests answered. So is what comes right behind them, which the
//! peer's own socket may have held back; but only for [`GRACE`], so that clients who never stop
//! sending can't keep the server from its end. What comes later is dropped.
//!
//! A connection that has been sent all replies stays open until they have arrived at the other end:
//! to close a socket in which bytes lie unread resets the connection, and the kernel then throws
//! away what is still on its way.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::Ending;
use super::state::State;
use super::turn::Core;
use crate::config::Manner;
use crate::config::limits::DRAIN_S_MAX;
use crate::conn::ConnId;
use crate::os::sockets;
use crate::ring::{Completion, Op, Wait};

/// How long a core on its way out sleeps at most: what keeps a connection open may pass at any
/// moment.
const SLEEP: Duration = Duration::from_millis(20);

/// Turns in which only is reaped what the kernel has ready: bytes that it had already taken out of
/// a socket are no longer among the unread ones.
const TURNS: u32 = 3;

/// How long more bytes may follow those that were there in time.
const GRACE: Duration = Duration::from_millis(500);

/// A core on its way out.
pub(super) struct Drain {
    since: Instant,
    turns_left: u32,
    /// By slot.
    inflows: HashMap<u32, Inflow>,
}

/// What a connection has still to take in.
struct Inflow {
    /// Bytes that were there in time.
    unread: usize,
    /// When bytes came last, if any did since the news.
    last_at: Option<Instant>,
}

impl Drain {
    /// Counts what came in during a turn.
    pub(super) fn received(&mut self, state: &State, completions: &[Completion]) {
        for completion in completions {
            let is_receive = completion.token.op() == Op::Receive;
            if !is_receive || state.tenant(completion.token).is_none() {
                continue;
            }
            let slot = completion.token.slot();
            match usize::try_from(completion.result) {
                // The end of the stream comes behind all bytes.
                Ok(0) => drop(self.inflows.remove(&slot)),
                Ok(bytes) => {
                    if let Some(inflow) = self.inflows.get_mut(&slot) {
                        inflow.unread = inflow.unread.saturating_sub(bytes);
                        inflow.last_at = Some(Instant::now());
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// What the loop waits for meanwhile.
    pub(super) fn wait(&self) -> Wait {
        if self.turns_left > 0 { Wait::POLL } else { Wait::one(SLEEP) }
    }

    fn note(&mut self, id: ConnId, socket: i32) {
        let inflow = Inflow { unread: sockets::unread_bytes(socket), last_at: None };
        self.inflows.insert(id.index, inflow);
    }

    fn is_all_read(&self, id: ConnId) -> bool {
        self.inflows.get(&id.index).is_none_or(|inflow| {
            let is_quiet = inflow.last_at.is_none_or(|last| last.elapsed() >= SLEEP);
            inflow.unread == 0 && (is_quiet || self.since.elapsed() >= GRACE)
        })
    }

    fn is_late(&self) -> bool {
        self.since.elapsed().as_secs() >= DRAIN_S_MAX
    }
}

impl Core {
    /// Takes no more connections. Those there are end once all that they have received is answered.
    pub(super) fn begin_drain(&mut self) {
        if self.drain.is_some() {
            return;
        }
        let mut drain = Drain { since: Instant::now(), turns_left: TURNS, inflows: HashMap::new() };
        for id in self.state.clients.ids().collect::<Vec<_>>() {
            if let Some(client) = self.state.clients.get_mut(id) {
                client.conn.hold();
                drain.note(id, client.conn.fd);
            }
        }
        self.drain = Some(drain);
        self.disarm_listeners();
        let listeners = self.listeners.iter().map(|listener| (listener.fd, listener.manner));
        for (listener, manner) in listeners.collect::<Vec<_>>() {
            for socket in sockets::close_listener(listener) {
                self.take_late(socket, manner);
            }
        }
        self.state.shared.cores_draining.fetch_add(1, Ordering::AcqRel);
    }

    /// A connection that was complete when the end began, and accepted after that. It stays here:
    /// another core might be gone before it hears of it.
    pub(super) fn take_late(&mut self, socket: OwnedFd, manner: Manner) {
        if self.state.count_in_here() {
            self.adopt(socket, manner);
        }
    }

    /// Takes in a connection that was counted in for this core.
    pub(super) fn adopt(&mut self, socket: OwnedFd, manner: Manner) {
        let fd = socket.as_raw_fd();
        let id = self.state.adopt(socket, manner);
        if let Some(drain) = &mut self.drain {
            drain.note(id, fd);
            if let Some(client) = self.state.clients.get_mut(id) {
                client.conn.hold();
            }
        }
    }

    /// Ends the connections whose time has come.
    pub(super) fn go_on_draining(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        drain.turns_left = drain.turns_left.saturating_sub(1);
        if drain.turns_left > 0 {
            return;
        }
        for id in self.state.clients.ids().collect::<Vec<_>>() {
            let Some(client) = self.state.clients.get_mut(id) else { continue };
            let conn = &mut client.conn;
            if conn.is_open() && !conn.is_paused() && drain.is_all_read(id) {
                client.ending = Ending::Shutdown;
                conn.finish();
            }
            if conn.is_only_held() && sockets::unarrived_bytes(conn.fd) == 0 {
                conn.release();
            }
            self.state.list(id);
        }
        self.state.carry_out_plans(&mut self.ring);
    }

    /// True when there is nothing left to do, or no time to do it.
    pub(super) fn is_done(&self) -> bool {
        let shared = &self.state.shared;
        self.drain.as_ref().is_some_and(|drain| {
            // A core that has not heard of the end may still send connections here.
            let all_know = || shared.cores_draining.load(Ordering::Acquire) == shared.shards.len();
            let has_mail = || !shared.inboxes[self.state.index].is_empty();
            let is_empty = drain.turns_left == 0 && self.state.clients.is_empty();
            drain.is_late() || (is_empty && all_know() && !has_mail())
        })
    }
}
