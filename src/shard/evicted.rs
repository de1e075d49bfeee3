//! What was evicted, taken down while somebody watches.
//!
//! An eviction happens inside of a store, under the shard's token, so nothing is formatted there:
//! the item's key and a few numbers go into memory that was taken when the watching began. What
//! finds no room is counted.

use super::item::{Header, Loc, flag};
use super::{ClassId, Shard};

/// Evictions that are taken down between two readings.
const RECORDS_MAX: usize = 1024;
/// Bytes of their keys together.
const KEY_BYTES_MAX: usize = 64 << 10;

/// Items that were evicted, oldest first.
#[derive(Debug, Default)]
pub struct Evicted {
    records: Vec<EvictedRecord>,
    keys: Vec<u8>,
    lost: u64,
}

/// One of them, without its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictedRecord {
    key_end: usize,
    /// Whether it was ever read.
    pub fetched: bool,
    /// Seconds that it had to live, if it was to end.
    pub ttl_s: Option<u32>,
    /// Seconds since it was last used.
    pub idle_s: u32,
    /// Its class.
    pub class: ClassId,
    /// Length of its value.
    pub value_bytes: usize,
}

impl Evicted {
    /// Takes memory for what is taken down between two readings, if it has none yet.
    pub fn make_room(&mut self) {
        self.records.reserve(RECORDS_MAX - self.records.len());
        self.keys.reserve(KEY_BYTES_MAX - self.keys.len());
    }

    /// The items with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], EvictedRecord)> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let key = &self.keys[start..record.key_end];
            start = record.key_end;
            (key, *record)
        })
    }

    /// How many found no room.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.records.clear();
        self.keys.clear();
        self.lost = 0;
    }

    fn take_down(&mut self, key: &[u8], mut record: EvictedRecord) {
        if self.records.len() == RECORDS_MAX || self.keys.len() + key.len() > KEY_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.keys.extend_from_slice(key);
        record.key_end = self.keys.len();
        self.records.push(record);
    }
}

impl Shard {
    /// Takes down what is evicted from now on, or no longer does so.
    pub fn watch_evictions(&mut self, wanted: bool) {
        if !wanted {
            self.evicted = None;
        } else if self.evicted.is_none() {
            let mut evicted = Box::<Evicted>::default();
            evicted.make_room();
            self.evicted = Some(evicted);
        }
    }

    /// Exchanges what was evicted since the last time for `other`, which is empty and has room.
    pub fn swap_evicted(&mut self, other: &mut Evicted) {
        if let Some(evicted) = &mut self.evicted {
            std::mem::swap(&mut **evicted, other);
        }
    }

    /// Takes an item down that is about to be evicted.
    #[cold]
    pub(super) fn take_down_evicted(&mut self, class: ClassId, loc: Loc, header: &Header) {
        let exptime = self.slabs.arena.exptime(loc);
        let record = EvictedRecord {
            key_end: 0,
            fetched: header.has(flag::FETCHED),
            ttl_s: (exptime != 0).then(|| exptime.saturating_sub(self.now)),
            idle_s: header.idle_s(self.now),
            class,
            value_bytes: self.slabs.arena.value_bytes(loc),
        };
        let key = self.slabs.arena.key(loc);
        if let Some(evicted) = &mut self.evicted {
            evicted.take_down(key, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let record = EvictedRecord {
            key_end: 0,
            fetched: false,
            ttl_s: None,
            idle_s: 3,
            class: ClassId(1),
            value_bytes: 5,
        };
        let mut evicted = Evicted::default();
        evicted.make_room();
        evicted.take_down(b"first", record);
        evicted.take_down(b"", record);
        evicted.take_down(b"last", record);
        let keys: Vec<&[u8]> = evicted.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&b"first"[..], b"", b"last"]);
        for _ in 0..RECORDS_MAX {
            evicted.take_down(b"x", record);
        }
        assert_eq!((evicted.iter().count(), evicted.lost()), (RECORDS_MAX, 3));
        evicted.clear();
        assert_eq!((evicted.iter().count(), evicted.lost()), (0, 0));
        let key = [b'k'; 250];
        (0..KEY_BYTES_MAX / 250 + 1).for_each(|_| evicted.take_down(&key, record));
        assert_eq!((evicted.iter().count(), evicted.lost()), (KEY_BYTES_MAX / 250, 1));
    }
}
