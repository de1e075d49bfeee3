//! What all cores see: the shards, the settings, each core's counters and inbox.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::admin::Administration;
use super::auth::Guard;
use super::counters::CoreCounters;
use super::handshakes::{Handshakes, Refreshed, Shaken};
use super::seen::Seen;
use crate::config::{Config, Manner};
use crate::mesh::Lent;
use crate::os::clock::Clock;
use crate::shard::Shard;
use crate::tls::Keeper;

/// One server's common ground.
pub struct Shared {
    /// The settings that the process was started with.
    pub config: Config,
    /// The key space, one part per core.
    pub shards: Vec<Lent<Shard>>,
    /// Seed of the key hash.
    pub hash_seed: u64,
    /// The clock that expiry times are told in.
    pub clock: Clock,
    /// One inbox per core.
    pub inboxes: Vec<Inbox>,
    /// One set of counters per core, written by that core alone.
    pub counters: Vec<CoreCounters>,
    /// Connections of each core, those on their way included.
    pub placement: Mutex<Vec<usize>>,
    /// By shard: bytes of the values that are on their way into it.
    pub upload_bytes: Vec<AtomicUsize>,
    /// Verbosity, which a client may change.
    pub verbosity: AtomicU8,
    /// Set when the server should stop; the inboxes carry the news to the cores.
    pub stopping: AtomicBool,
    /// Cores that still run.
    pub cores_running: AtomicUsize,
    /// Cores that have heard that they should end.
    pub cores_draining: AtomicUsize,
    /// Who may come in, if not everybody.
    pub guard: Option<Guard>,
    /// With TLS: the certificates and keys.
    pub tls: Option<Keeper>,
    /// With TLS: handshakes that wait to be made.
    pub handshakes: Handshakes,
    /// With UDP: the hosts that may be sent more than they asked with.
    pub seen: Option<Seen>,
    /// What administrators change and watch.
    pub admin: Administration,
}

impl Shared {
    /// Wakes every core with `note`.
    pub fn tell_all(&self, note: Note) {
        for inbox in &self.inboxes {
            inbox.post(Letter::Note(note));
        }
    }

    /// Reads again what may change while the server runs. A file that can't be read is told on
    /// stderr, and what was read before stays in force.
    pub fn reload(&self) {
        if let Some(Err(failure)) = self.guard.as_ref().map(Guard::reload) {
            eprintln!("ringcached: {failure}; the users read before stay");
        }
        if let Some(Err(failure)) = self.tls.as_ref().map(Keeper::refresh) {
            eprintln!("ringcached: {failure}; the certificates read before stay");
        }
    }

    /// Tells every core to answer what it has received and end. False if that was said before.
    pub fn stop(&self) -> bool {
        let is_first = !self.stopping.swap(true, Ordering::AcqRel);
        if is_first {
            self.tell_all(Note::Drain);
        }
        is_first
    }
}

/// What a core is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Look after the shard: expired items, pages.
    Maintain,
    /// Walk through the shard in search of dead items.
    Crawl {
        /// Of these classes, as bits.
        classes: u64,
    },
    /// Lines wait for a watcher.
    Log,
    /// Accepting has stopped, or goes on.
    Doors,
    /// Accept no more, answer what has been received, then end.
    Drain,
}

/// What an inbox carries.
pub(super) enum Letter {
    /// A connection that another core accepted, and how its client talks.
    Adopt(OwnedFd, Manner),
    /// A step of a connection's handshake, made.
    Shaken(Box<Shaken>),
    /// The certificates that a connection asked to have read again.
    Refreshed(Refreshed),
    /// News.
    Note(Note),
}

/// Where other threads leave letters for a core. Rare things only: requests for keys go through
/// the mesh.
pub struct Inbox {
    letters: Mutex<Vec<Letter>>,
    event: EventFd,
}

impl Inbox {
    /// An empty inbox.
    ///
    /// # Errors
    /// What `eventfd(2)` answered.
    pub fn new() -> nix::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { letters: Mutex::default(), event })
    }

    /// Leaves a letter and wakes the core.
    pub(super) fn post(&self, letter: Letter) {
        self.letters.lock().expect("no thread panics with the lock").push(letter);
        // The counter of an eventfd overflows after 2^64 - 2 wake-ups that nobody read.
        self.event.write(1).expect("an eventfd takes a wake-up");
    }

    /// Takes all letters.
    pub(super) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut self.letters.lock().expect("no thread panics with the lock"))
    }

    /// Whether all letters have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.letters.lock().expect("no thread panics with the lock").is_empty()
    }

    /// The descriptor that is readable when there are letters.
    pub(super) fn descriptor(&self) -> RawFd {
        self.event.as_fd().as_raw_fd()
    }
}
