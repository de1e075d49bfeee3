//! The index alone: finding, removing, growing, remembering.

use super::*;
use crate::shard::slab::HUGE_PAGE_BYTES;

/// A hash for the n-th test item, which lies at location n.
fn hash(n: u32) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes())
}

fn filled(hash_power: u8, count: u32, grows: bool) -> Index {
    let mut index = Index::new(hash_power, 1 << 20, grows, PageKind::Plain).unwrap();
    for n in 1..=count {
        if index.growth(false) != Growth::Idle {
            index.split(|loc| hash(loc.0), |_| ());
        }
        assert_eq!(index.insert(hash(n), Loc(n)), Some(Memory::New));
    }
    index
}

fn assert_holds(index: &Index, numbers: impl Iterator<Item = u32>) {
    for n in numbers {
        assert_eq!(index.find(hash(n), |loc| loc == Loc(n)).map(|found| found.1), Some(Loc(n)));
    }
}

#[test]
fn every_item_is_found_while_the_table_grows() {
    let index = filled(6, 100_000, true);
    assert!(index.bucket_count() >= 100_000 / 10);
    assert_holds(&index, 1..=100_000);
    assert!(index.find(hash(100_001), |loc| loc == Loc(100_001)).is_none());
}

#[test]
fn a_table_that_may_not_grow_spills_and_keeps_all() {
    let mut index = filled(8, 5_000, false);
    assert_eq!(index.bucket_count(), 32);
    assert_holds(&index, 1..=5_000);
    for n in (1..=5_000).step_by(2) {
        let (slot, _) = index.find(hash(n), |loc| loc == Loc(n)).unwrap();
        index.remove(slot, hash(n));
    }
    assert_eq!(index.len(), 2_500);
    assert_holds(&index, (2..=5_000).step_by(2));
    assert!(index.find(hash(1), |loc| loc == Loc(1)).is_none());
}

#[test]
fn an_evicted_key_is_remembered_until_its_lane_is_needed() {
    let mut index = filled(6, 200, true);
    let evict = |index: &mut Index, n: u32| {
        let (slot, _) = index.find(hash(n), |loc| loc == Loc(n)).unwrap();
        index.remove(slot, hash(n));
        index.remember(hash(n));
    };
    (1..=20).for_each(|n| evict(&mut index, n));
    assert_eq!(index.len(), 180);
    assert!(index.find(hash(1), |_| true).is_none_or(|found| found.1 != Loc(1)));
    let again = |index: &mut Index, n: u32| index.insert(hash(n), Loc(n)).unwrap();
    let known = (1..=20).filter(|&n| again(&mut index, n) == Memory::Evicted).count();
    assert!(known >= 15, "{known} of 20");
    (1..=20).for_each(|n| evict(&mut index, n));
    // Enough new items to take every lane.
    (1000..1400).for_each(|n| assert_eq!(again(&mut index, n), Memory::New));
    let known = (1..=20).filter(|&n| again(&mut index, n) == Memory::Evicted).count();
    assert!(known <= 5, "{known} of 20");
}

#[test]
fn lines_that_a_split_empties_are_used_again() {
    let index = filled(6, 200_000, true);
    let needed = index.bucket_count() / GROUP_BUCKETS;
    assert!(index.spare.len() < 3 * needed, "{} lines for {needed} groups", index.spare.len());
    assert_holds(&index, 1..=200_000);
}

#[test]
fn lines_that_removals_empty_are_used_again() {
    let held = 12_000;
    let mut index = filled(13, held, false);
    let lines = index.spare.len();
    // What each group needs comes and goes.
    for n in 1..=20 * held {
        let (slot, _) = index.find(hash(n), |loc| loc == Loc(n)).unwrap();
        index.remove(slot, hash(n));
        index.insert(hash(n + held), Loc(n + held)).unwrap();
    }
    assert_holds(&index, 20 * held + 1..=21 * held);
    assert!(index.spare.len() < lines * 3 / 2, "{} after {lines}", index.spare.len());
}

#[test]
fn a_table_that_costs_items_is_denser() {
    let mut index = Index::new(13, 1 << 20, true, PageKind::Plain).unwrap();
    let mut buckets = Vec::new();
    for n in 1..=19_000 {
        if index.growth(true) != Growth::Idle {
            index.split(|loc| hash(loc.0), |_| ());
        }
        index.insert(hash(n), Loc(n)).unwrap();
        if n % 1000 == 0 {
            buckets.push(index.bucket_count());
        }
    }
    // It begins with 11.5 items in each of 1024; from a quarter more on there are 9.6.
    assert_eq!((buckets[10], buckets[11], buckets[18]), (1024, 1091, 19_000 * 10 / 96 + 1));
    assert_holds(&index, 1..=19_000);
}

#[test]
fn half_a_million_buckets_hold_five_million_items_in_seven_bytes_each() {
    let count = 300_000;
    let index = filled(6, count, true);
    let per_item = index.bytes() as f64 / f64::from(count);
    assert_eq!(index.bucket_count(), 32_768);
    assert!(per_item < 7.6, "{per_item}");
}

#[test]
fn memory_for_a_doubling_is_expected_before_it_begins() {
    let mut index = filled(18, 330_000, true);
    assert_eq!(index.bucket_count() * size_of::<Bucket>(), HUGE_PAGE_BYTES);
    assert_eq!(index.growth(false), Growth::Idle);
    let before = index.bytes();
    for n in 330_001..=350_000 {
        assert_eq!(index.growth(false), Growth::Idle);
        index.insert(hash(n), Loc(n));
    }
    assert!(!index.is_growing());
    assert!(index.bytes() - before >= HUGE_PAGE_BYTES, "its first huge page");
}
