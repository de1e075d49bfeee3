//! Chunk contents by location: headers, keys, values.
//!
//! The arena is one region of 1 MB pages. This is the only place where a [`Loc`] becomes memory.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use super::ahead::Ahead;
use super::book::{self, Book, Entry};
use super::classes::ClassId;
use super::region::{FilePart, HUGE_PAGE_BYTES, Mapping, PageKind, Region};
use crate::shard::item::{
    EXPTIME_AT, Header, Loc, LocUnit, client_flags_at, flag, large_at, mark, wide_cas_at,
};

/// Size of a slab page.
pub(in crate::shard) const PAGE_BYTES: usize = 1 << 20;
/// Most bytes of a chunk that are fetched before it is used.
const PREFETCH_BYTES_MAX: usize = 192;
/// The first huge page of the range holds the book and no chunk, so that none has location 0.
pub(in crate::shard) const PAGE_FIRST: u32 = (HUGE_PAGE_BYTES / PAGE_BYTES) as u32;

/// Number of a slab page in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shard) struct PageId(pub(in crate::shard) u32);

impl PageId {
    /// Distance from the start of the arena.
    const fn offset(self) -> usize {
        self.0 as usize * PAGE_BYTES
    }
}

/// The memory in which all items lie.
#[derive(Debug)]
pub(in crate::shard) struct Arena {
    region: Region,
    unit: LocUnit,
}

impl Arena {
    /// Reserves addresses for `bytes` of pages.
    pub(in crate::shard) fn reserve(
        bytes: usize,
        kind: PageKind,
        unit: LocUnit,
    ) -> io::Result<Self> {
        let mut region = Region::reserve(bytes + HUGE_PAGE_BYTES, kind)?;
        region.skip(HUGE_PAGE_BYTES)?;
        Ok(Self { region, unit })
    }

    /// Maps an arena that lies in a file; the book has its memory.
    pub(in crate::shard) fn of_file(part: FilePart, unit: LocUnit) -> io::Result<Self> {
        let mut arena = Self { region: Region::of_file(part)?, unit };
        let book_bytes = book::words(arena.page_end()) * size_of::<u64>();
        assert!(book_bytes <= HUGE_PAGE_BYTES, "the book fits its page");
        arena.region.provide(0, book_bytes)?;
        Ok(arena)
    }

    /// One past the last page that the range has room for.
    pub(in crate::shard) const fn page_end(&self) -> u32 {
        (self.region.reserved() / PAGE_BYTES) as u32
    }

    /// Whether it lies in a file.
    pub(in crate::shard) const fn is_file(&self) -> bool {
        self.region.is_file()
    }

    /// What is written down about the arena.
    pub(in crate::shard) const fn book(&self) -> Book<'_> {
        Book { region: &self.region, page_end: self.page_end() }
    }

    /// Begins a book in which nothing stands.
    pub(in crate::shard) fn begin_book(&mut self) {
        for number in 0..book::words(self.page_end()) {
            book::set_word(&mut self.region, number, 0);
        }
    }

    /// Writes an entry of the book.
    pub(in crate::shard) fn note(&mut self, entry: Entry, value: u64) {
        book::set_word(&mut self.region, entry as usize, value);
    }

    /// Writes down which class a page belongs to.
    pub(in crate::shard) fn note_class(&mut self, page: PageId, class: ClassId) {
        book::set_word(&mut self.region, book::class_at(page), u64::from(class.0));
    }

    /// Writes down what a page holds.
    pub(in crate::shard) fn note_sum(&mut self, page: PageId) {
        let (number, sum) = (book::sum_at(self.page_end(), page), self.sum(page));
        book::set_word(&mut self.region, number, sum);
    }

    /// The sum of what a page holds.
    pub(in crate::shard) fn sum(&self, page: PageId) -> u64 {
        book::sum(self.region.slice(page.offset(), PAGE_BYTES))
    }

    pub(in crate::shard) const fn kind(&self) -> PageKind {
        self.region.kind()
    }

    /// The start of the arena, for values that are used without the shard.
    pub(in crate::shard) const fn base(&self) -> NonNull<u8> {
        self.region.base()
    }

    pub(in crate::shard) fn mapping(&self) -> Arc<Mapping> {
        self.region.mapping()
    }

    /// Provides memory for all pages up to and including `page`.
    pub(in crate::shard) fn commit(&mut self, page: PageId) -> io::Result<()> {
        let end = page.offset() + PAGE_BYTES;
        self.region.commit(end.next_multiple_of(HUGE_PAGE_BYTES))
    }

    /// From now on memory of the pages before `end` is provided before it is needed.
    pub(in crate::shard) fn supply(&mut self, end: PageId, waker: &Waker) -> Option<Arc<Ahead>> {
        self.region.supply(end.offset(), waker)
    }

    /// Says that pages up to and including `page` will be needed soon.
    pub(in crate::shard) fn expect(&mut self, page: PageId) {
        let end = page.offset() + PAGE_BYTES;
        self.region.expect(end.next_multiple_of(HUGE_PAGE_BYTES));
    }

    /// Makes the kernel provide a committed page's memory at once.
    pub(in crate::shard) fn populate(&mut self, page: PageId) {
        self.region.populate(page.offset(), PAGE_BYTES);
    }

    /// Makes sure that a page of a file has memory.
    pub(in crate::shard) fn provide(&mut self, page: PageId) -> io::Result<()> {
        self.region.provide(page.offset(), PAGE_BYTES)
    }

    /// Gives a page's memory back to the system; false if it would not have it.
    pub(in crate::shard) fn release(&mut self, page: PageId) -> bool {
        self.region.release(page.offset(), PAGE_BYTES)
    }

    /// What locations count in.
    pub(in crate::shard) const fn unit(&self) -> LocUnit {
        self.unit
    }

    #[inline]
    const fn offset(&self, loc: Loc) -> usize {
        self.unit.offset(loc)
    }

    /// The page that a chunk lies in.
    #[inline]
    pub(in crate::shard) const fn page_of(&self, loc: Loc) -> PageId {
        PageId((self.offset(loc) / PAGE_BYTES) as u32)
    }

    /// A page's first chunk.
    pub(in crate::shard) const fn start_of(&self, page: PageId) -> Loc {
        Loc(self.unit.count(page.offset()))
    }

    #[inline]
    pub(in crate::shard) fn header(&self, loc: Loc) -> &Header {
        self.region.get(self.offset(loc))
    }

    #[inline]
    pub(in crate::shard) fn header_mut(&mut self, loc: Loc) -> &mut Header {
        self.region.get_mut(self.offset(loc))
    }

    /// `bytes` bytes of a chunk from `at` on.
    #[inline]
    pub(in crate::shard) fn bytes(&self, loc: Loc, at: usize, bytes: usize) -> &[u8] {
        self.region.slice(self.offset(loc) + at, bytes)
    }

    #[inline]
    pub(in crate::shard) fn bytes_mut(&mut self, loc: Loc, at: usize, bytes: usize) -> &mut [u8] {
        self.region.slice_mut(self.offset(loc) + at, bytes)
    }

    /// Copies `bytes` bytes between two different chunks.
    pub(in crate::shard) fn copy(&mut self, from: (Loc, usize), to: (Loc, usize), bytes: usize) {
        self.region.copy(self.offset(from.0) + from.1, self.offset(to.0) + to.1, bytes);
    }

    /// The key of an item.
    #[inline]
    pub(in crate::shard) fn key(&self, loc: Loc) -> &[u8] {
        let header = self.header(loc);
        self.bytes(loc, header.key_at(), usize::from(header.key_bytes))
    }

    /// Whether the chunk holds an item with this key.
    #[inline]
    pub(in crate::shard) fn key_is(&self, loc: Loc, key: &[u8]) -> bool {
        let header = self.header(loc);
        usize::from(header.key_bytes) == key.len()
            && self.bytes(loc, header.key_at(), key.len()) == key
    }

    /// When an item expires in seconds of the shard clock, 0 = never.
    #[inline]
    pub(in crate::shard) fn exptime(&self, loc: Loc) -> u32 {
        if self.header(loc).has(flag::EXPIRES) { self.word(loc, EXPTIME_AT) } else { 0 }
    }

    /// Changes the expiry time of an item that has room for one.
    pub(in crate::shard) fn set_exptime(&mut self, loc: Loc, exptime: u32) {
        debug_assert!(self.header(loc).has(flag::EXPIRES));
        self.set_word(loc, EXPTIME_AT, exptime);
    }

    /// The client flags of an item.
    #[inline]
    pub(in crate::shard) fn client_flags(&self, loc: Loc) -> u32 {
        let header = self.header(loc);
        if header.has(flag::CLIENT_FLAGS) {
            self.word(loc, client_flags_at(header.flags))
        } else {
            0
        }
    }

    /// Writes the client flags of an item that has some.
    pub(in crate::shard) fn set_client_flags(&mut self, loc: Loc, client_flags: u32) {
        self.set_word(loc, client_flags_at(self.header(loc).flags), client_flags);
    }

    /// Length of an item's whole value.
    #[inline]
    pub(in crate::shard) fn value_bytes(&self, loc: Loc) -> usize {
        let header = self.header(loc);
        if header.has(flag::LARGE) {
            self.word(loc, large_at(header.flags)) as usize
        } else {
            usize::from(header.length)
        }
    }

    /// Length of an item's whole value and its first continuation.
    pub(in crate::shard) fn large(&self, loc: Loc) -> (usize, Loc) {
        let at = large_at(self.header(loc).flags);
        (self.word(loc, at) as usize, Loc(self.word(loc, at + 4)))
    }

    pub(in crate::shard) fn set_large(&mut self, loc: Loc, value_bytes: usize, chain: Loc) {
        let at = large_at(self.header(loc).flags);
        self.set_word(loc, at, value_bytes as u32);
        self.set_word(loc, at + 4, chain.0);
    }

    /// The CAS id that a client chose for the item, if one did.
    #[inline]
    pub(in crate::shard) fn wide_cas(&self, loc: Loc) -> Option<u64> {
        let header = self.header(loc);
        header.is_marked(mark::WIDE_CAS).then(|| {
            let at = wide_cas_at(header.flags);
            u64::from(self.word(loc, at)) | u64::from(self.word(loc, at + 4)) << 32
        })
    }

    pub(in crate::shard) fn set_wide_cas(&mut self, loc: Loc, cas: u64) {
        let at = wide_cas_at(self.header(loc).flags);
        self.set_word(loc, at, cas as u32);
        self.set_word(loc, at + 4, (cas >> 32) as u32);
    }

    /// Bytes that an item occupies in all its chunks, headers of continuations not counted.
    #[inline]
    pub(in crate::shard) fn item_bytes(&self, loc: Loc) -> usize {
        self.header(loc).value_at() + self.value_bytes(loc)
    }

    fn word(&self, loc: Loc, at: usize) -> u32 {
        let bytes = self.bytes(loc, at, 4);
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn set_word(&mut self, loc: Loc, at: usize, word: u32) {
        self.bytes_mut(loc, at, 4).copy_from_slice(&word.to_le_bytes());
    }

    /// Fetches the line or two that a chunk's header and key start in. Any location is harmless.
    #[inline]
    pub(in crate::shard) fn prefetch(&self, loc: Loc) {
        self.region.prefetch(self.offset(loc));
        self.region.prefetch(self.offset(loc) + 63);
    }

    /// Fetches the lines of a chunk up to a few; what comes after them the processor fetches
    /// ahead by itself when the value is copied.
    #[inline]
    pub(in crate::shard) fn prefetch_whole(&self, loc: Loc, chunk_bytes: usize) {
        let offset = self.offset(loc);
        let last = offset + chunk_bytes.min(PREFETCH_BYTES_MAX) - 1;
        self.region.prefetch(offset);
        self.region.prefetch((offset + 64).min(last));
        self.region.prefetch(last);
    }
}
