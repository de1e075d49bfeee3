//! What happens when memory is full: eviction order, pages changing classes, bounds.

use super::{Random, key, read, set, shard_of};
use crate::shard::{
    Access, ClassId, LruConfig, Reassigned, Shard, ShardConfig, StoreMode, StoreOptions, Stored,
};

#[test]
fn after_small_values_large_ones_get_the_memory() {
    let mut shard = shard_of(64);
    for number in 0..800_000_u32 {
        set(&mut shard, format!("small-{number}").as_bytes(), &[7; 100]);
    }
    let count = (128 << 20) / 4096;
    for number in 0..count {
        set(&mut shard, format!("large-{number}").as_bytes(), &[8; 4096]);
    }
    let newest = (30 << 20) / 4096;
    let hits = (count - newest..count)
        .filter(|number| read(&mut shard, format!("large-{number}").as_bytes()).is_some())
        .count();
    assert!(hits * 10 >= newest * 9, "{hits} of {newest}");
    shard.check();
}

#[test]
fn what_is_read_stays_and_what_is_not_goes() {
    let mut shard = shard_of(8);
    for number in 0..2_000_u32 {
        set(&mut shard, format!("hot-{number}").as_bytes(), &[1; 100]);
    }
    for number in 0..200_000_u32 {
        set(&mut shard, format!("cold-{number}").as_bytes(), &[2; 100]);
        let name = format!("hot-{}", number % 2_000);
        shard.get(&key(name.as_bytes()), Access::Get);
    }
    let name = |number| format!("hot-{number}");
    let kept =
        (0..2_000).filter(|&number| read(&mut shard, name(number).as_bytes()).is_some()).count();
    assert!(kept > 1_950, "{kept} {:?}", shard.report());
    shard.check();
}

#[test]
fn pages_and_index_stay_within_the_bound() {
    let mut shard = shard_of(32);
    for number in 0..1_000_000_u32 {
        set(&mut shard, &number.to_le_bytes(), b"12345678");
        if number % 50_000 == 0 {
            let report = shard.report();
            assert!(report.page_bytes + report.index_bytes <= 32 << 20, "{report:?}");
        }
    }
    let report = shard.report();
    assert!(report.items > 400_000, "{}", report.items);
    assert!(report.index_buckets >= 32_768, "{}", report.index_buckets);
    shard.check();
}

#[test]
fn a_lower_bound_is_reached_in_the_background() {
    let mut shard = shard_of(64);
    for number in 0..400_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &[0; 100]);
    }
    assert!(shard.set_memory_bytes(16 << 20));
    while shard.maintain(100) {}
    let report = shard.report();
    assert!(report.page_bytes + report.index_bytes <= 16 << 20, "{report:?}");
    assert!(report.items > 50_000);
    shard.check();
    assert!(shard.set_memory_bytes(32 << 20));
    for number in 0..400_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &[0; 100]);
    }
    assert!(shard.report().page_bytes > 24 << 20);
}

#[test]
fn a_value_of_many_chunks_gets_room_among_small_ones() {
    let config =
        ShardConfig { memory_bytes: 32 << 20, item_bytes_max: 16 << 20, ..ShardConfig::default() };
    let mut shard = Shard::new(config).unwrap();
    for number in 0..400_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &[0; 60]);
    }
    for round in 0..10_u8 {
        set(&mut shard, &[b'b', round], &vec![round; 10 << 20]);
        assert!(read(&mut shard, &[b'b', round]).unwrap() == vec![round; 10 << 20]);
    }
    shard.check();
}

#[test]
fn pinned_values_survive_a_flood() {
    let mut shard = shard_of(8);
    let mut pins = Vec::new();
    for number in 0..20_u8 {
        set(&mut shard, &[number], &vec![number; 5_000]);
        pins.push(shard.get(&key(&[number]), Access::Get).unwrap().pin());
    }
    for number in 0..100_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &vec![0xFF; number as usize % 9_000]);
    }
    for (number, pinned) in (0..).zip(&pins) {
        assert!(pinned.pieces().flatten().all(|&byte| byte == number));
    }
    pins.into_iter().for_each(|pinned| shard.unpin(pinned));
    shard.check();
}

#[test]
fn an_administrator_moves_pages() {
    let mut shard = shard_of(16);
    for number in 0..20_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &[0; 100]);
    }
    let from = shard.get(&key(&1_u32.to_le_bytes()), Access::Peek).unwrap().class();
    let to = ClassId(from.0 + 5);
    let pages = |shard: &Shard, class| shard.class_report(class).pages;
    let before = pages(&shard, from);
    assert_eq!(shard.reassign(Some(from), from), Reassigned::Same);
    assert_eq!(shard.reassign(Some(to), from), Reassigned::NoSpare);
    assert_eq!(shard.reassign(Some(ClassId(99)), from), Reassigned::BadClass);
    assert_eq!(shard.reassign(Some(from), to), Reassigned::Started);
    assert_eq!(shard.reassign(None, to), Reassigned::Busy);
    while shard.maintain(64) {}
    assert_eq!((pages(&shard, from), pages(&shard, to)), (before - 1, 1));
    shard.check();
}

#[test]
fn mixed_sizes_under_pressure_never_run_out_of_memory() {
    let mut random = Random(5);
    for segmented in [true, false] {
        let lru = LruConfig { segmented, temporary_ttl: Some(5), ..LruConfig::default() };
        let config = ShardConfig { memory_bytes: 16 << 20, lru, ..ShardConfig::default() };
        let mut shard = Shard::new(config).unwrap();
        for number in 0..60_000_u32 {
            let name = (random.below(50_000) as u32).to_le_bytes();
            let length = [50, 500, 5_000, 50_000][random.below(4) as usize] + random.below(200);
            let exptime = if number % 3 == 0 { shard.now() + 3 } else { 0 };
            let options = StoreOptions::new(StoreMode::Set, 0, exptime);
            let stored = shard.store(&key(&name), &options, &vec![1; length as usize]);
            assert!(matches!(stored, Stored::Stored { .. }), "{stored:?}");
            shard.get(&key(&(random.below(50_000) as u32).to_le_bytes()), Access::Get);
            if number % 1_000 == 0 {
                shard.set_now(shard.now() + 1);
            }
        }
        shard.check();
    }
}
