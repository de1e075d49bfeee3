//! What administrators see: counters by class and as a whole, and lists of items.

use super::item::{Loc, Segment, flag, mark};
use super::slab::{PAGE_BYTES, PAGE_FIRST, PageId};
use super::stats::{ClassCounters, ClassReport, Counters, ShardReport};
use super::{CLASS_COUNT_MAX, ClassId, Shard, expiry};

/// An item as dumps show it.
#[derive(Clone, Copy, Debug)]
pub struct DumpItem<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Whether the client spells the key in base64.
    pub key_binary: bool,
    /// Expiry time, 0 = never.
    pub exptime: u32,
    /// When it was last used.
    pub last_access: u32,
    /// CAS id, 0 without CAS.
    pub cas: u64,
    /// Whether it was read since it was stored.
    pub fetched: bool,
    /// Slab class.
    pub class: ClassId,
    /// Bytes that it occupies, not rounded to chunks.
    pub item_bytes: usize,
    /// Length of the value.
    pub value_bytes: usize,
    /// The client's opaque number.
    pub client_flags: u32,
}

/// Where a dump of all items goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct DumpCursor {
    page: u32,
    chunk: u32,
}

impl Shard {
    /// Visits the items of a class, COLD first, the newest of each segment first; `limit` 0 is
    /// no limit. `visit` returns false to stop.
    pub fn cachedump(
        &self,
        class: ClassId,
        limit: usize,
        mut visit: impl FnMut(&DumpItem<'_>) -> bool,
    ) {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let segments = [Segment::Cold, Segment::Warm, Segment::Hot, Segment::Temp];
        let heads = segments.map(|segment| self.lists.list(class, segment).head);
        let items = heads.into_iter().flat_map(|head| self.after_head(head));
        for loc in items.filter(|&loc| self.is_alive(loc)).take(limit) {
            if !visit(&self.dump_item(loc)) {
                return;
            }
        }
    }

    fn after_head(&self, head: Loc) -> impl Iterator<Item = Loc> {
        std::iter::successors(head.is_some().then_some(head), |&loc| {
            let next = self.slabs.arena.header(loc).next;
            next.is_some().then_some(next)
        })
    }

    /// Visits all live items of the classes that `wanted` names, a piece at a time: looks at up
    /// to `budget` chunks and returns whether there is more. An item stored, moved or deleted
    /// between two calls may be seen or not; all others are seen once.
    pub fn dump(
        &self,
        cursor: &mut DumpCursor,
        budget: u32,
        wanted: impl Fn(ClassId) -> bool,
        mut visit: impl FnMut(&DumpItem<'_>),
    ) -> bool {
        let mut left = budget;
        while left > 0 {
            let page = PageId(cursor.page.max(PAGE_FIRST));
            if page >= self.slabs.page_end() {
                return false;
            }
            let class = ClassId(self.slabs.page(page).class);
            let skip = class.0 == 0 || !wanted(class);
            let count = if skip { 0 } else { self.slabs.chunk_count(page) };
            let end = count.min(cursor.chunk.saturating_add(left));
            let walked = cursor.chunk..end;
            left -= (walked.len() as u32).max(1);
            for number in walked {
                let loc = self.slabs.chunk(page, number);
                if expiry::is_linked(self.slabs.arena.header(loc)) && self.is_alive(loc) {
                    visit(&self.dump_item(loc));
                }
            }
            *cursor = if end < count {
                DumpCursor { page: page.0, chunk: end }
            } else {
                DumpCursor { page: page.0 + 1, chunk: 0 }
            };
        }
        true
    }

    fn is_alive(&self, loc: Loc) -> bool {
        self.death(loc).is_none()
    }

    fn dump_item(&self, loc: Loc) -> DumpItem<'_> {
        let arena = &self.slabs.arena;
        let header = arena.header(loc);
        DumpItem {
            key: arena.key(loc),
            key_binary: header.is_marked(mark::KEY_BINARY),
            exptime: arena.exptime(loc),
            last_access: header.last_access(self.now),
            cas: self.cas_of(loc),
            fetched: header.has(flag::FETCHED),
            class: self.slabs.class_of(loc),
            item_bytes: arena.item_bytes(loc),
            value_bytes: arena.value_bytes(loc),
            client_flags: arena.client_flags(loc),
        }
    }

    /// Everything about a class.
    #[must_use]
    pub fn class_report(&self, class: ClassId) -> ClassReport {
        let known = self.slabs.class(class);
        let lists = Segment::ALL.map(|segment| *self.lists.list(class, segment));
        let age = |segment| self.tail_age(class, segment).unwrap_or(0);
        ClassReport {
            class,
            chunk_bytes: self.slabs.table.chunk_bytes(class) as u32,
            chunks_per_page: known.chunks_per_page,
            pages: known.pages,
            chunks_used: known.used,
            chunks_free: self.slabs.free_chunks(class),
            items: lists.map(|list| list.count),
            item_bytes: self.lists.class_bytes(class),
            ages: [Segment::Hot, Segment::Warm, Segment::Cold].map(age),
            counters: self.class_counters[usize::from(class.0)],
        }
    }

    /// Everything about the shard as a whole.
    #[must_use]
    pub fn report(&self) -> ShardReport {
        let mut classes = ClassCounters::default();
        self.class_counters.iter().for_each(|counters| classes.add(counters));
        let buckets = self.index.bucket_count();
        ShardReport {
            counters: self.counters,
            classes,
            items: self.index.len() as u64,
            item_bytes: self.slabs.table.ids().map(|id| self.lists.class_bytes(id)).sum(),
            memory_bytes_max: self.config.memory_bytes as u64,
            page_bytes: u64::from(self.slabs.pages_resident()) * PAGE_BYTES as u64,
            pages_pooled: self.slabs.pool_len() as u32,
            index_bytes: self.index.bytes() as u64,
            index_buckets: buckets as u64,
            hash_power: (buckets * 8).ilog2() as u8,
            index_is_growing: self.index.is_growing(),
            page_is_moving: self.mover.is_active(),
            memory_refusals: self.slabs.refusals,
        }
    }

    /// Sets all counters to zero; what is present stays counted.
    pub fn reset_counters(&mut self) {
        self.counters = Counters::default();
        *self.class_counters = [ClassCounters::default(); CLASS_COUNT_MAX + 1];
    }
}
