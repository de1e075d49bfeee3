//! What an item looks like in its chunk.
//!
//! ```text
//!  0  prev u32     4  next u32      LRU neighbours (free list neighbours of a free chunk)
//!  8  time u32                      last use in seconds; the top five bits are rare marks
//! 12  sequence u48                  order of stores in this shard; the CAS id comes from it
//! 18  length u16   20 key u8        value length; key length or what else the chunk is
//! 21  flags u8
//! 22  [exptime u32] [client flags u32] [length u32, chain u32, CAS id u64]   where needed
//!     key, value                    no terminators
//! ```
//!
//! Twenty-two bytes without padding: a key of 14 and a value of 64 bytes that never expire fill a
//! chunk of 100 exactly. Optional parts cost only the items that have them. Nothing in a chunk is
//! a pointer; chunks name each other by [`Loc`].
//!
//! A value longer than 65,535 bytes, or one that does not fit the largest chunk, is *large*: its
//! length stands in the third optional part. If it doesn't fit, the rest follows in a chain of
//! continuation chunks (see `chain`), and the length field at 18 holds how much of it is in the
//! first chunk, in units of 16 bytes. An item whose CAS id a client chose has that part, too.

#![allow(unsafe_code)]

use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

use super::slab::Plain;

/// Place of a chunk in the arena, in the shard's [`LocUnit`]; 0 is no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub(super) struct Loc(pub(super) u32);

impl Loc {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// What chunks start at multiples of, a power of two: the smaller it is, the less is lost between
/// an item and the end of its chunk, and the less memory 32 bits can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocUnit {
    shift: u32,
}

impl LocUnit {
    /// The least one.
    pub(super) const FINEST: Self = Self { shift: 2 };

    /// The unit of a shard that has `memory_bytes` at first and may be given twice as many: 4 bytes
    /// up to 8 GB, 8 up to 16 GB, and so on.
    pub(super) const fn of_shard(memory_bytes: usize) -> Self {
        let mut unit = Self::FINEST;
        while unit.reach_bytes() / 2 < memory_bytes {
            unit.shift += 1;
        }
        unit
    }

    pub(super) const fn bytes(self) -> usize {
        1 << self.shift
    }

    /// Distance of a chunk from the start of the arena.
    #[inline]
    pub(super) const fn offset(self, loc: Loc) -> usize {
        (loc.0 as usize) << self.shift
    }

    /// How many units these bytes are.
    #[inline]
    pub(super) const fn count(self, bytes: usize) -> u32 {
        (bytes >> self.shift) as u32
    }

    /// Bytes that locations can reach.
    pub(super) const fn reach_bytes(self) -> usize {
        (1 << 32) << self.shift
    }
}

/// Bytes of [`Header`].
pub(super) const HEADER_BYTES: usize = 22;
/// Longest key.
pub(super) const KEY_BYTES_MAX: usize = 250;

/// The fixed part at the start of every chunk. Packed, so that it may start anywhere.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub(super) struct Header {
    pub(super) prev: Loc,
    pub(super) next: Loc,
    time_and_marks: u32,
    /// In a continuation: bytes used.
    sequence_low: u32,
    sequence_high: u16,
    /// Length of the value, or, chained, of its first part in units of [`HEAD_UNIT_BYTES`].
    pub(super) length: u16,
    /// Length of the key, or one of the constants in [`kind`].
    pub(super) key_bytes: u8,
    pub(super) flags: u8,
}

// SAFETY: plain integers, packed, so without padding; any bits are valid.
unsafe impl Plain for Header {}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES, "the header has no padding");

const KIND_AT: usize = std::mem::offset_of!(Header, key_bytes);
const FLAGS_AT: usize = std::mem::offset_of!(Header, flags);
const _: () = assert!(KIND_AT.is_multiple_of(2) && FLAGS_AT == KIND_AT + 1, "one aligned store");

/// Values of `key_bytes` that no key has.
pub(super) mod kind {
    /// The chunk is free.
    pub(in crate::shard) const FREE: u8 = 0;
    /// The chunk continues the value of another.
    pub(in crate::shard) const CONTINUATION: u8 = 255;
}

/// Bits of `flags`. The two lowest are the segment.
pub(super) mod flag {
    pub(in crate::shard) const SEGMENT: u8 = 0b11;
    /// Read since it was stored.
    pub(in crate::shard) const FETCHED: u8 = 1 << 2;
    /// Used since the LRU last looked at it.
    pub(in crate::shard) const ACTIVE: u8 = 1 << 3;
    /// Has client flags.
    pub(in crate::shard) const CLIENT_FLAGS: u8 = 1 << 4;
    /// Has a long length and perhaps a chain, and room for a CAS id that a client chose.
    pub(in crate::shard) const LARGE: u8 = 1 << 5;
    /// Has room for an expiry time.
    pub(in crate::shard) const EXPIRES: u8 = 1 << 6;
    /// The item is whole and can be found. Set last and cleared first (see [`Header::set_flags`]),
    /// so that whoever finds the memory later, in a file, knows what it may believe.
    pub(in crate::shard) const LINKED: u8 = 1 << 7;
    /// Of a free chunk: not in the free list, because its page is being given up.
    pub(in crate::shard) const OFF_LIST: u8 = 1 << 6;
}

/// Rare marks, in the top bits of the time word.
pub(super) mod mark {
    /// A client chose the CAS id.
    pub(in crate::shard) const WIDE_CAS: u32 = 1 << 27;
    /// A client invalidated the item; the next reader is told to fetch anew.
    pub(in crate::shard) const STALE: u32 = 1 << 28;
    /// Some reader has been told to fetch anew.
    pub(in crate::shard) const TOKEN_SENT: u32 = 1 << 29;
    /// The client spells the key in base64.
    pub(in crate::shard) const KEY_BINARY: u32 = 1 << 30;
    /// A send in flight reads the value, or an upload writes it: it must not move or change.
    pub(in crate::shard) const PINNED: u32 = 1 << 31;
}

/// Four years of seconds: as much is kept of the clock.
const TIME_MASK: u32 = (1 << 27) - 1;

/// Unit of the first part's length of a chained value, so that 1 MB fits sixteen bits.
pub(super) const HEAD_UNIT_BYTES: usize = 16;

/// The segments of a class's LRU, as memcached names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Segment {
    /// New items.
    Hot = 0,
    /// Items used again.
    Warm = 1,
    /// Items to be evicted.
    Cold = 2,
    /// Items that will expire soon and are not evicted.
    Temp = 3,
}

impl Segment {
    pub(super) const ALL: [Self; 4] = [Self::Hot, Self::Warm, Self::Cold, Self::Temp];
}

impl Header {
    #[inline]
    pub(super) const fn segment(&self) -> Segment {
        match self.flags & flag::SEGMENT {
            0 => Segment::Hot,
            1 => Segment::Warm,
            2 => Segment::Cold,
            _ => Segment::Temp,
        }
    }

    /// The flags of this item in a segment.
    #[inline]
    pub(super) const fn flags_in(&self, segment: Segment) -> u8 {
        self.flags & !flag::SEGMENT | segment as u8
    }

    /// Sets the flags in one step, after all that was written before it and before all that
    /// follows: a process that is killed leaves either both sides of that order or only the first.
    #[inline]
    pub(super) fn set_flags(&mut self, flags: u8) {
        compiler_fence(SeqCst);
        // SAFETY: a field of `self`; volatile, so that it stays one store in its place.
        unsafe { (&raw mut self.flags).write_volatile(flags) };
        compiler_fence(SeqCst);
    }

    /// Says that an item is whole: from now on it is in the cache, whatever happens.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.set_flags(self.flags | flag::LINKED);
    }

    /// Says that an item is about to change or to go: it is in the cache again only if it is
    /// published again.
    #[inline]
    pub(super) fn withdraw(&mut self) {
        self.set_flags(self.flags & !flag::LINKED);
    }

    /// Makes any chunk a free one with these flags, in one step.
    #[inline]
    pub(super) fn retire(&mut self, flags: u8) {
        let both = u16::from_le_bytes([kind::FREE, flags]).to_le();
        compiler_fence(SeqCst);
        // SAFETY: `key_bytes` and `flags` are neighbours, and a header starts where a chunk does,
        // at a multiple of four, so the two are aligned.
        unsafe { (&raw mut *self).byte_add(KIND_AT).cast::<u16>().write_volatile(both) };
        compiler_fence(SeqCst);
    }

    #[inline]
    pub(super) const fn has(&self, bits: u8) -> bool {
        self.flags & bits != 0
    }

    /// Seconds since the item was last used, given the shard clock. What lies more than four years
    /// back seems nearer.
    #[inline]
    pub(super) const fn idle_s(&self, now: u32) -> u32 {
        now.wrapping_sub(self.time_and_marks) & TIME_MASK
    }

    /// When the item was last used, in seconds of the shard clock.
    #[inline]
    pub(super) const fn last_access(&self, now: u32) -> u32 {
        now.saturating_sub(self.idle_s(now))
    }

    #[inline]
    pub(super) fn set_time(&mut self, now: u32) {
        self.time_and_marks = self.time_and_marks & !TIME_MASK | now & TIME_MASK;
    }

    #[inline]
    pub(super) const fn is_marked(&self, marks: u32) -> bool {
        self.time_and_marks & marks != 0
    }

    pub(super) fn mark(&mut self, marks: u32, on: bool) {
        self.time_and_marks =
            if on { self.time_and_marks | marks } else { self.time_and_marks & !marks };
    }

    /// Place in the order of stores.
    #[inline]
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence_low as u64 | (self.sequence_high as u64) << 32
    }

    /// Sets the place in the order of stores; 48 bits last four years at two million a second.
    #[inline]
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.sequence_low = sequence as u32;
        self.sequence_high = (sequence >> 32) as u16;
    }

    /// Whether the chunk starts an item that can be found, or a pinned one that could.
    #[inline]
    pub(super) const fn is_item(&self) -> bool {
        self.key_bytes != kind::FREE && (self.key_bytes as usize) <= KEY_BYTES_MAX
    }

    /// Where the key starts in the chunk.
    #[inline]
    pub(super) const fn key_at(&self) -> usize {
        key_at(self.flags)
    }

    /// Where the value starts in the chunk of an item.
    #[inline]
    pub(super) const fn value_at(&self) -> usize {
        key_at(self.flags) + self.key_bytes as usize
    }

    /// A header for a new item, not linked yet; links, sequence and optional parts are the
    /// caller's to set.
    pub(super) const fn new(key_bytes: u8, flags: u8, now: u32) -> Self {
        Self {
            prev: Loc::NONE,
            next: Loc::NONE,
            time_and_marks: now & TIME_MASK,
            sequence_low: 0,
            sequence_high: 0,
            length: 0,
            key_bytes,
            flags,
        }
    }

    /// A header for a chunk that continues the value of `item` with `used_bytes` bytes.
    pub(super) const fn continuation(item: Loc, used_bytes: usize) -> Self {
        let header = Self::new(kind::CONTINUATION, 0, 0);
        Self { prev: item, sequence_low: used_bytes as u32, ..header }
    }

    /// Bytes of a value that a continuation holds.
    pub(super) const fn used_bytes(&self) -> usize {
        self.sequence_low as usize
    }
}

/// Where the expiry time stands in an item that has room for one.
pub(super) const EXPTIME_AT: usize = HEADER_BYTES;
pub(super) const EXPTIME_BYTES: usize = 4;
const CLIENT_FLAGS_BYTES: usize = 4;
const LARGE_BYTES: usize = 16;

/// Where the client flags stand, given the flags of an item that has some.
pub(super) const fn client_flags_at(flags: u8) -> usize {
    EXPTIME_AT + if flags & flag::EXPIRES != 0 { EXPTIME_BYTES } else { 0 }
}

/// Where the large part starts, given the flags of an item that has one.
pub(super) const fn large_at(flags: u8) -> usize {
    client_flags_at(flags) + if flags & flag::CLIENT_FLAGS != 0 { CLIENT_FLAGS_BYTES } else { 0 }
}

/// Where the explicit CAS id starts, given the flags of an item that has one.
pub(super) const fn wide_cas_at(flags: u8) -> usize {
    large_at(flags) + 8
}

/// Where the key starts, given an item's flags.
#[inline]
pub(super) const fn key_at(flags: u8) -> usize {
    const AT: [u8; 8] = {
        let mut at = [0; 8];
        let mut parts = 0;
        while parts < 8 {
            let flags = (parts << 4) as u8;
            let large = if flags & flag::LARGE != 0 { LARGE_BYTES } else { 0 };
            at[parts] = (large_at(flags) + large) as u8;
            parts += 1;
        }
        at
    };
    AT[(flags >> 4 & 7) as usize] as usize
}

/// The sizes of an item that is about to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) key_bytes: usize,
    pub(super) value_bytes: usize,
    /// Which optional parts it has: a subset of EXPIRES, CLIENT_FLAGS and LARGE.
    pub(super) parts: u8,
    /// Whether it has a CAS id that a client chose.
    pub(super) wide_cas: bool,
}

impl Shape {
    /// Works out which optional parts an item needs. `chunk_bytes_max` is the largest chunk.
    #[inline]
    pub(super) const fn new(
        key_bytes: usize,
        value_bytes: usize,
        client_flags: u32,
        expires: bool,
        wide_cas: bool,
        chunk_bytes_max: usize,
    ) -> Self {
        let mut parts = 0;
        if client_flags != 0 {
            parts |= flag::CLIENT_FLAGS;
        }
        if expires {
            parts |= flag::EXPIRES;
        }
        let small = key_at(parts | flag::EXPIRES) + key_bytes + value_bytes;
        if value_bytes > u16::MAX as usize || small > chunk_bytes_max || wide_cas {
            parts |= flag::LARGE | flag::EXPIRES;
        }
        Self { key_bytes, value_bytes, parts, wide_cas }
    }

    /// Bytes of the whole item if it lay in one chunk.
    #[inline]
    pub(super) const fn total_bytes(&self) -> usize {
        self.value_at() + self.value_bytes
    }

    #[inline]
    pub(super) const fn value_at(&self) -> usize {
        key_at(self.parts) + self.key_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_small_item_fills_its_chunk_exactly() {
        assert_eq!(Shape::new(14, 64, 0, false, false, 512 << 10).total_bytes(), 100);
        assert_eq!(Shape::new(14, 64, 0, true, false, 512 << 10).total_bytes(), 104);
    }

    #[test]
    fn optional_parts_are_counted_and_do_not_overlap() {
        let shape = Shape::new(10, 70_000, 5, false, true, 512 << 10);
        assert_eq!(shape.parts, flag::EXPIRES | flag::CLIENT_FLAGS | flag::LARGE);
        assert_eq!(client_flags_at(shape.parts), HEADER_BYTES + 4);
        assert_eq!(large_at(shape.parts), HEADER_BYTES + 8);
        assert_eq!(wide_cas_at(shape.parts), HEADER_BYTES + 16);
        assert_eq!(shape.value_at(), HEADER_BYTES + 24 + 10);
        assert_eq!(key_at(0), HEADER_BYTES);
        assert_eq!(key_at(flag::CLIENT_FLAGS | flag::LINKED), HEADER_BYTES + 4);
    }

    #[test]
    fn time_marks_and_sequence_keep_apart() {
        let mut header = Header::new(3, 0, 1234);
        header.mark(mark::STALE | mark::PINNED, true);
        header.set_sequence(0xABCD_0123_4567);
        header.set_time(77);
        header.mark(mark::PINNED, false);
        assert_eq!((header.last_access(80), header.idle_s(80)), (77, 3));
        header.set_time(TIME_MASK);
        assert_eq!(header.last_access(TIME_MASK + 5), TIME_MASK, "a clock of many years");
        assert!(header.is_marked(mark::STALE) && !header.is_marked(mark::PINNED));
        assert_eq!(header.sequence(), 0xABCD_0123_4567);
        header.flags = header.flags_in(Segment::Cold);
        assert_eq!(header.segment(), Segment::Cold);
    }
}
