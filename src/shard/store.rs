//! Storing values: set, add, replace, append, prepend, compare-and-swap.
//!
//! A value that replaces another and falls into the same class is written over it: no chunk
//! changes hands and no list is touched. The item counts as used, so that the LRU lets it stay
//! when it gets to the tail. While it is being written over it is withdrawn.

use super::chain::{Piece, Writer};
use super::item::{Header, Loc, Shape, flag, mark};
use super::place::Recipe;
use super::slab::ClassId;
use super::{Key, Shard, StoreMode, StoreOptions, Stored};

/// What a store may do, given what is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Store under a key that is absent.
    Insert,
    /// Replace what is there.
    Replace(Loc),
    /// Replace what is there and keep it marked as stale.
    ReplaceStale(Loc),
    /// Join with what is there.
    Join(Loc),
    /// Nothing to be stored.
    Refuse(Stored),
}

impl Shard {
    /// Stores a value. The items evicted to make room may be any that are not pinned.
    pub fn store(&mut self, key: &Key<'_>, options: &StoreOptions, value: &[u8]) -> Stored {
        let recipe = Recipe::of(options);
        let shape = self.shape(key.bytes, value.len(), &recipe);
        if self.is_too_large(&shape) {
            return self.fail(key, options, Stored::TooLarge);
        }
        self.count_set(&shape);
        let made = match self.admit(key, options) {
            Verdict::Refuse(stored) => return stored,
            Verdict::Insert => self.insert_new(key, options, value),
            Verdict::Replace(old) => self.replace(key, old, &shape, &recipe, value),
            Verdict::ReplaceStale(old) => {
                let recipe = self.stale_recipe(old, recipe);
                let shape = self.shape(key.bytes, value.len(), &recipe);
                self.replace(key, old, &shape, &recipe, value)
            }
            Verdict::Join(old) => match self.join(key, options, old, value) {
                Some(loc) => Some(loc),
                None => return Stored::NotStored,
            },
        };
        match made {
            Some(loc) => self.stored(loc),
            None => self.fail(key, options, Stored::OutOfMemory),
        }
    }

    /// Decides what a store may do.
    pub(super) fn admit(&mut self, key: &Key<'_>, options: &StoreOptions) -> Verdict {
        use StoreMode::{Add, Append, Cas, Prepend, Replace, Set};
        let found = self.find_live(key).map(|(_, loc)| loc);
        match (options.mode, found) {
            (Set | Add, None) => Verdict::Insert,
            (Append | Prepend, None) if options.vivify.is_some() => Verdict::Insert,
            (Replace | Append | Prepend, None) => Verdict::Refuse(Stored::NotStored),
            (Cas(_), None) => {
                self.counters.cas_misses += 1;
                Verdict::Refuse(Stored::NotFound)
            }
            (Set | Replace, Some(loc)) => Verdict::Replace(loc),
            (Add, Some(loc)) => {
                self.renew(loc);
                Verdict::Refuse(Stored::NotStored)
            }
            (Append | Prepend, Some(loc)) => match options.cas_compare {
                Some(cas) if cas != self.cas_of(loc) => Verdict::Refuse(Stored::Exists),
                _ => Verdict::Join(loc),
            },
            (Cas(cas), Some(loc)) => self.admit_cas(cas, loc, options.invalidate),
        }
    }

    fn admit_cas(&mut self, cas: u64, loc: Loc, invalidate: bool) -> Verdict {
        let present = self.cas_of(loc);
        let class = self.slabs.class_of(loc);
        if cas == present && cas != 0 {
            self.counters_of(class).cas_hits += 1;
            Verdict::Replace(loc)
        } else if invalidate && cas < present && cas != 0 {
            self.counters_of(class).cas_hits += 1;
            Verdict::ReplaceStale(loc)
        } else {
            self.counters_of(class).cas_badval += 1;
            Verdict::Refuse(Stored::Exists)
        }
    }

    /// Stores a value under a key that is absent.
    pub(super) fn insert_new(
        &mut self,
        key: &Key<'_>,
        options: &StoreOptions,
        value: &[u8],
    ) -> Option<Loc> {
        let mut recipe = Recipe::of(options);
        if matches!(options.mode, StoreMode::Append | StoreMode::Prepend) {
            recipe.exptime = options.vivify.unwrap_or(recipe.exptime);
        }
        let shape = self.shape(key.bytes, value.len(), &recipe);
        let loc = self.make(key.bytes, &shape, &recipe)?;
        self.write_value(loc, &shape, value);
        self.link(key.hash, loc).then_some(loc)
    }

    fn replace(
        &mut self,
        key: &Key<'_>,
        old: Loc,
        shape: &Shape,
        recipe: &Recipe,
        value: &[u8],
    ) -> Option<Loc> {
        if self.can_overwrite(old, shape) {
            self.overwrite(old, key, shape, recipe, value);
            return Some(old);
        }
        let generation = self.index.generation();
        let new = self.make(key.bytes, shape, recipe)?;
        self.write_value(new, shape, value);
        // Making room may have evicted or moved the old item.
        let arena = &self.slabs.arena;
        let found = self.index.find(key.hash, |loc| {
            if self.index.generation() == generation {
                loc == old
            } else {
                arena.key_is(loc, key.bytes)
            }
        });
        match found {
            Some((slot, old)) => self.swap(slot, old, new),
            None if self.link(key.hash, new) => {}
            None => return None,
        }
        Some(new)
    }

    /// Whether a new item of this shape may be written over an old one.
    #[inline]
    fn can_overwrite(&self, old: Loc, shape: &Shape) -> bool {
        let total_bytes = shape.total_bytes();
        total_bytes <= self.slabs.table.chunk_bytes_max()
            && self.class_of_shape(shape) == self.slabs.class_of(old)
            && !self.is_held(old)
            && Piece::first(&self.slabs.arena, old).next.is_none()
    }

    /// Writes a new item over an old one with the same key, keeping its place in the list.
    #[inline]
    fn overwrite(&mut self, loc: Loc, key: &Key<'_>, shape: &Shape, recipe: &Recipe, value: &[u8]) {
        let Header { prev, next, flags, .. } = *self.slabs.arena.header(loc);
        let bytes_before = self.slabs.arena.item_bytes(loc);
        self.slabs.arena.header_mut(loc).withdraw();
        self.write_head(loc, key.bytes, shape, recipe);
        if shape.parts & flag::LARGE != 0 {
            self.slabs.arena.set_large(loc, shape.value_bytes, Loc::NONE);
        }
        let header = self.slabs.arena.header_mut(loc);
        header.prev = prev;
        header.next = next;
        self.write_value(loc, shape, value);
        let flags = shape.parts | flags & flag::SEGMENT | flag::ACTIVE | flag::LINKED;
        self.slabs.arena.header_mut(loc).set_flags(flags);
        self.resized(loc, bytes_before, shape.total_bytes());
        self.counters.total_items += 1;
    }

    /// Keeps the sum of bytes of an item's list when the item changes its size in place.
    pub(super) fn resized(&mut self, loc: Loc, bytes_before: usize, bytes: usize) {
        if bytes != bytes_before {
            let segment = self.slabs.arena.header(loc).segment();
            let list = self.lists.list_mut(self.slabs.class_of(loc), segment);
            list.bytes = list.bytes - bytes_before as u64 + bytes as u64;
        }
    }

    #[inline]
    pub(super) fn write_value(&mut self, loc: Loc, shape: &Shape, value: &[u8]) {
        let arena = &mut self.slabs.arena;
        if shape.parts & flag::LARGE == 0 {
            arena.bytes_mut(loc, shape.value_at(), value.len()).copy_from_slice(value);
        } else {
            Writer::at(arena, loc, 0).write(arena, value);
        }
    }

    /// Appends or prepends. Flags and expiry time stay.
    fn join(
        &mut self,
        key: &Key<'_>,
        options: &StoreOptions,
        old: Loc,
        value: &[u8],
    ) -> Option<Loc> {
        let recipe = self.recipe_of(old, options.cas_new);
        let old_bytes = self.slabs.arena.value_bytes(old);
        let shape = self.shape(key.bytes, old_bytes + value.len(), &recipe);
        if self.is_too_large(&shape) {
            return None;
        }
        let front = options.mode == StoreMode::Prepend;
        self.recreate(key, old, shape.value_bytes, &recipe, |shard, old, new| {
            let arena = &mut shard.slabs.arena;
            let (old_at, new_at) = if front { (value.len(), 0) } else { (0, old_bytes) };
            Writer::at(arena, new, old_at).write_item(arena, old);
            Writer::at(arena, new, new_at).write(arena, value);
        })
    }

    /// A recipe for an item that differs from a present one only in its value.
    pub(super) fn recipe_of(&self, loc: Loc, cas_new: Option<u64>) -> Recipe {
        let header = self.slabs.arena.header(loc);
        let keep = header.is_marked(mark::KEY_BINARY);
        Recipe {
            client_flags: self.slabs.arena.client_flags(loc),
            exptime: self.slabs.arena.exptime(loc),
            cas_new,
            marks: if keep { mark::KEY_BINARY } else { 0 },
        }
    }

    /// A late store over an invalidated item keeps the expiry time and stays stale.
    pub(super) fn stale_recipe(&self, old: Loc, recipe: Recipe) -> Recipe {
        let header = self.slabs.arena.header(old);
        let sent = if header.is_marked(mark::TOKEN_SENT) { mark::TOKEN_SENT } else { 0 };
        Recipe {
            exptime: self.slabs.arena.exptime(old),
            marks: recipe.marks | mark::STALE | sent,
            ..recipe
        }
    }

    pub(super) fn stored(&self, loc: Loc) -> Stored {
        Stored::Stored {
            cas: self.cas_of(loc),
            value_bytes: self.slabs.arena.value_bytes(loc) as u32,
            class: self.slabs.class_of(loc).0,
        }
    }

    /// Counts a store that cannot be, and removes the present item if the store says so: its
    /// value would be older than what the client believes to have stored.
    pub(super) fn fail(&mut self, key: &Key<'_>, options: &StoreOptions, why: Stored) -> Stored {
        match why {
            Stored::TooLarge => self.counters.store_too_large += 1,
            _ => self.counters.store_no_memory += 1,
        }
        if options.remove_on_failure
            && let Some((slot, loc)) = self.find_live(key)
        {
            self.end(slot, key.hash, loc);
        }
        why
    }

    pub(super) fn count_set(&mut self, shape: &Shape) {
        let class = self.class_of_shape(shape);
        self.counters_of(class).set_cmds += 1;
    }

    /// The class in whose chunks an item of this shape lies, or begins.
    pub(super) fn class_of_shape(&self, shape: &Shape) -> ClassId {
        let table = &self.slabs.table;
        self.slabs.host_of(table.class_for(shape.total_bytes().min(table.chunk_bytes_max())))
    }
}
