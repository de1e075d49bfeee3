//! Pages change classes, so that no class starves when the mix of sizes changes.
//!
//! Which class gives: the one whose items get clearly oldest (see `age`), or one with a whole
//! page's worth of free chunks. When: when a class that must evict, or has just taken the last free
//! page, has clearly younger ones: by more than counting may err. The only page of a class that
//! evicts is left to it, unless there is no other, for its next item would want it back. How: the
//! page is swept chunk by chunk, a few for each store, in proportion to what the store takes. Dead
//! items end, items younger than the class's tail are moved to its chunks, the rest is evicted;
//! then the page goes to the class it was freed for.
//!
//! A page in which a chunk is pinned or being uploaded is left alone and another one taken.

use super::Shard;
use super::age::{Age, Moment, clearly_older, page_share};
use super::chain::{self, CONTINUATION_AT, Piece};
use super::item::{Header, Loc, Segment, flag, kind, mark};
use super::slab::{ClassId, PAGE_BYTES, PageId};

/// The page that is being given up, if any.
#[derive(Debug, Default)]
pub(super) struct Mover {
    job: Option<Job>,
    /// A page that could not be given up lately.
    avoid: Option<PageId>,
    /// After finding no page to give up: the sequence at which to look again.
    rest_until: u64,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    page: PageId,
    class: ClassId,
    /// Number of the next chunk to be swept.
    next: u32,
    /// Chunks to be swept.
    count: u32,
    /// The class that gets the page; else it goes to the pool.
    to: Option<ClassId>,
}

impl Mover {
    #[inline]
    pub(super) const fn is_active(&self) -> bool {
        self.job.is_some()
    }

    /// Whether the class is losing a page, so that what it evicts may be of no use to it.
    fn takes_from(&self, class: ClassId) -> bool {
        self.job.is_some_and(|job| job.class == class)
    }
}

/// What became of a request to move a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassigned {
    /// It is under way.
    Started,
    /// Another page is under way.
    Busy,
    /// There is no such class.
    BadClass,
    /// The source has fewer than two pages.
    NoSpare,
    /// Source and destination are the same.
    Same,
}

/// Work of sweeping for each store at least, in chunks looked at.
const SWEEP_MIN: u32 = 32;
/// What moving an item costs, compared with ending it.
const RESCUE_COST: u32 = 4;
/// How far ahead a sweep fetches.
const PREFETCH_CHUNKS: u32 = 4;
/// Longest chain that is moved rather than evicted.
const CHAIN_MAX: usize = 16;
/// Pages that are tried when one is needed at once.
const FORCE_TRIES: u32 = 8;
/// Stores between two searches for a page when there was none.
const REST_STORES: u64 = 1024;

impl Shard {
    /// Goes on giving up pages, for the store of a chunk of this class.
    #[inline(never)]
    pub(super) fn move_along(&mut self, class: ClassId) {
        if self.mover.job.is_none() && !self.start_shrinking() {
            return;
        }
        let count = self.mover.job.map_or(0, |job| u64::from(job.count));
        let share = self.slabs.table.chunk_bytes(class) as u64 * count / PAGE_BYTES as u64;
        self.sweep((share as u32).saturating_mul(2 * RESCUE_COST).max(SWEEP_MIN));
    }

    /// Background work: gives up pages that are too many, or goes on with one. `budget` is in
    /// chunks looked at. Returns whether there is more to do.
    pub fn maintain(&mut self, budget: u32) -> bool {
        if self.mover.job.is_some() || (self.slabs.pages_over() > 0 && self.start_shrinking()) {
            self.sweep(budget);
        }
        self.mover.is_active() || self.slabs.pages_over() > 0 && !self.is_resting()
    }

    /// Moves a page from one class to another at an administrator's request; `None` is any
    /// class with pages to spare. It happens during later stores and [`Shard::maintain`].
    pub fn reassign(&mut self, from: Option<ClassId>, to: ClassId) -> Reassigned {
        let exists = |class: ClassId| (1..=self.slabs.table.count()).contains(&class.0.into());
        if !exists(to) || !from.is_none_or(exists) {
            return Reassigned::BadClass;
        }
        if from == Some(to) {
            return Reassigned::Same;
        }
        if self.mover.is_active() {
            return Reassigned::Busy;
        }
        let spare = |class: &ClassId| *class != to && self.slabs.class(*class).pages >= 2;
        let from = from.filter(spare).or_else(|| match from {
            Some(_) => None,
            None => {
                self.slabs.table.ids().filter(spare).max_by_key(|&id| self.slabs.class(id).pages)
            }
        });
        match from.and_then(|class| Some((class, self.page_to_give(class)?))) {
            Some((class, page)) => {
                self.start(class, page, Some(to));
                Reassigned::Started
            }
            None => Reassigned::NoSpare,
        }
    }

    /// Starts freeing a page for a class that has taken the last one or must evict, if another
    /// class has clearly older items.
    pub(super) fn think_ahead(&mut self, class: ClassId) {
        let wanted = self.config.reassign && self.config.automove > 0;
        if !wanted || self.mover.is_active() || self.slabs.pages_available() > 0 {
            return;
        }
        let taker = *self.slabs.class(class);
        let taker_age = match self.stay(class) {
            _ if taker.pages == 0 => Age::MIN,
            Some(stay) if self.is_settled(class) => stay,
            _ => return,
        };
        let excluded = bit(class) | self.last_pages_in_use();
        let Some((giver, age)) = self.oldest_class(excluded) else { return };
        if self.is_unsure(giver) {
            return;
        }
        let share = page_share(self.slabs.class(giver).pages, taker.pages);
        let certain = (1.0 - self.pressure.turnover.error(giver, class)).max(0.0);
        if clearly_older(age, taker_age, share * certain * self.automove_ratio()) {
            self.start_at(giver, Some(class));
        }
    }

    pub(super) const fn moment(&self) -> Moment {
        Moment { now_s: self.now, sequence: self.sequence }
    }

    /// What part of the giver's age the taker's must stay below.
    fn automove_ratio(&self) -> f64 {
        const EAGER: u8 = 2;
        if self.config.automove == EAGER { 1.0 } else { self.config.automove_ratio }
    }

    /// Ends the move of a page away from a class whose next victims all lie in that page. False if
    /// there is none.
    pub(super) fn hurry(&mut self, class: ClassId) -> bool {
        let is_giving = self.mover.takes_from(class);
        if is_giving {
            self.sweep(u32::MAX);
        }
        is_giving
    }

    /// Frees a page at once for a class that has nothing of its own to evict. False if no page
    /// of any other class can be freed.
    pub(super) fn force_page(&mut self, class: ClassId) -> bool {
        let (mut excluded, pages) = (bit(class), self.slabs.class(class).pages);
        for _ in 0..=FORCE_TRIES {
            self.sweep(u32::MAX);
            if self.slabs.class(class).pages > pages || self.slabs.add_page(class) {
                self.think_ahead(class);
                return true;
            }
            if !self.start_oldest(&mut excluded, Some(class)) {
                return false;
            }
        }
        false
    }

    /// Starts giving up a page because there are more than may be.
    fn start_shrinking(&mut self) -> bool {
        if self.is_resting() {
            return false;
        }
        let started = self.start_oldest(&mut 0, None);
        if !started {
            self.mover.rest_until = self.sequence + REST_STORES;
        }
        started
    }

    /// Starts giving up a page of the oldest class that has one to give, for `taker` or because
    /// there are too many. Classes that have none are added to those excluded. The only page of a
    /// class in use goes last: the class would want one back at once.
    fn start_oldest(&mut self, excluded: &mut u64, taker: Option<ClassId>) -> bool {
        for kept in [self.last_pages_in_use(), 0] {
            while let Some((giver, _)) = self.oldest_class(*excluded | kept) {
                if self.start_at(giver, taker) {
                    return true;
                }
                *excluded |= bit(giver);
            }
        }
        false
    }

    /// Classes, by bits, that have one page and evict from it.
    fn last_pages_in_use(&self) -> u64 {
        let has_one = |class: &ClassId| {
            self.slabs.class(*class).pages == 1 && self.pressure.turnover.evicts(*class)
        };
        self.slabs.table.ids().filter(has_one).map(bit).fold(0, |all, one| all | one)
    }

    /// Whether no page could be given up lately, so that looking again is too early.
    fn is_resting(&self) -> bool {
        self.sequence < self.mover.rest_until
    }

    fn start_at(&mut self, giver: ClassId, taker: Option<ClassId>) -> bool {
        let page = self.page_to_give(giver);
        self.take_down_move(giver, taker, page.is_some());
        page.inspect(|&page| self.start(giver, page, taker)).is_some()
    }

    fn start(&mut self, class: ClassId, page: PageId, to: Option<ClassId>) {
        let count = self.slabs.start_leaving(page);
        self.mover.job = Some(Job { page, class, next: 0, count, to });
    }

    /// The class that can best give a page, and how old its items are.
    fn oldest_class(&self, excluded: u64) -> Option<(ClassId, Age)> {
        let may = |class: &ClassId| {
            bit(*class) & excluded == 0
                && self.slabs.class(*class).pages > 0
                && (self.config.evict || self.has_spare_page(*class))
        };
        let ages = self.slabs.table.ids().filter(may).map(|class| (class, self.age(class)));
        ages.max_by(|a, b| a.1.partial_cmp(&b.1).expect("ages are numbers"))
    }

    fn has_spare_page(&self, class: ClassId) -> bool {
        self.slabs.free_chunks(class) >= self.slabs.class(class).chunks_per_page
    }

    /// How old a class's items get; if the next victim is in use, or the class evicts nothing, how
    /// old that is. For a class that would lose its last page and with it everything, the youngest
    /// of its segments' tails counts as the next victim.
    fn age(&self, class: ClassId) -> Age {
        if self.has_spare_page(class) {
            return Age::MAX;
        }
        let ages = if self.slabs.class(class).pages > 1 {
            [self.tail(class), None, None]
        } else {
            [Segment::Hot, Segment::Warm, Segment::Cold].map(|segment| {
                let loc = self.lists.list(class, segment).tail;
                loc.is_some().then_some(loc)
            })
        };
        let ages = ages.into_iter().flatten().map(|loc| self.age_of(loc));
        let youngest = |a: Age, b: Age| if a < b { a } else { b };
        let of_tails = ages.reduce(youngest).unwrap_or(Age::MIN);
        let is_in_use = of_tails.stores == 0;
        self.stay(class).filter(|_| !is_in_use).unwrap_or(of_tails)
    }

    fn is_settled(&self, class: ClassId) -> bool {
        let known = self.slabs.class(class);
        self.pressure.turnover.is_settled(class, known.pages, known.chunks_per_page)
    }

    /// Whether it can't be told yet how old a class is.
    fn is_unsure(&self, class: ClassId) -> bool {
        let known = self.slabs.class(class);
        !self.has_spare_page(class)
            && self.pressure.turnover.is_unsure(class, known.pages, known.chunks_per_page)
    }

    /// How long the items of a class stay, if it evicts.
    fn stay(&self, class: ClassId) -> Option<Age> {
        self.pressure.turnover.age(class, self.lists.class_items(class), self.moment())
    }

    fn age_of(&self, loc: Loc) -> Age {
        let header = self.slabs.arena.header(loc);
        if self.death(loc).is_some() {
            return Age::MAX;
        }
        let stores = self.sequence.saturating_sub(header.sequence());
        Age { idle_s: header.idle_s(self.now), stores: if was_used(header) { 0 } else { stores } }
    }

    /// The page that a class loses least by: that with the fewest chunks in use if much is free,
    /// else that of the next victim, whose neighbours tend to be as old.
    fn page_to_give(&self, class: ClassId) -> Option<PageId> {
        let usable = |page: &PageId| {
            let known = self.slabs.page(*page);
            known.class == class.0
                && !known.leaving
                && known.held == 0
                && self.mover.avoid != Some(*page)
        };
        let of_tail = self.tail(class).map(|loc| self.slabs.page_of(loc)).filter(usable);
        if !self.has_spare_page(class) && of_tail.is_some() {
            return of_tail;
        }
        self.slabs.page_ids().filter(usable).min_by_key(|&page| self.slabs.page(page).used)
    }

    /// Sweeps on through the page that is being given up.
    fn sweep(&mut self, budget: u32) {
        let Some(mut job) = self.mover.job else { return };
        let mut spent = 0;
        while job.next < job.count {
            if spent >= budget {
                self.mover.job = Some(job);
                return;
            }
            let loc = self.slabs.chunk(job.page, job.next);
            if self.slabs.arena.header(loc).key_bytes == kind::FREE {
                self.slabs.discard_free(loc);
                let ahead = self.slabs.chunk(job.page, job.next + PREFETCH_CHUNKS);
                self.slabs.arena.prefetch(ahead);
                job.next += 1;
                spent += 1;
            } else if let Some(cost) = self.clear_chunk(&job, loc) {
                spent += cost;
            } else {
                return self.give_up_job(&job);
            }
        }
        self.finish(&job);
    }

    fn finish(&mut self, job: &Job) {
        self.mover.job = None;
        self.mover.avoid = None;
        self.slabs.finish_leaving(job.page);
        self.counters.pages_moved += 1;
        if let Some(to) = job.to {
            self.slabs.add_page(to);
        }
    }

    fn give_up_job(&mut self, job: &Job) {
        self.mover.job = None;
        self.mover.avoid = Some(job.page);
        self.counters.move_busy += 1;
        self.slabs.cancel_leaving(job.page, job.count);
    }

    /// Does one step towards getting a chunk of the leaving page out of use. Says what that cost,
    /// or `None` if the chunk must stay.
    fn clear_chunk(&mut self, job: &Job, loc: Loc) -> Option<u32> {
        let header = *self.slabs.arena.header(loc);
        let item = if header.key_bytes == kind::CONTINUATION { header.prev } else { loc };
        let owner = *self.slabs.arena.header(item);
        if owner.is_marked(mark::PINNED) {
            return None;
        }
        if self.death(item).is_some() {
            self.counters.move_reclaims += 1;
            self.end_at(item);
            return Some(1);
        }
        let chunks = chain::chunks(&self.slabs.arena, item).take(CHAIN_MAX + 1).count();
        if chunks <= CHAIN_MAX {
            match self.slabs.take_chunk(job.class) {
                Some(new) if self.slabs.page_of(new) != job.page => {
                    self.rescue(item, loc, new);
                    return Some(RESCUE_COST);
                }
                Some(same_page) => {
                    self.slabs.free_chunk(same_page);
                    return Some(1);
                }
                None if self.end_colder(job.class, item, &owner) => return Some(RESCUE_COST),
                None => {}
            }
        }
        if !self.config.evict {
            return None;
        }
        self.counters.move_evictions += 1;
        self.evict(self.slabs.class_of(item), item, &owner);
        Some(1)
    }

    /// Moves a chunk of `item` to a chunk of another page.
    fn rescue(&mut self, item: Loc, loc: Loc, new: Loc) {
        if item == loc {
            self.move_item(loc, new);
            self.counters.move_rescues += 1;
        } else {
            self.move_continuation(item, loc, new);
            self.counters.move_chunk_rescues += 1;
        }
        self.slabs.free_chunk(loc);
    }

    /// Ends the next victim of the class if `item` is worth more. True also if that victim got a
    /// second life instead, so that another is next.
    fn end_colder(&mut self, class: ClassId, item: Loc, owner: &Header) -> bool {
        self.balance(class);
        let Some(tail) = self.tail(class).filter(|&tail| tail != item) else { return false };
        let header = *self.slabs.arena.header(tail);
        if !self.config.evict || header.is_marked(mark::PINNED) {
            return false;
        }
        if header.has(flag::ACTIVE) {
            self.promote(class, tail, header.segment());
            return true;
        }
        let now = self.now;
        let rank = |header: &Header| (was_used(header), header.last_access(now), header.sequence());
        let colder = rank(&header) < rank(owner);
        if colder {
            self.evict(class, tail, &header);
        }
        colder
    }

    fn move_item(&mut self, loc: Loc, new: Loc) {
        let hash = self.hash_of(loc);
        let slot = self.slot_of(hash, loc);
        let piece = Piece::first(&self.slabs.arena, loc);
        // The copy must not count before it is whole, and never beside the original.
        self.slabs.arena.header_mut(loc).withdraw();
        self.slabs.arena.copy((loc, 0), (new, 0), piece.at + piece.bytes);
        self.index.replace(slot, new);
        let class = self.slabs.class_of(loc);
        self.lists.moved(&mut self.slabs.arena, class, new);
        self.note_expiry(new, self.slabs.arena.exptime(new));
        let mut next = piece.next;
        while next.is_some() {
            let header = self.slabs.arena.header_mut(next);
            header.prev = new;
            next = header.next;
        }
        self.slabs.arena.header_mut(new).publish();
    }

    fn move_continuation(&mut self, item: Loc, loc: Loc, new: Loc) {
        let arena = &mut self.slabs.arena;
        let used = arena.header(loc).used_bytes();
        arena.copy((loc, 0), (new, 0), CONTINUATION_AT + used);
        let before = chain::pieces(arena, item).find(|piece| piece.next == loc);
        let before = before.expect("a continuation is in its owner's chain").loc;
        if before == item {
            let value_bytes = arena.value_bytes(item);
            arena.set_large(item, value_bytes, new);
        } else {
            arena.header_mut(before).next = new;
        }
    }
}

/// Whether an item was used more than once and not left alone for long since.
fn was_used(header: &Header) -> bool {
    header.has(flag::ACTIVE) || header.segment() == Segment::Warm
}

/// A class in a set of classes.
const fn bit(class: ClassId) -> u64 {
    1 << class.0
}
