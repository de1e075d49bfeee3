//! What callers say to a shard and what it answers: plain values, no behaviour.
//!
//! Times are seconds of the shard clock (see [`Shard::set_now`](super::Shard::set_now)); an
//! expiry time of 0 means never, and an item whose expiry time is at or before now is dead.
//! Whoever speaks a protocol translates its own notion of time into this one.

/// How one shard is set up. All values are plain; a configuration fills them.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// This shard's number, below `count`.
    pub index: u8,
    /// Number of shards in the process, at least 1. CAS ids interleave by it.
    pub count: u8,
    /// Bytes that slab pages and index together may occupy.
    pub memory_bytes: usize,
    /// Room for key, value and flags that the smallest chunk offers at least (`-n`).
    pub chunk_bytes_min: usize,
    /// Ratio of one chunk size to the next smaller (`-f`), above 1.
    pub growth_factor: f64,
    /// Sizes of all chunks but the largest (`-o slab_sizes`), in place of those two if not empty.
    pub slab_sizes: Vec<usize>,
    /// Largest item: header, key and value together (`-I`).
    pub item_bytes_max: usize,
    /// Largest chunk; at most half a page. Larger items are chains of chunks.
    pub slab_chunk_bytes_max: usize,
    /// Whether live items may be evicted to make room (not `-M`).
    pub evict: bool,
    /// Whether CAS ids are shown and compared (not `-C`).
    pub cas: bool,
    /// Whether to take reserved 2 MB pages and all memory at start (`-L`).
    pub large_pages: bool,
    /// Initial size of the index: room for about 2^hash_power items.
    pub hash_power: u8,
    /// Whether the index grows with the number of items.
    pub index_grows: bool,
    /// Seed of the key hash, the same for all shards of a process.
    pub hash_seed: u64,
    /// Shares and ages of the segments.
    pub lru: LruConfig,
    /// Whether pages may move between classes.
    pub reassign: bool,
    /// 0: pages move only when asked or when a class has nothing left; 1: also by age; 2: at any
    /// difference of age.
    pub automove: u8,
    /// A page moves by age to a class whose age is below this part of the giver's.
    pub automove_ratio: f64,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            index: 0,
            count: 1,
            memory_bytes: 64 << 20,
            chunk_bytes_min: 48,
            growth_factor: 1.25,
            slab_sizes: Vec::new(),
            item_bytes_max: 1 << 20,
            slab_chunk_bytes_max: 512 << 10,
            evict: true,
            cas: true,
            large_pages: false,
            hash_power: 16,
            index_grows: true,
            hash_seed: 0,
            lru: LruConfig::default(),
            reassign: true,
            automove: 1,
            automove_ratio: 0.8,
        }
    }
}

/// Shares and ages of the LRU segments of every class.
#[derive(Clone, Copy, Debug)]
pub struct LruConfig {
    /// Share of a class's bytes that HOT may hold, in percent.
    pub hot_pct: u8,
    /// Share of a class's bytes that WARM may hold, in percent.
    pub warm_pct: u8,
    /// An item leaves HOT when idle for longer than this times the age of the COLD tail.
    pub hot_factor: f64,
    /// An item leaves WARM when idle for longer than this times the age of the COLD tail.
    pub warm_factor: f64,
    /// Items that live at most so many seconds go to TEMP, whose items are not evicted.
    pub temporary_ttl: Option<u32>,
    /// HOT, WARM and COLD; else one list a class.
    pub segmented: bool,
    /// With `segmented`: new items are on probation in HOT; else HOT, WARM and COLD are
    /// memcached's segmented LRU.
    pub probation: bool,
}

impl Default for LruConfig {
    fn default() -> Self {
        Self {
            hot_pct: 20,
            warm_pct: 40,
            hot_factor: 0.2,
            warm_factor: 2.0,
            temporary_ttl: None,
            segmented: true,
            probation: true,
        }
    }
}

/// A key together with its hash, so that it is hashed once.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// 1 to 250 bytes of any value.
    pub bytes: &'a [u8],
    /// What [`hash_key`](super::hash_key) says about `bytes` with the process's seed.
    pub hash: u64,
}

/// What a lookup does besides finding the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Counts as a get and marks the item as used.
    Get,
    /// Counts as a touch, marks the item as used and gives it this expiry time.
    Touch(u32),
    /// Counts nothing and marks nothing.
    Peek,
}

/// A lookup in full, as the meta protocol needs it.
#[derive(Clone, Copy, Debug)]
pub struct GetOptions {
    /// What is counted and changed.
    pub access: Access,
    /// Whether the item is marked as used (not `u`). `Peek` never marks.
    pub bump: bool,
    /// On a miss, create an empty item.
    pub vivify: Option<Vivify>,
}

impl GetOptions {
    /// A plain lookup.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self { access, bump: true, vivify: None }
    }
}

/// The empty item that a miss creates.
#[derive(Clone, Copy, Debug)]
pub struct Vivify {
    /// Its expiry time.
    pub exptime: u32,
    /// Its CAS id, or `None` for the next one.
    pub cas: Option<u64>,
    /// Whether the client spelled the key in base64.
    pub key_binary: bool,
}

/// When a store takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// Always.
    Set,
    /// Only if the key is absent.
    Add,
    /// Only if the key is present.
    Replace,
    /// Adds behind the present value, keeping its flags and expiry time.
    Append,
    /// Adds before the present value, keeping its flags and expiry time.
    Prepend,
    /// Only if the present item's CAS id is this.
    Cas(u64),
}

/// A store in full.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// When the store takes effect.
    pub mode: StoreMode,
    /// The client's opaque number.
    pub client_flags: u32,
    /// Expiry time, 0 = never.
    pub exptime: u32,
    /// For `Append` and `Prepend`: the present item's CAS id must be this.
    pub cas_compare: Option<u64>,
    /// The new item's CAS id, or `None` for the next one.
    pub cas_new: Option<u64>,
    /// With `Cas`: a lower id than the present one stores all the same and marks the item stale.
    pub invalidate: bool,
    /// For `Append` and `Prepend`: on a miss store the value with this expiry time.
    pub vivify: Option<u32>,
    /// Whether the client spelled the key in base64; dumps spell it so again.
    pub key_binary: bool,
    /// Whether an item that is too large, or finds no memory, deletes the present one. True for
    /// `Set` by [`StoreOptions::new`].
    pub remove_on_failure: bool,
}

impl StoreOptions {
    /// A store as the classic text protocol knows it.
    #[must_use]
    pub const fn new(mode: StoreMode, client_flags: u32, exptime: u32) -> Self {
        Self {
            mode,
            client_flags,
            exptime,
            cas_compare: None,
            cas_new: None,
            invalidate: false,
            vivify: None,
            key_binary: false,
            remove_on_failure: matches!(mode, StoreMode::Set),
        }
    }
}

/// What became of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It took effect.
    Stored {
        /// The item's CAS id, 0 without CAS.
        cas: u64,
        /// Length of the whole value that the item has now.
        value_bytes: u32,
        /// The item's slab class, for the log.
        class: u8,
    },
    /// The mode's condition did not hold, or an append found no room.
    NotStored,
    /// The CAS id differs.
    Exists,
    /// `Cas` of an absent key.
    NotFound,
    /// Item over the limit.
    TooLarge,
    /// Nothing could be evicted.
    OutOfMemory,
}

/// A delete in full.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteOptions {
    /// Only if the CAS id is this.
    pub cas_compare: Option<u64>,
    /// Do not delete: mark stale, give a new CAS id, forget that a token was sent.
    pub invalidate: bool,
    /// Do not delete: empty the value and zero the client flags.
    pub clear: bool,
    /// New expiry time; only with `invalidate` or `clear`.
    pub exptime: Option<u32>,
    /// CAS id to set with `invalidate` or `clear`; `invalidate` otherwise takes the next one,
    /// `clear` alone keeps the old.
    pub cas_new: Option<u64>,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Gone, or marked as asked.
    Deleted,
    /// There was none.
    NotFound,
    /// The CAS id differs.
    Exists,
    /// `clear` found no memory for the empty item.
    OutOfMemory,
}

/// An increment or decrement in full.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    /// Up (modulo 2^64) or down (not below 0).
    pub increment: bool,
    /// By how much.
    pub delta: u64,
    /// Only if the CAS id is this.
    pub cas_compare: Option<u64>,
    /// The CAS id to set, or `None` for the next one.
    pub cas_new: Option<u64>,
    /// New expiry time.
    pub exptime: Option<u32>,
    /// On a miss: store this number with this expiry time.
    pub vivify: Option<(u64, u32)>,
    /// Whether the client spelled the key in base64, for an item that the miss creates.
    pub key_binary: bool,
}

impl Arithmetic {
    /// Plain `incr` or `decr`.
    #[must_use]
    pub const fn new(increment: bool, delta: u64) -> Self {
        Self {
            increment,
            delta,
            cas_compare: None,
            cas_new: None,
            exptime: None,
            vivify: None,
            key_binary: false,
        }
    }
}

/// What became of an increment or decrement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// The item has this value now.
    Value {
        /// The number.
        number: u64,
        /// The item's CAS id, 0 without CAS.
        cas: u64,
        /// The item's expiry time.
        exptime: u32,
        /// Whether the miss created it.
        created: bool,
    },
    /// There was none, and none was created.
    NotFound,
    /// The CAS id differs.
    Exists,
    /// The value is not a number.
    NonNumeric,
    /// No room for the longer number.
    OutOfMemory,
}

/// Why the last lookup found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No such key.
    NotFound,
    /// It had reached its expiry time.
    Expired,
    /// A flush had ended it.
    Flushed,
}
