//! The server's memory as arithmetic: header, slab class, page, index.
//!
//! An item is a header, four bytes of expiry time if it was ever given one, four of client flags
//! unless they are zero, key and value. It lies in the smallest chunk that holds it; chunks of one
//! size fill pages of 1 MB. Beside the pages stands the index, cache lines of twelve places each,
//! and `-m` bounds both together. Each thread's shard has pages and an index of its own, and gets
//! its keys by chance: what is reckoned here is a shard that drew somewhat more than its share, for
//! the fullest one evicts first.
//!
//! The table of classes is the server's own; the rest follows its essays on item and index.

use std::collections::BTreeMap;

use ringcached::config::limits::{
    HASH_POWER_DEFAULT, SLAB_CHUNK_BYTES_MAX_DEFAULT as CHUNK_BYTES_MAX,
    SLAB_PAGE_BYTES as PAGE_BYTES,
};
use ringcached::shard::{ClassTable, TABLE_MEMORY_BYTES};

use super::sizes::Sizes;

/// Of an item that has none of the [`Parts`].
pub(super) const ITEM_HEADER_BYTES: usize = 22;
/// Bytes of each part.
pub(super) const PART_BYTES: usize = 4;
/// A value from this size on has its length in a further field.
const LARGE_VALUE_BYTES: f64 = 65536.0;
const LARGE_BYTES: f64 = 16.0;

const BUCKET_BYTES: f64 = 64.0;
/// Items that a bucket holds on average when the index starts to double.
const LOAD_MAX: f64 = 10.8;
/// Share of the pages that are in use when memory counts as scarce from then on.
const SCARCE_FROM: f64 = 0.8;
/// Items that a bucket then holds on average when the index starts to grow, and those that it holds
/// at least once the index has grown by a quarter.
const LOADS_SCARCE: (f64, f64) = (11.5, 9.6);
/// Buckets that share a line for what overflows.
const GROUP_BUCKETS: f64 = 32.0;
/// Beyond its first 2 MB a table grows by as much.
const TABLE_STEP_BYTES: f64 = 2097152.0;

/// Shares of the items that have a part in their header that others do without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// Client flags other than zero.
    pub flagged: f64,
    /// An expiry time.
    pub expiring: f64,
}

impl Parts {
    /// How many parts, and what share of the items has so many.
    fn shares(self) -> [(usize, f64); 3] {
        let Self { flagged, expiring } = self;
        let both = flagged * expiring;
        let either = flagged + expiring - both;
        [(0, 1.0 - either), (1, either - both), (2, both)]
    }
}

/// The flags that shape memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// `-n`, in bytes.
    pub chunk_bytes_min: usize,
    /// `-f`, above 1.
    pub growth_factor: f64,
    /// `-t`, at least 1.
    pub threads: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { chunk_bytes_min: 48, growth_factor: 1.25, threads: 1 }
    }
}

/// What a data set takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    /// Items, as given.
    pub items: f64,
    /// Bytes of keys and values.
    pub payload_bytes: f64,
    /// Bytes of headers and client flags.
    pub header_bytes: f64,
    /// Bytes lost between items and the ends of their chunks.
    pub rounding_bytes: f64,
    /// Bytes lost at the ends of pages and in pages not yet full.
    pub page_bytes: f64,
    /// Bytes of the index.
    pub index_bytes: f64,
}

impl Footprint {
    /// All of it: what `-m` must allow.
    #[must_use]
    pub fn total_bytes(&self) -> f64 {
        self.payload_bytes + self.overhead_bytes()
    }

    /// All but keys and values.
    #[must_use]
    pub fn overhead_bytes(&self) -> f64 {
        self.header_bytes + self.rounding_bytes + self.page_bytes + self.index_bytes
    }
}

/// The table of classes that a shape makes of shards of so many bytes.
#[must_use]
pub fn classes(shape: &Shape, shard_bytes: usize) -> ClassTable {
    ClassTable::new(shape.chunk_bytes_min, shape.growth_factor, CHUNK_BYTES_MAX, shard_bytes)
}

/// What `items` items whose key and value together are spread like `payload` take.
#[must_use]
pub fn footprint(items: f64, payload: &Sizes, parts: Parts, shape: &Shape) -> Footprint {
    let of_table =
        |shard_bytes| footprint_in(items, payload, parts, shape, &classes(shape, shard_bytes));
    // Shards with more memory have a finer table, if with it the items take so much at all.
    let (coarsest, finer) = TABLE_MEMORY_BYTES.split_first().expect("there is a table");
    let of_finer = finer.iter().rev().map(|&shard_bytes| (shard_bytes, of_table(shard_bytes)));
    let takes = |(shard_bytes, footprint): &(usize, Footprint)| {
        footprint.total_bytes() >= *shard_bytes as f64 * shape.threads as f64
    };
    of_finer.into_iter().find(takes).map_or_else(|| of_table(*coarsest), |(_, footprint)| footprint)
}

fn footprint_in(
    items: f64,
    payload: &Sizes,
    parts: Parts,
    shape: &Shape,
    classes: &ClassTable,
) -> Footprint {
    let threads = shape.threads as f64;
    let in_shard = fullest_shard(items, threads);
    let header = ITEM_HEADER_BYTES as f64;
    let mut chunks: BTreeMap<usize, f64> = BTreeMap::new();
    let mut header_bytes = 0.0;
    for (bytes, share) in payload.iter() {
        let large = if bytes < LARGE_VALUE_BYTES { 0.0 } else { LARGE_BYTES };
        for (count, part) in parts.shares() {
            if part > 0.0 {
                let beside = header + large + (count * PART_BYTES) as f64;
                let count = in_shard * share * part;
                header_bytes += beside * count * threads;
                place(beside + bytes, count, classes, &mut chunks);
            }
        }
    }
    let payload_bytes = in_shard * threads * payload.mean();
    let chunk_bytes: f64 = chunks.iter().map(|(&size, count)| size as f64 * count).sum();
    let pages: f64 = chunks.iter().map(|(&size, &count)| pages(size, count)).sum();
    // What chance adds to one shard is told with the pages: the payload stays the operator's.
    let chance = 1.0 - items / (in_shard * threads);
    let page_bytes = (pages * PAGE_BYTES as f64 - chunk_bytes) * threads;
    Footprint {
        items,
        payload_bytes: payload_bytes * (1.0 - chance),
        header_bytes: header_bytes * (1.0 - chance),
        rounding_bytes: (chunk_bytes * threads - payload_bytes - header_bytes) * (1.0 - chance),
        page_bytes: page_bytes + chunk_bytes * threads * chance,
        index_bytes: index_bytes(in_shard, shape.threads) * threads,
    }
}

/// Items of a shard that drew two standard deviations more than its share.
fn fullest_shard(items: f64, threads: f64) -> f64 {
    let mean = items / threads;
    mean + 2.0 * (mean * (1.0 - 1.0 / threads)).sqrt()
}

/// Counts the chunks of `count` items: one each, or a chain of the largest for those above it.
fn place(item_bytes: f64, count: f64, classes: &ClassTable, chunks: &mut BTreeMap<usize, f64>) {
    let whole = (item_bytes / CHUNK_BYTES_MAX as f64).floor();
    let rest = (item_bytes - whole * CHUNK_BYTES_MAX as f64).ceil() as usize;
    if whole > 0.0 {
        *chunks.entry(CHUNK_BYTES_MAX).or_default() += whole * count;
    }
    if rest > 0 || whole == 0.0 {
        let chunk = classes.chunk_bytes(classes.class_for(rest));
        *chunks.entry(chunk).or_default() += count;
    }
}

/// Pages of one class in one shard; the last one counts in full.
fn pages(chunk_bytes: usize, count: f64) -> f64 {
    (count / (PAGE_BYTES / chunk_bytes) as f64).ceil()
}

/// The index of one shard: buckets, and a line for each group of them.
fn index_bytes(items: f64, threads: usize) -> f64 {
    let first = f64::from(1 << HASH_POWER_DEFAULT) / 8.0 / threads.next_power_of_two() as f64;
    let lines = buckets(items, first) * BUCKET_BYTES;
    table_bytes(lines) + table_bytes(lines / GROUP_BUCKETS)
}

/// The buckets of a shard that so many items fill: doubled whenever they are full while memory is
/// plenty, then grown no further than the items need.
fn buckets(items: f64, first: f64) -> f64 {
    let mut buckets = first;
    while buckets * LOAD_MAX < items * SCARCE_FROM {
        buckets *= 2.0;
    }
    let (start, dense) = LOADS_SCARCE;
    let load = items / buckets;
    if load > 1.25 * dense {
        return items / dense;
    }
    let grown = 0.25 * (load - start) / (1.25 * dense - start);
    buckets * (1.0 + grown.max(0.0))
}

fn table_bytes(need: f64) -> f64 {
    if need < TABLE_STEP_BYTES { need } else { (need / TABLE_STEP_BYTES).ceil() * TABLE_STEP_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Parts = Parts { flagged: 0.0, expiring: 0.0 };

    fn payload(text: &str) -> Sizes {
        text.parse().expect("a spread")
    }

    #[test]
    fn parts_of_a_footprint_sum_to_pages_and_index() {
        // 22 + 14 + 64 = 100 bytes are a class of their own: nothing is lost within a chunk.
        let found = footprint(5e6, &payload("14").plus(&payload("64")), NONE, &Shape::default());
        assert!(found.rounding_bytes.abs() < 1e-3, "{}", found.rounding_bytes);
        let pages = (5e6 / 10485.0_f64).ceil();
        let sum = found.total_bytes() - found.index_bytes;
        assert!((sum - pages * PAGE_BYTES as f64).abs() < 1.0, "{sum}");
    }

    #[test]
    fn flags_and_threads_cost_what_they_cost() {
        let of = |parts| footprint(1e6, &payload("82"), parts, &Shape::default());
        let flagged = of(Parts { flagged: 1.0, ..NONE });
        assert_eq!(flagged.header_bytes - of(NONE).header_bytes, 4e6);
        // 108 bytes in a chunk of 112.
        assert_eq!(flagged.rounding_bytes, 1e6 * (112.0 - 108.0));
        assert_eq!(of(Parts { expiring: 1.0, ..NONE }), flagged);
        let half = of(Parts { flagged: 0.5, expiring: 0.5 });
        assert!((half.header_bytes - flagged.header_bytes).abs() < 1e-3);
        let both = of(Parts { flagged: 1.0, expiring: 1.0 });
        assert_eq!(both.header_bytes - flagged.header_bytes, 4e6);
        let shape = Shape { threads: 8, ..Shape::default() };
        let eight = footprint(10.0, &payload("78"), NONE, &shape);
        assert!(eight.total_bytes() > 8.0 * PAGE_BYTES as f64, "each shard has its own page");
    }

    #[test]
    fn the_index_takes_between_five_and_ten_bytes_an_item() {
        let mut items = 2e5;
        while items < 1e9 {
            let each = buckets(items, 8192.0) * BUCKET_BYTES / items;
            assert!((5.5..=9.6).contains(&each), "{each} at {items}");
            items *= 1.01;
        }
        assert_eq!(buckets(8192.0 * 11.5, 8192.0), 8192.0, "it isn't full yet");
        assert!((buckets(8192.0 * 12.0, 8192.0) / 8192.0 - 1.25).abs() < 1e-6);
        assert!((buckets(8192.0 * 13.4, 8192.0) / 8192.0 - 13.4 / 9.6).abs() < 1e-6);
        assert_eq!(buckets(8192.0 * 13.6, 8192.0), 16384.0, "memory was plenty when it was full");
    }

    #[test]
    fn an_item_above_the_largest_chunk_is_a_chain() {
        let found = footprint(100.0, &payload("1000000"), NONE, &Shape::default());
        assert!(found.rounding_bytes >= 0.0);
        assert!(found.total_bytes() < 100.0 * 1.2e6, "{}", found.total_bytes());
    }
}
