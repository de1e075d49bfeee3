//! Uploads: large values that are received straight into the arena.
//!
//! [`Shard::reserve`] takes the first chunk and gives out the room; the connection fills it, with
//! the shard's token or without, and has [`Shard::extend`] take the next chunk, and so on: to make
//! room for a value of many megabytes at once would keep everybody else waiting. [`Shard::commit`]
//! decides and makes the item findable. Until then it is pinned and in no list, so it can neither
//! be seen, evicted nor moved.

use super::chain::{Piece, Writer};
use super::item::{KEY_BYTES_MAX, Loc, flag, mark};
use super::place::Recipe;
use super::slab::HeldValue;
use super::store::Verdict;
use super::{Key, Shard, StoreMode, StoreOptions, Stored};

/// Room for a value that is being received.
#[derive(Debug)]
#[must_use = "room that is neither committed nor released is lost"]
pub struct Reservation {
    value: HeldValue,
    /// What is still to be filled of the current piece, which is the last one.
    rest: Piece,
    /// Bytes still to be filled in all.
    remaining: usize,
    /// How many of them have no chunk yet.
    unplaced: usize,
    hash: u64,
    options: StoreOptions,
}

impl Reservation {
    /// The next room to be filled. When it is empty although bytes remain, there is more after
    /// [`Shard::extend`].
    pub fn writable(&mut self) -> &mut [u8] {
        let rest = self.rest;
        self.value.bytes_mut(&rest)
    }

    /// Says that the first `bytes` of the room are filled.
    ///
    /// # Panics
    /// If that is more than [`Reservation::writable`] last gave.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.rest.bytes, "filled more than there was room");
        self.rest.at += bytes;
        self.rest.bytes -= bytes;
        self.remaining -= bytes;
    }

    /// Bytes still to be filled.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.remaining
    }
}

impl Shard {
    /// Takes the first memory for a value of `value_bytes` that is to be stored under `key`.
    ///
    /// # Errors
    /// `TooLarge` or `OutOfMemory`; the present item is then removed if the options say so.
    pub fn reserve(
        &mut self,
        key: &Key<'_>,
        options: &StoreOptions,
        value_bytes: usize,
    ) -> Result<Reservation, Stored> {
        let recipe = Recipe::of(options);
        let mut shape = self.shape(key.bytes, value_bytes, &recipe);
        // Only when it is stored it turns out whether it expires with what is there.
        shape.parts |= flag::EXPIRES;
        if self.is_too_large(&shape) {
            return Err(self.fail(key, options, Stored::TooLarge));
        }
        self.count_set(&shape);
        let Some((loc, unplaced)) = self.make_head(key.bytes, &shape, &recipe) else {
            return Err(self.fail(key, options, Stored::OutOfMemory));
        };
        self.hold(loc);
        let value = HeldValue::new(&self.slabs.arena, loc);
        let rest = Piece { bytes: value_bytes - unplaced, ..value.first() };
        let (hash, options) = (key.hash, *options);
        Ok(Reservation { value, rest, remaining: value_bytes, unplaced, hash, options })
    }

    /// Takes the next memory for a value, when all that was taken is filled. False if there is
    /// none.
    ///
    /// # Panics
    /// If there is room left to be filled.
    pub fn extend(&mut self, reservation: &mut Reservation) -> bool {
        let Reservation { value, rest, unplaced, .. } = reservation;
        assert!(rest.bytes == 0, "room is filled before more is taken");
        let Some((next, bytes)) = self.lengthen_chain(value.loc, rest.loc, *unplaced) else {
            return false;
        };
        self.slabs.page_mut(self.slabs.page_of(next)).held += 1;
        *rest = Piece::continuation(&self.slabs.arena, next);
        *unplaced -= bytes;
        true
    }

    /// Gives up a value for whose rest there is no memory: as if it had been refused.
    pub fn refuse_rest(&mut self, reservation: Reservation) -> Stored {
        let Reservation { value, hash, options, .. } = reservation;
        let mut buffer = [0; KEY_BYTES_MAX];
        let key = self.key_of_upload(value.loc, hash, &mut buffer);
        self.discard(value.loc);
        self.fail(&key, &options, Stored::OutOfMemory)
    }

    /// The key that a value in the making will have.
    fn key_of_upload<'b>(
        &self,
        loc: Loc,
        hash: u64,
        buffer: &'b mut [u8; KEY_BYTES_MAX],
    ) -> Key<'b> {
        let bytes = self.slabs.arena.key(loc);
        let length = bytes.len();
        buffer[..length].copy_from_slice(bytes);
        Key { bytes: &buffer[..length], hash }
    }

    /// What [`Shard::reserve`] does for a value that is known to have no place: counts the failure
    /// and removes the present item if the options say so.
    pub fn refuse(&mut self, key: &Key<'_>, options: &StoreOptions, why: Stored) -> Stored {
        self.fail(key, options, why)
    }

    /// Stores a value that is filled.
    ///
    /// # Panics
    /// If it is not filled to the end.
    pub fn commit(&mut self, reservation: Reservation) -> Stored {
        assert!(reservation.remaining == 0, "a value is filled before it is stored");
        let Reservation { value, hash, options, .. } = reservation;
        let loc = value.loc;
        let mut buffer = [0; KEY_BYTES_MAX];
        let key = self.key_of_upload(loc, hash, &mut buffer);
        match self.admit(&key, &options) {
            Verdict::Insert => self.commit_new(&key, &options, loc),
            Verdict::Replace(old) => self.commit_over(&key, old, loc),
            Verdict::ReplaceStale(old) => self.commit_stale(&key, old, loc),
            Verdict::Join(old) => self.commit_joined(&key, &options, old, loc),
            Verdict::Refuse(stored) => {
                self.discard(loc);
                stored
            }
        }
    }

    /// Gives up a value that was not received to its end.
    pub fn release(&mut self, reservation: Reservation) {
        self.discard(reservation.value.loc);
    }

    /// Frees an upload's chunks.
    fn discard(&mut self, loc: Loc) {
        self.unhold(loc);
    }

    /// Makes an upload an ordinary item that is not linked yet. Its place in the order of stores
    /// is now, not when the upload began.
    fn finish_upload(&mut self, loc: Loc) {
        self.let_go(loc);
        let cas = self.slabs.arena.wide_cas(loc);
        self.renew_cas(loc, cas);
        let now = self.now;
        self.slabs.arena.header_mut(loc).set_time(now);
    }

    fn commit_new(&mut self, key: &Key<'_>, options: &StoreOptions, loc: Loc) -> Stored {
        self.finish_upload(loc);
        if matches!(options.mode, StoreMode::Append | StoreMode::Prepend)
            && let Some(exptime) = options.vivify
        {
            self.set_exptime(loc, exptime);
        }
        if self.link(key.hash, loc) {
            self.stored(loc)
        } else {
            self.fail(key, options, Stored::OutOfMemory)
        }
    }

    fn commit_over(&mut self, key: &Key<'_>, old: Loc, loc: Loc) -> Stored {
        self.finish_upload(loc);
        let slot = self.slot_of(key.hash, old);
        self.swap(slot, old, loc);
        self.stored(loc)
    }

    fn commit_stale(&mut self, key: &Key<'_>, old: Loc, loc: Loc) -> Stored {
        let before = *self.slabs.arena.header(old);
        self.set_exptime(loc, self.slabs.arena.exptime(old));
        let header = self.slabs.arena.header_mut(loc);
        header.mark(mark::STALE, true);
        header.mark(mark::TOKEN_SENT, before.is_marked(mark::TOKEN_SENT));
        self.commit_over(key, old, loc)
    }

    /// Appends or prepends what was uploaded.
    fn commit_joined(
        &mut self,
        key: &Key<'_>,
        options: &StoreOptions,
        old: Loc,
        loc: Loc,
    ) -> Stored {
        let recipe = self.recipe_of(old, options.cas_new);
        let arena = &self.slabs.arena;
        let (old_bytes, new_bytes) = (arena.value_bytes(old), arena.value_bytes(loc));
        let shape = self.shape(key.bytes, old_bytes + new_bytes, &recipe);
        let front = options.mode == StoreMode::Prepend;
        let (old_at, new_at) = if front { (new_bytes, 0) } else { (0, old_bytes) };
        let joined = if self.is_too_large(&shape) {
            None
        } else {
            self.recreate(key, old, shape.value_bytes, &recipe, |shard, old, joined| {
                let arena = &mut shard.slabs.arena;
                Writer::at(arena, joined, old_at).write_item(arena, old);
                Writer::at(arena, joined, new_at).write_item(arena, loc);
            })
        };
        self.discard(loc);
        joined.map_or(Stored::NotStored, |joined| self.stored(joined))
    }
}
