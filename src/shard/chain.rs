//! Values as sequences of contiguous pieces.
//!
//! The value of a small item is one piece. One that does not fit the largest chunk goes on in
//! continuation chunks: each of the largest class, the last of the class that fits best. A
//! continuation's header says where the next is (`next`), whose it is (`prev`) and how many
//! bytes of it are used; they start at [`CONTINUATION_AT`].

use super::item::{HEAD_UNIT_BYTES, Header, Loc, flag, kind};
use super::slab::Arena;

/// Where the bytes of a continuation chunk start.
pub(super) const CONTINUATION_AT: usize = 32;

/// One contiguous piece of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The chunk.
    pub(super) loc: Loc,
    /// Where in the chunk it starts.
    pub(super) at: usize,
    pub(super) bytes: usize,
    /// The chunk with the next piece.
    pub(super) next: Loc,
}

impl Piece {
    /// The first piece of an item's value.
    #[inline]
    pub(super) fn first(arena: &Arena, loc: Loc) -> Self {
        let header = arena.header(loc);
        let (at, length) = (header.value_at(), usize::from(header.length));
        if !header.has(flag::LARGE) {
            return Self { loc, at, bytes: length, next: Loc::NONE };
        }
        let (value_bytes, next) = arena.large(loc);
        let bytes = if next.is_none() { value_bytes } else { length * HEAD_UNIT_BYTES };
        Self { loc, at, bytes, next }
    }

    /// The piece in a continuation chunk.
    pub(super) fn continuation(arena: &Arena, loc: Loc) -> Self {
        Self::of_continuation(loc, arena.header(loc))
    }

    /// The piece in a continuation chunk with this header.
    pub(super) fn of_continuation(loc: Loc, header: &Header) -> Self {
        debug_assert!(header.key_bytes == kind::CONTINUATION);
        Self { loc, at: CONTINUATION_AT, bytes: header.used_bytes(), next: header.next }
    }

    /// The piece after this one.
    pub(super) fn following(&self, arena: &Arena) -> Option<Self> {
        self.next.is_some().then(|| Self::continuation(arena, self.next))
    }

    /// The piece's bytes.
    #[inline]
    pub(super) fn slice<'a>(&self, arena: &'a Arena) -> &'a [u8] {
        arena.bytes(self.loc, self.at, self.bytes)
    }

    /// The piece without its first `bytes` bytes.
    fn skip(self, bytes: usize) -> Self {
        Self { at: self.at + bytes, bytes: self.bytes - bytes, ..self }
    }
}

/// All pieces of an item's value in order.
pub(super) fn pieces(arena: &Arena, loc: Loc) -> impl Iterator<Item = Piece> + use<'_> {
    std::iter::successors(Some(Piece::first(arena, loc)), |piece| piece.following(arena))
}

/// All chunks of an item: its own and its continuations.
pub(super) fn chunks(arena: &Arena, loc: Loc) -> impl Iterator<Item = Loc> + use<'_> {
    pieces(arena, loc).map(|piece| piece.loc)
}

/// A place in a value to which bytes are written from front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    /// What is left of the current piece.
    piece: Piece,
}

impl Writer {
    /// Starts at byte `offset` of an item's value.
    pub(super) fn at(arena: &Arena, loc: Loc, offset: usize) -> Self {
        let mut piece = Piece::first(arena, loc);
        let mut left = offset;
        while left > piece.bytes {
            left -= piece.bytes;
            piece = piece.following(arena).expect("the offset is within the value");
        }
        Self { piece: piece.skip(left) }
    }

    /// The next place that takes up to `bytes` bytes, and how many.
    pub(super) fn room(&mut self, arena: &Arena, bytes: usize) -> (Loc, usize, usize) {
        if self.piece.bytes == 0 && bytes > 0 {
            self.piece = self.piece.following(arena).expect("the value has room for all of it");
        }
        (self.piece.loc, self.piece.at, bytes.min(self.piece.bytes))
    }

    /// Says that `bytes` bytes of the room are filled.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.piece = self.piece.skip(bytes);
    }

    /// Writes bytes from outside the arena.
    pub(super) fn write(&mut self, arena: &mut Arena, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (loc, at, count) = self.room(arena, bytes.len());
            arena.bytes_mut(loc, at, count).copy_from_slice(&bytes[..count]);
            self.advance(count);
            bytes = &bytes[count..];
        }
    }

    /// Writes the whole value of another item.
    pub(super) fn write_item(&mut self, arena: &mut Arena, from: Loc) {
        let mut source = Some(Piece::first(arena, from));
        while let Some(mut piece) = source {
            while piece.bytes > 0 {
                let (loc, at, count) = self.room(arena, piece.bytes);
                arena.copy((piece.loc, piece.at), (loc, at), count);
                self.advance(count);
                piece = piece.skip(count);
            }
            source = piece.following(arena);
        }
    }
}
