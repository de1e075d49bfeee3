//! Deleting, and the meta protocol's gentler forms of it.

use super::item::{Loc, flag, mark};
use super::place::Recipe;
use super::{DeleteOptions, Deleted, Key, Shard};

impl Shard {
    /// Deletes an item. False if there is none.
    pub fn delete(&mut self, key: &Key<'_>) -> bool {
        self.delete_with(key, &DeleteOptions::default()) == Deleted::Deleted
    }

    /// Deletes, invalidates or empties an item.
    pub fn delete_with(&mut self, key: &Key<'_>, options: &DeleteOptions) -> Deleted {
        let Some((slot, loc)) = self.find_live(key) else {
            self.counters.delete_misses += 1;
            return Deleted::NotFound;
        };
        if options.cas_compare.is_some_and(|cas| cas != self.cas_of(loc)) {
            self.counters.delete_misses += 1;
            return Deleted::Exists;
        }
        if !options.invalidate {
            let class = self.slabs.class_of(loc);
            self.counters_of(class).delete_hits += 1;
        }
        if !options.clear && !options.invalidate {
            self.end(slot, key.hash, loc);
            return Deleted::Deleted;
        }
        let cleared = if options.clear { self.clear(key, loc, options) } else { Some(loc) };
        match cleared {
            Some(loc) if !options.invalidate || self.invalidate(key, loc, options) => {
                Deleted::Deleted
            }
            _ => Deleted::OutOfMemory,
        }
    }

    /// Replaces an item by an empty one without client flags that keeps the CAS id.
    fn clear(&mut self, key: &Key<'_>, loc: Loc, options: &DeleteOptions) -> Option<Loc> {
        let cas = options.cas_new.unwrap_or_else(|| self.cas_of(loc));
        let recipe = Recipe {
            client_flags: 0,
            exptime: options.exptime.unwrap_or(0),
            ..self.recipe_of(loc, Some(cas))
        };
        self.recreate(key, loc, 0, &recipe, |_, _, _| ())
    }

    /// Marks an item as stale, so that one reader is told to fetch it anew.
    fn invalidate(&mut self, key: &Key<'_>, loc: Loc, options: &DeleteOptions) -> bool {
        let has_room = self.has_room_for(loc, options.exptime.unwrap_or(0));
        if !has_room || !self.renew_cas(loc, options.cas_new) {
            return self.invalidate_copy(key, loc, options).is_some();
        }
        if let Some(exptime) = options.exptime {
            self.set_exptime(loc, exptime);
        }
        let header = self.slabs.arena.header_mut(loc);
        header.mark(mark::STALE, true);
        header.mark(mark::TOKEN_SENT, false);
        header.publish();
        true
    }

    /// The same for an item without room for what a client chose: it becomes another.
    /// `None` if there is no memory for that.
    fn invalidate_copy(&mut self, key: &Key<'_>, loc: Loc, options: &DeleteOptions) -> Option<Loc> {
        let used = self.slabs.arena.header(loc).flags & (flag::FETCHED | flag::ACTIVE);
        let value_bytes = self.slabs.arena.value_bytes(loc);
        let mut recipe = self.recipe_of(loc, options.cas_new);
        recipe.exptime = options.exptime.unwrap_or(recipe.exptime);
        recipe.marks |= mark::STALE;
        let new = self.recreate(key, loc, value_bytes, &recipe, |shard, old, new| {
            let arena = &mut shard.slabs.arena;
            super::chain::Writer::at(arena, new, 0).write_item(arena, old);
        })?;
        self.slabs.arena.header_mut(new).flags |= used;
        Some(new)
    }
}
