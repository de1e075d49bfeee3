//! A held value, usable without its shard.
//!
//! A send in flight reads a value, or an upload writes one, while the shard goes on working for
//! others, perhaps on another core. The shard marks such an item as pinned: until it is let go,
//! it neither frees, moves nor overwrites any of its chunks, nor reads the bytes of its value. So
//! whoever holds it is alone with those bytes.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use super::arena::Arena;
use super::region::Mapping;
use crate::shard::chain::Piece;
use crate::shard::item::{Header, Loc, LocUnit};

/// The value of a pinned item.
#[derive(Debug)]
pub(in crate::shard) struct HeldValue {
    pub(in crate::shard) loc: Loc,
    first: Piece,
    /// Start of the arena.
    base: NonNull<u8>,
    unit: LocUnit,
    /// Keeps the arena mapped even if the shard goes.
    _mapping: Arc<Mapping>,
}

// SAFETY: the bytes are the holder's alone (shared readers of pinned values never write), see
// the essay above; the mapping is shared by an Arc.
unsafe impl Send for HeldValue {}

impl HeldValue {
    /// The value of an item that the shard has just pinned. The shard keeps it pinned until it
    /// gets the value back, and gives a writable one (see [`Self::bytes_mut`]) only to an upload.
    pub(in crate::shard) fn new(arena: &Arena, loc: Loc) -> Self {
        let first = Piece::first(arena, loc);
        Self { loc, first, base: arena.base(), unit: arena.unit(), _mapping: arena.mapping() }
    }

    /// The first piece.
    pub(in crate::shard) const fn first(&self) -> Piece {
        self.first
    }

    /// The piece after another.
    pub(in crate::shard) fn following(&self, piece: &Piece) -> Option<Piece> {
        if piece.next.is_none() {
            return None;
        }
        // SAFETY: the chain of a pinned item lies in the committed part of the arena, and the
        // headers of its continuations do not change.
        let header = unsafe { self.at(piece.next, 0).cast::<Header>().read_unaligned() };
        Some(Piece::of_continuation(piece.next, &header))
    }

    /// The bytes of a piece of this value.
    pub(in crate::shard) fn bytes(&self, piece: &Piece) -> &[u8] {
        // SAFETY: a piece of a pinned item's value; nobody writes it before it is let go.
        unsafe { std::slice::from_raw_parts(self.at(piece.loc, piece.at), piece.bytes) }
    }

    /// The bytes of a piece of this value, which an upload writes.
    pub(in crate::shard) fn bytes_mut(&mut self, piece: &Piece) -> &mut [u8] {
        // SAFETY: a piece of an item that is not in the index yet; only the upload knows it.
        unsafe { std::slice::from_raw_parts_mut(self.at(piece.loc, piece.at), piece.bytes) }
    }

    fn at(&self, loc: Loc, at: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(self.unit.offset(loc) + at)
    }
}
