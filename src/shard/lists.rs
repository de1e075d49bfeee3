//! The doubly linked lists of items, four to a class, threaded through the items' headers.

use super::item::{Loc, Segment, flag};
use super::slab::{Arena, CLASS_COUNT_MAX, ClassId};

/// One list. The head is the newest item.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: Loc,
    pub(super) tail: Loc,
    pub(super) count: u32,
    /// Bytes of the items, not rounded to chunks.
    pub(super) bytes: u64,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: Loc::NONE, tail: Loc::NONE, count: 0, bytes: 0 };

    /// Puts an item of `bytes` bytes at the head.
    #[inline]
    pub(super) fn push(&mut self, arena: &mut Arena, segment: Segment, loc: Loc, bytes: usize) {
        let next = std::mem::replace(&mut self.head, loc);
        self.count += 1;
        self.bytes += bytes as u64;
        if next.is_none() {
            self.tail = loc;
        } else {
            arena.header_mut(next).prev = loc;
        }
        let header = arena.header_mut(loc);
        header.prev = Loc::NONE;
        header.next = next;
        header.set_flags(header.flags_in(segment) | flag::LINKED);
    }

    /// Puts all items of an older list behind the tail.
    pub(super) fn append(&mut self, arena: &mut Arena, older: &Self) {
        if self.count == 0 {
            *self = *older;
        } else if older.count > 0 {
            arena.header_mut(self.tail).next = older.head;
            arena.header_mut(older.head).prev = self.tail;
            self.tail = older.tail;
            self.count += older.count;
            self.bytes += older.bytes;
        }
    }
}

/// The lists of all classes.
#[derive(Debug)]
pub(super) struct Lists {
    lists: Box<[[List; 4]; CLASS_COUNT_MAX + 1]>,
}

impl Lists {
    pub(super) fn new() -> Self {
        Self { lists: Box::new([[List::EMPTY; 4]; CLASS_COUNT_MAX + 1]) }
    }

    #[inline]
    pub(super) fn list(&self, class: ClassId, segment: Segment) -> &List {
        &self.lists[usize::from(class.0)][segment as usize]
    }

    #[inline]
    pub(super) fn list_mut(&mut self, class: ClassId, segment: Segment) -> &mut List {
        &mut self.lists[usize::from(class.0)][segment as usize]
    }

    /// Bytes of all items of a class.
    #[inline]
    pub(super) fn class_bytes(&self, class: ClassId) -> u64 {
        self.lists[usize::from(class.0)].iter().map(|list| list.bytes).sum()
    }

    /// Items of a class.
    pub(super) fn class_items(&self, class: ClassId) -> u32 {
        self.lists[usize::from(class.0)].iter().map(|list| list.count).sum()
    }

    /// Puts an item of `bytes` bytes at the head of a list and says so in its header, by which
    /// it is published: what is listed is whole.
    #[inline]
    pub(super) fn push(
        &mut self,
        arena: &mut Arena,
        (class, segment): (ClassId, Segment),
        loc: Loc,
        bytes: usize,
    ) {
        self.list_mut(class, segment).push(arena, segment, loc, bytes);
    }

    /// Takes an item of `bytes` bytes out of the list that its header names.
    #[inline]
    pub(super) fn remove(&mut self, arena: &mut Arena, class: ClassId, loc: Loc, bytes: usize) {
        let header = *arena.header(loc);
        let list = self.list_mut(class, header.segment());
        list.count -= 1;
        list.bytes -= bytes as u64;
        relink(list, arena, loc, header.next, header.prev);
    }

    /// Lets the neighbours of an item that was copied to `new` know its new place.
    pub(super) fn moved(&mut self, arena: &mut Arena, class: ClassId, new: Loc) {
        let header = *arena.header(new);
        let list = self.list_mut(class, header.segment());
        if header.prev.is_some() {
            arena.header_mut(header.prev).next = new;
        } else {
            list.head = new;
        }
        if header.next.is_some() {
            arena.header_mut(header.next).prev = new;
        } else {
            list.tail = new;
        }
    }

    /// The items of a list from the tail; for checks.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn tail_first<'a>(
        &self,
        arena: &'a Arena,
        class: ClassId,
        segment: Segment,
    ) -> impl Iterator<Item = Loc> + use<'a> {
        let first = self.list(class, segment).tail;
        std::iter::successors(first.is_some().then_some(first), |&loc| {
            let prev = arena.header(loc).prev;
            prev.is_some().then_some(prev)
        })
    }
}

/// Joins the neighbours of an item that leaves.
#[inline]
fn relink(list: &mut List, arena: &mut Arena, loc: Loc, next: Loc, prev: Loc) {
    if prev.is_some() {
        let header = arena.header_mut(prev);
        debug_assert!({ header.next } == loc);
        header.next = next;
    } else {
        debug_assert!(list.head == loc);
        list.head = next;
    }
    if next.is_some() {
        arena.header_mut(next).prev = prev;
    } else {
        list.tail = prev;
    }
}
