//! Items past their time: flushed, expired, and the crawler that finds them.
//!
//! Nobody sees a dead item, because every lookup checks. The crawler only gets its memory back
//! before something live has to go. It walks the pages in order; each page knows when the first
//! of its items expires, so that pages with nothing to find cost nothing.
//!
//! A flush ends everything stored so far by its sequence number rather than by its second, so
//! that what is stored after it in the same second stays. A delayed flush makes its cut when the
//! clock gets there.

use super::item::{Header, Loc, flag};
use super::slab::{ClassId, Entry, PAGE_FIRST, PageId};
use super::{Miss, Shard};

/// What flushing has ended.
#[derive(Debug, Default)]
pub(super) struct Flush {
    /// Items with a sequence up to this are dead.
    pub(super) cut: u64,
    /// When the next cut is due, 0 = never.
    pub(super) at: u32,
}

/// Where the crawler is.
#[derive(Debug, Default)]
pub(super) struct Crawler {
    /// Page and number of the next chunk to look at.
    page: u32,
    chunk: u32,
    /// Earliest expiry time seen in the part of the page walked so far.
    expires_first: u32,
    /// Pages yet to be walked although nothing in them has expired, because of a flush.
    flushed_left: u32,
}

/// The bits of all classes.
pub const CLASSES_ALL: u64 = u64::MAX;

/// What a crawl did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crawled {
    /// Items looked at.
    pub checked: u32,
    /// Dead items removed.
    pub reclaimed: u32,
    /// Whether the walk came to the end of the pages; the next one starts over.
    pub finished: bool,
}

impl Shard {
    /// Ends all items stored so far, at once (`at` 0 or not after now) or when the clock reaches
    /// `at`. A later call replaces a pending delayed one.
    pub fn flush(&mut self, at: u32) {
        self.flush.at = if at == 0 { self.now } else { at };
        self.slabs.arena.note(Entry::FlushAt, self.flush.at.into());
        self.flush_if_due();
    }

    pub(super) fn flush_if_due(&mut self) {
        if self.flush.at != 0 && self.flush.at <= self.now {
            self.flush = Flush { cut: self.sequence, at: 0 };
            self.slabs.arena.note(Entry::FlushCut, self.flush.cut);
            self.slabs.arena.note(Entry::FlushAt, 0);
            self.crawler.flushed_left = self.slabs.page_end().0;
        }
    }

    /// Has the next [`Shard::crawl`] begin at the first page.
    pub fn start_crawl_over(&mut self) {
        if self.crawler.chunk > 0 {
            // Not walked to its end, so it must be walked again.
            self.slabs.page_mut(PageId(self.crawler.page)).expires_first = 0;
        }
        (self.crawler.page, self.crawler.chunk) = (PAGE_FIRST, 0);
        if self.crawler.flushed_left > 0 {
            self.crawler.flushed_left = self.slabs.page_end().0;
        }
    }

    /// Looks at up to `budget` chunks and removes dead items. Call it again until it says that
    /// it has finished; then everything that had expired or been flushed before is gone. Classes
    /// are bits; what is of others is passed over.
    pub fn crawl(&mut self, budget: u32, classes: u64) -> Crawled {
        let mut crawled = Crawled::default();
        let mut left = budget;
        while left > 0 {
            let page = PageId(self.crawler.page.max(PAGE_FIRST));
            if page >= self.slabs.page_end() {
                self.crawler.page = PAGE_FIRST;
                self.crawler.chunk = 0;
                crawled.finished = true;
                break;
            }
            self.crawler.page = page.0;
            left = self.crawl_page(page, left, classes, &mut crawled);
        }
        crawled
    }

    /// Walks on in a page; returns what is left of the budget.
    fn crawl_page(
        &mut self,
        page: PageId,
        budget: u32,
        classes: u64,
        crawled: &mut Crawled,
    ) -> u32 {
        let known = self.slabs.page(page);
        let passed = classes >> known.class & 1 == 0;
        let idle = known.class == 0 || known.leaving || known.used == 0;
        let nothing = self.crawler.flushed_left == 0 && known.expires_first > self.now;
        if self.crawler.chunk == 0 {
            if idle || nothing || passed {
                self.next_page(classes);
                return budget - 1;
            }
            // What is stored from now on notes its expiry here; the walk adds what it sees.
            self.slabs.page_mut(page).expires_first = u32::MAX;
            self.crawler.expires_first = u32::MAX;
        } else if idle {
            // Not walked to its end, so it must be walked again if it stays.
            self.slabs.page_mut(page).expires_first = 0;
            self.next_page(classes);
            return budget - 1;
        }
        let count = self.slabs.chunk_count(page);
        let end = count.min(self.crawler.chunk.saturating_add(budget));
        let walked = end.saturating_sub(self.crawler.chunk);
        for number in self.crawler.chunk..end {
            self.crawl_chunk(self.slabs.chunk(page, number), crawled);
        }
        self.crawler.chunk = end;
        if end >= count {
            let seen = self.crawler.expires_first;
            let known = self.slabs.page_mut(page);
            known.expires_first = known.expires_first.min(seen);
            self.next_page(classes);
        }
        budget - walked.max(1)
    }

    fn next_page(&mut self, classes: u64) {
        self.crawler.page += 1;
        self.crawler.chunk = 0;
        // A walk of some classes says nothing of what a flush has left in the others.
        if classes == CLASSES_ALL {
            self.crawler.flushed_left = self.crawler.flushed_left.saturating_sub(1);
        }
    }

    fn crawl_chunk(&mut self, loc: Loc, crawled: &mut Crawled) {
        let header = *self.slabs.arena.header(loc);
        if !header.is_item() {
            return;
        }
        if header.has(flag::LINKED) {
            crawled.checked += 1;
            let class = self.slabs.class_of(loc);
            self.counters_of(class).crawler_items_checked += 1;
            if let Some(miss) = self.death(loc) {
                crawled.reclaimed += 1;
                return self.bury(class, loc, miss);
            }
        }
        let exptime = self.slabs.arena.exptime(loc);
        if exptime != 0 {
            self.crawler.expires_first = self.crawler.expires_first.min(exptime);
        }
    }

    /// Whether the crawler is amid a page, whose earliest expiry time it will complete.
    #[cfg(any(test, debug_assertions))]
    pub(super) const fn is_crawling(&self, page: PageId) -> bool {
        self.crawler.page == page.0 && self.crawler.chunk > 0
    }

    fn bury(&mut self, class: ClassId, loc: Loc, miss: Miss) {
        self.counters_of(class).crawler_reclaimed += 1;
        self.count_expired(loc, miss);
        self.end_at(loc);
    }
}

/// Whether a chunk starts an item that is in the index.
pub(super) fn is_linked(header: &Header) -> bool {
    header.is_item() && header.has(flag::LINKED)
}
