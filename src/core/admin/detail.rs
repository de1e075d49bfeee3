//! `stats detail`: what is done to keys, by their prefixes.
//!
//! While it is off, which is the rule, a request pays one test of a flag that it loads for
//! watchers anyway. While it is on, each core counts in a table of its own, under a lock that only
//! a dump contends for. A table holds a bounded number of prefixes; what comes after that is not
//! counted, so that a client can't fill the memory with prefixes.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most prefixes of one core, as in memcached.
const PREFIXES_MAX: usize = 65_536;

/// What is done to keys of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Uses {
    /// Reads.
    pub(in crate::core) gets: u64,
    /// Of these, those that found an item.
    pub(in crate::core) hits: u64,
    /// Stores.
    pub(in crate::core) sets: u64,
    /// Deletes.
    pub(in crate::core) deletes: u64,
}

impl Uses {
    fn add(&mut self, other: Self) {
        self.gets += other.gets;
        self.hits += other.hits;
        self.sets += other.sets;
        self.deletes += other.deletes;
    }
}

type Prefixes = HashMap<Box<[u8]>, Uses>;

/// The counts of all cores.
pub(crate) struct Detail {
    is_on: AtomicBool,
    delimiter: u8,
    cores: Vec<Mutex<Prefixes>>,
}

impl Detail {
    /// No counts yet.
    #[must_use]
    pub(crate) fn new(cores: usize, delimiter: u8, is_on: bool) -> Self {
        let cores = (0..cores).map(|_| Mutex::default()).collect();
        Self { is_on: AtomicBool::new(is_on), delimiter, cores }
    }

    /// Whether uses are counted.
    pub(in crate::core) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Starts or stops counting; what was counted stays.
    pub(super) fn switch(&self, on: bool) {
        self.is_on.store(on, Ordering::Relaxed);
    }

    /// Counts a use of a key. A key without the delimiter has no prefix.
    pub(in crate::core) fn count(&self, core: usize, key: &[u8], uses: Uses) {
        let Some(length) = memchr::memchr(self.delimiter, key) else { return };
        let mut prefixes = self.cores[core].lock().expect("no thread panics with the lock");
        if let Some(sum) = prefixes.get_mut(&key[..length]) {
            sum.add(uses);
        } else if prefixes.len() < PREFIXES_MAX {
            prefixes.insert(key[..length].into(), uses);
        }
    }

    /// Forgets all counts.
    pub(super) fn clear(&self) {
        for core in &self.cores {
            core.lock().expect("no thread panics with the lock").clear();
        }
    }

    /// The counts as lines, sorted by prefix.
    pub(super) fn dump(&self) -> Vec<u8> {
        let mut sums: BTreeMap<Box<[u8]>, Uses> = BTreeMap::new();
        for core in &self.cores {
            let prefixes = core.lock().expect("no thread panics with the lock");
            for (prefix, uses) in prefixes.iter() {
                sums.entry(prefix.clone()).or_default().add(*uses);
            }
        }
        let mut lines = Vec::new();
        for (prefix, Uses { gets, hits, sets, deletes }) in sums {
            lines.extend_from_slice(b"PREFIX ");
            lines.extend_from_slice(&prefix);
            write!(lines, " get {gets} hit {hits} set {sets} del {deletes}\r\n")
                .expect("memory takes any text");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_summed_by_prefix() {
        let detail = Detail::new(2, b':', true);
        let get = Uses { gets: 1, hits: 1, ..Uses::default() };
        detail.count(0, b"user:1", get);
        detail.count(1, b"user:2:x", get);
        detail.count(1, b"no prefix", get);
        detail.count(0, b":x", Uses { deletes: 1, ..Uses::default() });
        let dump = String::from_utf8(detail.dump()).expect("text");
        assert_eq!(
            dump,
            "PREFIX  get 0 hit 0 set 0 del 1\r\nPREFIX user get 2 hit 2 set 0 del 0\r\n"
        );
        detail.clear();
        assert_eq!(detail.dump(), b"");
    }

    #[test]
    fn the_number_of_prefixes_is_bounded() {
        let detail = Detail::new(1, b':', true);
        for number in 0..PREFIXES_MAX + 10 {
            detail.count(0, format!("{number}:").as_bytes(), Uses { sets: 1, ..Uses::default() });
        }
        let lines = memchr::memchr_iter(b'\n', &detail.dump()).count();
        assert_eq!(lines, PREFIXES_MAX);
    }
}
