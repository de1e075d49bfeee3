//! Single behaviours, one test each.

use super::{key, read, set, shard_of};
use crate::shard::{
    Access, Arithmetic, CLASSES_ALL, Computed, DeleteOptions, GetOptions, Key, Miss, Shard,
    ShardConfig, StoreMode, StoreOptions, Stored, Vivify, hash_key,
};

fn store(shard: &mut Shard, mode: StoreMode, name: &[u8], value: &[u8]) -> Stored {
    shard.store(&key(name), &StoreOptions::new(mode, 0, 0), value)
}

#[test]
fn cas_ids_start_at_two_and_differ_between_shards() {
    let mut shard = shard_of(8);
    assert_eq!(set(&mut shard, b"a", b"1"), 2);
    assert_eq!(set(&mut shard, b"a", b"1"), 3);
    let mut ids = std::collections::HashSet::new();
    for index in 0..3 {
        let config =
            ShardConfig { index, count: 3, memory_bytes: 8 << 20, ..ShardConfig::default() };
        let mut shard = Shard::new(config).unwrap();
        for _ in 0..50 {
            assert!(ids.insert(set(&mut shard, b"a", b"1")));
        }
    }
    assert!(!ids.contains(&0));
}

#[test]
fn a_flush_ends_what_is_there_and_nothing_stored_later_in_the_same_second() {
    let mut shard = shard_of(8);
    set(&mut shard, b"old", b"1");
    shard.flush(0);
    set(&mut shard, b"new", b"2");
    assert_eq!(read(&mut shard, b"old"), None);
    assert_eq!(shard.last_miss(), Miss::Flushed);
    assert_eq!(read(&mut shard, b"new").unwrap(), b"2");
    assert_eq!(shard.report().counters.get_flushed, 1);
}

#[test]
fn a_delayed_flush_waits_for_its_second() {
    let mut shard = shard_of(8);
    shard.flush(10);
    set(&mut shard, b"a", b"1");
    shard.set_now(9);
    set(&mut shard, b"b", b"2");
    assert!(read(&mut shard, b"a").is_some());
    shard.set_now(10);
    set(&mut shard, b"c", b"3");
    assert_eq!(read(&mut shard, b"a"), None);
    assert_eq!(read(&mut shard, b"b"), None);
    assert_eq!(read(&mut shard, b"c").unwrap(), b"3");
}

#[test]
fn items_expire_at_their_second_and_the_crawler_takes_them_away() {
    let mut shard = shard_of(8);
    for number in 0..1_000_u32 {
        let name = number.to_le_bytes();
        let exptime = if number % 2 == 0 { 10 } else { 0 };
        shard.store(&key(&name), &StoreOptions::new(StoreMode::Set, 0, exptime), b"value");
    }
    shard.set_now(9);
    assert_eq!(shard.crawl(10_000, CLASSES_ALL).reclaimed, 0);
    shard.set_now(10);
    assert_eq!(read(&mut shard, &0_u32.to_le_bytes()), None);
    assert_eq!(shard.last_miss(), Miss::Expired);
    let mut reclaimed = 0;
    loop {
        let crawled = shard.crawl(100, CLASSES_ALL);
        reclaimed += crawled.reclaimed;
        if crawled.finished {
            break;
        }
    }
    assert_eq!(reclaimed, 499);
    assert_eq!(shard.report().items, 500);
    assert_eq!(shard.crawl(u32::MAX, CLASSES_ALL).checked, 0);
    shard.check();
}

#[test]
fn a_crawl_after_a_flush_frees_everything() {
    let mut shard = shard_of(8);
    for number in 0..1_000_u32 {
        set(&mut shard, &number.to_le_bytes(), b"value");
    }
    shard.flush(0);
    assert_eq!(shard.crawl(u32::MAX, CLASSES_ALL).reclaimed, 1_000);
    assert_eq!(shard.report().items, 0);
    assert_eq!(shard.report().item_bytes, 0);
}

#[test]
fn a_crawl_of_one_class_leaves_the_others() {
    let mut shard = shard_of(8);
    let value = [0; 5_000];
    for number in 0..200_u32 {
        let value = &value[..if number % 2 == 0 { 5 } else { 5_000 }];
        set(&mut shard, &number.to_le_bytes(), value);
    }
    let wide = shard.class_table().class_for(5_050);
    shard.flush(0);
    // A walk of all that has begun is not disturbed.
    shard.crawl(10, CLASSES_ALL);
    let items = shard.report().items;
    shard.start_crawl_over();
    assert_eq!(shard.crawl(u32::MAX, 1 << wide.0).reclaimed, 100);
    assert_eq!(shard.report().items, items - 100);
    shard.check();
    assert_eq!(shard.crawl(u32::MAX, CLASSES_ALL).reclaimed as u64, items - 100);
    assert_eq!(shard.report().items, 0);
}

#[test]
fn a_shorter_number_is_padded_and_a_longer_one_makes_a_new_item() {
    let mut shard = shard_of(8);
    shard.store(&key(b"n"), &StoreOptions::new(StoreMode::Set, 5, 50), b"10");
    let down = shard.arithmetic(&key(b"n"), &Arithmetic::new(false, 1));
    assert!(matches!(down, Computed::Value { number: 9, cas: 3, exptime: 50, created: false }));
    assert_eq!(read(&mut shard, b"n").unwrap(), b"9 ");
    shard.arithmetic(&key(b"n"), &Arithmetic::new(true, 991));
    assert_eq!(read(&mut shard, b"n").unwrap(), b"1000");
    let hit = shard.get(&key(b"n"), Access::Get).unwrap();
    assert_eq!((hit.client_flags(), hit.exptime()), (5, 50));
    set(&mut shard, b"t", b"text");
    let wrong = shard.arithmetic(&key(b"t"), &Arithmetic::new(true, 1));
    assert_eq!(wrong, Computed::NonNumeric);
}

#[test]
fn arithmetic_creates_what_is_missing_when_asked() {
    let mut shard = shard_of(8);
    let options = Arithmetic { vivify: Some((40, 0)), ..Arithmetic::new(true, 2) };
    let first = shard.arithmetic(&key(b"n"), &options);
    assert!(matches!(first, Computed::Value { number: 40, created: true, .. }));
    let second = shard.arithmetic(&key(b"n"), &options);
    assert!(matches!(second, Computed::Value { number: 42, created: false, .. }));
}

#[test]
fn too_large_and_the_item_is_gone_for_set_but_not_for_add() {
    let mut shard = shard_of(16);
    set(&mut shard, b"a", b"old");
    let huge = vec![0; 1 << 20];
    assert_eq!(store(&mut shard, StoreMode::Replace, b"a", &huge), Stored::TooLarge);
    assert!(read(&mut shard, b"a").is_some());
    assert_eq!(store(&mut shard, StoreMode::Set, b"a", &huge), Stored::TooLarge);
    assert_eq!(read(&mut shard, b"a"), None);
    let largest = (1 << 20) - 48 - 8 - 1 - 1 - 2;
    assert!(matches!(
        store(&mut shard, StoreMode::Set, b"a", &huge[..largest]),
        Stored::Stored { .. }
    ));
    assert_eq!(store(&mut shard, StoreMode::Set, b"a", &huge[..=largest]), Stored::TooLarge);
}

#[test]
fn values_of_every_length_around_the_limits_come_back() {
    let config =
        ShardConfig { memory_bytes: 64 << 20, item_bytes_max: 8 << 20, ..ShardConfig::default() };
    let mut shard = Shard::new(config).unwrap();
    let edges = [0, 1, 64, 65_535, 65_536, 524_288, 1 << 20, 3 << 20];
    for length in edges.iter().flat_map(|&edge: &usize| edge.saturating_sub(70)..edge + 70) {
        let value: Vec<u8> = (0..length).map(|at| (at * 7 + at / 251) as u8).collect();
        set(&mut shard, b"some-key", &value);
        assert!(read(&mut shard, b"some-key").unwrap() == value, "length {length}");
    }
    shard.check();
}

#[test]
fn hits_tell_what_was_before_them() {
    let mut shard = shard_of(8);
    set(&mut shard, b"a", b"1");
    shard.set_now(7);
    let hit = shard.get(&key(b"a"), Access::Get).unwrap();
    assert!(!hit.hit_before());
    assert_eq!(hit.last_access(), 2);
    shard.set_now(8);
    let hit = shard.get(&key(b"a"), Access::Peek).unwrap();
    assert!(hit.hit_before());
    assert_eq!(hit.last_access(), 7);
    let counters = shard.report().classes;
    assert_eq!(counters.get_hits(), 1);
}

#[test]
fn a_miss_can_create_an_item_with_a_chosen_cas_id() {
    let mut shard = shard_of(8);
    let vivify = Vivify { exptime: 30, cas: Some(u64::MAX - 1), key_binary: true };
    let options = GetOptions { vivify: Some(vivify), ..GetOptions::new(Access::Get) };
    let hit = shard.get_with(&key(b"a"), &options).unwrap();
    assert!(hit.created() && hit.key_binary());
    assert_eq!((hit.cas(), hit.exptime(), hit.value_bytes()), (u64::MAX - 1, 30, 0));
    let mut hit = shard.get_with(&key(b"a"), &options).unwrap();
    assert!(!hit.created() && !hit.token_sent());
    hit.set_token_sent(true);
    assert!(shard.get(&key(b"a"), Access::Get).unwrap().token_sent());
    assert_eq!(store(&mut shard, StoreMode::Cas(u64::MAX - 1), b"a", b"v").clone(), {
        Stored::Stored { cas: 3, value_bytes: 1, class: 1 }
    });
}

#[test]
fn a_late_store_over_an_invalidated_item_stays_stale() {
    let mut shard = shard_of(8);
    let cas = set(&mut shard, b"a", b"1");
    let options = DeleteOptions { invalidate: true, exptime: Some(99), ..DeleteOptions::default() };
    shard.delete_with(&key(b"a"), &options);
    let mut hit = shard.get(&key(b"a"), Access::Get).unwrap();
    assert!(hit.stale() && hit.cas() > cas && hit.exptime() == 99);
    hit.set_token_sent(true);
    let late = StoreOptions { invalidate: true, ..StoreOptions::new(StoreMode::Cas(cas), 0, 0) };
    assert!(matches!(shard.store(&key(b"a"), &late, b"2"), Stored::Stored { .. }));
    let hit = shard.get(&key(b"a"), Access::Get).unwrap();
    assert!(hit.stale() && hit.token_sent() && hit.exptime() == 99 && hit.value() == Some(b"2"));
}

/// An item, its client flags and value, and what of it must not change with its expiry time.
fn look(shard: &mut Shard, name: &[u8]) -> (u64, u32, Vec<u8>, bool) {
    let hit = shard.get(&key(name), Access::Peek).unwrap();
    (hit.cas(), hit.client_flags(), hit.value().unwrap().to_vec(), hit.hit_before())
}

#[test]
fn what_never_expired_moves_when_it_is_touched_and_stays_what_it_was() {
    let mut shard = shard_of(64);
    for bytes in 0..300_usize {
        let name = format!("key {bytes}");
        let options = StoreOptions::new(StoreMode::Set, bytes as u32 % 3, 0);
        shard.store(&key(name.as_bytes()), &options, &vec![b'v'; bytes]);
    }
    shard.get(&key(b"key 7"), Access::Get);
    let stored = shard.report().counters.total_items;
    for bytes in 0..300_usize {
        let name = format!("key {bytes}");
        let before = look(&mut shard, name.as_bytes());
        let item_bytes = shard.get(&key(name.as_bytes()), Access::Peek).unwrap().item_bytes();
        let hit = shard.get(&key(name.as_bytes()), Access::Touch(50)).unwrap();
        assert_eq!((hit.exptime(), hit.item_bytes()), (50, item_bytes + 4));
        assert_eq!(hit.value(), Some(&before.2[..]));
        let after = look(&mut shard, name.as_bytes());
        assert_eq!((before.0, before.1, before.2), (after.0, after.1, after.2));
        assert_eq!((before.3, after.3), (bytes == 7, true));
        assert!(shard.touch(&key(name.as_bytes()), 0), "room that is there is kept");
        assert_eq!(shard.get(&key(name.as_bytes()), Access::Peek).unwrap().exptime(), 0);
        assert!(shard.touch(&key(name.as_bytes()), 60));
    }
    shard.check();
    assert_eq!(shard.report().counters.total_items, stored, "nothing was stored");
    shard.set_now(60);
    assert_eq!(shard.crawl(u32::MAX, CLASSES_ALL).reclaimed, 300);
    shard.check();
}

#[test]
fn a_pinned_item_can_be_touched_and_its_reader_keeps_the_old_bytes() {
    let mut shard = shard_of(8);
    set(&mut shard, b"a", &[b'1'; 500]);
    let pinned = shard.get(&key(b"a"), Access::Get).unwrap().pin();
    assert!(shard.touch(&key(b"a"), 50));
    set(&mut shard, b"b", &[b'2'; 500]);
    assert_eq!(pinned.pieces().collect::<Vec<_>>(), [[b'1'; 500]]);
    shard.unpin(pinned);
    shard.check();
    assert_eq!(read(&mut shard, b"a").unwrap(), [b'1'; 500]);
    assert_eq!(shard.get(&key(b"a"), Access::Get).unwrap().exptime(), 50);
}

#[test]
fn other_commands_give_expiry_times_to_what_never_expired() {
    let mut shard = shard_of(8);
    set(&mut shard, b"n", b"10");
    let options = Arithmetic { exptime: Some(40), ..Arithmetic::new(true, 1) };
    let computed = shard.arithmetic(&key(b"n"), &options);
    assert!(matches!(computed, Computed::Value { number: 11, exptime: 40, .. }));
    set(&mut shard, b"a", b"1");
    shard.get(&key(b"a"), Access::Get);
    let options = DeleteOptions { invalidate: true, exptime: Some(9), ..DeleteOptions::default() };
    shard.delete_with(&key(b"a"), &options);
    let hit = shard.get(&key(b"a"), Access::Peek).unwrap();
    assert!(hit.stale() && hit.hit_before());
    assert_eq!((hit.exptime(), hit.value()), (9, Some(&b"1"[..])));
    shard.check();
}

#[test]
fn where_nothing_is_evicted_every_item_can_be_touched() {
    let config = ShardConfig { evict: false, memory_bytes: 8 << 20, ..ShardConfig::default() };
    let mut shard = Shard::new(config).unwrap();
    let name = |number: u32| number.to_le_bytes();
    let stored = (0..).take_while(|&number| {
        let options = StoreOptions::new(StoreMode::Set, 0, 0);
        matches!(shard.store(&key(&name(number)), &options, b"value"), Stored::Stored { .. })
    });
    let stored = stored.count() as u32;
    assert!(stored > 50_000, "{stored}");
    assert!((0..stored).all(|number| shard.touch(&key(&name(number)), 50)));
    shard.check();
}

#[test]
fn a_shard_of_many_gigabytes_names_its_chunks_more_coarsely() {
    for (memory_gb, unit_bytes) in [(9, 8), (100, 64)] {
        let config = ShardConfig { memory_bytes: memory_gb << 30, ..ShardConfig::default() };
        let mut shard = Shard::new(config).unwrap();
        let table = shard.class_table();
        assert!(table.ids().all(|class| table.chunk_bytes(class).is_multiple_of(unit_bytes)));
        assert!(shard.set_memory_bytes((2 * memory_gb).min(120) << 30), "it can have more");
        for number in 0..30_000_u32 {
            set(&mut shard, &number.to_le_bytes(), &[number as u8; 51]);
        }
        for number in 0..30_000_u32 {
            assert_eq!(read(&mut shard, &number.to_le_bytes()).unwrap(), [number as u8; 51]);
        }
        shard.check();
    }
}

#[test]
fn a_cleared_item_keeps_its_cas_id() {
    let mut shard = shard_of(8);
    shard.store(&key(b"a"), &StoreOptions::new(StoreMode::Set, 7, 0), b"value");
    let options = DeleteOptions { clear: true, ..DeleteOptions::default() };
    shard.delete_with(&key(b"a"), &options);
    let hit = shard.get(&key(b"a"), Access::Get).unwrap();
    assert_eq!((hit.cas(), hit.value_bytes(), hit.client_flags()), (2, 0, 0));
}

#[test]
fn without_cas_no_id_is_shown_and_none_matches() {
    let config = ShardConfig { cas: false, memory_bytes: 8 << 20, ..ShardConfig::default() };
    let mut shard = Shard::new(config).unwrap();
    assert_eq!(set(&mut shard, b"a", b"1"), 0);
    assert_eq!(store(&mut shard, StoreMode::Cas(0), b"a", b"2"), Stored::Exists);
    assert_eq!(store(&mut shard, StoreMode::Cas(1), b"a", b"2"), Stored::Exists);
}

#[test]
fn keys_with_the_same_hash_are_kept_apart() {
    let mut shard = shard_of(8);
    let same = hash_key(0, b"any");
    for number in 0..60_u8 {
        let key = Key { bytes: &[b'k', number], hash: same };
        shard.store(&key, &StoreOptions::new(StoreMode::Set, 0, 0), &[number]);
    }
    for number in 0..60_u8 {
        let key = Key { bytes: &[b'k', number], hash: same };
        assert_eq!(shard.get(&key, Access::Get).unwrap().value(), Some(&[number][..]));
    }
}

#[test]
fn dumps_show_every_item_once() {
    let mut shard = shard_of(32);
    for number in 0..5_000_u32 {
        set(&mut shard, &number.to_le_bytes(), &vec![1; number as usize % 700]);
    }
    let (mut cursor, mut seen) = (crate::shard::DumpCursor::default(), Vec::new());
    while shard.dump(&mut cursor, 100, |_| true, |item| seen.push(item.key.to_vec())) {}
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5_000);
    let mut count = 0;
    for class in shard.class_table().ids() {
        shard.cachedump(class, 0, |_| {
            count += 1;
            true
        });
    }
    assert_eq!(count, 5_000);
}

#[test]
fn a_few_items_of_every_size_do_not_drive_each_other_out_of_a_small_shard() {
    let mut shard = shard_of(16);
    let sizes = || (0..).map(|step| 30 * 5_usize.pow(step % 6)).take(600);
    for (number, bytes) in sizes().enumerate() {
        set(&mut shard, format!("key {number}").as_bytes(), &vec![b'v'; bytes + number / 2]);
    }
    let kept = |number: &usize| {
        shard.get(&key(format!("key {number}").as_bytes()), Access::Peek).is_some()
    };
    // There are more classes than pages, so a few go.
    let kept = (0..600).filter(kept).count();
    assert!(kept > 450, "{kept} of 600");
}
