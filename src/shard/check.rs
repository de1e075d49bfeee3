//! Checks that everything about a shard agrees. Walks all of it; for tests.

use super::chain;
use super::item::{Loc, Segment, flag, kind, mark};
use super::slab::{ClassId, PageId};
use super::{Shard, expiry};

impl Shard {
    /// Panics with what is wrong if anything is.
    ///
    /// # Panics
    /// If an invariant does not hold.
    pub fn check(&self) {
        self.check_index();
        self.slabs.table.ids().for_each(|class| self.check_lists(class));
        self.slabs.page_ids().for_each(|page| self.check_page(page));
        self.slabs.table.ids().for_each(|class| self.check_class(class));
    }

    /// Every item of the index is found by its key, once.
    fn check_index(&self) {
        let mut count = 0;
        self.index.for_each(|loc| {
            count += 1;
            let header = self.slabs.arena.header(loc);
            assert!(expiry::is_linked(header), "{loc:?} in the index is no linked item");
            let found = self.index.find(self.hash_of(loc), |other| {
                self.slabs.arena.key_is(other, self.slabs.arena.key(loc))
            });
            assert_eq!(found.expect("found by its key").1, loc, "one item for each key");
        });
        assert_eq!(count, self.index.len(), "the index counts its items");
        let listed: u32 = self.slabs.table.ids().map(|id| self.lists.class_items(id)).sum();
        assert_eq!(count, listed as usize, "every item is in the index and in a list");
    }

    fn check_lists(&self, class: ClassId) {
        for segment in Segment::ALL {
            let list = self.lists.list(class, segment);
            let (mut count, mut bytes, mut next) = (0, 0, Loc::NONE);
            for loc in self.lists.tail_first(&self.slabs.arena, class, segment) {
                let header = self.slabs.arena.header(loc);
                let links = header.next;
                assert_eq!(links, next, "links agree in both directions");
                assert_eq!(header.segment(), segment);
                assert_eq!(self.slabs.class_of(loc), class);
                assert!(expiry::is_linked(header));
                count += 1;
                bytes += self.slabs.arena.item_bytes(loc) as u64;
                next = loc;
            }
            assert_eq!((list.head, list.count, list.bytes), (next, count, bytes));
        }
    }

    fn check_page(&self, page: PageId) {
        let known = *self.slabs.page(page);
        if known.class == 0 {
            assert_eq!((known.used, known.held), (0, 0), "a page without class is unused");
            return;
        }
        if known.leaving {
            // Its chunk count is the mover's secret: the page being cut is forgotten.
            return;
        }
        let mut used = 0;
        for loc in self.slabs.chunks(page) {
            let header = self.slabs.arena.header(loc);
            used += u16::from(header.key_bytes != kind::FREE);
            match header.key_bytes {
                kind::FREE => assert!(!header.has(flag::OFF_LIST), "free chunks are listed"),
                kind::CONTINUATION => self.check_continuation(loc),
                _ => assert!(
                    self.slabs.arena.exptime(loc) == 0
                        || known.expires_first <= self.slabs.arena.exptime(loc)
                        || self.is_crawling(page)
                        || header.is_marked(mark::PINNED),
                    "the page knows when its first item expires"
                ),
            }
        }
        assert_eq!(used, known.used, "a page counts the chunks in use");
    }

    fn check_continuation(&self, loc: Loc) {
        let owner = self.slabs.arena.header(loc).prev;
        let mut chunks = chain::chunks(&self.slabs.arena, owner);
        assert!(chunks.any(|chunk| chunk == loc), "a continuation is in its owner's chain");
        let pieces = chain::pieces(&self.slabs.arena, owner);
        let bytes: usize = pieces.map(|piece| piece.bytes).sum();
        assert_eq!(bytes, self.slabs.arena.value_bytes(owner), "pieces make up the value");
    }

    fn check_class(&self, class: ClassId) {
        let pages = || self.slabs.page_ids().map(|id| self.slabs.page(id));
        let own = || pages().filter(|page| page.class == class.0);
        let used: u32 = own().map(|page| u32::from(page.used)).sum();
        let settled = own().filter(|page| !page.leaving).count() as u32;
        let known = self.slabs.class(class);
        assert_eq!((known.used, known.pages), (used, settled), "{class:?} counts its own");
        if !self.mover.is_active() {
            let total = settled * known.chunks_per_page;
            assert_eq!(known.used + self.slabs.free_chunks(class), total, "no chunk is lost");
        }
    }
}
