//! How a cache is found again in its file: after a stop, and after a kill at any instant.
//!
//! # What is believed
//!
//! The pages with all items lie in a shared mapping of a file; index, lists and counts are memory
//! of the process and are made anew. A process that is killed leaves in the mapping every store
//! that its threads had completed, and of each thread a prefix of its program: the kernel stops a
//! thread between two instructions and writes nothing back or off. A shard is used by one thread at
//! a time, and a token passes from one to the next with release and acquire, so what is found is a
//! prefix of the shard's history, cut between two stores. It is enough, then, that *every* such
//! prefix means something true:
//!
//! - An item counts if its head has [`flag::LINKED`]. That bit is stored by
//!   [`Header::set_flags`](super::item::Header::set_flags), in one step and in its place between
//!   what the compiler must keep before and after it. It is set when all else is written
//!   (`publish`), and cleared before anything of the item is changed that takes more than one
//!   store (`withdraw`): its value, its length, its CAS id, its chunks.
//! - What is one store needs no more: a time to live, the time of last use, a mark, a link.
//! - A value is replaced in this order: the new one is written, the old one withdrawn, the new one
//!   published. So no two items with one key ever count. A kill in between forgets the key.
//! - A chunk that is freed becomes a free one in one step (`retire`), a chain's head before its
//!   continuations are. So what was deleted, evicted or had expired stays away.
//! - A flush is a word of the book, written before it is answered; so is the latest second, so that
//!   the clock never goes back and no expired item returns.
//! - A page gets its class in one step, when all its chunks are free ones (`slab`).
//! - The book is ahead of the sequence by more than a second's stores, so CAS ids of before and
//!   after differ.
//! - A value that is being uploaded, a copy under way, the chunks of a chain whose head does not
//!   count: nothing of it has been published, so all of it is free.
//!
//! A request is answered after it was executed. So whatever was acknowledged is found, unless it
//! was evicted or replaced in the instant of the kill; and what was replaced, deleted or flushed is
//! not.
//!
//! # What is not believed
//!
//! After the machine went down nothing is known of which pages the kernel had written, so such a
//! file is refused by its head (`file`), unless it had been closed: then each page must have the
//! sum that the book tells. And whatever the rules above exclude, two items with one key, a value
//! longer than its chunk, a chain without its end, proves that something else than the server wrote
//! here, and condemns the whole file.
//!
//! # How it is done
//!
//! One walk over the pages, class by class. Each item that counts and is alive goes into the index
//! and into a list; all other chunks are freed. The lists are not sorted, which would need memory:
//! items are put into one list for each step of idle time, and these are joined. The steps are
//! seconds at first and grow to a sixteenth of the time, so the order of the LRU is right but for
//! that. A kill during the walk leaves what the next one needs, because nothing that counts is
//! changed.

use std::collections::HashSet;
use std::io;

use super::chain::CONTINUATION_AT;
use super::expiry::{Flush, is_linked};
use super::item::{HEAD_UNIT_BYTES, Loc, Segment, flag, kind, mark};
use super::lists::List;
use super::slab::{ClassId, Entry, FilePart, PAGE_FIRST, PageId, Slabs};
use super::{STORES_PER_SECOND_MAX, Shard, ShardConfig, class_table};

/// Why a shard can't go on with its part of a file.
#[derive(Debug)]
pub enum Unusable {
    /// Something else than a server wrote there; what shows it.
    Damaged(&'static str),
    /// The system has no memory for index or pages.
    System(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Sequences have 48 bits; a file whose are nearly used up is not gone on with.
const SEQUENCE_MAX: u64 = 1 << 47;

/// Idle times up to this many seconds have a list each; above, each power of two has sixteen.
const AGES_FINE: u32 = 64;
const AGES_PER_DOUBLING: u32 = 16;
const AGES: usize = (AGES_FINE + AGES_PER_DOUBLING * (32 - AGES_FINE.ilog2())) as usize;

/// The items of one class by segment and idle time.
type ByAge = [[List; AGES]; Segment::ALL.len()];

/// What a walk has yet to settle: chunks that continue an item's value.
#[derive(Default)]
struct Continuations {
    /// Those that were come across.
    seen: Vec<Loc>,
    /// Those that are in the chain of an item that counts.
    claimed: HashSet<Loc>,
}

impl Shard {
    /// A shard whose memory is a part of a file. Before anything else it must be
    /// [made empty](Shard::begin) or [checked](Shard::check_book) and [restored](Shard::restore).
    ///
    /// # Errors
    /// When the system has no addresses or no memory for it.
    pub fn in_file(config: ShardConfig, part: FilePart) -> io::Result<Self> {
        let slabs = Slabs::of_file(class_table(&config), part)?;
        Self::with(config, slabs)
    }

    /// Starts empty in a part of a file that is all zeroes.
    ///
    /// # Errors
    /// When the file system has not the memory.
    pub fn begin(&mut self) -> io::Result<()> {
        self.slabs.arena.begin_book();
        self.note_progress(STORES_PER_SECOND_MAX);
        self.slabs.adopt_pages();
        self.slabs.populate()
    }

    /// Looks whether what is written down about the pages can be believed, and changes nothing.
    /// Of a file that was closed the pages themselves are looked at as well.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_book(&self, is_closed: bool) -> Result<(), Unusable> {
        let book = self.slabs.arena.book();
        if !book.is_sound() {
            return Err(Unusable::Damaged("a word of a book is wrong"));
        }
        if book.entry(Entry::SequenceMax) > SEQUENCE_MAX {
            return Err(Unusable::Damaged("its CAS ids are used up"));
        }
        let classes = self.slabs.table.count() as u64;
        for page in (PAGE_FIRST..self.slabs.arena.page_end()).map(PageId) {
            let class = book.class(page);
            if class > classes {
                return Err(Unusable::Damaged("a page has no such class"));
            }
            if is_closed && class != 0 && book.sum(page) != self.slabs.arena.sum(page) {
                return Err(Unusable::Damaged("a page has another sum"));
            }
        }
        Ok(())
    }

    /// The latest second that the shard in the file has seen.
    #[must_use]
    pub fn latest_second(&self) -> u32 {
        self.slabs.arena.book().entry(Entry::Now) as u32
    }

    /// Makes index, lists and counts anew from a part whose book was checked. `now` is the clock,
    /// not before the latest second. Says how many items are back.
    ///
    /// # Errors
    /// When the items contradict each other or the system has no memory. The shard is then of no
    /// use any more.
    pub fn restore(&mut self, now: u32) -> Result<u64, Unusable> {
        let entry = |entry| self.slabs.arena.book().entry(entry);
        let flush = Flush { cut: entry(Entry::FlushCut), at: entry(Entry::FlushAt) as u32 };
        let items = entry(Entry::Items) as usize;
        self.sequence = entry(Entry::SequenceMax);
        self.flush = flush;
        self.now = now;
        self.flush_if_due();
        self.slabs.adopt_pages();
        self.index.prepare(items.min(self.chunks_in_pages()))?;
        let mut continuations = Continuations::default();
        for class in self.slabs.table.ids() {
            self.restore_class(class, &mut continuations)?;
        }
        for loc in continuations.seen {
            if continuations.claimed.contains(&loc) {
                self.slabs.adopt_used(loc);
            } else {
                self.slabs.adopt_free(loc);
            }
        }
        self.divide_memory(0);
        self.slabs.populate()?;
        self.note_progress(STORES_PER_SECOND_MAX);
        self.counters.total_items = self.index.len() as u64;
        Ok(self.counters.total_items)
    }

    /// Writes down exactly where the shard is and what its pages hold, which must not change any
    /// more.
    pub fn close(&mut self) {
        self.note_progress(0);
        for page in self.slabs.page_ids() {
            if self.slabs.page(page).class != 0 {
                self.slabs.arena.note_sum(page);
            }
        }
    }

    /// An upper bound of the number of items.
    fn chunks_in_pages(&self) -> usize {
        let chunks = |id| self.slabs.class(id).pages * self.slabs.class(id).chunks_per_page;
        self.slabs.table.ids().map(|id| chunks(id) as usize).sum()
    }

    fn restore_class(
        &mut self,
        class: ClassId,
        continuations: &mut Continuations,
    ) -> Result<(), Unusable> {
        let mut ages = Box::new([[List::EMPTY; AGES]; Segment::ALL.len()]);
        let mut found = Vec::new();
        for page in self.slabs.page_ids() {
            if self.slabs.page(page).class != class.0 {
                continue;
            }
            self.sort_out(page, continuations, &mut found)?;
            for (hash, loc) in found.drain(..) {
                self.restore_item(hash, loc, &mut ages)?;
            }
        }
        self.join_ages(class, &ages);
        Ok(())
    }

    /// Frees the chunks of a page that hold nothing, and adds the items to `found` with the hashes
    /// of their keys.
    fn sort_out(
        &mut self,
        page: PageId,
        continuations: &mut Continuations,
        found: &mut Vec<(u64, Loc)>,
    ) -> Result<(), Unusable> {
        for loc in self.slabs.chunks(page) {
            let header = self.slabs.arena.header(loc);
            if is_linked(header) && self.death(loc).is_none() {
                self.check_item(loc, continuations)?;
                let hash = self.hash_of(loc);
                self.index.prefetch(hash);
                found.push((hash, loc));
            } else if header.key_bytes == kind::CONTINUATION {
                continuations.seen.push(loc);
            } else {
                self.slabs.adopt_free(loc);
            }
        }
        Ok(())
    }

    /// Makes an item findable.
    fn restore_item(&mut self, hash: u64, loc: Loc, ages: &mut ByAge) -> Result<(), Unusable> {
        let arena = &self.slabs.arena;
        if self.index.find(hash, |other| arena.key_is(other, arena.key(loc))).is_some() {
            return Err(Unusable::Damaged("two items have the same key"));
        }
        self.grow_index();
        if self.index.insert(hash, loc).is_none() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
        }
        self.slabs.adopt_used(loc);
        let arena = &mut self.slabs.arena;
        let bytes = arena.item_bytes(loc);
        let header = arena.header_mut(loc);
        header.mark(mark::PINNED, false);
        let segment = header.segment();
        let age = age_index(header.idle_s(self.now));
        ages[segment as usize][age].push(arena, segment, loc, bytes);
        self.note_expiry(loc, self.slabs.arena.exptime(loc));
        Ok(())
    }

    /// Joins the lists of all idle times, the shortest first.
    fn join_ages(&mut self, class: ClassId, ages: &ByAge) {
        for segment in Segment::ALL {
            let mut joined = List::EMPTY;
            for list in &ages[segment as usize] {
                joined.append(&mut self.slabs.arena, list);
            }
            *self.lists.list_mut(class, segment) = joined;
        }
    }

    /// Whether an item is one that can be: within its chunk and younger than the book, its chain
    /// whole and its own.
    fn check_item(&self, loc: Loc, continuations: &mut Continuations) -> Result<(), Unusable> {
        let header = self.slabs.arena.header(loc);
        let chunk_bytes = self.slabs.table.chunk_bytes(self.slabs.class_of(loc));
        let room = chunk_bytes.checked_sub(header.value_at());
        let has_its_parts = !header.is_marked(mark::WIDE_CAS) || header.has(flag::LARGE);
        let can_be = has_its_parts && header.sequence() <= self.sequence;
        let Some(room) = room.filter(|_| can_be) else {
            return Err(Unusable::Damaged("an item can't be"));
        };
        let (value_bytes, next) = if header.has(flag::LARGE) {
            self.slabs.arena.large(loc)
        } else {
            (usize::from(header.length), Loc::NONE)
        };
        let own_bytes =
            if next.is_none() { value_bytes } else { usize::from(header.length) * HEAD_UNIT_BYTES };
        if own_bytes > room || own_bytes > value_bytes {
            return Err(Unusable::Damaged("a value is longer than its room"));
        }
        self.check_chain(loc, next, value_bytes - own_bytes, continuations)
    }

    /// Whether the chain from `next` on belongs to `loc` and has just so many bytes.
    fn check_chain(
        &self,
        loc: Loc,
        mut next: Loc,
        mut bytes: usize,
        continuations: &mut Continuations,
    ) -> Result<(), Unusable> {
        while next.is_some() {
            if !self.slabs.is_chunk(next) || !continuations.claimed.insert(next) {
                return Err(Unusable::Damaged("a chain is broken"));
            }
            let header = self.slabs.arena.header(next);
            let room = self.slabs.table.chunk_bytes(self.slabs.class_of(next)) - CONTINUATION_AT;
            let (owner, own_bytes) = (header.prev, header.used_bytes());
            let is_own = header.key_bytes == kind::CONTINUATION && owner == loc;
            if !is_own || own_bytes > room || own_bytes > bytes {
                return Err(Unusable::Damaged("a chain is broken"));
            }
            bytes -= own_bytes;
            next = header.next;
        }
        if bytes == 0 { Ok(()) } else { Err(Unusable::Damaged("a chain is too short")) }
    }
}

/// Which list an idle time belongs to.
fn age_index(idle_s: u32) -> usize {
    if idle_s < AGES_FINE {
        return idle_s as usize;
    }
    let doubling = idle_s.ilog2();
    let sixteenth = (idle_s >> (doubling - AGES_PER_DOUBLING.ilog2())) % AGES_PER_DOUBLING;
    (AGES_FINE + (doubling - AGES_FINE.ilog2()) * AGES_PER_DOUBLING + sixteenth) as usize
}

#[cfg(test)]
#[path = "tests/restore.rs"]
mod tests;
