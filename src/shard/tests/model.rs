//! The shard against a plain map, under every operation at once.
//!
//! With ample memory the two must agree exactly. With little memory the shard may lose items, but
//! it never shows a value that the map does not have, and its parts always agree.

use std::collections::HashMap;

use super::{Random, key, set};
use crate::shard::{
    Access, Arithmetic, CLASSES_ALL, ClassId, Computed, DeleteOptions, Deleted, Pinned,
    Reservation, Shard, ShardConfig, StoreMode, StoreOptions, Stored,
};

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    value: Vec<u8>,
    flags: u32,
    exptime: u32,
    cas: u64,
    stale: bool,
}

struct Upload {
    name: Vec<u8>,
    reservation: Reservation,
    entry: Entry,
}

pub(in crate::shard) struct Model {
    pub(in crate::shard) shard: Shard,
    map: HashMap<Vec<u8>, Entry>,
    pins: Vec<(Pinned, Vec<u8>)>,
    uploads: Vec<Upload>,
    random: Random,
    /// Whether the shard may lose items.
    lossy: bool,
    refused: u32,
}

impl Model {
    fn new(seed: u64, memory_mb: usize, lossy: bool) -> Self {
        Self::on(Shard::new(Self::config(seed, memory_mb)).unwrap(), seed, lossy)
    }

    pub(in crate::shard) fn config(seed: u64, memory_mb: usize) -> ShardConfig {
        ShardConfig {
            memory_bytes: memory_mb << 20,
            item_bytes_max: 4 << 20,
            hash_power: 6,
            slab_chunk_bytes_max: if seed.is_multiple_of(2) { 512 << 10 } else { 16 << 10 },
            ..ShardConfig::default()
        }
    }

    pub(in crate::shard) fn on(shard: Shard, seed: u64, lossy: bool) -> Self {
        Self {
            shard,
            map: HashMap::new(),
            pins: Vec::new(),
            uploads: Vec::new(),
            random: Random(seed),
            lossy,
            refused: 0,
        }
    }

    fn name(&mut self) -> Vec<u8> {
        let number = self.random.below(400);
        let mut name = format!("key-{number}").into_bytes();
        if number.is_multiple_of(7) {
            name.resize(200, b'x');
        }
        name
    }

    fn value(&mut self) -> Vec<u8> {
        let bytes = match self.random.below(100) {
            0 => self.random.below(1_500_000),
            1..5 => self.random.below(100_000),
            5..30 => self.random.below(5_000),
            30..50 => return self.random.below(u64::from(u32::MAX)).to_string().into_bytes(),
            _ => self.random.below(120),
        };
        let first = self.random.next() as u8;
        (0..bytes as usize).map(|at| first.wrapping_add((at / 3) as u8)).collect()
    }

    fn exptime(&mut self) -> u32 {
        match self.random.below(3) {
            0 => self.shard.now() + self.random.below(40) as u32,
            _ => 0,
        }
    }

    /// Brings the map to what the shard still has of this key, and checks what it has.
    fn settle(&mut self, name: &[u8]) -> Option<Entry> {
        let now = self.shard.now();
        if self.map.get(name).is_some_and(|entry| entry.exptime != 0 && entry.exptime <= now) {
            self.map.remove(name);
        }
        let seen = self.shard.get(&key(name), Access::Peek).map(|hit| Entry {
            value: hit.pieces().collect::<Vec<_>>().concat(),
            flags: hit.client_flags(),
            exptime: hit.exptime(),
            cas: hit.cas(),
            stale: hit.stale(),
        });
        if seen.is_none() && self.lossy {
            self.map.remove(name);
        }
        let known = self.map.get(name).cloned();
        let brief = |entry: &Option<Entry>| {
            entry.as_ref().map(|e| (e.value.len(), e.flags, e.exptime, e.cas, e.stale))
        };
        let difference = (brief(&seen), brief(&known), self.shard.last_miss());
        assert!(seen == known, "{}: shard and map differ: {difference:?}", name.escape_ascii());
        known
    }

    fn put(&mut self, name: &[u8], stored: Stored, entry: Entry) {
        match stored {
            Stored::Stored { cas, value_bytes, .. } => {
                assert_eq!(value_bytes as usize, entry.value.len());
                self.map.insert(name.to_vec(), Entry { cas, ..entry });
            }
            other => self.refuse(name, other),
        }
    }

    /// The shard found no memory, which only a shard full of pins may.
    fn refuse(&mut self, name: &[u8], stored: Stored) {
        assert!(self.lossy, "{stored:?} with ample memory");
        self.refused += 1;
        self.settle(name);
    }

    fn store(&mut self) {
        let (name, value) = (self.name(), self.value());
        let old = self.settle(&name);
        let (flags, exptime) = (self.random.below(2) as u32 * 77, self.exptime());
        let cas = old.as_ref().map_or(5, |entry| entry.cas - self.random.below(3) / 2);
        let mode = match self.random.below(9) {
            0 => StoreMode::Add,
            1 => StoreMode::Replace,
            2 => StoreMode::Append,
            3 => StoreMode::Prepend,
            4 => StoreMode::Cas(cas),
            _ => StoreMode::Set,
        };
        let options = StoreOptions::new(mode, flags, exptime);
        let stored = self.shard.store(&key(&name), &options, &value);
        let entry = Entry { value, flags, exptime, cas: 0, stale: false };
        self.expect_stored(&name, mode, old, stored, entry);
    }

    fn expect_stored(
        &mut self,
        name: &[u8],
        mode: StoreMode,
        old: Option<Entry>,
        stored: Stored,
        entry: Entry,
    ) {
        match (mode, old) {
            (StoreMode::Add, Some(_)) => assert_eq!(stored, Stored::NotStored),
            (StoreMode::Replace | StoreMode::Append | StoreMode::Prepend, None) => {
                assert_eq!(stored, Stored::NotStored);
            }
            (StoreMode::Cas(_), None) => assert_eq!(stored, Stored::NotFound),
            (StoreMode::Cas(cas), Some(old)) if cas != old.cas => {
                assert_eq!(stored, Stored::Exists);
            }
            (StoreMode::Append | StoreMode::Prepend, Some(old)) => {
                let mut parts = [old.value.clone(), entry.value];
                if mode == StoreMode::Prepend {
                    parts.reverse();
                }
                let value = parts.concat();
                if value.len() > (4 << 20) - 400 {
                    assert!(stored == Stored::NotStored || value.len() < 4 << 20);
                } else {
                    self.put(name, stored, Entry { value, stale: false, ..old });
                }
            }
            _ => self.put(name, stored, entry),
        }
    }

    fn arithmetic(&mut self) {
        let name = self.name();
        let old = self.settle(&name);
        let options = Arithmetic::new(self.random.below(2) == 0, self.random.below(1 << 40));
        let computed = self.shard.arithmetic(&key(&name), &options);
        let Some(old) = old else { return assert_eq!(computed, Computed::NotFound) };
        let Computed::Value { number, cas, .. } = computed else {
            let digits = old.value.iter().all(u8::is_ascii_digit) && !old.value.is_empty();
            assert!(!digits || old.value.len() > 19 || self.lossy, "{computed:?}");
            return;
        };
        let text = String::from_utf8_lossy(&old.value).trim().to_string();
        if let Ok(before) = text.parse::<u64>() {
            let expected = if options.increment {
                before.wrapping_add(options.delta)
            } else {
                before.saturating_sub(options.delta)
            };
            assert_eq!(number, expected);
        }
        let mut value = number.to_string().into_bytes();
        value.resize(value.len().max(old.value.len()), b' ');
        let stale = self.stale(&name);
        self.map.insert(name, Entry { value, cas, stale, ..old });
    }

    fn stale(&mut self, name: &[u8]) -> bool {
        self.shard.get(&key(name), Access::Peek).unwrap().stale()
    }

    fn remove(&mut self) {
        let name = self.name();
        let old = self.settle(&name);
        let options = DeleteOptions {
            invalidate: self.random.below(4) == 0,
            cas_new: (self.random.below(2) == 0).then(|| self.random.next()),
            ..DeleteOptions::default()
        };
        let deleted = self.shard.delete_with(&key(&name), &options);
        match old {
            None => assert_eq!(deleted, Deleted::NotFound),
            Some(_) if deleted == Deleted::OutOfMemory => assert!(self.lossy),
            Some(old) if options.invalidate => {
                let hit = self.shard.get(&key(&name), Access::Peek).unwrap();
                let cas = hit.cas();
                assert!(hit.stale() && options.cas_new.is_none_or(|new| new == cas));
                self.map.insert(name, Entry { cas, stale: true, ..old });
            }
            Some(_) => {
                assert_eq!(deleted, Deleted::Deleted);
                self.map.remove(&name);
            }
        }
    }

    fn read(&mut self) {
        let name = self.name();
        let old = self.settle(&name);
        let access = match self.random.below(4) {
            0 => Access::Touch(self.exptime()),
            _ => Access::Get,
        };
        let Some(hit) = self.shard.get(&key(&name), access) else {
            return assert!(old.is_none());
        };
        let old = old.expect("a hit is in the map");
        if self.random.0.is_multiple_of(5) && self.pins.len() < 6 {
            self.pins.push((hit.pin(), old.value.clone()));
        }
        if let Access::Touch(exptime) = access {
            self.map.insert(name, Entry { exptime, ..old });
        }
    }

    fn unpin(&mut self) {
        if let Some((pinned, value)) = self.pins.pop() {
            assert!(pinned.pieces().collect::<Vec<_>>().concat() == value, "pinned bytes stay");
            self.shard.unpin(pinned);
        }
    }

    fn begin_upload(&mut self) {
        if self.uploads.len() >= 3 {
            return;
        }
        let (name, value, exptime) = (self.name(), self.value(), self.exptime());
        self.settle(&name);
        let options = StoreOptions::new(StoreMode::Set, 9, exptime);
        match self.shard.reserve(&key(&name), &options, value.len()) {
            Err(stored) => self.refuse(&name, stored),
            Ok(reservation) => {
                let entry = Entry { value, flags: 9, exptime, cas: 0, stale: false };
                self.uploads.push(Upload { name, reservation, entry });
            }
        }
    }

    fn end_upload(&mut self) {
        let Some(Upload { name, mut reservation, entry }) = self.uploads.pop() else { return };
        if self.random.below(4) == 0 {
            return self.shard.release(reservation);
        }
        let mut rest = entry.value.as_slice();
        while reservation.remaining() > 0 {
            if reservation.writable().is_empty() && !self.shard.extend(&mut reservation) {
                self.settle(&name);
                let stored = self.shard.refuse_rest(reservation);
                return self.refuse(&name, stored);
            }
            let room = reservation.writable();
            let count = room.len().min(1 + self.random.below(100_000) as usize);
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            reservation.advance(count);
        }
        self.settle(&name);
        let stored = self.shard.commit(reservation);
        self.put(&name, stored, entry);
    }

    fn administer(&mut self) {
        match self.random.below(40) {
            0..12 => self.shard.set_now(self.shard.now() + 1),
            12..20 => {
                let budget = self.random.below(2_000) as u32;
                let classes = [CLASSES_ALL, CLASSES_ALL, 0b1010][self.random.below(3) as usize];
                if self.random.below(4) == 0 {
                    self.shard.start_crawl_over();
                }
                self.shard.crawl(budget, classes);
            }
            20..28 => {
                self.shard.maintain(self.random.below(300) as u32);
            }
            28..32 if self.lossy => {
                let classes = self.shard.class_table().count() as u64;
                let [from, to] = [0; 2].map(|_| ClassId(1 + self.random.below(classes) as u8));
                self.shard.reassign((from.0 % 2 == 0).then_some(from), to);
            }
            32..34 if self.lossy => {
                let megabytes = 6 + self.random.below(12) as usize;
                assert!(self.shard.set_memory_bytes(megabytes << 20));
            }
            34 => {
                self.shard.flush(0);
                self.map.clear();
            }
            _ => self.shard.check(),
        }
    }

    /// Works on, and stops amid sends and uploads.
    pub(in crate::shard) fn work(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.random.below(100) {
                0..45 => self.store(),
                45..55 => self.arithmetic(),
                55..63 => self.remove(),
                63..85 => self.read(),
                85..88 => self.unpin(),
                88..91 => self.begin_upload(),
                91..94 => self.end_upload(),
                _ => self.administer(),
            }
        }
    }

    /// Goes on with a shard that was found again. What was under way is forgotten, as by a kill.
    pub(in crate::shard) fn go_on_with(&mut self, shard: Shard) {
        self.pins.drain(..).for_each(std::mem::forget);
        self.uploads.drain(..).for_each(std::mem::forget);
        self.shard = shard;
    }

    pub(in crate::shard) fn run(&mut self, steps: u32) {
        self.work(steps);
        while !self.pins.is_empty() {
            self.unpin();
        }
        while !self.uploads.is_empty() {
            self.end_upload();
        }
        self.shard.check();
        let names: Vec<_> = self.map.keys().cloned().collect();
        names.iter().for_each(|name| {
            self.settle(name);
        });
        assert_eq!(self.shard.pinned_count(), 0);
    }
}

#[test]
fn with_ample_memory_the_shard_is_a_map() {
    for seed in 0..4 {
        Model::new(seed, 1024, false).run(6_000);
    }
}

#[test]
fn with_little_memory_the_shard_loses_items_but_never_shows_wrong_ones() {
    for seed in 10..18 {
        let mut model = Model::new(seed, 12, true);
        model.run(6_000);
        assert!(model.shard.report().classes.evicted > 0);
        assert!(model.refused < 300, "{} stores refused", model.refused);
    }
}

#[test]
fn a_shard_that_may_not_evict_keeps_everything_it_accepted() {
    let config = ShardConfig { memory_bytes: 8 << 20, evict: false, ..ShardConfig::default() };
    let mut shard = Shard::new(config).unwrap();
    let options = StoreOptions::new(StoreMode::Set, 0, 0);
    let mut accepted = Vec::new();
    for number in 0..20_000_u32 {
        let name = format!("k{number}");
        let value = vec![number as u8; 1_000];
        match shard.store(&key(name.as_bytes()), &options, &value) {
            Stored::Stored { .. } => accepted.push((name, value)),
            other => assert_eq!(other, Stored::OutOfMemory),
        }
    }
    assert!(accepted.len() > 5_000 && accepted.len() < 20_000);
    for (name, value) in &accepted {
        assert_eq!(super::read(&mut shard, name.as_bytes()).as_ref(), Some(value));
    }
    let name = &accepted[0].0;
    assert!(shard.delete(&key(name.as_bytes())));
    set(&mut shard, b"new", &[1; 1_000]);
    shard.check();
}
