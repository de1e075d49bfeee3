//! The server's memory as arithmetic: header, slab class, page, index.
//!
//! An item is a header, four bytes of client flags unless they are zero, key and value. It lies
//! in the smallest chunk that holds it; chunks of one size fill pages of 1 MB, and each thread's
//! shard has pages of its own. Beside the pages stands the index of 64-byte buckets; `-m` bounds
//! both together. The sums here are exact but for two things that only chance decides: how evenly
//! hashing deals items to shards, and how full the last page of each class is.

use std::collections::BTreeMap;

use super::sizes::Sizes;

const PAGE_BYTES: usize = 1 << 20;
const CHUNK_BYTES_MAX: usize = PAGE_BYTES / 2;
/// With a small factor the last class follows far above the one before it.
const CLASSES_MAX: usize = 63;
const ITEM_HEADER_BYTES: usize = 26;
/// What the smallest class adds to `-n`.
const CLASS_HEADER_BYTES: usize = 16;
const CLIENT_FLAGS_BYTES: usize = 4;
const BUCKET_BYTES: f64 = 64.0;
const BUCKET_SLOTS: f64 = 12.0;
/// A shard's index starts to double when this part of its slots is taken.
const INDEX_FILL: f64 = 0.8;
/// Buckets of all shards together at the start, for the default `-o hashpower`.
const INDEX_BUCKETS_FIRST: f64 = 8192.0;

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

/// The chunk sizes, ascending, that a shape makes.
#[must_use]
pub fn classes(shape: &Shape) -> Vec<usize> {
    let mut classes = Vec::new();
    let mut size = align(CLASS_HEADER_BYTES + shape.chunk_bytes_min);
    let last = CHUNK_BYTES_MAX as f64 / shape.growth_factor;
    while (size as f64) < last && classes.len() < CLASSES_MAX - 1 {
        classes.push(size);
        size = align((size as f64 * shape.growth_factor) as usize).max(size + 8);
    }
    classes.push(CHUNK_BYTES_MAX);
    classes
}

const fn align(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// What `items` items whose key and value together are spread like `payload` take.
///
/// `flagged` is the share of items with client flags other than zero.
#[must_use]
pub fn footprint(items: f64, payload: &Sizes, flagged: f64, shape: &Shape) -> Footprint {
    let classes = classes(shape);
    let header = ITEM_HEADER_BYTES as f64;
    let mut chunks: BTreeMap<usize, f64> = BTreeMap::new();
    for (bytes, share) in payload.iter() {
        for (extra, part) in [(0, 1.0 - flagged), (CLIENT_FLAGS_BYTES, flagged)] {
            if part > 0.0 {
                let item = bytes + header + extra as f64;
                place(item, items * share * part, &classes, &mut chunks);
            }
        }
    }
    let payload_bytes = items * payload.mean();
    let header_bytes = items * (header + CLIENT_FLAGS_BYTES as f64 * flagged);
    let chunk_bytes: f64 = chunks.iter().map(|(&size, count)| size as f64 * count).sum();
    let pages: f64 = chunks.iter().map(|(&size, &count)| pages(size, count, shape)).sum();
    Footprint {
        items,
        payload_bytes,
        header_bytes,
        rounding_bytes: chunk_bytes - payload_bytes - header_bytes,
        page_bytes: pages * PAGE_BYTES as f64 - chunk_bytes,
        index_bytes: buckets(items) * BUCKET_BYTES,
    }
}

/// Counts the chunks of `count` items: one each, or a chain of the largest for those above it.
fn place(item_bytes: f64, count: f64, classes: &[usize], chunks: &mut BTreeMap<usize, f64>) {
    let whole = (item_bytes / CHUNK_BYTES_MAX as f64).floor();
    let rest = item_bytes - whole * CHUNK_BYTES_MAX as f64;
    if whole > 0.0 {
        *chunks.entry(CHUNK_BYTES_MAX).or_default() += whole * count;
    }
    if rest > 0.0 || whole == 0.0 {
        let class = classes.partition_point(|&size| (size as f64) < rest.ceil());
        *chunks.entry(classes[class]).or_default() += count;
    }
}

/// Pages of one class over all shards; each shard's last page counts in full.
fn pages(chunk_bytes: usize, count: f64, shape: &Shape) -> f64 {
    let per_page = (PAGE_BYTES / chunk_bytes) as f64;
    let threads = shape.threads as f64;
    (count / threads / per_page).ceil() * threads
}

/// Buckets of the index, over all shards: doubled a bucket for each store once it is full.
fn buckets(items: f64) -> f64 {
    let mut buckets = INDEX_BUCKETS_FIRST;
    loop {
        let beyond = items - buckets * BUCKET_SLOTS * INDEX_FILL;
        if beyond < buckets {
            return buckets + beyond.max(0.0);
        }
        buckets *= 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Sizes {
        text.parse().expect("a spread")
    }

    #[test]
    fn classes_grow_by_the_factor_in_steps_of_eight() {
        let classes = classes(&Shape::default());
        assert_eq!(classes[..6], [64, 80, 104, 136, 176, 224]);
        assert_eq!(classes.last(), Some(&CHUNK_BYTES_MAX));
        for pair in classes.windows(2) {
            assert!(pair[0] < pair[1] && pair[0] % 8 == 0, "{pair:?}");
        }
    }

    #[test]
    fn parts_of_a_footprint_sum_to_pages_and_index() {
        // 26 + 14 + 64 = 104 bytes are a class of their own: nothing is lost within a chunk.
        let found = footprint(5e6, &payload("14").plus(&payload("64")), 0.0, &Shape::default());
        assert_eq!(found.rounding_bytes, 0.0);
        let pages = (5e6 / 10082.0_f64).ceil();
        let sum = found.total_bytes() - found.index_bytes;
        assert!((sum - pages * PAGE_BYTES as f64).abs() < 1.0, "{sum}");
    }

    #[test]
    fn flags_and_threads_cost_what_they_cost() {
        let one = footprint(1e6, &payload("78"), 0.0, &Shape::default());
        let flagged = footprint(1e6, &payload("78"), 1.0, &Shape::default());
        // Four bytes more than the class of 104 holds: each item is one class up.
        assert_eq!(flagged.header_bytes - one.header_bytes, 4e6);
        assert_eq!(flagged.rounding_bytes, 1e6 * (136.0 - 108.0));
        let shape = Shape { threads: 8, ..Shape::default() };
        let eight = footprint(10.0, &payload("78"), 0.0, &shape);
        assert!(eight.total_bytes() > 8.0 * PAGE_BYTES as f64, "each shard has its own page");
    }

    #[test]
    fn the_index_takes_between_five_and_eleven_bytes_an_item() {
        let mut items = 2e5;
        while items < 1e9 {
            let each = buckets(items) * BUCKET_BYTES / items;
            assert!((5.3..=12.1).contains(&each), "{each} at {items}");
            items *= 1.01;
        }
        let doubling = buckets(8192.0 * 9.6 + 100.0);
        assert!((doubling - 8292.0).abs() < 1e-6, "a bucket for each store: {doubling}");
    }

    #[test]
    fn an_item_above_the_largest_chunk_is_a_chain() {
        let found = footprint(100.0, &payload("1000000"), 0.0, &Shape::default());
        assert!(found.rounding_bytes >= 0.0);
        assert!(found.total_bytes() < 100.0 * 1.2e6, "{}", found.total_bytes());
    }
}
