//! One core's cache: items in a slab arena, an index over them, LRU lists, expiry.
//!
//! It knows no sockets, no threads and no protocol text; a [`Shard`] is `Send` and is used by one
//! thread at a time, whoever holds its token. It allocates nothing after [`Shard::new`] except
//! for rare administration.
//!
//! The story, in the order in which the files tell it:
//!
//! - `slab`: the arena, its pages and chunks; all raw memory access is there;
//! - `item`, `chain`: what lies in a chunk; values longer than the largest chunk;
//! - `index`: from hash to chunk; `lists`: the LRU lists;
//! - `lookup`, `store`, `remove`, `arithmetic`: the operations on a key;
//! - `place`: how an item comes into being and ends; `evict`: which goes when room is needed;
//!   `mover`: how pages change classes;
//! - `expiry`: flushing, and the crawler that finds expired items;
//! - `pin`, `upload`: large values that are sent from, or received into, the arena;
//! - `stats`, `dump`, `evicted`, `moves`: what administrators see;
//! - `file`, `restore`: the cache in a file, and how it is found again.
//!
//! # How to use it from a loop
//!
//! Hash all keys of a batch with [`hash_key`], call [`Shard::prefetch_bucket`] for each, then
//! [`Shard::prefetch_item`] for each, then run the operations: the memory latencies overlap and
//! a lookup in a table far larger than the caches costs less than half. Call [`Shard::set_now`]
//! when the second changes and [`Shard::maintain`] when there is time.
//!
//! # Memory
//!
//! Pages and index together stay within `memory_bytes`. When the index must grow and all pages
//! are in use, a page is evacuated and its memory goes back to the system.

mod age;
mod arithmetic;
mod chain;
#[cfg(any(test, debug_assertions))]
mod check;
mod dump;
mod evict;
mod evicted;
mod expiry;
mod file;
mod index;
mod item;
mod lists;
mod lookup;
mod mover;
mod moves;
mod options;
mod pin;
mod place;
mod remove;
mod restore;
mod slab;
mod stats;
mod store;
mod upload;

#[cfg(test)]
mod tests;

use std::io;
use std::task::Waker;

pub use dump::{DumpCursor, DumpItem};
pub use evicted::{Evicted, EvictedRecord};
pub use expiry::{CLASSES_ALL, Crawled};
pub use file::{Found, Geometry, MemoryFile};
pub use lookup::Hit;
pub use mover::Reassigned;
pub use moves::{PageMove, PageMoves};
pub use options::{
    Access, Arithmetic, Computed, DeleteOptions, Deleted, GetOptions, Key, LruConfig, Miss,
    ShardConfig, StoreMode, StoreOptions, Stored, Vivify,
};
pub use pin::Pinned;
pub use restore::Unusable;
pub use slab::{
    CLASS_COUNT_MAX, ClassId, ClassTable, FilePart, PageKind, Supply, TABLE_MEMORY_BYTES,
};
pub use stats::{ClassCounters, ClassReport, Counters, ShardReport};
pub use upload::Reservation;

use crate::config::limits::SHARD_BYTES_MAX;
use evict::Pressure;
use expiry::{Crawler, Flush};
use index::{Growth, Index};
use item::{Loc, LocUnit};
use lists::Lists;
use mover::Mover;
use pin::Pins;
use slab::{Entry, PAGE_BYTES, PAGES_MAX, Slabs};

/// The hash by which keys are routed and found. The highest bits are for routing between
/// shards; the shard itself uses bits 0 to 47.
#[must_use]
#[inline]
pub fn hash_key(seed: u64, key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(key, seed)
}

/// One core's cache.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    /// Seconds; never goes back.
    now: u32,
    /// The number of the latest store. CAS ids are made of it.
    sequence: u64,
    flush: Flush,
    index: Index,
    slabs: Slabs,
    lists: Lists,
    last_miss: Miss,
    class_counters: Box<[ClassCounters; CLASS_COUNT_MAX + 1]>,
    counters: Counters,
    pressure: Pressure,
    mover: Mover,
    crawler: Crawler,
    pins: Pins,
    /// While somebody watches.
    evicted: Option<Box<Evicted>>,
    moves: Option<Box<PageMoves>>,
}

/// Address space for a later increase of the memory limit.
const RESERVE_FACTOR: usize = 4;
const RESERVE_BYTES_MIN: usize = 1 << 30;
/// What a shard may have beside its pages in the range that locations reach.
const RESERVE_BESIDE_BYTES: usize = 64 << 20;
/// The index takes at most this part of the memory (one part in eight), even if all items are of
/// the smallest size.
const INDEX_PARTS_MIN: usize = 8;
/// More stores than a second has time for: the book is ahead of the sequence by as many.
const STORES_PER_SECOND_MAX: u64 = 1 << 28;
/// Fewest pages a shard works with, whatever the limit says: one for each of a few classes.
const PAGES_MIN: usize = 4;

impl Shard {
    /// Makes an empty shard. With `large_pages` this takes all its memory at once.
    ///
    /// # Errors
    /// When the system has no addresses, or with `large_pages` no memory, for it.
    ///
    /// # Panics
    /// If the configuration is senseless: a shard number beyond the count, a growth factor of 1.
    pub fn new(config: ShardConfig) -> io::Result<Self> {
        let reserve = (config.memory_bytes.saturating_mul(RESERVE_FACTOR))
            .clamp(RESERVE_BYTES_MIN, pages_bytes_max(config.memory_bytes));
        let slabs = Slabs::new(class_table(&config), reserve, page_kind(&config))?;
        let mut shard = Self::with(config, slabs)?;
        if shard.config.large_pages {
            shard.slabs.populate()?;
        }
        Ok(shard)
    }

    /// A shard without items that works with these pages.
    fn with(config: ShardConfig, slabs: Slabs) -> io::Result<Self> {
        assert!(config.index < config.count, "shard number below the count");
        let pages_bytes = slabs.pages_limit() as usize * PAGE_BYTES;
        let items_max = pages_bytes / slabs.table.chunk_bytes(ClassId(1));
        let (grows, kind) = (config.index_grows, page_kind(&config));
        let index = Index::new(config.hash_power, items_max, grows, kind)?;
        let mut shard = Self {
            now: 2,
            sequence: 0,
            flush: Flush::default(),
            index,
            slabs,
            lists: Lists::new(),
            last_miss: Miss::NotFound,
            class_counters: Box::new([ClassCounters::default(); CLASS_COUNT_MAX + 1]),
            counters: Counters::default(),
            pressure: Pressure::default(),
            mover: Mover::default(),
            crawler: Crawler::default(),
            pins: Pins::default(),
            evicted: None,
            moves: None,
            config,
        };
        shard.divide_memory(0);
        Ok(shard)
    }

    /// From now on memory is provided before it is needed, by whoever calls [`Supply::provide`]
    /// when `waker` wakes him. Without that each huge page is had from the kernel at its first
    /// touch, for which all requests wait.
    pub fn supply(&mut self, waker: &Waker) -> Supply {
        let index_bytes = self.config.memory_bytes / INDEX_PARTS_MIN;
        let [buckets, groups, spare] = self.index.supply(index_bytes, waker);
        Supply::new([self.slabs.supply(waker), buckets, groups, spare].into_iter().flatten())
    }

    /// Sets the clock: seconds since some start, from 2 on. Going back is ignored.
    #[inline]
    pub fn set_now(&mut self, now: u32) {
        if now > self.now {
            self.now = now;
            self.begin_second();
        }
    }

    #[cold]
    fn begin_second(&mut self) {
        self.flush_if_due();
        self.note_progress(STORES_PER_SECOND_MAX);
    }

    /// Writes down how far the shard is, and that sequences may rise by `ahead` until next time.
    fn note_progress(&mut self, ahead: u64) {
        let arena = &mut self.slabs.arena;
        arena.note(Entry::Now, self.now.into());
        arena.note(Entry::SequenceMax, self.sequence + ahead);
        arena.note(Entry::Items, self.index.len() as u64);
    }

    /// The clock.
    #[must_use]
    pub const fn now(&self) -> u32 {
        self.now
    }

    /// The configuration as it is now.
    #[must_use]
    pub const fn config(&self) -> &ShardConfig {
        &self.config
    }

    /// The sizes of chunks.
    #[must_use]
    pub const fn class_table(&self) -> &ClassTable {
        &self.slabs.table
    }

    /// What kind of memory pages the arena and the index lie on.
    #[must_use]
    pub const fn page_kinds(&self) -> (PageKind, PageKind) {
        (self.slabs.arena.kind(), self.index.kind())
    }

    /// First step of a batch of lookups: fetches the bucket.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Second step of a batch of lookups: fetches the item, if the bucket has one that may be it.
    #[inline]
    pub fn prefetch_item(&self, hash: u64) {
        if let Some(loc) = self.index.candidate(hash) {
            self.slabs.prefetch_item(loc);
        }
    }

    /// Changes the memory bound. A lower one is reached step by step, by stores and
    /// [`Shard::maintain`]. False if all memory was taken at start or the addresses reserved
    /// then do not suffice.
    pub fn set_memory_bytes(&mut self, bytes: usize) -> bool {
        let limit = self.slabs.pages_limit() as usize * PAGE_BYTES;
        if self.config.large_pages || bytes > limit {
            return false;
        }
        self.config.memory_bytes = bytes;
        self.divide_memory(0);
        true
    }

    /// Changes shares and ages of the segments, or their use at all.
    pub fn tune_lru(&mut self, lru: LruConfig) {
        self.config.lru = lru;
    }

    /// Changes whether pages move between classes by age.
    pub fn set_automove(&mut self, automove: u8, ratio: f64) {
        self.config.automove = automove;
        self.config.automove_ratio = ratio;
    }

    /// Gives the slabs what the index leaves, if it is to have `index_bytes` more.
    fn divide_memory(&mut self, index_bytes: usize) {
        let index_bytes = self.index.bytes() + index_bytes;
        let pages = self.config.memory_bytes.saturating_sub(index_bytes) / PAGE_BYTES;
        self.slabs.set_pages_max(pages.max(PAGES_MIN) as u32);
    }

    /// Splits one bucket of the index if that is due and there is memory for it.
    #[inline]
    fn grow_index(&mut self) {
        // What is left would hold less than a quarter more items.
        let is_dear = 4 * self.slabs.pages_available() < self.slabs.pages_in_classes();
        match self.index.growth(is_dear) {
            Growth::Idle => return,
            Growth::Ready => {}
            Growth::Needs(bytes) => {
                self.divide_memory(bytes);
                if self.slabs.pages_over() > 0 {
                    return;
                }
            }
        }
        let (arena, seed) = (&self.slabs.arena, self.config.hash_seed);
        self.index.split(|loc| hash_key(seed, arena.key(loc)), |loc| arena.prefetch(loc));
    }

    /// The hash of an item's key.
    fn hash_of(&self, loc: Loc) -> u64 {
        hash_key(self.config.hash_seed, self.slabs.arena.key(loc))
    }

    /// Whether an item is past its time, and by what.
    #[inline]
    fn death(&self, loc: Loc) -> Option<Miss> {
        let (header, exptime) = (self.slabs.arena.header(loc), self.slabs.arena.exptime(loc));
        if header.sequence() <= self.flush.cut {
            Some(Miss::Flushed)
        } else if exptime != 0 && exptime <= self.now {
            Some(Miss::Expired)
        } else {
            None
        }
    }

    /// The CAS id of an item as clients see it; 0 without CAS.
    #[inline]
    fn cas_of(&self, loc: Loc) -> u64 {
        if !self.config.cas {
            return 0;
        }
        let own = || self.cas_from(self.slabs.arena.header(loc).sequence());
        self.slabs.arena.wide_cas(loc).unwrap_or_else(own)
    }

    /// Sequences of different shards give different ids, and none is 0.
    #[inline]
    fn cas_from(&self, sequence: u64) -> u64 {
        let (count, index) = (u64::from(self.config.count), u64::from(self.config.index));
        sequence * count + index + 1
    }

    #[inline]
    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    #[inline]
    fn counters_of(&mut self, class: ClassId) -> &mut ClassCounters {
        &mut self.class_counters[usize::from(class.0)]
    }
}

/// The sizes of chunks that a configuration asks for.
fn class_table(config: &ShardConfig) -> ClassTable {
    let chunk_bytes_max = config.slab_chunk_bytes_max.min(PAGE_BYTES);
    if config.slab_sizes.is_empty() {
        let (min, factor) = (config.chunk_bytes_min, config.growth_factor);
        ClassTable::new(min, factor, chunk_bytes_max, config.memory_bytes)
    } else {
        ClassTable::of(&config.slab_sizes, chunk_bytes_max, config.memory_bytes)
    }
}

/// Most bytes of pages that a shard can ever have if it has `memory_bytes` at first.
const fn pages_bytes_max(memory_bytes: usize) -> usize {
    let reach_bytes = LocUnit::of_shard(memory_bytes).reach_bytes() - RESERVE_BESIDE_BYTES;
    let in_book = PAGES_MAX * PAGE_BYTES;
    if reach_bytes < in_book { reach_bytes } else { in_book }
}

const _: () = assert!(SHARD_BYTES_MAX <= PAGES_MAX * PAGE_BYTES, "the book has all pages");

/// The kind of memory page that a configuration asks for.
const fn page_kind(config: &ShardConfig) -> PageKind {
    if config.large_pages { PageKind::Reserved } else { PageKind::Transparent }
}
