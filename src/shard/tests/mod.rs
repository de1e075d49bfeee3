//! Tests of the shard as a whole, beside those in its files.

mod behaviour;
pub(super) mod model;
mod pressure;

use super::{Key, Shard, ShardConfig, StoreMode, StoreOptions, Stored, hash_key};

/// A key and its hash.
pub(super) fn key(bytes: &[u8]) -> Key<'_> {
    Key { bytes, hash: hash_key(0, bytes) }
}

pub(super) fn shard_of(memory_mb: usize) -> Shard {
    Shard::new(ShardConfig { memory_bytes: memory_mb << 20, ..ShardConfig::default() }).unwrap()
}

/// Stores a value without flags or expiry and expects that to work.
pub(super) fn set(shard: &mut Shard, name: &[u8], value: &[u8]) -> u64 {
    match shard.store(&key(name), &StoreOptions::new(StoreMode::Set, 0, 0), value) {
        Stored::Stored { cas, .. } => cas,
        other => panic!("set of {} bytes: {other:?}", value.len()),
    }
}

/// The whole value of a key.
pub(super) fn read(shard: &mut Shard, name: &[u8]) -> Option<Vec<u8>> {
    let hit = shard.get(&key(name), super::Access::Get)?;
    Some(hit.pieces().collect::<Vec<_>>().concat())
}

/// A small generator of numbers that are the same in every run.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
