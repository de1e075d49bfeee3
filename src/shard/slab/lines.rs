//! The cache lines of which the index is made, and how a line is searched for a tag.
//!
//! A line is 64 bytes. The sixteen bytes that hold the tags are compared in one step; a lane
//! whose tag is 0 is empty, so the same comparison finds room.

#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::task::Waker;

use super::ahead::Ahead;
use super::region::{HUGE_PAGE_BYTES, PageKind, Plain, Region};

/// Items that a bucket holds itself.
pub(in crate::shard) const BUCKET_LANES: usize = 12;
/// Items that an overflow line holds.
pub(in crate::shard) const OVERFLOW_LANES: usize = 10;

/// One bucket of the index.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(in crate::shard) struct Bucket {
    /// Where the items are. Where the tag is 0: what the index remembers of a key, or 0.
    pub(in crate::shard) locs: [u32; BUCKET_LANES],
    /// A piece of each item's hash, 0 = empty; the last four bytes are `spilled`.
    tags: [u8; 16],
}

/// Room for the items of a group of buckets that found no lane at home.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(in crate::shard) struct Overflow {
    /// Where the items are.
    pub(in crate::shard) locs: [u32; OVERFLOW_LANES],
    /// A piece of each item's hash, 0 = empty; the last six bytes are the first six of `homes`.
    tags: [u8; 16],
    homes_rest: [u8; 4],
    /// Number of the next overflow line of the group among the spare ones, plus one; 0 = none.
    pub(in crate::shard) next: u32,
}

// SAFETY: arrays of plain integers without padding (64 bytes each, see the assertions).
unsafe impl Plain for Bucket {}
// SAFETY: as above.
unsafe impl Plain for Overflow {}

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is one cache line");
const _: () = assert!(size_of::<Overflow>() == 64, "an overflow line is one cache line");

impl Bucket {
    /// An empty bucket.
    #[cfg(test)]
    const EMPTY: Self = Self { locs: [0; BUCKET_LANES], tags: [0; 16] };

    /// Lanes with this tag, one bit each.
    #[inline]
    pub(in crate::shard) fn lanes(&self, tag: u8) -> u32 {
        matching(&self.tags, tag) & ((1 << BUCKET_LANES) - 1)
    }

    /// Lanes with this location, whatever their tag, one bit each.
    #[inline]
    pub(in crate::shard) fn lanes_at(&self, loc: u32) -> u32 {
        let same = |(lane, &found): (usize, &u32)| u32::from(found == loc) << lane;
        self.locs.iter().enumerate().map(same).fold(0, |all, one| all | one)
    }

    /// How many of the bucket's items lie in overflow lines.
    #[inline]
    pub(in crate::shard) fn spilled(&self) -> u32 {
        u32::from_le_bytes([self.tags[12], self.tags[13], self.tags[14], self.tags[15]])
    }

    pub(in crate::shard) fn set_spilled(&mut self, count: u32) {
        self.tags[12..].copy_from_slice(&count.to_le_bytes());
    }

    #[inline]
    pub(in crate::shard) fn set(&mut self, lane: usize, tag: u8, loc: u32) {
        assert!(lane < BUCKET_LANES);
        self.tags[lane] = tag;
        self.locs[lane] = loc;
    }

    pub(in crate::shard) fn tag(&self, lane: usize) -> u8 {
        self.tags[lane]
    }
}

impl Overflow {
    /// Lanes with this tag, one bit each.
    #[inline]
    pub(in crate::shard) fn lanes(&self, tag: u8) -> u32 {
        matching(&self.tags, tag) & ((1 << OVERFLOW_LANES) - 1)
    }

    /// Whether it holds no item.
    #[inline]
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.lanes(0) == (1 << OVERFLOW_LANES) - 1
    }

    /// The lanes that hold an item.
    pub(in crate::shard) fn taken(&self) -> impl Iterator<Item = usize> + use<> {
        set_lanes(!self.lanes(0) & ((1 << OVERFLOW_LANES) - 1))
    }

    /// Which bucket of the group the lane's item belongs to.
    pub(in crate::shard) fn home(&self, lane: usize) -> u8 {
        if lane < 6 { self.tags[OVERFLOW_LANES + lane] } else { self.homes_rest[lane - 6] }
    }

    pub(in crate::shard) fn set(&mut self, lane: usize, tag: u8, home: u8, loc: u32) {
        assert!(lane < OVERFLOW_LANES);
        self.tags[lane] = tag;
        self.locs[lane] = loc;
        if lane < 6 {
            self.tags[OVERFLOW_LANES + lane] = home;
        } else {
            self.homes_rest[lane - 6] = home;
        }
    }

    pub(in crate::shard) fn tag(&self, lane: usize) -> u8 {
        self.tags[lane]
    }
}

/// The set bits of a mask of lanes, lowest first.
pub(in crate::shard) fn set_lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros() as usize;
        let any = mask != 0;
        mask &= mask.wrapping_sub(1);
        any.then_some(lane)
    })
}

/// One bit for each byte of `tags` that equals `tag`.
#[inline]
#[cfg(target_arch = "x86_64")]
fn matching(tags: &[u8; 16], tag: u8) -> u32 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: SSE2 is part of x86_64, and the sixteen bytes read are those of `tags`.
    unsafe {
        let all = _mm_loadu_si128(tags.as_ptr().cast());
        let same = _mm_cmpeq_epi8(all, _mm_set1_epi8(tag.cast_signed()));
        _mm_movemask_epi8(same).cast_unsigned()
    }
}

/// One bit for each byte of `tags` that equals `tag`.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn matching(tags: &[u8; 16], tag: u8) -> u32 {
    tags.iter().enumerate().fold(0, |bits, (lane, &found)| bits | u32::from(found == tag) << lane)
}

/// A growing array of lines in a region of its own.
#[derive(Debug)]
pub(in crate::shard) struct Table<T> {
    region: Region,
    /// Lines in use. `len * 64 <= region.committed()`.
    len: usize,
    /// Lines up to which the table is on its way; memory for them is provided beforehand.
    len_planned: usize,
    lines: std::marker::PhantomData<T>,
}

/// Small tables grow by a quarter, large ones by a huge page.
const STEP_BYTES_MIN: usize = 16 << 10;

impl<T: Plain> Table<T> {
    /// An empty table that can grow to `len_max` lines.
    pub(in crate::shard) fn reserve(len_max: usize, kind: PageKind) -> io::Result<Self> {
        let region = Region::reserve(len_max * size_of::<T>(), kind)?;
        Ok(Self { region, len: 0, len_planned: 0, lines: std::marker::PhantomData })
    }

    pub(in crate::shard) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that the table occupies, what is provided beforehand included.
    pub(in crate::shard) const fn bytes(&self) -> usize {
        self.region.expected()
    }

    /// The kind of page below the table.
    pub(in crate::shard) const fn kind(&self) -> PageKind {
        self.region.kind()
    }

    /// From now on memory is provided before it is needed, up to `bytes`.
    pub(in crate::shard) fn supply(&mut self, bytes: usize, waker: &Waker) -> Option<Arc<Ahead>> {
        self.region.supply(bytes, waker)
    }

    /// Says that the table will soon grow beyond what it has: if it is large it needs its next huge
    /// page.
    #[inline]
    pub(in crate::shard) fn foresee(&mut self) {
        let committed = self.region.committed();
        if committed >= HUGE_PAGE_BYTES {
            self.region.expect(committed + HUGE_PAGE_BYTES);
        }
    }

    /// Says that the table will grow step by step to `len` lines.
    pub(in crate::shard) fn plan(&mut self, len: usize) {
        self.len_planned = len;
    }

    /// Bytes by which the table would grow to hold `len` lines; `None` if it never can.
    pub(in crate::shard) fn growth_bytes(&self, len: usize) -> Option<usize> {
        let target = self.target_bytes(len);
        if target <= self.region.committed() {
            return Some(0);
        }
        (target <= self.region.reserved())
            .then(|| self.expected_bytes(target).saturating_sub(self.bytes()))
    }

    /// What is to be committed for `len` lines.
    fn target_bytes(&self, len: usize) -> usize {
        let (need, committed) = (len * size_of::<T>(), self.region.committed());
        if need <= committed {
            return committed;
        }
        if self.region.kind() == PageKind::Reserved || need > HUGE_PAGE_BYTES {
            return need.next_multiple_of(HUGE_PAGE_BYTES);
        }
        let step = (committed / 4).next_multiple_of(4096).max(STEP_BYTES_MIN);
        need.next_multiple_of(step).min(HUGE_PAGE_BYTES)
    }

    /// What is to be expected once `target` bytes are committed: a large table that goes on
    /// growing needs the next huge page soon.
    fn expected_bytes(&self, target: usize) -> usize {
        let planned = self.len_planned * size_of::<T>();
        if target < HUGE_PAGE_BYTES {
            return target;
        }
        planned.clamp(target, target + HUGE_PAGE_BYTES)
    }

    /// Grows to `len` lines; new ones are zero.
    ///
    /// # Errors
    /// When the range or the memory is at its end.
    pub(in crate::shard) fn grow(&mut self, len: usize) -> io::Result<()> {
        assert!(len >= self.len);
        self.provide(len)?;
        self.len = len;
        Ok(())
    }

    /// Makes sure that growing to `len` lines later cannot fail.
    ///
    /// # Errors
    /// When the range or the memory is at its end.
    pub(in crate::shard) fn provide(&mut self, len: usize) -> io::Result<()> {
        let target = self.target_bytes(len);
        if target > self.region.reserved() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        self.region.commit(target)?;
        self.region.expect(self.expected_bytes(target));
        Ok(())
    }

    #[inline]
    pub(in crate::shard) fn lines(&self) -> &[T] {
        self.region.array(self.len)
    }

    #[inline]
    pub(in crate::shard) fn lines_mut(&mut self) -> &mut [T] {
        self.region.array_mut(self.len)
    }

    #[inline]
    pub(in crate::shard) fn prefetch(&self, number: usize) {
        self.region.prefetch(number * size_of::<T>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_every_lane_and_nowhere_else() {
        for lane in 0..BUCKET_LANES {
            let mut bucket = Bucket::EMPTY;
            bucket.set(lane, 7, 99);
            bucket.set_spilled(0x0707_0707);
            assert_eq!(bucket.lanes(7), 1 << lane);
            assert_eq!(bucket.lanes(0), 0xFFF & !(1 << lane));
            assert_eq!(bucket.spilled(), 0x0707_0707);
        }
    }

    #[test]
    fn homes_do_not_disturb_tags() {
        let mut table: Table<Overflow> = Table::reserve(100, PageKind::Plain).unwrap();
        table.grow(1).unwrap();
        let line = &mut table.lines_mut()[0];
        for lane in 0..OVERFLOW_LANES {
            line.set(lane, 9, 31 - lane as u8, 5);
        }
        assert_eq!(line.lanes(9), 0x3FF);
        for lane in 0..OVERFLOW_LANES {
            assert_eq!(line.home(lane), 31 - lane as u8);
        }
    }

    #[test]
    fn a_table_grows_in_place() {
        let mut table: Table<Bucket> = Table::reserve(1 << 16, PageKind::Transparent).unwrap();
        table.grow(3).unwrap();
        assert_eq!(table.bytes(), STEP_BYTES_MIN);
        table.lines_mut()[2].set(0, 1, 1);
        table.grow(1 << 16).unwrap();
        assert_eq!(table.lines()[2].lanes(1), 1);
        assert_eq!(table.growth_bytes(1 << 16), Some(0));
        assert_eq!(table.growth_bytes(1 << 20), None);
    }
}
