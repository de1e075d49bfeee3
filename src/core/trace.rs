//! What operations did, taken down for those who watch.
//!
//! A shard's token is held while operations run, perhaps by another core, so nothing is formatted
//! there: an operation leaves an [`Event`] of a few words, and only while somebody watches. The
//! core that asked makes log lines and counts of it afterwards. While nobody watches, an
//! operation pays one test of a flag that lies beside the reply it is writing.

use crate::shard::{Access, Hit, Key, Miss, Shard, StoreMode, StoreOptions, Stored};

/// What an operation found or changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// It read, or tried to.
    Got {
        found: Result<Seen, Miss>,
        /// `stats detail` counts it as a read.
        counts: bool,
    },
    /// It stored, or tried to.
    Stored { outcome: Stored, command: &'static str, ttl_s: u32, value_bytes: usize },
    /// It deleted, or found nothing to delete.
    Deleted { was: Option<Seen>, command: &'static str },
}

/// An item, as far as the log tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) class: u8,
    pub(super) value_bytes: usize,
}

/// The events of a group.
#[derive(Default)]
pub(super) struct Trace {
    on: bool,
    /// The operation that is at work, by its place in the group.
    operation: usize,
    events: Vec<(usize, Event)>,
}

impl Trace {
    /// Whether events are taken down.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Starts over, for another group.
    #[inline]
    pub(super) fn start(&mut self, on: bool) {
        self.on = on;
    }

    /// Another operation is at work.
    #[inline]
    pub(super) fn set_operation(&mut self, operation: usize) {
        self.operation = operation;
    }

    /// Takes the events of all operations, in the order of the requests.
    pub(super) fn take(&mut self) -> Vec<(usize, Event)> {
        let mut events = std::mem::take(&mut self.events);
        // Shards did their parts one after the other.
        events.sort_by_key(|(operation, _)| *operation);
        events
    }

    /// Gives the list's memory back for the next group.
    pub(super) fn give_back(&mut self, mut events: Vec<(usize, Event)>) {
        events.clear();
        self.events = events;
    }

    #[inline]
    pub(super) fn hit(&mut self, hit: &Hit<'_>, counts: bool) {
        if self.on {
            self.add(Event::Got { found: Ok(Seen::of(hit)), counts });
        }
    }

    #[inline]
    pub(super) fn missed(&mut self, miss: Miss, counts: bool) {
        if self.on {
            self.add(Event::Got { found: Err(miss), counts });
        }
    }

    /// What lies at a key that is about to be deleted, if anybody wants to know.
    #[inline]
    pub(super) fn look(&self, shard: &mut Shard, key: &Key<'_>) -> Option<Seen> {
        if self.on { shard.get(key, Access::Peek).map(|hit| Seen::of(&hit)) } else { None }
    }

    /// A command that changes an item in place has found it, or nothing.
    #[inline]
    pub(super) fn looked(&mut self, was: Option<Seen>, shard: &Shard) {
        if self.on {
            let found = was.ok_or_else(|| shard.last_miss());
            self.add(Event::Got { found, counts: false });
        }
    }

    /// A command that is no store has put an item at a key, as if by `command`.
    #[inline]
    pub(super) fn placed(
        &mut self,
        command: &'static str,
        shard: &mut Shard,
        key: &Key<'_>,
        ttl_s: u32,
    ) {
        if let Some(Seen { class, value_bytes }) = self.look(shard, key) {
            let outcome = Stored::Stored { cas: 0, value_bytes: value_bytes as u32, class };
            self.add(Event::Stored { outcome, command, ttl_s, value_bytes });
        }
    }

    #[inline]
    pub(super) fn deleted(&mut self, was: Option<Seen>, command: &'static str) {
        if self.on {
            self.add(Event::Deleted { was, command });
        }
    }

    #[cold]
    pub(super) fn add(&mut self, event: Event) {
        self.events.push((self.operation, event));
    }
}

impl Event {
    /// A store, on the cache's clock at `now`, of `value_bytes` as far as they are known.
    pub(super) fn stored(
        options: &StoreOptions,
        outcome: Stored,
        value_bytes: usize,
        now: u32,
    ) -> Self {
        let command = match options.mode {
            StoreMode::Set => "set",
            StoreMode::Add => "add",
            StoreMode::Replace => "replace",
            StoreMode::Append => "append",
            StoreMode::Prepend => "prepend",
            StoreMode::Cas(_) => "cas",
        };
        let ttl_s = options.exptime.saturating_sub(now);
        let value_bytes = match outcome {
            // The whole value, after an append as well.
            Stored::Stored { value_bytes, .. } => value_bytes as usize,
            _ => value_bytes,
        };
        Self::Stored { outcome, command, ttl_s, value_bytes }
    }
}

impl Seen {
    fn of(hit: &Hit<'_>) -> Self {
        Self { class: hit.class().0, value_bytes: hit.value_bytes() }
    }
}
