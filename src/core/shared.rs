//! What all cores see: the shards, the settings, each core's counters and inbox.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::config::Config;
use crate::mesh::Lent;
use crate::os::clock::Clock;
use crate::shard::Shard;

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
    /// Verbosity, which a client may change.
    pub verbosity: AtomicU8,
    /// Set when the server should stop; the inboxes carry the news to the cores.
    pub stopping: AtomicBool,
    /// Cores that still run.
    pub cores_running: AtomicUsize,
}

impl Shared {
    /// Wakes every core with `note`.
    pub fn tell_all(&self, note: Note) {
        for inbox in &self.inboxes {
            inbox.post(Letter::Note(note));
        }
    }
}

/// What a core is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Look after the shard: expired items, pages.
    Maintain,
    /// Accept no more, answer what has been received, then end.
    Drain,
}

/// What an inbox carries.
pub(super) enum Letter {
    /// A connection that another core accepted.
    Adopt(OwnedFd),
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

    /// The descriptor that is readable when there are letters.
    pub(super) fn descriptor(&self) -> RawFd {
        self.event.as_fd().as_raw_fd()
    }
}

/// Counters of one core, on cache lines of their own. Only that core adds to them, so an addition
/// is a load and a store; everybody may read.
#[derive(Default)]
#[repr(align(128))]
pub struct CoreCounters {
    /// Bytes received.
    pub bytes_read: Counter,
    /// Bytes sent.
    pub bytes_written: Counter,
    /// Connections open now.
    pub connections: Counter,
    /// Connections ever opened.
    pub connections_total: Counter,
    /// Connections refused at the limit.
    pub rejected: Counter,
    /// Connections closed for having been idle.
    pub idle_kicks: Counter,
    /// `flush_all` commands.
    pub flushes: Counter,
    /// `me` commands, which memcached counts as `cmd_meta`.
    pub metas: Counter,
    /// Authentications, and those that failed.
    pub auths: Counter,
    /// Authentications that failed.
    pub auth_errors: Counter,
    /// Loop turns.
    pub turns: Counter,
    /// Operations on keys.
    pub operations: Counter,
    /// Groups run on a shard, and those that its token's holder ran for us.
    pub groups: Counter,
    /// Groups that were run by another core.
    pub groups_posted: Counter,
    /// Completion queue overflows.
    pub overflows: Counter,
    /// Receives that found no provided buffer.
    pub buffers_missing: Counter,
    /// Accepts that failed, for want of descriptors above all.
    pub accept_errors: Counter,
    /// Blocks of reply memory made.
    pub blocks: Counter,
}

/// A number that one thread adds to and all may read.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, on the one thread that writes.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.get().wrapping_add(count), Ordering::Relaxed);
    }

    /// Subtracts, on the one thread that writes.
    #[inline]
    pub fn sub(&self, count: u64) {
        self.0.store(self.get().wrapping_sub(count), Ordering::Relaxed);
    }

    /// Sets, on the one thread that writes.
    #[inline]
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// The number now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
