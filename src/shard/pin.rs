//! Pins: values that a send in flight reads where they lie.
//!
//! Pins are rare (only large values are worth one), so they are counted in a table beside the
//! items instead of a field in each.

use std::collections::HashMap;

use super::Shard;
use super::chain::Piece;
use super::item::{Loc, flag, mark};
use super::lookup::Hit;
use super::slab::HeldValue;

/// How often each pinned item is pinned.
#[derive(Debug)]
pub(super) struct Pins {
    counts: HashMap<Loc, u32>,
}

/// Pins at a time for which there is room without allocating.
const PINS_EXPECTED: usize = 1024;

impl Default for Pins {
    fn default() -> Self {
        Self { counts: HashMap::with_capacity(PINS_EXPECTED) }
    }
}

/// A value that stays where it is until it is given back with [`Shard::unpin`]. The item may be
/// deleted or replaced meanwhile; the bytes stay what they were.
#[derive(Debug)]
#[must_use = "a pin that is not given back keeps its memory for ever"]
pub struct Pinned {
    value: HeldValue,
}

impl Pinned {
    /// The pieces of the value in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let following = |piece: &Piece| self.value.following(piece);
        std::iter::successors(Some(self.value.first()), following)
            .map(|piece| self.value.bytes(&piece))
    }
}

impl Hit<'_> {
    /// Pins the value.
    pub fn pin(self) -> Pinned {
        self.shard.hold(self.loc);
        Pinned { value: HeldValue::new(&self.shard.slabs.arena, self.loc) }
    }
}

impl Shard {
    /// Ends a pin.
    pub fn unpin(&mut self, pinned: Pinned) {
        self.unhold(pinned.value.loc);
    }

    /// Values that are pinned now.
    #[must_use]
    pub fn pinned_count(&self) -> usize {
        self.pins.counts.len()
    }

    /// Keeps an item's chunks in place and unchanged until as many calls of `unhold`.
    pub(super) fn hold(&mut self, loc: Loc) {
        let count = self.pins.counts.entry(loc).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.slabs.arena.header_mut(loc).mark(mark::PINNED, true);
            self.hold_pages(loc, true);
        }
    }

    /// Ends a hold. With the last one an item that ended meanwhile gives its chunks back.
    pub(super) fn unhold(&mut self, loc: Loc) {
        if self.let_go(loc) && !self.slabs.arena.header(loc).has(flag::LINKED) {
            self.free_item(loc);
        }
    }

    /// Ends a hold; true if it was the last one.
    pub(super) fn let_go(&mut self, loc: Loc) -> bool {
        let count = self.pins.counts.get_mut(&loc).expect("only what is held is let go");
        *count -= 1;
        if *count > 0 {
            return false;
        }
        self.pins.counts.remove(&loc);
        self.hold_pages(loc, false);
        self.slabs.arena.header_mut(loc).mark(mark::PINNED, false);
        true
    }
}
