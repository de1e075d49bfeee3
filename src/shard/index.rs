//! From the hash of a key to the place of its item.
//!
//! A bucket is one cache line: twelve locations, a byte of hash (the tag) for each, and the
//! number of its items that found no room and lie in the overflow line of its group. So a lookup
//! usually touches one line here and one or two of the item, and a miss touches one line.
//!
//! Thirty-two neighbouring buckets are a group and share an overflow line of ten lanes, each with
//! the number of its bucket within the group; further lines are chained from a pool. At the load
//! at which the table starts to grow, about one item in thirty lies there, and the lines add a
//! third of a byte per item. (A line of its own for each overfull bucket would add more than one.)
//!
//! The table grows by linear hashing: when the mean load reaches [`LOAD_MAX_TENTHS`], a phase
//! starts in which every insertion splits one bucket, in order, until their number has doubled.
//! Nothing is ever rehashed at once. Where memory is scarce, so that items have to go for what the
//! table takes, it starts later and splits only as many buckets as the items there are need. Bucket
//! numbers come from the low bits of the hash and tags from bits 40 to 47; the top bits route keys
//! to shards and play no part here.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use super::item::Loc;
use super::slab::{
    Ahead, BUCKET_LANES, Bucket, OVERFLOW_LANES, Overflow, PageKind, Table, set_lanes,
};

/// Buckets that share overflow lines.
const GROUP_BUCKETS: usize = 32;
/// Items that a bucket has on average when growing starts, times ten.
const LOAD_MAX_TENTHS: usize = 108;
/// The same where memory is scarce, since what the table takes the items lose.
const LOAD_SCARCE_TENTHS: usize = 115;
/// Items that a bucket then has on average at least, times ten, once the table has grown by a
/// quarter: buckets that are not split yet hold more than others.
const LOAD_DENSE_TENTHS: usize = 96;
/// One part in so many before it starts to grow, the table has its next memory provided.
const FORESEEN_PARTS: usize = 32;
/// Buckets that an index has at least.
const BUCKETS_MIN: usize = GROUP_BUCKETS;

/// Where in the index an item was found. Valid until the index changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    line: Line,
    lane: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Bucket(u32),
    /// First overflow line of a group.
    Group(u32),
    /// Further overflow line.
    Spare(u32),
}

/// What the index knows of a key that comes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Nothing.
    New,
    /// It was evicted not long ago.
    Evicted,
}

/// What the index wants before it can split the next bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Nothing to do.
    Idle,
    /// A bucket can be split now.
    Ready,
    /// So many bytes of memory are needed first.
    Needs(usize),
}

/// The index of one shard.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Table<Bucket>,
    /// The first overflow line of every group.
    groups: Table<Overflow>,
    /// Further overflow lines.
    spare: Table<Overflow>,
    /// The first of those that are in no chain, plus one; 0 = none.
    spare_free: u32,
    /// Buckets when the current doubling began; a power of two.
    /// `base <= buckets.len() <= 2 * base`.
    base: usize,
    /// Items.
    len: usize,
    growing: bool,
    grows: bool,
    /// Changes whenever a slot found earlier may be wrong.
    generation: u64,
}

impl Index {
    /// An index for about 2^`hash_power` items that can grow to `items_max`.
    pub(super) fn new(
        hash_power: u8,
        items_max: usize,
        grows: bool,
        kind: PageKind,
    ) -> io::Result<Self> {
        let base = ((1_usize << hash_power) / 8).max(BUCKETS_MIN);
        let buckets_max = (items_max / 4).next_power_of_two().max(2 * base);
        let mut buckets = Table::reserve(buckets_max, kind)?;
        let overflow_kind = if kind == PageKind::Reserved { PageKind::Transparent } else { kind };
        let mut groups = Table::reserve(buckets_max / GROUP_BUCKETS, overflow_kind)?;
        let spare = Table::reserve(items_max / OVERFLOW_LANES + buckets_max, overflow_kind)?;
        buckets.grow(base)?;
        groups.grow(base / GROUP_BUCKETS)?;
        Ok(Self {
            buckets,
            groups,
            spare,
            spare_free: 0,
            base,
            len: 0,
            growing: false,
            grows,
            generation: 0,
        })
    }

    /// From now on memory is provided before it is needed, up to `bytes` of buckets.
    pub(super) fn supply(&mut self, bytes: usize, waker: &Waker) -> [Option<Arc<Ahead>>; 3] {
        let lines_bytes = bytes / GROUP_BUCKETS;
        [
            self.buckets.supply(bytes, waker),
            self.groups.supply(lines_bytes, waker),
            self.spare.supply(2 * lines_bytes, waker),
        ]
    }

    /// Makes an empty index large enough for so many items, so that it need not grow with each.
    ///
    /// # Errors
    /// When the range or the memory is at its end.
    pub(super) fn prepare(&mut self, items: usize) -> io::Result<()> {
        assert!(self.len == 0 && !self.growing, "nothing is in the index yet");
        let buckets = (items * 10).div_ceil(LOAD_MAX_TENTHS).next_power_of_two();
        if self.grows && buckets > self.base {
            self.buckets.grow(buckets)?;
            self.groups.grow(buckets / GROUP_BUCKETS)?;
            self.base = buckets;
        }
        Ok(())
    }

    /// Items in the index.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Memory that the index occupies.
    pub(super) const fn bytes(&self) -> usize {
        self.buckets.bytes() + self.groups.bytes() + self.spare.bytes()
    }

    /// Number of buckets.
    pub(super) const fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// Whether a doubling is under way.
    pub(super) const fn is_growing(&self) -> bool {
        self.growing
    }

    /// The kind of memory page below the buckets.
    pub(super) const fn kind(&self) -> PageKind {
        self.buckets.kind()
    }

    /// A number that stays the same as long as slots found stay right.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Fetches the bucket of a hash.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.buckets.prefetch(self.bucket_of(hash));
    }

    /// The first item in the bucket that may be the one; for prefetching.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> Option<Loc> {
        let bucket = &self.buckets.lines()[self.bucket_of(hash)];
        let lanes = bucket.lanes(tag_of(hash));
        (lanes != 0).then(|| Loc(bucket.locs[lanes.trailing_zeros() as usize % BUCKET_LANES]))
    }

    /// Finds the item for which `is_it` holds among those that may have this hash.
    #[inline(always)]
    pub(super) fn find(
        &self,
        hash: u64,
        mut is_it: impl FnMut(Loc) -> bool,
    ) -> Option<(Slot, Loc)> {
        let number = self.bucket_of(hash);
        let bucket = &self.buckets.lines()[number];
        let mut lanes = bucket.lanes(tag_of(hash));
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize;
            let loc = Loc(bucket.locs[lane % BUCKET_LANES]);
            if is_it(loc) {
                return Some((Slot { line: Line::Bucket(number as u32), lane: lane as u8 }, loc));
            }
            lanes &= lanes - 1;
        }
        if bucket.spilled() == 0 { None } else { self.find_spilled(number, hash, is_it) }
    }

    #[cold]
    #[inline(never)]
    fn find_spilled(
        &self,
        number: usize,
        hash: u64,
        mut is_it: impl FnMut(Loc) -> bool,
    ) -> Option<(Slot, Loc)> {
        let home = (number % GROUP_BUCKETS) as u8;
        let mut at = Some(Line::Group((number / GROUP_BUCKETS) as u32));
        while let Some(line) = at {
            let overflow = self.overflow(line);
            for lane in set_lanes(overflow.lanes(tag_of(hash))) {
                let loc = Loc(overflow.locs[lane]);
                if overflow.home(lane) == home && is_it(loc) {
                    return Some((Slot { line, lane: lane as u8 }, loc));
                }
            }
            at = next_line(overflow);
        }
        None
    }

    /// Adds an item that is not there yet, and says whether it has been. May need an overflow
    /// line; `None` if there is no memory for one.
    pub(super) fn insert(&mut self, hash: u64, loc: Loc) -> Option<Memory> {
        let number = self.bucket_of(hash);
        let bucket = &mut self.buckets.lines_mut()[number];
        let room = bucket.lanes(0);
        let mut memory = Memory::New;
        if room != 0 {
            let ghosts = bucket.lanes_at(ghost_of(hash)) & room;
            if ghosts != 0 {
                memory = Memory::Evicted;
            }
            let lane = if ghosts != 0 { ghosts } else { lanes_to_lose(bucket, room, hash) };
            bucket.set(lane.trailing_zeros() as usize, tag_of(hash), loc.0);
        } else if !self.spill(number, tag_of(hash), loc) {
            return None;
        }
        self.len += 1;
        Some(memory)
    }

    /// Remembers a key whose item was evicted, if its bucket has an empty lane.
    ///
    /// At most half as many keys are remembered as there are items (one a bucket at least): a key
    /// that came back after longer than that is no better than a new one.
    pub(super) fn remember(&mut self, hash: u64) {
        let number = self.bucket_of(hash);
        let ghosts_max = (self.len / self.buckets.len() / 2).max(1);
        let bucket = &mut self.buckets.lines_mut()[number];
        let room = bucket.lanes(0);
        let ghosts = room & !bucket.lanes_at(0);
        let is_full = ghosts.count_ones() as usize >= ghosts_max;
        let lanes = lanes_to_lose(bucket, if is_full { ghosts } else { room }, hash);
        if lanes != 0 {
            bucket.set(lanes.trailing_zeros() as usize, 0, ghost_of(hash));
        }
    }

    /// Puts an item into the overflow lines of its bucket's group.
    fn spill(&mut self, number: usize, tag: u8, loc: Loc) -> bool {
        let mut line = Line::Group((number / GROUP_BUCKETS) as u32);
        loop {
            let overflow = self.overflow(line);
            let room = overflow.lanes(0);
            if room != 0 {
                let home = (number % GROUP_BUCKETS) as u8;
                self.overflow_mut(line).set(room.trailing_zeros() as usize, tag, home, loc.0);
                break;
            }
            line = match next_line(overflow) {
                Some(next) => next,
                None => match self.chain(line) {
                    Some(next) => next,
                    None => return false,
                },
            };
        }
        let bucket = &mut self.buckets.lines_mut()[number];
        bucket.set_spilled(bucket.spilled() + 1);
        true
    }

    /// Chains one more overflow line behind `line`.
    fn chain(&mut self, line: Line) -> Option<Line> {
        let number = match self.spare_free {
            0 => {
                let number = self.spare.len();
                self.spare.grow(number + 1).ok()?;
                number as u32
            }
            free => {
                let next = &mut self.overflow_mut(Line::Spare(free - 1)).next;
                self.spare_free = std::mem::take(next);
                free - 1
            }
        };
        self.overflow_mut(line).next = number + 1;
        Some(Line::Spare(number))
    }

    /// Takes lines that have become empty out of a group's chain.
    fn unchain(&mut self, group: u32) {
        let mut line = Line::Group(group);
        while let Some(next) = next_line(self.overflow(line)) {
            let following = self.overflow(next).next;
            let Line::Spare(number) = next else { unreachable!("only spare lines are chained") };
            if self.overflow(next).is_empty() {
                self.overflow_mut(line).next = following;
                self.overflow_mut(next).next = self.spare_free;
                self.spare_free = number + 1;
            } else {
                line = next;
            }
        }
    }

    /// Takes an item out. If its bucket has another in the overflow lines, that one comes home.
    pub(super) fn remove(&mut self, slot: Slot, hash: u64) {
        let lane = usize::from(slot.lane);
        let number = self.bucket_of(hash);
        match slot.line {
            Line::Bucket(_) => {
                let bucket = &mut self.buckets.lines_mut()[number];
                bucket.set(lane, 0, 0);
                if bucket.spilled() > 0 {
                    self.recall(number, lane);
                }
            }
            line => self.vacate(line, lane, number),
        }
        self.len -= 1;
        self.generation += 1;
    }

    /// Fills an empty lane of a bucket with one of its items in the overflow lines.
    fn recall(&mut self, number: usize, lane: usize) {
        let home = (number % GROUP_BUCKETS) as u8;
        let mut at = Some(Line::Group((number / GROUP_BUCKETS) as u32));
        while let Some(line) = at {
            let overflow = *self.overflow(line);
            if let Some(from) = overflow.taken().find(|&from| overflow.home(from) == home) {
                let bucket = &mut self.buckets.lines_mut()[number];
                bucket.set(lane, overflow.tag(from), overflow.locs[from]);
                return self.vacate(line, from, number);
            }
            at = next_line(&overflow);
        }
    }

    /// Takes an item of a bucket out of an overflow line. One from the last line of the chain takes
    /// its place, so that there are no more lines than needed.
    fn vacate(&mut self, line: Line, lane: usize, number: usize) {
        let bucket = &mut self.buckets.lines_mut()[number];
        bucket.set_spilled(bucket.spilled() - 1);
        self.overflow_mut(line).set(lane, 0, 0, 0);
        let group = (number / GROUP_BUCKETS) as u32;
        let mut last = Line::Group(group);
        while let Some(next) = next_line(self.overflow(last)) {
            last = next;
        }
        if last != line {
            let overflow = *self.overflow(last);
            let from = overflow.taken().next().expect("a chained line is not empty");
            let (tag, home, loc) = (overflow.tag(from), overflow.home(from), overflow.locs[from]);
            self.overflow_mut(line).set(lane, tag, home, loc);
            self.overflow_mut(last).set(from, 0, 0, 0);
        }
        if matches!(last, Line::Spare(_)) && self.overflow(last).is_empty() {
            self.unchain(group);
        }
    }

    /// Says that an item lies elsewhere now.
    pub(super) fn replace(&mut self, slot: Slot, loc: Loc) {
        let lane = usize::from(slot.lane);
        match slot.line {
            Line::Bucket(number) => self.buckets.lines_mut()[number as usize].locs[lane] = loc.0,
            line => self.overflow_mut(line).locs[lane] = loc.0,
        }
        self.generation += 1;
    }

    /// What the next step of growing needs. Starts a doubling when it is due. `is_dear` says that
    /// items have to go for it now or soon: then it starts late and goes no further than it must.
    #[inline]
    pub(super) fn growth(&mut self, is_dear: bool) -> Growth {
        let load_tenths = match (self.growing, is_dear) {
            (true, false) => 0,
            (false, false) => LOAD_MAX_TENTHS,
            (_, true) => self.load_scarce_tenths(),
        };
        let (load, due) = (self.len * 10, self.buckets.len() * load_tenths);
        if !self.grows || load < due - due / FORESEEN_PARTS {
            return Growth::Idle;
        }
        if load < due {
            if !is_dear {
                self.buckets.foresee();
            }
            return Growth::Idle;
        }
        self.growing = true;
        let planned = if is_dear { 0 } else { 2 * self.base };
        self.buckets.plan(planned);
        self.groups.plan(planned / GROUP_BUCKETS);
        self.growth_needs()
    }

    /// The load at which a bucket is split where memory is scarce: it falls from
    /// [`LOAD_SCARCE_TENTHS`] to [`LOAD_DENSE_TENTHS`] by the time that the table has grown by a
    /// quarter.
    #[inline]
    fn load_scarce_tenths(&self) -> usize {
        let quarter = self.base / 4;
        let left = quarter.saturating_sub(self.buckets.len() - self.base);
        LOAD_DENSE_TENTHS + (LOAD_SCARCE_TENTHS - LOAD_DENSE_TENTHS) * left / quarter
    }

    fn growth_needs(&self) -> Growth {
        let len = self.buckets.len() + 1;
        let groups = len.div_ceil(GROUP_BUCKETS);
        match (self.buckets.growth_bytes(len), self.groups.growth_bytes(groups)) {
            (Some(0), Some(0)) => Growth::Ready,
            (Some(buckets), Some(groups)) => Growth::Needs(buckets + groups),
            _ => Growth::Idle,
        }
    }

    /// Splits the next bucket. `hash_of` gives the hash of an item, `prefetch` announces one.
    ///
    /// Does nothing if the system has no memory after all.
    pub(super) fn split(&mut self, mut hash_of: impl FnMut(Loc) -> u64, prefetch: impl FnMut(Loc)) {
        let new = self.buckets.len();
        let old = new - self.base;
        if self.grow_tables(old, new).is_err() {
            return;
        }
        self.generation += 1;
        let (lower, upper) = self.buckets.lines_mut().split_at_mut(new);
        let (from, to) = (&mut lower[old], &mut upper[0]);
        for lane in set_lanes(!from.lanes(0) & ((1 << BUCKET_LANES) - 1)) {
            let loc = from.locs[lane];
            if hash_of(Loc(loc)) as usize & self.base != 0 {
                to.set(lane, from.tag(lane), loc);
                from.set(lane, 0, 0);
            }
        }
        if from.spilled() > 0 {
            self.split_spilled(old, hash_of);
        }
        if new + 1 == 2 * self.base {
            self.base *= 2;
            self.growing = false;
        }
        self.announce(prefetch);
    }

    /// Provides all memory that splitting bucket `old` into itself and `new` can need, so that
    /// nothing can fail half way.
    fn grow_tables(&mut self, old: usize, new: usize) -> io::Result<()> {
        let spilled = self.buckets.lines()[old].spilled() as usize;
        self.spare.provide(self.spare.len() + spilled)?;
        self.groups.grow((new + 1).div_ceil(GROUP_BUCKETS))?;
        self.buckets.grow(new + 1)
    }

    /// Brings the spilled items of a bucket that was just split home to its two halves.
    fn split_spilled(&mut self, old: usize, mut hash_of: impl FnMut(Loc) -> u64) {
        let home = (old % GROUP_BUCKETS) as u8;
        let mut at = Some(Line::Group((old / GROUP_BUCKETS) as u32));
        while let Some(line) = at {
            let overflow = *self.overflow(line);
            for lane in overflow.taken() {
                if overflow.home(lane) == home {
                    let loc = Loc(overflow.locs[lane]);
                    let half = old | (hash_of(loc) as usize & self.base);
                    self.bring_home(line, lane, old, half, overflow.tag(lane), loc);
                }
            }
            at = next_line(&overflow);
        }
        self.unchain((old / GROUP_BUCKETS) as u32);
    }

    /// Moves a spilled item of bucket `old` into bucket `half` if that has room.
    fn bring_home(&mut self, line: Line, lane: usize, old: usize, half: usize, tag: u8, loc: Loc) {
        let room = self.buckets.lines()[half].lanes(0);
        if room == 0 && half == old {
            return;
        }
        self.overflow_mut(line).set(lane, 0, 0, 0);
        let from = &mut self.buckets.lines_mut()[old];
        from.set_spilled(from.spilled() - 1);
        if room != 0 {
            self.buckets.lines_mut()[half].set(room.trailing_zeros() as usize, tag, loc.0);
        } else if !self.spill(half, tag, loc) {
            unreachable!("grow_tables provided a line for every spilled item");
        }
    }

    /// Announces the items of the bucket to be split next, so that they are in the cache then.
    fn announce(&self, mut prefetch: impl FnMut(Loc)) {
        if !self.growing {
            return;
        }
        let next = self.buckets.len() - self.base;
        let bucket = &self.buckets.lines()[next];
        for lane in set_lanes(!bucket.lanes(0) & ((1 << BUCKET_LANES) - 1)) {
            prefetch(Loc(bucket.locs[lane]));
        }
        self.buckets.prefetch(next + 1);
    }

    /// Calls `visit` for every item; for checks.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn for_each(&self, mut visit: impl FnMut(Loc)) {
        for bucket in self.buckets.lines() {
            set_lanes(!bucket.lanes(0) & 0xFFF).for_each(|lane| visit(Loc(bucket.locs[lane])));
        }
        for line in self.groups.lines().iter().chain(self.spare.lines()) {
            line.taken().for_each(|lane| visit(Loc(line.locs[lane])));
        }
    }

    #[inline]
    fn bucket_of(&self, hash: u64) -> usize {
        let number = hash as usize & (2 * self.base - 1);
        if number < self.buckets.len() { number } else { number & (self.base - 1) }
    }

    fn overflow(&self, line: Line) -> &Overflow {
        match line {
            Line::Group(number) => &self.groups.lines()[number as usize],
            Line::Spare(number) => &self.spare.lines()[number as usize],
            Line::Bucket(_) => unreachable!("a bucket is no overflow line"),
        }
    }

    fn overflow_mut(&mut self, line: Line) -> &mut Overflow {
        match line {
            Line::Group(number) => &mut self.groups.lines_mut()[number as usize],
            Line::Spare(number) => &mut self.spare.lines_mut()[number as usize],
            Line::Bucket(_) => unreachable!("a bucket is no overflow line"),
        }
    }
}

/// The tag of a hash: never 0, which marks an empty lane.
#[inline]
fn tag_of(hash: u64) -> u8 {
    ((hash >> 40) as u8).max(1)
}

/// What an empty lane holds in place of a location to remember a key: never 0, which is no key.
#[inline]
fn ghost_of(hash: u64) -> u32 {
    (hash >> 16) as u32 | 1
}

/// Empty lanes of a bucket, the best to be filled first: those that remember nothing, else those
/// from a lane on that changes with the key.
fn lanes_to_lose(bucket: &Bucket, room: u32, hash: u64) -> u32 {
    let blank = bucket.lanes_at(0) & room;
    let from = room & (u32::MAX << ((hash >> 52) % BUCKET_LANES as u64));
    if blank != 0 {
        blank
    } else if from != 0 {
        from
    } else {
        room
    }
}

fn next_line(overflow: &Overflow) -> Option<Line> {
    overflow.next.checked_sub(1).map(Line::Spare)
}

#[cfg(test)]
#[path = "tests/index.rs"]
mod tests;
