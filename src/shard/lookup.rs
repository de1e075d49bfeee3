//! Finding an item by its key, and what a reader sees of it.

use super::chain;
use super::index::Slot;
use super::item::{Header, Loc, flag, mark};
use super::{Access, ClassId, GetOptions, Key, Miss, Shard, StoreMode, StoreOptions};

/// An item that was found. Says what the item was like before this access, too.
#[derive(Debug)]
pub struct Hit<'a> {
    pub(super) shard: &'a mut Shard,
    pub(super) loc: Loc,
    /// The header as it was before this access.
    header: Header,
    created: bool,
}

impl Shard {
    /// Looks a key up.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>, access: Access) -> Option<Hit<'_>> {
        self.look_up(key, access, true, access)
    }

    /// Looks a key up, with all that the meta protocol may ask for. `None` is a miss that was
    /// not to be filled, or found no memory to be; as in memcached it counts as a miss of a get,
    /// even where a hit would have counted as one of a touch.
    pub fn get_with(&mut self, key: &Key<'_>, options: &GetOptions) -> Option<Hit<'_>> {
        let Some(vivify) = options.vivify else {
            return self.look_up(key, options.access, options.bump, Access::Get);
        };
        if self.find_live(key).is_some() {
            return self.look_up(key, options.access, options.bump, Access::Get);
        }
        let store = StoreOptions {
            cas_new: vivify.cas,
            key_binary: vivify.key_binary,
            ..StoreOptions::new(StoreMode::Add, 0, vivify.exptime)
        };
        let Some(loc) = self.insert_new(key, &store, b"") else {
            self.count_miss(Access::Get);
            return None;
        };
        // As in memcached, whoever is handed the new item has a hit, and has fetched it. It expires
        // as the options for that say, not as those for touching.
        let header = *self.slabs.arena.header(loc);
        self.count_hit(loc, &header, options.access);
        if options.bump {
            self.bump(loc);
        }
        Some(Hit { shard: self, loc, header, created: true })
    }

    /// Gives an item a new expiry time and marks it as used. False if there is none.
    pub fn touch(&mut self, key: &Key<'_>, exptime: u32) -> bool {
        let access = Access::Touch(exptime);
        self.look_up(key, access, true, access).is_some()
    }

    /// Why the last lookup that found nothing did so.
    #[must_use]
    pub const fn last_miss(&self) -> Miss {
        self.last_miss
    }

    /// `miss` is what a miss counts as one of.
    #[inline(always)]
    fn look_up(
        &mut self,
        key: &Key<'_>,
        access: Access,
        bump: bool,
        miss: Access,
    ) -> Option<Hit<'_>> {
        let Some((_, loc)) = self.find_live(key) else {
            self.count_miss(miss);
            return None;
        };
        let mut loc = loc;
        if let Access::Touch(exptime) = access {
            let Some(touched) = self.touch_item(loc, exptime) else {
                self.count_miss(miss);
                return None;
            };
            loc = touched;
        }
        let header = *self.slabs.arena.header(loc);
        if access != Access::Peek {
            self.count_hit(loc, &header, access);
            if bump {
                self.bump(loc);
            }
        }
        Some(Hit { shard: self, loc, header, created: false })
    }

    /// Finds a key's item. One that is past its time is removed instead, and `last_miss` set.
    #[inline(always)]
    pub(super) fn find_live(&mut self, key: &Key<'_>) -> Option<(Slot, Loc)> {
        let arena = &self.slabs.arena;
        let Some((slot, loc)) = self.index.find(key.hash, |loc| arena.key_is(loc, key.bytes))
        else {
            self.last_miss = Miss::NotFound;
            return None;
        };
        if let Some(miss) = self.death(loc) {
            self.remove_dead(slot, key.hash, loc, miss);
            return None;
        }
        Some((slot, loc))
    }

    /// Removes an item that was found to be past its time.
    #[cold]
    fn remove_dead(&mut self, slot: Slot, hash: u64, loc: Loc, miss: Miss) {
        self.last_miss = miss;
        self.count_expired(loc, miss);
        self.end(slot, hash, loc);
    }

    /// Marks an item as fetched and as active; in the segmented LRU as active only if it was
    /// fetched before. Moving it in its list waits until it gets to the tail.
    #[inline]
    pub(super) fn bump(&mut self, loc: Loc) {
        let now = self.now;
        let lru = &self.config.lru;
        let needs_two = lru.segmented && !lru.probation;
        let header = self.slabs.arena.header_mut(loc);
        let active = if needs_two && !header.has(flag::FETCHED) { 0 } else { flag::ACTIVE };
        let flags = header.flags | flag::FETCHED | active;
        if flags != header.flags {
            header.flags = flags;
        }
        if header.idle_s(now) != 0 {
            header.set_time(now);
        }
    }

    /// Marks an item as used by a command that did not read it: it is kept as others in use are,
    /// but does not count as fetched.
    pub(super) fn renew(&mut self, loc: Loc) {
        let now = self.now;
        let header = self.slabs.arena.header_mut(loc);
        header.flags |= flag::ACTIVE;
        header.set_time(now);
    }

    #[inline]
    fn count_hit(&mut self, loc: Loc, header: &Header, access: Access) {
        let class = self.slabs.class_of(loc);
        if let Access::Touch(_) = access {
            self.counters_of(class).touch_hits += 1;
        } else {
            self.counters_of(class).hits[header.segment() as usize] += 1;
        }
    }

    fn count_miss(&mut self, access: Access) {
        match access {
            Access::Peek => {}
            Access::Touch(_) => self.counters.touch_misses += 1,
            Access::Get => {
                self.counters.get_misses += 1;
                match self.last_miss {
                    Miss::NotFound => {}
                    Miss::Expired => self.counters.get_expired += 1,
                    Miss::Flushed => self.counters.get_flushed += 1,
                }
            }
        }
    }
}

impl Hit<'_> {
    /// The header as it is now.
    fn header(&self) -> &Header {
        self.shard.slabs.arena.header(self.loc)
    }

    /// The value, if it lies in one piece.
    #[must_use]
    #[inline]
    pub fn value(&self) -> Option<&[u8]> {
        if self.header.has(flag::LARGE) {
            return self.large_value();
        }
        let bytes = usize::from(self.header.length);
        Some(self.shard.slabs.arena.bytes(self.loc, self.header.value_at(), bytes))
    }

    fn large_value(&self) -> Option<&[u8]> {
        let piece = chain::Piece::first(&self.shard.slabs.arena, self.loc);
        piece.next.is_none().then(|| piece.slice(&self.shard.slabs.arena))
    }

    /// The pieces of the value in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let arena = &self.shard.slabs.arena;
        chain::pieces(arena, self.loc).map(|piece| piece.slice(arena))
    }

    /// Length of the whole value.
    #[must_use]
    #[inline]
    pub fn value_bytes(&self) -> usize {
        if self.header.has(flag::LARGE) {
            self.shard.slabs.arena.value_bytes(self.loc)
        } else {
            usize::from(self.header.length)
        }
    }

    /// The client's opaque number.
    #[must_use]
    #[inline]
    pub fn client_flags(&self) -> u32 {
        if self.header.has(flag::CLIENT_FLAGS) {
            self.shard.slabs.arena.client_flags(self.loc)
        } else {
            0
        }
    }

    /// The CAS id, 0 without CAS.
    #[must_use]
    #[inline]
    pub fn cas(&self) -> u64 {
        self.shard.cas_of(self.loc)
    }

    /// The expiry time, 0 = never.
    #[must_use]
    pub fn exptime(&self) -> u32 {
        self.shard.slabs.arena.exptime(self.loc)
    }

    /// When the item was last used before this access.
    #[must_use]
    pub const fn last_access(&self) -> u32 {
        self.header.last_access(self.shard.now)
    }

    /// Whether it had been read before this access.
    #[must_use]
    pub const fn hit_before(&self) -> bool {
        self.header.has(flag::FETCHED)
    }

    /// Whether this lookup created the item.
    #[must_use]
    pub const fn created(&self) -> bool {
        self.created
    }

    /// The item's slab class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.shard.slabs.class_of(self.loc)
    }

    /// Bytes that the item occupies, not rounded to chunks.
    #[must_use]
    pub fn item_bytes(&self) -> usize {
        self.shard.slabs.arena.item_bytes(self.loc)
    }

    /// Whether a client has invalidated the item.
    #[must_use]
    pub fn stale(&self) -> bool {
        self.header().is_marked(mark::STALE)
    }

    /// Whether some reader has been told to fetch the value anew.
    #[must_use]
    pub fn token_sent(&self) -> bool {
        self.header().is_marked(mark::TOKEN_SENT)
    }

    /// Whether the client spells the key in base64.
    #[must_use]
    pub fn key_binary(&self) -> bool {
        self.header().is_marked(mark::KEY_BINARY)
    }

    /// Sets or clears the invalidation.
    pub fn set_stale(&mut self, on: bool) {
        self.mark(mark::STALE, on);
    }

    /// Notes that a reader has been told to fetch the value anew, or forgets it.
    pub fn set_token_sent(&mut self, on: bool) {
        self.mark(mark::TOKEN_SENT, on);
    }

    fn mark(&mut self, marks: u32, on: bool) {
        self.shard.slabs.arena.header_mut(self.loc).mark(marks, on);
    }
}
