//! Handshakes, made beside the cores, and certificates read there.
//!
//! A handshake costs what thousands of requests cost: a signature of an RSA key alone takes about
//! half a millisecond. So a core makes none. While a session shakes hands, each piece of cipher
//! text that comes for it goes, with the session itself, to one of a few helper threads; what it
//! answers comes back to the core in its inbox. The helpers run at a lower priority and on any CPU:
//! where every CPU has a core, a core that has something to do goes first, and a flood of
//! handshakes slows down handshakes. They read certificates again, too, when a client asks for
//! that: a disk may keep them waiting, but no core.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

use super::shared::{Letter, Shared};
use crate::conn::ConnId;
use crate::os::priority;
use crate::tls::{Keeper, Opened, Session};

/// The queue of what waits for a helper.
#[derive(Default)]
pub struct Handshakes {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Errand>,
    is_closed: bool,
}

/// What a helper does for a core.
enum Errand {
    Handshake(Handshake),
    /// Reads the certificates again; `client` is told how that went.
    Refresh {
        core: usize,
        client: ConnId,
    },
}

/// Certificates were read again, or why they could not be.
pub(super) struct Refreshed {
    pub(super) client: ConnId,
    pub(super) outcome: Result<(), String>,
}

/// One step of a handshake to be made.
pub(super) struct Handshake {
    pub(super) core: usize,
    pub(super) conn: ConnId,
    pub(super) session: Session,
    /// What the client has sent.
    pub(super) received: Vec<u8>,
}

/// The step, made.
pub(super) struct Shaken {
    pub(super) conn: ConnId,
    pub(super) session: Session,
    pub(super) opened: Opened,
    /// What came behind the last message of the handshake.
    pub(super) plain: Vec<u8>,
    /// What is to be sent.
    pub(super) answer: Vec<u8>,
}

impl Handshake {
    fn make(self, scratch: &mut Vec<u8>) -> Shaken {
        let Self { conn, mut session, received, .. } = self;
        let (mut plain, mut answer) = (Vec::new(), Vec::new());
        let opened = session.open(&received, scratch, &mut plain, &mut answer);
        Shaken { conn, session, opened, plain, answer }
    }
}

impl Handshakes {
    /// Has a helper make a step; its outcome comes to the core's inbox.
    pub(super) fn begin(&self, handshake: Handshake) {
        self.send(Errand::Handshake(handshake));
    }

    /// Has a helper read the certificates again; its outcome comes to the core's inbox.
    pub(super) fn refresh(&self, core: usize, client: ConnId) {
        self.send(Errand::Refresh { core, client });
    }

    fn send(&self, errand: Errand) {
        let mut queue = self.queue.lock().expect("no thread panics with the lock");
        queue.waiting.push_back(errand);
        drop(queue);
        self.changed.notify_one();
    }

    /// Sends the helpers home.
    pub fn close(&self) {
        self.queue.lock().expect("no thread panics with the lock").is_closed = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Errand> {
        let queue = self.queue.lock().expect("no thread panics with the lock");
        let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_closed;
        let woken = self.changed.wait_while(queue, is_idle);
        woken.expect("no thread panics with the lock").waiting.pop_front()
    }
}

/// Makes handshakes and reads certificates, on a thread of its own, until there will be no more.
pub fn help_with_handshakes(shared: &Shared) {
    priority::step_back();
    let mut scratch = Vec::new();
    while let Some(errand) = shared.handshakes.next() {
        let (core, letter) = match errand {
            Errand::Handshake(handshake) => {
                let core = handshake.core;
                (core, Letter::Shaken(Box::new(handshake.make(&mut scratch))))
            }
            Errand::Refresh { core, client } => {
                let outcome = shared.tls.as_ref().map_or(Ok(()), Keeper::refresh);
                (core, Letter::Refreshed(Refreshed { client, outcome }))
            }
        };
        shared.inboxes[core].post(letter);
    }
}
