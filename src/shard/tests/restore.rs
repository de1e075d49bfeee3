//! A shard in a file, found again after a kill or a stop.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::*;
use crate::shard::item::{HEADER_BYTES, mark};
use crate::shard::slab::PAGE_BYTES;
use crate::shard::tests::model::Model;
use crate::shard::tests::{key, read, set};
use crate::shard::{Access, Found, Geometry, MemoryFile, PageKind, StoreMode, StoreOptions};

const BOOT: u64 = 7;

/// A memory file without a name, and the configuration of its only shard.
struct Place {
    file: MemoryFile,
    raw: File,
    config: ShardConfig,
}

impl Place {
    fn new(config: ShardConfig) -> (Self, Shard) {
        let raw = File::from(memfd_create("cache", MFdFlags::empty()).unwrap());
        let shard_bytes = config.memory_bytes;
        let geometry = Geometry { shards: 1, shard_bytes, settings: vec![("-m", 1), ("-n", 2)] };
        let file = MemoryFile::new(raw.try_clone().unwrap(), PageKind::Plain, geometry);
        let mut place = Self { file, raw, config };
        assert_eq!(place.file.find(BOOT, 1000).unwrap(), Found::Nothing);
        place.file.create(99).unwrap();
        let mut shard = Shard::in_file(place.config.clone(), place.file.part(0)).unwrap();
        shard.begin().unwrap();
        place.file.begin(BOOT, 500).unwrap();
        (place, shard)
    }

    /// What a second process would find.
    fn again(&mut self, now: u32) -> Result<Shard, Unusable> {
        let found = self.file.find(BOOT, 1000).unwrap();
        let Found::Cache { seed: 99, zero_unix_s: 500, is_closed } = found else {
            panic!("{found:?}");
        };
        let mut shard = Shard::in_file(self.config.clone(), self.file.part(0)).unwrap();
        shard.check_book(is_closed)?;
        self.file.begin(BOOT, 500).unwrap();
        let items = shard.restore(now.max(shard.latest_second()))?;
        assert_eq!(items, shard.report().items);
        Ok(shard)
    }
}

fn small() -> ShardConfig {
    ShardConfig { memory_bytes: 8 << 20, ..ShardConfig::default() }
}

#[test]
fn a_shard_is_the_same_map_after_every_kill() {
    for seed in 30..34 {
        let (mut place, shard) = Place::new(Model::config(seed, 256));
        let mut model = Model::on(shard, seed, false);
        for _ in 0..8 {
            model.work(600);
            let shard = place.again(0).unwrap();
            model.go_on_with(shard);
            model.shard.check();
        }
        model.run(200);
    }
}

#[test]
fn a_full_shard_shows_nothing_wrong_after_a_kill() {
    for seed in 40..44 {
        let (mut place, shard) = Place::new(Model::config(seed, 18));
        let mut model = Model::on(shard, seed, true);
        for _ in 0..8 {
            model.work(800);
            let shard = place.again(0).unwrap();
            model.go_on_with(shard);
            model.shard.check();
        }
        model.run(200);
    }
}

#[test]
fn what_was_not_complete_is_free_again() {
    let (mut place, mut shard) = Place::new(small());
    set(&mut shard, b"kept", &[1; 700_000]);
    set(&mut shard, b"sent", &[2; 700_000]);
    let pinned = shard.get(&key(b"sent"), Access::Get).unwrap().pin();
    assert!(shard.delete(&key(b"sent")));
    let options = StoreOptions::new(StoreMode::Set, 0, 0);
    let mut upload = shard.reserve(&key(b"kept"), &options, 800_000).unwrap();
    upload.writable().fill(3);
    std::mem::forget((pinned, upload));
    drop(shard);
    let mut shard = place.again(0).unwrap();
    shard.check();
    assert_eq!(read(&mut shard, b"kept"), Some(vec![1; 700_000]));
    assert_eq!(read(&mut shard, b"sent"), None);
    assert_eq!(shard.report().items, 1);
    let used: u32 = shard.class_table().ids().map(|id| shard.class_report(id).chunks_used).sum();
    assert_eq!(used, 2, "the chunks of one item are in use");
}

#[test]
fn sequences_go_on_above_all_that_were_given_out() {
    let (mut place, mut shard) = Place::new(small());
    let mut last = 0;
    for _ in 0..3 {
        for _ in 0..1000 {
            let cas = set(&mut shard, b"key", b"value");
            assert!(cas > last);
            last = cas;
        }
        assert!(shard.delete(&key(b"key")));
        drop(shard);
        shard = place.again(0).unwrap();
    }
    shard.close();
    drop(shard);
    place.file.close().unwrap();
    let mut shard = place.again(0).unwrap();
    assert!(set(&mut shard, b"key", b"value") > last);
}

#[test]
fn a_second_that_was_seen_does_not_return() {
    let (mut place, mut shard) = Place::new(small());
    let options = StoreOptions::new(StoreMode::Set, 0, 100);
    shard.store(&key(b"key"), &options, b"value");
    shard.set_now(100);
    assert_eq!(read(&mut shard, b"key"), None);
    set(&mut shard, b"other", b"value");
    drop(shard);
    let mut shard = place.again(50).unwrap();
    assert_eq!(shard.now(), 100);
    assert_eq!(read(&mut shard, b"key"), None);
    assert_eq!(read(&mut shard, b"other"), Some(b"value".to_vec()));
}

#[test]
fn two_items_with_one_key_condemn_the_file() {
    let (mut place, mut shard) = Place::new(small());
    set(&mut shard, b"twin-1", b"value");
    set(&mut shard, b"twin-2", b"value");
    let at = shard.slabs.arena.book().region_bytes().windows(6).position(|w| w == b"twin-2");
    let at = (2 << 20) + at.expect("the item is there") as u64;
    drop(shard);
    place.raw.write_all_at(b"twin-1", at).unwrap();
    assert!(matches!(place.again(0), Err(Unusable::Damaged("two items have the same key"))));
}

#[test]
fn an_item_that_claims_a_chosen_cas_id_without_room_for_one_condemns_the_file() {
    let (mut place, mut shard) = Place::new(small());
    set(&mut shard, b"a key over which that id would be written", b"1");
    let at = shard.slabs.arena.book().region_bytes().windows(5).position(|w| w == b"a key");
    let time_at = at.expect("the item is there") - HEADER_BYTES + 8;
    drop(shard);
    let mut time = [0; 4];
    let time_at = (2 << 20) + time_at as u64;
    place.raw.read_exact_at(&mut time, time_at).unwrap();
    let claimed = u32::from_le_bytes(time) | mark::WIDE_CAS;
    place.raw.write_all_at(&claimed.to_le_bytes(), time_at).unwrap();
    assert!(matches!(place.again(0), Err(Unusable::Damaged("an item can't be"))));
}

#[test]
fn any_damage_is_noticed_or_does_not_matter() {
    let (mut place, mut shard) = Place::new(small());
    for number in 0..50_u32 {
        set(&mut shard, format!("key-{number}").as_bytes(), &number.to_le_bytes());
        set(&mut shard, format!("large-{number}").as_bytes(), &vec![number as u8; 20_000]);
    }
    set(&mut shard, b"chained", &[9; 1_000_000]);
    drop(shard);
    let mut whole = vec![0; place.file.bytes() as usize];
    place.raw.read_exact_at(&mut whole, 0).unwrap();
    let mut random = crate::shard::tests::Random(5);
    let pages = ((4 << 20) / PAGE_BYTES) as u64..(whole.len() / PAGE_BYTES) as u64;
    for _ in 0..300 {
        let page = pages.start + random.below(pages.end - pages.start);
        // Where heads are, above all.
        let at = page * PAGE_BYTES as u64 + random.below(20_000);
        place.raw.write_all_at(&random.next().to_le_bytes(), at).unwrap();
        if let Ok(mut shard) = place.again(0) {
            shard.check();
            for number in 0..50_u32 {
                read(&mut shard, format!("key-{number}").as_bytes());
                set(&mut shard, format!("large-{number}").as_bytes(), &[0; 30_000]);
            }
            shard.check();
        }
        place.raw.write_all_at(&whole, 0).unwrap();
    }
}

#[test]
fn idle_times_are_told_apart_by_a_sixteenth() {
    let mut last = 0;
    for idle_s in 0..100_000 {
        let index = age_index(idle_s);
        assert!(index == last || index == last + 1);
        last = index;
    }
    assert_eq!(age_index(u32::MAX), AGES - 1);
    assert_ne!(age_index(63), age_index(64));
    assert_ne!(age_index(1600), age_index(1700));
}
