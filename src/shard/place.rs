//! How an item comes into being and how it ends.
//!
//! Coming into being has three steps, so that a value can be filled in between: its chunks are
//! taken and its head written (`make`), the value is written, and it is linked into index and
//! list (`link` or `swap`). Only then can it be found, evicted or moved; until then its head is
//! marked as reserved, which the page mover respects.
//!
//! For whoever finds the memory in a file after a kill (see `restore`), an item counts from the
//! store that publishes it to the one that withdraws it, and of two items with one key the old one
//! is withdrawn before the new one is published.
//!
//! An item that ends while it is pinned is only unlinked; its chunks come back with the last pin.

use super::chain::{self, CONTINUATION_AT};
use super::index::{Memory, Slot};
use super::item::{
    EXPTIME_AT, EXPTIME_BYTES, HEAD_UNIT_BYTES, Header, Loc, Segment, Shape, flag, mark,
};
use super::{Key, Miss, Shard, StoreOptions};

/// What an item has besides key and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) client_flags: u32,
    pub(super) exptime: u32,
    /// The CAS id to show, or `None` for one made of the sequence.
    pub(super) cas_new: Option<u64>,
    /// Marks to set, see [`mark`].
    pub(super) marks: u32,
}

impl Recipe {
    pub(super) fn of(options: &StoreOptions) -> Self {
        Self {
            client_flags: options.client_flags,
            exptime: options.exptime,
            cas_new: options.cas_new,
            marks: if options.key_binary { mark::KEY_BINARY } else { 0 },
        }
    }
}

/// memcached's header without CAS id, so that the same items are too large here and there.
const NOMINAL_HEADER_BYTES: usize = 48;

impl Shard {
    /// The sizes of an item.
    #[inline]
    pub(super) fn shape(&self, key: &[u8], value_bytes: usize, recipe: &Recipe) -> Shape {
        let wide = recipe.cas_new.is_some() && self.config.cas;
        let chunk_bytes_max = self.slabs.table.chunk_bytes_max();
        // Where nothing is evicted, there might be no chunk for an item that is to expire later.
        let expires = recipe.exptime != 0 || !self.config.evict;
        Shape::new(key.len(), value_bytes, recipe.client_flags, expires, wide, chunk_bytes_max)
    }

    /// Whether memcached would find an item of this shape too large.
    #[inline]
    pub(super) fn is_too_large(&self, shape: &Shape) -> bool {
        let cas = if self.config.cas { 8 } else { 0 };
        let client_flags = if shape.parts & flag::CLIENT_FLAGS != 0 { 4 } else { 0 };
        let terminators = "\0\r\n".len();
        NOMINAL_HEADER_BYTES
            + cas
            + client_flags
            + shape.key_bytes
            + shape.value_bytes
            + terminators
            > self.config.item_bytes_max
    }

    /// Takes the chunks for an item and writes everything but the value. `None` if there is no
    /// memory. This may evict any item that is not pinned.
    #[inline]
    pub(super) fn make(&mut self, key: &[u8], shape: &Shape, recipe: &Recipe) -> Option<Loc> {
        let (loc, left) = self.make_head(key, shape, recipe)?;
        if left > 0 && !self.make_chain(loc, left) {
            self.free_item(loc);
            return None;
        }
        Some(loc)
    }

    /// Takes an item's first chunk only. Returns it, and how many bytes of the value have no room
    /// in it.
    #[inline]
    pub(super) fn make_head(
        &mut self,
        key: &[u8],
        shape: &Shape,
        recipe: &Recipe,
    ) -> Option<(Loc, usize)> {
        let total_bytes = shape.total_bytes();
        let chunk_bytes_max = self.slabs.table.chunk_bytes_max();
        let single = total_bytes <= chunk_bytes_max;
        let loc = self.take_room(total_bytes.min(chunk_bytes_max))?;
        self.write_head(loc, key, shape, recipe);
        if shape.parts & flag::LARGE != 0 {
            self.slabs.arena.set_large(loc, shape.value_bytes, Loc::NONE);
        }
        if single {
            return Some((loc, 0));
        }
        let room = chunk_bytes_max - shape.value_at();
        let head_units = room / HEAD_UNIT_BYTES;
        self.slabs.arena.header_mut(loc).length = head_units as u16;
        Some((loc, shape.value_bytes - head_units * HEAD_UNIT_BYTES))
    }

    /// Takes a chunk for the first `bytes` bytes of an item.
    #[inline]
    fn take_room(&mut self, bytes: usize) -> Option<Loc> {
        let class = self.slabs.table.class_for(bytes);
        let host = self.slabs.host_of(class);
        let loc = self.allocate(host)?;
        if host != class {
            self.slabs.count_guest(class, host);
        }
        Some(loc)
    }

    /// Writes header, optional parts and key; leaves the links of the header empty.
    #[inline]
    pub(super) fn write_head(&mut self, loc: Loc, key: &[u8], shape: &Shape, recipe: &Recipe) {
        let sequence = self.next_sequence();
        let mut header = Header::new(key.len() as u8, shape.parts, self.now);
        header.set_sequence(sequence);
        debug_assert!(recipe.exptime == 0 || shape.parts & flag::EXPIRES != 0);
        let wide = if shape.wide_cas { mark::WIDE_CAS } else { 0 };
        if recipe.marks | wide != 0 {
            header.mark(recipe.marks | wide, true);
        }
        if shape.parts & flag::LARGE == 0 {
            header.length = shape.value_bytes as u16;
        }
        let arena = &mut self.slabs.arena;
        *arena.header_mut(loc) = header;
        if shape.parts & flag::EXPIRES != 0 {
            arena.set_exptime(loc, recipe.exptime);
        }
        if shape.parts & flag::CLIENT_FLAGS != 0 {
            arena.set_client_flags(loc, recipe.client_flags);
        }
        if shape.wide_cas {
            arena.set_wide_cas(loc, recipe.cas_new.unwrap_or_default());
        }
        arena.bytes_mut(loc, header.key_at(), key.len()).copy_from_slice(key);
        self.note_expiry(loc, recipe.exptime);
    }

    /// Takes the continuation chunks for the last `left` bytes of a value.
    fn make_chain(&mut self, loc: Loc, mut left: usize) -> bool {
        self.reserve_head(loc, true);
        let mut last = loc;
        while left > 0 {
            let Some((next, bytes)) = self.lengthen_chain(loc, last, left) else { break };
            last = next;
            left -= bytes;
        }
        self.reserve_head(loc, false);
        left == 0
    }

    /// Takes one chunk more for an item whose last chunk is `last` and of whose value `left` bytes
    /// have no room yet. Returns it, and how many of them it has room for.
    pub(super) fn lengthen_chain(
        &mut self,
        loc: Loc,
        last: Loc,
        left: usize,
    ) -> Option<(Loc, usize)> {
        let bytes = left.min(self.slabs.table.chunk_bytes_max() - CONTINUATION_AT);
        let class = self.slabs.table.class_for(CONTINUATION_AT + bytes);
        let next = self.allocate(class)?;
        let arena = &mut self.slabs.arena;
        *arena.header_mut(next) = Header::continuation(loc, bytes);
        if last == loc {
            let value_bytes = arena.value_bytes(loc);
            arena.set_large(loc, value_bytes, next);
        } else {
            arena.header_mut(last).next = next;
        }
        Some((next, bytes))
    }

    /// Marks an unlinked item as one that must be left alone, so that what is evicted and moved
    /// to make room for its rest is not the item itself.
    pub(super) fn reserve_head(&mut self, loc: Loc, on: bool) {
        self.slabs.arena.header_mut(loc).mark(mark::PINNED, on);
    }

    /// Makes an item findable under a key that is absent. False, and the item is gone, if the
    /// index has no room and no memory.
    #[inline]
    pub(super) fn link(&mut self, hash: u64, loc: Loc) -> bool {
        self.grow_index();
        let Some(memory) = self.index.insert(hash, loc) else {
            self.free_item(loc);
            return false;
        };
        self.enlist(loc, memory);
        true
    }

    /// Puts a new item in the place of an old one with the same key.
    pub(super) fn swap(&mut self, slot: Slot, old: Loc, new: Loc) {
        self.index.replace(slot, new);
        self.delist(old);
        self.free_or_orphan(old);
        self.enlist(new, Memory::Evicted);
    }

    /// Takes an item out of index and list, and frees it unless it is pinned.
    #[inline]
    pub(super) fn end(&mut self, slot: Slot, hash: u64, loc: Loc) {
        self.index.remove(slot, hash);
        self.delist(loc);
        self.free_or_orphan(loc);
    }

    /// Ends an item of which only the place is known.
    pub(super) fn end_at(&mut self, loc: Loc) {
        let hash = self.hash_of(loc);
        let slot = self.slot_of(hash, loc);
        self.end(slot, hash, loc);
    }

    /// Where the index has a linked item.
    pub(super) fn slot_of(&self, hash: u64, loc: Loc) -> Slot {
        self.index.find(hash, |found| found == loc).expect("a linked item is in the index").0
    }

    fn free_or_orphan(&mut self, loc: Loc) {
        if self.is_held(loc) {
            self.slabs.arena.header_mut(loc).withdraw();
        } else {
            self.free_item(loc);
        }
    }

    /// Gives all chunks of an item back.
    pub(super) fn free_item(&mut self, loc: Loc) {
        if self.slabs.arena.header(loc).has(flag::LARGE) {
            self.slabs.arena.header_mut(loc).withdraw();
            let mut next = self.slabs.arena.large(loc).1;
            while next.is_some() {
                let following = self.slabs.arena.header(next).next;
                self.slabs.free_chunk(next);
                next = following;
            }
        }
        self.slabs.free_chunk(loc);
    }

    /// Puts an item at the head of the list where new items start.
    #[inline]
    fn enlist(&mut self, loc: Loc, memory: Memory) {
        let (class, bytes) = (self.slabs.class_of(loc), self.slabs.arena.item_bytes(loc));
        let segment = self.first_segment(self.slabs.arena.exptime(loc), memory);
        self.lists.push(&mut self.slabs.arena, (class, segment), loc, bytes);
        self.counters.total_items += 1;
    }

    #[inline]
    pub(super) fn delist(&mut self, loc: Loc) {
        let (class, bytes) = (self.slabs.class_of(loc), self.slabs.arena.item_bytes(loc));
        self.lists.remove(&mut self.slabs.arena, class, loc, bytes);
    }

    fn first_segment(&self, exptime: u32, memory: Memory) -> Segment {
        let lru = &self.config.lru;
        let lives = exptime.saturating_sub(self.now);
        match lru.temporary_ttl {
            _ if !lru.segmented => Segment::Cold,
            Some(ttl) if exptime != 0 && lives <= ttl => Segment::Temp,
            _ if lru.probation && memory == Memory::Evicted => Segment::Warm,
            _ => Segment::Hot,
        }
    }

    /// Whether an item can be given this expiry time where it lies.
    pub(super) fn has_room_for(&self, loc: Loc, exptime: u32) -> bool {
        exptime == 0 || self.slabs.arena.header(loc).has(flag::EXPIRES)
    }

    /// Changes when an item expires that has room for that.
    pub(super) fn set_exptime(&mut self, loc: Loc, exptime: u32) {
        debug_assert!(self.has_room_for(loc, exptime));
        if self.slabs.arena.header(loc).has(flag::EXPIRES) {
            self.slabs.arena.set_exptime(loc, exptime);
            self.note_expiry(loc, exptime);
        }
    }

    /// Changes when a linked item expires, and says where it lies then. `None`, and the item is
    /// gone, if it would need another chunk and there is none: better no item than one that stays
    /// for longer than it may.
    #[inline]
    pub(super) fn touch_item(&mut self, loc: Loc, exptime: u32) -> Option<Loc> {
        let loc = if self.has_room_for(loc, exptime) { loc } else { self.widen(loc)? };
        self.set_exptime(loc, exptime);
        Some(loc)
    }

    /// Moves an item to a chunk in which it has room for an expiry time. All else about it stays.
    #[cold]
    fn widen(&mut self, old: Loc) -> Option<Loc> {
        let bytes = self.slabs.arena.item_bytes(old);
        self.hold(old);
        let room = self.take_room(bytes + EXPTIME_BYTES);
        self.unhold(old);
        let Some(new) = room else {
            self.end_at(old);
            return None;
        };
        let hash = self.hash_of(old);
        let slot = self.slot_of(hash, old);
        let arena = &mut self.slabs.arena;
        let mut header = *arena.header(old);
        header.withdraw();
        header.flags |= flag::EXPIRES;
        header.mark(mark::PINNED, false);
        *arena.header_mut(new) = header;
        arena.copy((old, EXPTIME_AT), (new, EXPTIME_AT + EXPTIME_BYTES), bytes - EXPTIME_AT);
        self.index.replace(slot, new);
        self.delist(old);
        self.free_or_orphan(old);
        let list = (self.slabs.class_of(new), header.segment());
        self.lists.push(&mut self.slabs.arena, list, new, bytes + EXPTIME_BYTES);
        Some(new)
    }

    /// Keeps the page's earliest expiry time, by which the crawler skips pages.
    #[inline]
    pub(super) fn note_expiry(&mut self, loc: Loc, exptime: u32) {
        if exptime != 0 {
            let page = self.slabs.page_mut(self.slabs.page_of(loc));
            page.expires_first = page.expires_first.min(exptime);
        }
    }

    /// Gives an item the next sequence and CAS id. Withdraws it for that; whoever has changed what
    /// else is to change publishes it. False, and nothing done, if it has no room for a chosen id.
    pub(super) fn renew_cas(&mut self, loc: Loc, cas_new: Option<u64>) -> bool {
        let wide = self.slabs.arena.header(loc).is_marked(mark::WIDE_CAS);
        if cas_new.is_some() && self.config.cas && !wide {
            return false;
        }
        let sequence = self.next_sequence();
        let header = self.slabs.arena.header_mut(loc);
        header.withdraw();
        header.set_sequence(sequence);
        if wide {
            let cas = cas_new.unwrap_or_else(|| self.cas_from(sequence));
            self.slabs.arena.set_wide_cas(loc, cas);
        }
        true
    }

    /// Replaces a linked item by one of another shape with the same key. `fill` writes the new
    /// value, with the old item still there. `None` if there is no memory; the old item stays.
    pub(super) fn recreate(
        &mut self,
        key: &Key<'_>,
        old: Loc,
        value_bytes: usize,
        recipe: &Recipe,
        fill: impl FnOnce(&mut Self, Loc, Loc),
    ) -> Option<Loc> {
        let shape = self.shape(key.bytes, value_bytes, recipe);
        self.hold(old);
        let made = self.make(key.bytes, &shape, recipe);
        if let Some(new) = made {
            fill(self, old, new);
            let slot = self.slot_of(key.hash, old);
            self.swap(slot, old, new);
        }
        self.unhold(old);
        made
    }

    /// Counts a dead item that was come across.
    pub(super) fn count_expired(&mut self, loc: Loc, miss: Miss) {
        let class = self.slabs.class_of(loc);
        if miss == Miss::Expired && !self.slabs.arena.header(loc).has(flag::FETCHED) {
            self.counters_of(class).expired_unfetched += 1;
        }
    }

    /// Whether any chunk of an item may not move or go.
    #[inline]
    pub(super) fn is_held(&self, loc: Loc) -> bool {
        self.slabs.arena.header(loc).is_marked(mark::PINNED)
    }

    /// Notes on the pages of all chunks of an item that they must stay, or may go again.
    pub(super) fn hold_pages(&mut self, loc: Loc, on: bool) {
        let Self { slabs, .. } = self;
        let mut next = Some(chain::Piece::first(&slabs.arena, loc));
        while let Some(piece) = next {
            let page = slabs.page_mut(slabs.page_of(piece.loc));
            page.held = if on { page.held + 1 } else { page.held - 1 };
            next = piece.following(&slabs.arena);
        }
    }
}
