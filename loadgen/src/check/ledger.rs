//! Verification: what was acknowledged for each key, and what that says of a value that comes back.
//!
//! While a run is verified each key is written by one client only, over one connection, so its
//! versions rise and an acknowledged version is a floor: whoever reads the key *after* the
//! acknowledgement must see that version, a later one, or nothing. An older one is stale. Reads may
//! come from any client. A write whose fate is unknown (its connection broke) takes the floor away:
//! the old rules no longer hold then.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::value::{Values, Verdict};

/// The floor of one key, as one number: the version and, in the lowest bit, whether it was a
/// delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor(u64);

impl Floor {
    /// Nothing is known of the key.
    pub const NONE: Self = Self(0);
    /// Nothing will be known of the key again.
    const LOST: Self = Self(u64::MAX);
    /// Not a floor: this key's value has come.
    pub const SEEN: Self = Self(u64::MAX - 1);

    /// Whether the key should be there, if nothing was evicted.
    pub fn expects_value(self) -> bool {
        self != Self::NONE && self != Self::LOST && self != Self::SEEN && self.0 & 1 == 0
    }

    fn rules_out(self, version: u64) -> bool {
        self != Self::LOST && self != Self::SEEN && version < self.0 >> 1
    }
}

/// The floors of all keys, shared by all workers.
pub struct Ledger {
    floors: Box<[AtomicU64]>,
}

impl Ledger {
    /// A ledger of so many keys, of which nothing is known.
    pub fn new(keys: u64) -> Self {
        Self { floors: (0..keys).map(|_| AtomicU64::new(0)).collect() }
    }

    /// What a read that starts now must at least see.
    pub fn floor(&self, key: u64) -> Floor {
        let floor = self.floors.get(key as usize).map(|floor| floor.load(Ordering::Acquire));
        Floor(floor.unwrap_or(0))
    }

    /// A write or delete of this version was acknowledged.
    pub fn acknowledge(&self, key: u64, version: u64, deleted: bool) {
        if let Some(floor) = self.floors.get(key as usize) {
            // Lost floors are above all others and stay.
            floor.fetch_max(version << 1 | u64::from(deleted), Ordering::AcqRel);
        }
    }

    /// The fate of a write is unknown.
    pub fn lose(&self, key: u64) {
        if let Some(floor) = self.floors.get(key as usize) {
            floor.store(Floor::LOST.0, Ordering::Release);
        }
    }
}

/// How replies were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Values that were right.
    pub genuine: u64,
    /// Keys that had been stored and were not found: evicted, expired or lost.
    pub missing: u64,
    /// Values older than one that was acknowledged before the read.
    pub stale: u64,
    /// Bytes that were never written.
    pub corrupt: u64,
    /// Values or keys that were not asked for.
    pub foreign: u64,
}

impl Findings {
    /// Replies that no honest server gives.
    pub fn lies(&self) -> u64 {
        self.stale + self.corrupt + self.foreign
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.genuine += other.genuine;
        self.missing += other.missing;
        self.stale += other.stale;
        self.corrupt += other.corrupt;
        self.foreign += other.foreign;
    }

    /// Judges a value that came for `key`, whose length must be `bytes`.
    pub fn judge(&mut self, values: &Values, key: u64, bytes: usize, data: &[u8], floor: Floor) {
        match values.check(key, data) {
            _ if data.len() != bytes
                && !matches!(values.check(key, data), Verdict::Foreign { .. }) =>
            {
                self.corrupt += 1;
            }
            Verdict::Genuine { version: Some(version) } if floor.rules_out(version) => {
                self.stale += 1;
            }
            Verdict::Genuine { .. } => self.genuine += 1,
            Verdict::Foreign { .. } => self.foreign += 1,
            Verdict::Corrupt => self.corrupt += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(key: u64, data: &[u8], floor: Floor) -> Findings {
        let mut findings = Findings::default();
        findings.judge(&Values::default(), key, 64, data, floor);
        findings
    }

    fn value(key: u64, version: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Values::default().write(&mut out, key, version, 64);
        out
    }

    #[test]
    fn the_five_findings_are_told_apart() {
        let ledger = Ledger::new(10);
        ledger.acknowledge(3, 7, false);
        let floor = ledger.floor(3);
        assert_eq!(judged(3, &value(3, 7), floor).genuine, 1);
        assert_eq!(judged(3, &value(3, 8), floor).genuine, 1);
        assert_eq!(judged(3, &value(3, 6), floor).stale, 1);
        assert_eq!(judged(3, &value(4, 9), floor).foreign, 1);
        assert_eq!(judged(3, &value(3, 7)[..63], floor).corrupt, 1);
        assert!(floor.expects_value());
    }

    #[test]
    fn a_deleted_value_must_not_return() {
        let ledger = Ledger::new(10);
        ledger.acknowledge(3, 7, false);
        ledger.acknowledge(3, 8, true);
        assert!(!ledger.floor(3).expects_value());
        assert_eq!(judged(3, &value(3, 7), ledger.floor(3)).stale, 1);
        assert_eq!(judged(3, &value(3, 9), ledger.floor(3)).genuine, 1);
    }

    #[test]
    fn a_lost_write_takes_the_floor_away() {
        let ledger = Ledger::new(10);
        ledger.acknowledge(3, 7, false);
        ledger.lose(3);
        ledger.acknowledge(3, 9, false);
        assert_eq!(judged(3, &value(3, 1), ledger.floor(3)).genuine, 1);
        assert!(!ledger.floor(3).expects_value());
    }
}
