//! Pages of the arena, cut into chunks of their class.
//!
//! A page of 1 MB belongs to one class at a time. A fresh page is not cut at once, which would
//! touch all of it: the class takes chunks from its front one by one and keeps freed chunks in a
//! list. What a page holds is found by its number, so that no chunk need say its class.
//!
//! In a memory file the class of each page stands in the arena's book, and all chunks of a page are
//! free before it gets there: what its bytes were under another class must not look like items.
//!
//! Pages that may be used are bounded by `pages_max`, which whoever owns the memory budget sets.
//! A page given up goes to a pool of pages that still have memory, or back to the system.
//!
//! Invariant: `resident` pages are those of all classes plus those in the pool.

mod ahead;
mod arena;
mod book;
mod classes;
mod held;
mod lines;
mod region;

pub(super) use ahead::Ahead;
pub use ahead::Supply;
pub(super) use arena::{Arena, PAGE_BYTES, PAGE_FIRST, PageId};
pub(super) use book::{Entry, PAGES_MAX, set_word, word};
pub use classes::{CLASS_COUNT_MAX, ClassId, ClassTable, TABLE_MEMORY_BYTES};
pub(super) use held::HeldValue;
pub(super) use lines::{BUCKET_LANES, Bucket, OVERFLOW_LANES, Overflow, Table, set_lanes};
pub use region::FilePart;
pub use region::PageKind;
pub(super) use region::{HUGE_PAGE_BYTES, Plain, Region};

use super::item::{Header, Loc, LocUnit, flag, kind};
use std::io;
use std::sync::Arc;
use std::task::Waker;

/// Pages that are provided with memory before they are needed: those of the huge page that is
/// being used and of the next one.
const PAGES_AHEAD: u32 = (HUGE_PAGE_BYTES / PAGE_BYTES) as u32;

/// What is known about a page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page {
    /// Class id, 0 = none.
    pub(super) class: u8,
    /// Its chunks are being moved away; freed ones do not go to the free list.
    pub(super) leaving: bool,
    /// Chunks in use.
    pub(super) used: u16,
    /// Chunks that must not move: pinned or being uploaded.
    pub(super) held: u16,
    /// No item in the page expires before this; `u32::MAX` if none expires at all.
    pub(super) expires_first: u32,
}

/// The chunks of one class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// First free chunk of the list.
    free: Loc,
    /// Chunks in the free list.
    pub(super) free_count: u32,
    /// Next chunk never used in the page that is being cut, and how many are left there.
    cut: Loc,
    cut_left: u32,
    /// Pages, the one that is being given up not counted.
    pub(super) pages: u32,
    /// Chunks in use.
    pub(super) used: u32,
    /// Bytes of chunks that other classes gave its items since it last had a page.
    guest_bytes: usize,
    chunk_units: u32,
    pub(super) chunks_per_page: u32,
}

/// Pages are scarce when no more than one in so many is left.
const SCARCE_PARTS: u32 = 2;
/// How many times larger than its own an item's chunk with a host may be, while pages are left and
/// when there are none.
const HOST_TIMES: usize = 2;
const HOST_TIMES_WITHOUT_PAGES: usize = 8;
/// When other classes have taken in so many bytes of its items, a class gets a page of its own.
const GUEST_BYTES_MAX: usize = 2 * PAGE_BYTES;

/// Pages, classes and free chunks of one shard.
#[derive(Debug)]
pub(super) struct Slabs {
    pub(super) arena: Arena,
    pub(super) table: ClassTable,
    classes: Vec<Class>,
    pages: Vec<Page>,
    /// Pages with memory but without class.
    pool: Vec<PageId>,
    /// Pages whose memory went back to the system.
    released: Vec<PageId>,
    /// First page that never had memory.
    fresh: u32,
    /// Pages with memory: in classes, in the pool and on their way from one to the other.
    resident: u32,
    /// Pages that may have memory.
    pages_max: u32,
    /// How often the system refused memory.
    pub(super) refusals: u64,
}

impl Slabs {
    /// Reserves addresses for `bytes_max` of pages; no page may be used until
    /// [`Slabs::set_pages_max`] allows it.
    pub(super) fn new(table: ClassTable, bytes_max: usize, kind: PageKind) -> io::Result<Self> {
        let arena = Arena::reserve(bytes_max, kind, table.unit())?;
        let mut slabs = Self::of(table, arena);
        slabs.arena.begin_book();
        Ok(slabs)
    }

    /// Pages in a file. Which of them have a class is to be read from its book, see
    /// [`Slabs::begin`] and [`Slabs::adopt_pages`].
    pub(super) fn of_file(table: ClassTable, part: FilePart) -> io::Result<Self> {
        let arena = Arena::of_file(part, table.unit())?;
        Ok(Self::of(table, arena))
    }

    fn of(table: ClassTable, arena: Arena) -> Self {
        let pages = vec![Page::default(); arena.page_end() as usize];
        let class = |chunk_bytes| Class::new(chunk_bytes, table.unit());
        let mut classes = vec![class(PAGE_BYTES)];
        classes.extend(table.ids().map(|id| class(table.chunk_bytes(id))));
        Self {
            pool: Vec::with_capacity(pages.len()),
            released: Vec::with_capacity(pages.len()),
            arena,
            table,
            classes,
            pages,
            fresh: PAGE_FIRST,
            resident: 0,
            pages_max: 0,
            refusals: 0,
        }
    }

    /// Takes the pages of a file as its book has them. Their chunks are neither used nor free
    /// before [`Slabs::adopt_used`] or [`Slabs::adopt_free`] says so.
    pub(super) fn adopt_pages(&mut self) {
        for page in (PAGE_FIRST..self.arena.page_end()).rev().map(PageId) {
            let class = ClassId(self.arena.book().class(page) as u8);
            if class.0 == 0 {
                self.released.push(page);
                continue;
            }
            *self.page_mut(page) =
                Page { class: class.0, expires_first: u32::MAX, ..Page::default() };
            self.class_mut(class).pages += 1;
            self.resident += 1;
        }
        self.fresh = self.arena.page_end();
    }

    /// Says that a chunk of an adopted page is in use.
    pub(super) fn adopt_used(&mut self, loc: Loc) {
        let id = self.class_of(loc);
        self.page_mut(self.page_of(loc)).used += 1;
        self.class_mut(id).used += 1;
    }

    /// Says that a chunk of an adopted page is free, whatever it was.
    pub(super) fn adopt_free(&mut self, loc: Loc) {
        self.list(self.class_of(loc), loc);
    }

    /// Whether a chunk of some class starts there.
    pub(super) fn is_chunk(&self, loc: Loc) -> bool {
        let page = self.page_of(loc);
        if page.0 < PAGE_FIRST || page.0 >= self.fresh || self.page(page).class == 0 {
            return false;
        }
        let (units, count) = (self.chunk_units(page), self.chunk_count(page));
        let distance = loc.0 - self.arena.start_of(page).0;
        distance.is_multiple_of(units) && distance / units < count
    }

    /// From now on memory is provided before it is needed.
    pub(super) fn supply(&mut self, waker: &Waker) -> Option<Arc<Ahead>> {
        let ahead = self.arena.supply(PageId(PAGE_FIRST + self.pages_max), waker);
        self.look_ahead();
        ahead
    }

    /// Most pages that the address range has room for.
    pub(super) const fn pages_limit(&self) -> u32 {
        self.arena.page_end() - PAGE_FIRST
    }

    /// Bounds the pages with memory. Pages over the bound leave as they are given up; those in
    /// the pool go at once.
    pub(super) fn set_pages_max(&mut self, pages_max: u32) {
        self.pages_max = pages_max.min(self.pages_limit());
        self.trim_pool();
    }

    /// Pages that classes hold beyond the bound.
    #[inline]
    pub(super) fn pages_over(&self) -> u32 {
        self.pages_in_classes().saturating_sub(self.pages_max)
    }

    /// Pages that a class could take at once.
    #[inline]
    pub(super) fn pages_available(&self) -> u32 {
        self.pages_max.saturating_sub(self.pages_in_classes())
    }

    pub(super) fn pages_in_classes(&self) -> u32 {
        self.resident - self.pool.len() as u32
    }

    pub(super) const fn pages_resident(&self) -> u32 {
        self.resident
    }

    pub(super) fn pool_len(&self) -> usize {
        self.pool.len()
    }

    #[inline]
    pub(super) fn class(&self, id: ClassId) -> &Class {
        &self.classes[usize::from(id.0)]
    }

    fn class_mut(&mut self, id: ClassId) -> &mut Class {
        &mut self.classes[usize::from(id.0)]
    }

    #[inline]
    pub(super) fn page(&self, id: PageId) -> &Page {
        &self.pages[id.0 as usize]
    }

    #[inline]
    pub(super) fn page_mut(&mut self, id: PageId) -> &mut Page {
        &mut self.pages[id.0 as usize]
    }

    /// The page that a chunk lies in.
    #[inline]
    pub(super) const fn page_of(&self, loc: Loc) -> PageId {
        self.arena.page_of(loc)
    }

    /// The class of that page.
    #[inline]
    pub(super) fn class_of(&self, loc: Loc) -> ClassId {
        ClassId(self.page(self.page_of(loc)).class)
    }

    /// Fetches the start of an item.
    #[inline]
    pub(super) fn prefetch_item(&self, loc: Loc) {
        self.arena.prefetch_whole(loc, self.table.chunk_bytes(self.class_of(loc)));
    }

    /// All pages that may belong to a class.
    pub(super) fn page_ids(&self) -> impl Iterator<Item = PageId> + use<> {
        (PAGE_FIRST..self.fresh).map(PageId)
    }

    /// One past the last page that ever had memory.
    pub(super) const fn page_end(&self) -> PageId {
        PageId(self.fresh)
    }

    /// The class to whose chunks an item of the class `id` goes: while that has no page and pages
    /// are scarce, the next larger class that has some. Otherwise a few items of every size would
    /// take all pages of a small shard in turns, each with all that lies in it.
    #[inline]
    pub(super) fn host_of(&self, id: ClassId) -> ClassId {
        let class = self.class(id);
        let are_scarce = || self.pages_available() <= self.pages_max / SCARCE_PARTS;
        if class.pages == 0 && are_scarce() { self.find_host(id) } else { id }
    }

    /// While pages are left, a host has to have a free chunk that is not much larger.
    #[cold]
    fn find_host(&self, id: ClassId) -> ClassId {
        if self.class(id).guest_bytes >= GUEST_BYTES_MAX {
            return id;
        }
        let are_left = self.pages_available() > 0;
        let times_most = if are_left { HOST_TIMES } else { HOST_TIMES_WITHOUT_PAGES };
        let bytes_most = times_most * self.table.chunk_bytes(id);
        let takes = |&host: &ClassId| {
            self.class(host).pages > 0 && (!are_left || self.free_chunks(host) > 0)
        };
        let larger = (id.0 + 1..=self.table.largest().0).map(ClassId);
        let mut near = larger.take_while(|&host| self.table.chunk_bytes(host) <= bytes_most);
        near.find(takes).unwrap_or(id)
    }

    /// Notes that an item of a class went to a host.
    pub(super) fn count_guest(&mut self, id: ClassId, host: ClassId) {
        self.class_mut(id).guest_bytes += self.table.chunk_bytes(host);
    }

    /// Takes a free chunk of the class, if there is one without a further page.
    #[inline]
    pub(super) fn take_chunk(&mut self, id: ClassId) -> Option<Loc> {
        let class = &mut self.classes[usize::from(id.0)];
        let loc = if class.free.is_some() {
            let loc = class.free;
            self.unlist(id, loc);
            loc
        } else if class.cut_left > 0 {
            let loc = class.cut;
            class.cut = Loc(loc.0 + class.chunk_units);
            class.cut_left -= 1;
            loc
        } else {
            return None;
        };
        self.class_mut(id).used += 1;
        self.page_mut(self.page_of(loc)).used += 1;
        Some(loc)
    }

    /// Gives a chunk back to its class.
    pub(super) fn free_chunk(&mut self, loc: Loc) {
        let id = self.class_of(loc);
        let page = self.page_mut(self.page_of(loc));
        page.used -= 1;
        let leaving = page.leaving;
        self.class_mut(id).used -= 1;
        if leaving {
            self.arena.header_mut(loc).retire(flag::OFF_LIST);
        } else {
            self.list(id, loc);
        }
    }

    /// Puts a free chunk in front of its class's list.
    fn list(&mut self, id: ClassId, loc: Loc) {
        self.arena.header_mut(loc).retire(0);
        let class = self.class_mut(id);
        let next = std::mem::replace(&mut class.free, loc);
        class.free_count += 1;
        let header = self.arena.header_mut(loc);
        header.prev = Loc::NONE;
        header.next = next;
        if next.is_some() {
            self.arena.header_mut(next).prev = loc;
        }
    }

    /// Takes a free chunk out of its class's list.
    fn unlist(&mut self, id: ClassId, loc: Loc) {
        let Header { prev, next, .. } = *self.arena.header(loc);
        let class = &mut self.classes[usize::from(id.0)];
        class.free_count -= 1;
        if prev.is_some() {
            self.arena.header_mut(prev).next = next;
        } else {
            class.free = next;
        }
        if next.is_some() {
            self.arena.header_mut(next).prev = prev;
            self.arena.prefetch(next);
        }
    }

    /// Gives the class one more page, if the bound allows. The rest of the page that is being
    /// cut goes to the free list first.
    pub(super) fn add_page(&mut self, id: ClassId) -> bool {
        let Some(page) = self.take_page() else { return false };
        while self.class(id).cut_left > 0 {
            let class = self.class_mut(id);
            let loc = class.cut;
            class.cut = Loc(loc.0 + class.chunk_units);
            class.cut_left -= 1;
            self.list(id, loc);
        }
        *self.page_mut(page) = Page { class: id.0, expires_first: u32::MAX, ..Page::default() };
        if self.arena.is_file() {
            self.clear_page(page);
        }
        self.arena.note_class(page, id);
        let start = self.arena.start_of(page);
        let class = self.class_mut(id);
        class.cut = start;
        class.cut_left = class.chunks_per_page;
        class.pages += 1;
        class.guest_bytes = 0;
        true
    }

    /// Makes all chunks of a page free ones, whatever its bytes were.
    fn clear_page(&mut self, page: PageId) {
        for loc in self.chunks(page) {
            self.arena.header_mut(loc).retire(0);
        }
    }

    fn take_page(&mut self) -> Option<PageId> {
        if self.pages_available() == 0 {
            return None;
        }
        if let Some(page) = self.pool.pop() {
            return Some(page);
        }
        let gained = self.gain_page();
        self.refusals += u64::from(gained.is_err());
        gained.ok()
    }

    /// Gets memory for one page more.
    fn gain_page(&mut self) -> io::Result<PageId> {
        let page = match self.released.last() {
            Some(&page) => {
                self.arena.provide(page)?;
                self.released.pop();
                page
            }
            None => self.commit_page()?,
        };
        self.resident += 1;
        self.look_ahead();
        Ok(page)
    }

    fn commit_page(&mut self) -> io::Result<PageId> {
        let page = PageId(self.fresh);
        if page.0 >= self.arena.page_end() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        self.arena.commit(page)?;
        self.fresh += 1;
        Ok(page)
    }

    /// Has memory provided for the pages that will be taken next, as far as the bound allows any.
    fn look_ahead(&mut self) {
        let allowed = self.pages_max.saturating_sub(self.resident).min(PAGES_AHEAD);
        if allowed > 0 {
            self.arena.expect(PageId(self.fresh + allowed - 1));
        }
    }

    /// Provides memory for all pages that the bound allows and puts them into the pool.
    ///
    /// # Errors
    /// When the system has less memory.
    pub(super) fn populate(&mut self) -> io::Result<()> {
        while self.resident < self.pages_max {
            let page = self.gain_page()?;
            self.arena.populate(page);
            self.pool.push(page);
        }
        self.pool.reverse();
        Ok(())
    }

    /// Starts giving a page up: its chunks leave use one by one, and none comes back into use
    /// except free ones not yet taken out by [`Slabs::discard_free`]. Returns how many of its
    /// chunks were ever cut; the others need no care.
    pub(super) fn start_leaving(&mut self, page: PageId) -> u32 {
        let id = ClassId(self.page(page).class);
        assert!(id.0 != 0 && !self.page(page).leaving);
        let count = self.chunk_count(page);
        let class = self.class_mut(id);
        if count < class.chunks_per_page {
            class.cut_left = 0;
        }
        class.pages -= 1;
        self.page_mut(page).leaving = true;
        count
    }

    /// Takes a free chunk of a leaving page out of the free list.
    pub(super) fn discard_free(&mut self, loc: Loc) {
        if !self.arena.header(loc).has(flag::OFF_LIST) {
            self.unlist(self.class_of(loc), loc);
            self.arena.header_mut(loc).retire(flag::OFF_LIST);
        }
    }

    /// Ends giving up a page of which no chunk is in use any more: it goes to the pool, or back
    /// to the system if there are too many.
    pub(super) fn finish_leaving(&mut self, page: PageId) {
        assert!(self.page(page).leaving && self.page(page).used == 0);
        self.arena.note_class(page, ClassId(0));
        *self.page_mut(page) = Page::default();
        self.pool.push(page);
        self.trim_pool();
    }

    /// Changes one's mind about a leaving page of which `count` chunks were cut: what is free of
    /// it goes to the free list.
    pub(super) fn cancel_leaving(&mut self, page: PageId, count: u32) {
        let id = ClassId(self.page(page).class);
        self.page_mut(page).leaving = false;
        for (number, loc) in (0..).zip(self.chunks(page)) {
            let header = self.arena.header(loc);
            let free = header.key_bytes == kind::FREE && header.has(flag::OFF_LIST);
            if free || number >= count {
                self.list(id, loc);
            }
        }
        self.class_mut(id).pages += 1;
    }

    fn trim_pool(&mut self) {
        while self.resident > self.pages_max {
            let Some(page) = self.pool.pop() else { return };
            if !self.arena.release(page) {
                // A reserved huge page cannot give half of itself back. The memory stays ours.
                self.pool.push(page);
                return;
            }
            self.released.push(page);
            self.resident -= 1;
        }
    }

    /// All chunks of a page, used or not; of the page that is being cut only those cut.
    pub(super) fn chunks(&self, page: PageId) -> impl Iterator<Item = Loc> + use<> {
        let (start, units) = (self.chunk(page, 0).0, self.chunk_units(page));
        (0..self.chunk_count(page)).map(move |number| Loc(start + number * units))
    }

    /// A chunk of a page by its number.
    pub(super) fn chunk(&self, page: PageId, number: u32) -> Loc {
        Loc(self.arena.start_of(page).0 + number * self.chunk_units(page))
    }

    /// Number of chunks cut from a page so far.
    pub(super) fn chunk_count(&self, page: PageId) -> u32 {
        let class = self.class(ClassId(self.page(page).class));
        let cutting = class.cut_left > 0 && self.page_of(class.cut) == page;
        class.chunks_per_page - if cutting { class.cut_left } else { 0 }
    }

    /// Size of a page's chunks in units of locations.
    fn chunk_units(&self, page: PageId) -> u32 {
        self.class(ClassId(self.page(page).class)).chunk_units
    }

    /// Chunks of the class that could be taken without a further page.
    pub(super) fn free_chunks(&self, id: ClassId) -> u32 {
        let class = self.class(id);
        class.free_count + class.cut_left
    }
}

impl Class {
    fn new(chunk_bytes: usize, unit: LocUnit) -> Self {
        Self {
            free: Loc::NONE,
            free_count: 0,
            cut: Loc::NONE,
            cut_left: 0,
            pages: 0,
            used: 0,
            guest_bytes: 0,
            chunk_units: unit.count(chunk_bytes),
            chunks_per_page: (PAGE_BYTES / chunk_bytes) as u32,
        }
    }
}
