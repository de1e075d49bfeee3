//! Finding room: free chunks, further pages, evictions, in that order.
//!
//! Each class has memcached's segments, and a hit only sets bits in an item. Nothing is done in
//! the background: a store that must evict first moves a few items between the segments of its
//! class, so a cache that is not full spends nothing on order.
//!
//! With *probation* (S3-FIFO) new items enter HOT. When HOT has more than its share, its tail goes:
//! to WARM if it was used, else out. WARM and COLD are one queue, of which COLD is the older part;
//! its tail starts again if it was used. The index remembers what was evicted, and a key that comes
//! back enters WARM. Without it this is memcached's segmented LRU: HOT's tail sinks to COLD if it
//! was not used, and only COLD's is evicted.

use super::age::{Eviction, Turnover};
use super::item::{Header, Loc, Segment, flag, mark};
use super::slab::{ClassId, PAGE_BYTES};
use super::{Miss, Shard};

/// How pressed for memory the shard is.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// Evictions since the classes were last compared.
    evictions: u32,
    /// How fast the classes evict.
    pub(super) turnover: Turnover,
}

/// Rounds of making room that an allocation tries before it takes a page by force.
const ROUNDS_MAX: u32 = 32;
/// Tail items that one eviction looks at.
const TAILS_MAX: u32 = 48;
/// Items that one eviction moves out of HOT and WARM at most.
const PULLS_MAX: u32 = 4;
/// Evictions after which classes are compared again.
const COMPARE_EVERY: u32 = 32;
/// Probation takes a quarter more of a class than `hot_lru_pct` says, so 25 % by memcached's
/// default of 20. Where popularity is flat (Twitter's cluster 37) 20 % has 1.6 % more misses and
/// 10 % has 8 % more; where it is steep, shares from 20 to 40 % mostly differ by less than 1 %.
const PROBATION_PARTS: u8 = 4;

impl Shard {
    /// Takes a chunk of the class. Makes room by whatever means are allowed.
    #[inline]
    pub(super) fn allocate(&mut self, class: ClassId) -> Option<Loc> {
        if self.mover.is_active() || self.slabs.pages_over() > 0 {
            self.move_along(class);
        }
        match self.slabs.take_chunk(class) {
            Some(loc) => Some(loc),
            None => self.allocate_slowly(class),
        }
    }

    #[inline(never)]
    fn allocate_slowly(&mut self, class: ClassId) -> Option<Loc> {
        if let Some(loc) = self.make_room(class) {
            return Some(loc);
        }
        if self.hurry(class)
            && let Some(loc) = self.make_room(class)
        {
            return Some(loc);
        }
        if self.force_page(class) || self.evict_temporary(class) {
            return self.slabs.take_chunk(class);
        }
        self.counters_of(class).out_of_memory += 1;
        None
    }

    /// Takes a chunk of a new page or of an evicted item.
    fn make_room(&mut self, class: ClassId) -> Option<Loc> {
        for _ in 0..ROUNDS_MAX {
            if self.slabs.add_page(class) {
                self.think_ahead(class);
            } else if !self.evict_one(class) {
                break;
            }
            let found = self.slabs.take_chunk(class);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Ends the item of the class that is needed least. False if there is none that may go.
    fn evict_one(&mut self, class: ClassId) -> bool {
        self.pressure.evictions += 1;
        if self.pressure.evictions >= COMPARE_EVERY {
            self.pressure.evictions = 0;
            self.think_ahead(class);
        }
        self.balance(class);
        for attempt in 0..TAILS_MAX {
            let Some(loc) = self.tail(class) else { return false };
            let header = *self.slabs.arena.header(loc);
            if header.is_marked(mark::PINNED) {
                self.counters_of(class).tail_pinned += 1;
                self.requeue(class, loc, header.segment());
            } else if let Some(miss) = self.death(loc) {
                self.count_turnover(class);
                self.reclaim(class, loc, miss);
                return true;
            } else if !self.config.evict {
                return false;
            } else if header.has(flag::ACTIVE) && attempt + 1 < TAILS_MAX {
                self.promote(class, loc, header.segment());
            } else {
                self.count_turnover(class);
                self.evict(class, loc, &header);
                self.look_ahead(class);
                return true;
            }
        }
        false
    }

    /// Counts an item that leaves the tail of its class because a store needs the chunk. A dead one
    /// counts too: it has stayed for as long as a live one would have.
    fn count_turnover(&mut self, class: ClassId) {
        let eviction = Eviction {
            chunk_bytes: self.slabs.table.chunk_bytes(class),
            shard_bytes: self.slabs.pages_in_classes() as usize * PAGE_BYTES,
            now: self.moment(),
        };
        self.pressure.turnover.count(class, self.slabs.class(class).pages, &eviction);
    }

    /// The item of the class that would go next.
    pub(super) fn tail(&self, class: ClassId) -> Option<Loc> {
        let tail = |segment| self.lists.list(class, segment).tail;
        let order = if self.is_hot_full(class) {
            [Segment::Hot, Segment::Cold, Segment::Warm]
        } else {
            [Segment::Cold, Segment::Hot, Segment::Warm]
        };
        order.map(tail).into_iter().find(|loc| loc.is_some())
    }

    /// Whether items on probation take more than their share, so that one of them goes next.
    fn is_hot_full(&self, class: ClassId) -> bool {
        let lru = &self.config.lru;
        let share = lru.hot_pct + lru.hot_pct / PROBATION_PARTS;
        lru.segmented && lru.probation && self.is_over(class, Segment::Hot, share)
    }

    fn is_over(&self, class: ClassId, segment: Segment, pct: u8) -> bool {
        let bytes_max = self.lists.class_bytes(class) * u64::from(pct) / 100;
        self.lists.list(class, segment).bytes > bytes_max
    }

    /// Lets WARM flow into COLD: the two are one queue, and COLD is the part that goes next.
    fn flow(&mut self, class: ClassId) {
        for _ in 0..PULLS_MAX {
            if !self.is_over(class, Segment::Warm, self.config.lru.warm_pct) {
                break;
            }
            let loc = self.lists.list(class, Segment::Warm).tail;
            self.counters_of(class).moves_to_cold += 1;
            self.requeue(class, loc, Segment::Cold);
        }
    }

    /// Moves a few items out of HOT and WARM where these hold more than their share or older
    /// items than they should.
    pub(super) fn balance(&mut self, class: ClassId) {
        let lru = self.config.lru;
        if lru.segmented && lru.probation {
            return self.flow(class);
        }
        let bytes = self.lists.class_bytes(class);
        let cold_age = self.tail_age(class, Segment::Cold).unwrap_or(0);
        let (hot_pct, warm_pct) = if lru.segmented { (lru.hot_pct, lru.warm_pct) } else { (0, 0) };
        for (segment, pct, factor) in
            [(Segment::Hot, hot_pct, lru.hot_factor), (Segment::Warm, warm_pct, lru.warm_factor)]
        {
            let bytes_max = bytes * u64::from(pct) / 100;
            let age_max = (f64::from(cold_age) * factor) as u32;
            for _ in 0..PULLS_MAX {
                if !self.pull(class, segment, bytes_max, age_max) {
                    break;
                }
            }
        }
    }

    /// Moves the tail item of HOT or WARM on if the segment is too full or the item too old.
    fn pull(&mut self, class: ClassId, segment: Segment, bytes_max: u64, age_max: u32) -> bool {
        let list = *self.lists.list(class, segment);
        let loc = list.tail;
        if loc.is_none() {
            return false;
        }
        let header = *self.slabs.arena.header(loc);
        let too_old = header.idle_s(self.now) > age_max;
        if list.bytes <= bytes_max && !(too_old && age_max > 0) {
            return false;
        }
        self.slabs.arena.prefetch(header.prev);
        if header.has(flag::ACTIVE) {
            self.promote(class, loc, segment);
        } else {
            self.counters_of(class).moves_to_cold += 1;
            self.requeue(class, loc, Segment::Cold);
        }
        true
    }

    /// Gives an item that was used a second life at the head of WARM.
    pub(super) fn promote(&mut self, class: ClassId, loc: Loc, from: Segment) {
        self.slabs.arena.header_mut(loc).flags &= !flag::ACTIVE;
        let to = if self.config.lru.segmented { Segment::Warm } else { Segment::Cold };
        let counters = self.counters_of(class);
        if from == to {
            counters.moves_within_lru += 1;
        } else {
            counters.moves_to_warm += 1;
        }
        self.requeue(class, loc, to);
    }

    fn requeue(&mut self, class: ClassId, loc: Loc, to: Segment) {
        let bytes = self.slabs.arena.item_bytes(loc);
        self.lists.remove(&mut self.slabs.arena, class, loc, bytes);
        self.lists.push(&mut self.slabs.arena, (class, to), loc, bytes);
    }

    /// Ends a dead item to use its chunk.
    fn reclaim(&mut self, class: ClassId, loc: Loc, miss: Miss) {
        self.counters_of(class).reclaimed += 1;
        self.count_expired(loc, miss);
        self.end_at(loc);
    }

    /// Ends a live item to use its chunk.
    pub(super) fn evict(&mut self, class: ClassId, loc: Loc, header: &Header) {
        let idle = header.idle_s(self.now);
        let expires = self.slabs.arena.exptime(loc) != 0;
        let counters = self.counters_of(class);
        counters.evicted += 1;
        counters.evicted_time = idle;
        counters.direct_reclaims += 1;
        counters.evicted_nonzero += u64::from(expires);
        counters.evicted_unfetched += u64::from(!header.has(flag::FETCHED));
        counters.evicted_active += u64::from(header.has(flag::ACTIVE));
        if self.evicted.is_some() {
            self.take_down_evicted(class, loc, header);
        }
        let hash = self.hash_of(loc);
        self.end(self.slot_of(hash, loc), hash, loc);
        self.index.remember(hash);
    }

    /// Fetches what the next eviction of the class will need.
    fn look_ahead(&self, class: ClassId) {
        if let Some(loc) = self.tail(class) {
            let arena = &self.slabs.arena;
            arena.prefetch(arena.header(loc).prev);
            self.index.prefetch(self.hash_of(loc));
        }
    }

    /// The last resort: items that live only for a short time anyway.
    fn evict_temporary(&mut self, class: ClassId) -> bool {
        let loc = self.lists.list(class, Segment::Temp).tail;
        if loc.is_none() || !self.config.evict || self.is_held(loc) {
            return false;
        }
        let header = *self.slabs.arena.header(loc);
        self.evict(class, loc, &header);
        true
    }

    /// Seconds since the last use of the tail item of a segment.
    pub(super) fn tail_age(&self, class: ClassId, segment: Segment) -> Option<u32> {
        let loc = self.lists.list(class, segment).tail;
        loc.is_some().then(|| self.slabs.arena.header(loc).idle_s(self.now))
    }
}
