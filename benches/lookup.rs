//! What the shard costs without network and protocol: stores and lookups of small items, one at
//! a time and in batches with prefetch.
//!
//! `cargo bench --bench lookup` runs all with five million items; `-- <items> <part>...` takes
//! another number and only the parts named. The last figure of each line is nanoseconds of one
//! operation; run it under `perf stat` or callgrind with a single part for instructions.

use ringcached::shard::{Access, Key, Shard, ShardConfig, StoreMode, StoreOptions, hash_key};

const KEY_BYTES: usize = 14;
const VALUE: [u8; 64] = [b'v'; 64];
const SEED: u64 = 7;
const BATCH_MAX: usize = 64;
const LOOKUPS: u64 = 4_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let items = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(5_000_000);
    let wants = |part: &str| arguments.len() < 2 || arguments[1..].iter().any(|a| a == part);
    let mut shard = filled(items);
    if wants("get") {
        for batch in [1, 4, 8, 16, 32, 64] {
            lookups(&mut shard, items, batch);
        }
    }
    if wants("set") {
        for batch in [1, 16] {
            overwrites(&mut shard, items, batch);
        }
    }
    drop(shard);
    if wants("evict") {
        evictions(items);
    }
}

/// A shard with room to spare that holds `items` items.
fn filled(items: u64) -> Shard {
    let mut shard = new_shard(4 << 30);
    let start = Clock::now();
    (0..items).for_each(|number| store(&mut shard, number));
    report("store new", items, start);
    let known = shard.report();
    assert_eq!(known.items, items);
    let bytes = known.page_bytes + known.index_bytes;
    println!(
        "  pages {} MB, index {:.2} MB, {:.2} bytes an item over the data, {:.2} for the index",
        known.page_bytes >> 20,
        known.index_bytes as f64 / 1e6,
        bytes as f64 / items as f64 - (KEY_BYTES + VALUE.len()) as f64,
        known.index_bytes as f64 / items as f64,
    );
    shard
}

fn new_shard(memory_bytes: usize) -> Shard {
    let config = ShardConfig { memory_bytes, hash_seed: SEED, ..ShardConfig::default() };
    Shard::new(config).expect("address space")
}

fn lookups(shard: &mut Shard, items: u64, batch: usize) {
    let mut keys = [Prepared::default(); BATCH_MAX];
    let mut random = Random(1);
    let mut found = 0;
    let start = Clock::now();
    for _ in 0..LOOKUPS / batch as u64 {
        prepare(shard, &mut keys[..batch], || random.below(items));
        for (key, hash) in &keys[..batch] {
            let key = Key { bytes: key, hash: *hash };
            let hit = shard.get(&key, Access::Get).expect("the item is there");
            found += hit.value().map_or(0, |value| value.len() as u64 & u64::from(value[63]));
        }
    }
    assert_eq!(found, (LOOKUPS / batch as u64 * batch as u64) * (64 & u64::from(b'v')));
    report(&format!("get, batch {batch}"), LOOKUPS, start);
}

fn overwrites(shard: &mut Shard, items: u64, batch: usize) {
    let mut keys = [Prepared::default(); BATCH_MAX];
    let mut random = Random(2);
    let start = Clock::now();
    for _ in 0..LOOKUPS / batch as u64 {
        prepare(shard, &mut keys[..batch], || random.below(items));
        for (key, hash) in &keys[..batch] {
            let key = Key { bytes: key, hash: *hash };
            shard.store(&key, &StoreOptions::new(StoreMode::Set, 0, 0), &VALUE);
        }
    }
    report(&format!("overwrite, batch {batch}"), LOOKUPS, start);
}

/// New items into a full shard, each of which evicts another.
fn evictions(items: u64) {
    let mut shard = new_shard((items as usize * 104).next_multiple_of(1 << 20) / 2);
    (0..items).for_each(|number| store(&mut shard, number));
    let start = Clock::now();
    let mut keys = [Prepared::default(); BATCH_MAX];
    let mut next = items;
    for _ in 0..LOOKUPS / 16 {
        prepare(&shard, &mut keys[..16], || {
            next += 1;
            next
        });
        for (key, hash) in &keys[..16] {
            let key = Key { bytes: key, hash: *hash };
            shard.store(&key, &StoreOptions::new(StoreMode::Set, 0, 0), &VALUE);
        }
    }
    assert!(shard.report().classes.evicted > LOOKUPS);
    report("store new with eviction, batch 16", LOOKUPS, start);
}

/// A key and its hash.
type Prepared = ([u8; KEY_BYTES], u64);

/// Makes the keys of a batch and gets their buckets and items on the way to the cache.
fn prepare(shard: &Shard, keys: &mut [Prepared], mut number: impl FnMut() -> u64) {
    let batch = keys.len();
    for (key, hash) in &mut *keys {
        *key = key_of(number());
        *hash = hash_key(SEED, key);
        if batch > 1 {
            shard.prefetch_bucket(*hash);
        }
    }
    if batch > 1 {
        keys.iter().for_each(|(_, hash)| shard.prefetch_item(*hash));
    }
}

fn store(shard: &mut Shard, number: u64) {
    let bytes = key_of(number);
    let key = Key { bytes: &bytes, hash: hash_key(SEED, &bytes) };
    shard.store(&key, &StoreOptions::new(StoreMode::Set, 0, 0), &VALUE);
}

fn key_of(number: u64) -> [u8; KEY_BYTES] {
    let mut key = *b"key-0000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn report(what: &str, operations: u64, start: Clock) {
    println!("{what:<36} {:7.1} ns", start.elapsed_ns() as f64 / operations as f64);
}

/// Time that this thread has spent on a CPU, so that other work on the machine does not count.
struct Clock(u64);

impl Clock {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
        Self(text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds"))
    }

    fn elapsed_ns(&self) -> u64 {
        Self::now().0 - self.0
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        ((u128::from(self.0 ^ self.0 >> 33) * u128::from(bound)) >> 64) as u64
    }
}
