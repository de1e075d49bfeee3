//! What a shard counts. Plain numbers, since a shard has one user at a time.

use super::slab::ClassId;

/// Counters of one slab class.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassCounters {
    /// Gets that found an item in HOT, WARM, COLD and TEMP.
    pub hits: [u64; 4],
    /// Stores whose item falls into this class.
    pub set_cmds: u64,
    /// Deletes that found their item.
    pub delete_hits: u64,
    /// Increments that found their item.
    pub incr_hits: u64,
    /// Decrements that found their item.
    pub decr_hits: u64,
    /// Compare-and-swaps that matched.
    pub cas_hits: u64,
    /// Compare-and-swaps that did not match.
    pub cas_badval: u64,
    /// Touches that found their item.
    pub touch_hits: u64,
    /// Live items evicted.
    pub evicted: u64,
    /// Of these, those that had an expiry time.
    pub evicted_nonzero: u64,
    /// Seconds since the last use of the item evicted last.
    pub evicted_time: u32,
    /// Live items evicted that were never read.
    pub evicted_unfetched: u64,
    /// Live items evicted although used of late.
    pub evicted_active: u64,
    /// Dead items whose chunk was taken for a new one.
    pub reclaimed: u64,
    /// Items that expired without ever being read.
    pub expired_unfetched: u64,
    /// Dead items that the crawler removed.
    pub crawler_reclaimed: u64,
    /// Items that the crawler looked at.
    pub crawler_items_checked: u64,
    /// Stores that found no memory.
    pub out_of_memory: u64,
    /// Tail items passed over because they were pinned.
    pub tail_pinned: u64,
    /// Items moved to COLD.
    pub moves_to_cold: u64,
    /// Items moved to WARM.
    pub moves_to_warm: u64,
    /// Items moved to the head of their segment.
    pub moves_within_lru: u64,
    /// Evictions that a store had to do itself.
    pub direct_reclaims: u64,
}

/// Counters of a shard that belong to no class.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Gets that found nothing.
    pub get_misses: u64,
    /// Of these, those whose item had expired.
    pub get_expired: u64,
    /// Of these, those whose item was flushed.
    pub get_flushed: u64,
    /// Touches that found nothing.
    pub touch_misses: u64,
    /// Deletes that found nothing.
    pub delete_misses: u64,
    /// Increments that found nothing.
    pub incr_misses: u64,
    /// Decrements that found nothing.
    pub decr_misses: u64,
    /// Compare-and-swaps that found nothing.
    pub cas_misses: u64,
    /// Stores refused for their size.
    pub store_too_large: u64,
    /// Stores that found no memory.
    pub store_no_memory: u64,
    /// Items linked since the start.
    pub total_items: u64,
    /// Items moved to another page while their page was given up.
    pub move_rescues: u64,
    /// Continuation chunks moved so.
    pub move_chunk_rescues: u64,
    /// Live items evicted because their page was given up.
    pub move_evictions: u64,
    /// Dead items found in a page given up.
    pub move_reclaims: u64,
    /// Pages kept because an item in them was pinned.
    pub move_busy: u64,
    /// Pages given up by classes.
    pub pages_moved: u64,
}

/// Everything that the statistics show of a class.
#[derive(Clone, Copy, Debug)]
pub struct ClassReport {
    /// The class.
    pub class: ClassId,
    /// Bytes of a chunk.
    pub chunk_bytes: u32,
    /// Chunks in a page.
    pub chunks_per_page: u32,
    /// Pages that the class has.
    pub pages: u32,
    /// Chunks in use.
    pub chunks_used: u32,
    /// Chunks that can be taken at once.
    pub chunks_free: u32,
    /// Items in HOT, WARM, COLD and TEMP.
    pub items: [u32; 4],
    /// Bytes that the items occupy without rounding to chunks.
    pub item_bytes: u64,
    /// Seconds since the last use of the last item in HOT, WARM and COLD.
    pub ages: [u32; 3],
    /// What was counted.
    pub counters: ClassCounters,
}

impl ClassReport {
    /// Items in all segments.
    #[must_use]
    pub fn item_count(&self) -> u32 {
        self.items.iter().sum()
    }
}

/// Everything that the statistics show of a shard as a whole.
#[derive(Clone, Copy, Debug)]
pub struct ShardReport {
    /// What was counted.
    pub counters: Counters,
    /// Sum of the counters of all classes; `evicted_time` is the largest.
    pub classes: ClassCounters,
    /// Items present.
    pub items: u64,
    /// Bytes that the items occupy without rounding to chunks.
    pub item_bytes: u64,
    /// Bytes that pages and index together may occupy.
    pub memory_bytes_max: u64,
    /// Bytes of all pages with memory.
    pub page_bytes: u64,
    /// Pages with memory but without class.
    pub pages_pooled: u32,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Buckets of the index.
    pub index_buckets: u64,
    /// Logarithm of the number of items that the index is made for, rounded down.
    pub hash_power: u8,
    /// Whether the index is being doubled.
    pub index_is_growing: bool,
    /// Whether a page is being given up.
    pub page_is_moving: bool,
    /// How often the system refused memory.
    pub memory_refusals: u64,
}

impl ClassCounters {
    /// Adds another's numbers to these.
    pub fn add(&mut self, other: &Self) {
        for (sum, hits) in self.hits.iter_mut().zip(other.hits) {
            *sum += hits;
        }
        self.set_cmds += other.set_cmds;
        self.delete_hits += other.delete_hits;
        self.incr_hits += other.incr_hits;
        self.decr_hits += other.decr_hits;
        self.cas_hits += other.cas_hits;
        self.cas_badval += other.cas_badval;
        self.touch_hits += other.touch_hits;
        self.evicted += other.evicted;
        self.evicted_nonzero += other.evicted_nonzero;
        self.evicted_time = self.evicted_time.max(other.evicted_time);
        self.evicted_unfetched += other.evicted_unfetched;
        self.evicted_active += other.evicted_active;
        self.reclaimed += other.reclaimed;
        self.expired_unfetched += other.expired_unfetched;
        self.crawler_reclaimed += other.crawler_reclaimed;
        self.crawler_items_checked += other.crawler_items_checked;
        self.out_of_memory += other.out_of_memory;
        self.tail_pinned += other.tail_pinned;
        self.moves_to_cold += other.moves_to_cold;
        self.moves_to_warm += other.moves_to_warm;
        self.moves_within_lru += other.moves_within_lru;
        self.direct_reclaims += other.direct_reclaims;
    }

    /// Gets that found their item.
    #[must_use]
    pub fn get_hits(&self) -> u64 {
        self.hits.iter().sum()
    }
}

impl Counters {
    /// Adds another's numbers to these.
    pub fn add(&mut self, other: &Self) {
        self.get_misses += other.get_misses;
        self.get_expired += other.get_expired;
        self.get_flushed += other.get_flushed;
        self.touch_misses += other.touch_misses;
        self.delete_misses += other.delete_misses;
        self.incr_misses += other.incr_misses;
        self.decr_misses += other.decr_misses;
        self.cas_misses += other.cas_misses;
        self.store_too_large += other.store_too_large;
        self.store_no_memory += other.store_no_memory;
        self.total_items += other.total_items;
        self.move_rescues += other.move_rescues;
        self.move_chunk_rescues += other.move_chunk_rescues;
        self.move_evictions += other.move_evictions;
        self.move_reclaims += other.move_reclaims;
        self.move_busy += other.move_busy;
        self.pages_moved += other.pages_moved;
    }
}
