//! Checked words, and the book that a shard keeps of itself in its arena.
//!
//! What must be known to make sense of the pages of a memory file stands in words of 8 bytes: 48
//! bits of value and a check of 16, a CRC of the value and of the word's number. A word is stored
//! in one step, so it is never seen half written, and a byte that was changed by anything else is
//! always noticed: a CRC of 16 bits finds every burst of at most 16.
//!
//! The book lies in the first huge page of the arena, where no item may lie. A shard whose memory
//! is its own keeps it as well; it is written once a second and when a page changes hands.

use super::arena::{PAGE_FIRST, PageId};
use super::region::{HUGE_PAGE_BYTES, Region};

/// Bits of a word's value.
const VALUE_BITS: u32 = 48;
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;

/// Reads word `number` of a region; `None` if it is damaged.
pub(in crate::shard) fn word(region: &Region, number: usize) -> Option<u64> {
    let word = *region.get::<u64>(number * size_of::<u64>());
    let value = word & VALUE_MAX;
    (sealed(number, value) == word).then_some(value)
}

/// Writes word `number` of a region.
pub(in crate::shard) fn set_word(region: &mut Region, number: usize, value: u64) {
    assert!(value <= VALUE_MAX, "a word holds 48 bits");
    region.store_ordered(number * size_of::<u64>(), sealed(number, value));
}

/// A value with its check.
fn sealed(number: usize, value: u64) -> u64 {
    let mut crc: u16 = 0xFFFF;
    let number = (number as u32).to_le_bytes();
    for byte in number.into_iter().chain(value.to_le_bytes()) {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc = crc << 1 ^ if carry { 0x1021 } else { 0 };
        }
    }
    value | u64::from(crc) << VALUE_BITS
}

/// What a shard writes down about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Entry {
    /// The latest second of the clock.
    Now,
    /// No item has a sequence above this.
    SequenceMax,
    /// Items with a sequence up to this are flushed.
    FlushCut,
    /// When the next flush is due, 0 = never.
    FlushAt,
    /// Items, about.
    Items,
}

/// Number of the first of the words that tell the classes of the pages. Those with the sums of
/// their contents follow.
const PAGES_AT: usize = 8;

/// The book of an arena, for reading.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Book<'a> {
    pub(super) region: &'a Region,
    /// One past the last page.
    pub(super) page_end: u32,
}

impl Book<'_> {
    /// Whether no word is damaged.
    pub(in crate::shard) fn is_sound(&self) -> bool {
        (0..words(self.page_end)).all(|number| word(self.region, number).is_some())
    }

    /// An entry of a sound book.
    pub(in crate::shard) fn entry(&self, entry: Entry) -> u64 {
        self.sound(entry as usize)
    }

    /// The class of a page, 0 = none.
    pub(in crate::shard) fn class(&self, page: PageId) -> u64 {
        self.sound(class_at(page))
    }

    /// The sum of a page's contents when the book was closed.
    pub(in crate::shard) fn sum(&self, page: PageId) -> u64 {
        self.sound(sum_at(self.page_end, page))
    }

    /// All bytes of the region, to look for something in.
    #[cfg(test)]
    pub(in crate::shard) fn region_bytes(&self) -> &[u8] {
        self.region.slice(0, self.region.committed())
    }

    fn sound(&self, number: usize) -> u64 {
        word(self.region, number).expect("the book was found to be sound")
    }
}

/// A sum of bytes that fits a word.
pub(in crate::shard) fn sum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes) & VALUE_MAX
}

/// Most pages that the book has room for, in the one huge page before the first of them.
pub(in crate::shard) const PAGES_MAX: usize =
    (HUGE_PAGE_BYTES / size_of::<u64>() - PAGES_AT) / 2 - PAGE_FIRST as usize;

/// Words of the book of an arena.
pub(super) const fn words(page_end: u32) -> usize {
    PAGES_AT + 2 * page_end as usize
}

pub(super) const fn class_at(page: PageId) -> usize {
    PAGES_AT + page.0 as usize
}

pub(super) const fn sum_at(page_end: u32, page: PageId) -> usize {
    PAGES_AT + (page_end + page.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::PageKind;

    #[test]
    fn a_word_keeps_its_value_and_notices_every_changed_byte() {
        let mut region = Region::reserve(2 << 20, PageKind::Plain).unwrap();
        region.commit(2 << 20).unwrap();
        assert_eq!(word(&region, 3), None, "zeroes are no word");
        for value in [0, 1, 0x1234_5678_9ABC, VALUE_MAX] {
            set_word(&mut region, 3, value);
            assert_eq!(word(&region, 3), Some(value));
            for at in 24..32 {
                for change in 1..=255 {
                    region.slice_mut(at, 1)[0] ^= change;
                    assert_eq!(word(&region, 3), None);
                    region.slice_mut(at, 1)[0] ^= change;
                }
            }
        }
    }

    #[test]
    fn a_word_is_good_in_its_own_place_only() {
        let mut region = Region::reserve(2 << 20, PageKind::Plain).unwrap();
        region.commit(2 << 20).unwrap();
        set_word(&mut region, 3, 77);
        region.copy(24, 32, 8);
        assert_eq!((word(&region, 3), word(&region, 4)), (Some(77), None));
    }
}
