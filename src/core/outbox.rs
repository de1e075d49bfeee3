//! Replies in plain text that wait to be sealed.
//!
//! A connection by TLS can't hand its replies to the kernel as they are: each becomes part of a
//! record first. Sealing waits until the connection may send, and then takes so much as fills whole
//! records, so that a pipeline's replies share a few records instead of each having its own. Large
//! values stay in the arena until their turn comes, pinned as for any other connection.

use std::collections::VecDeque;

use super::client::Pin;
use crate::ring::{Block, BlockPool};

/// Plain text, in order.
#[derive(Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that have been taken.
    taken: usize,
    /// Bytes that wait, those of all pieces without the ones taken.
    bytes: usize,
}

enum Piece {
    Text(Block),
    Value(Pin),
}

impl Piece {
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let (text, value) = match self {
            Self::Text(block) => (Some(block.bytes()), None),
            Self::Value(pin) => (None, Some(pin.value.pieces())),
        };
        text.into_iter().chain(value.into_iter().flatten())
    }
}

impl Outbox {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds text.
    pub(super) fn append(&mut self, mut text: &[u8], pool: &mut BlockPool) {
        self.bytes += text.len();
        loop {
            if let Some(Piece::Text(block)) = self.pieces.back_mut() {
                let count = block.append(text);
                text = &text[count..];
            }
            if text.is_empty() {
                return;
            }
            self.pieces.push_back(Piece::Text(pool.take()));
        }
    }

    /// Adds a value that stays where it is.
    pub(super) fn push(&mut self, pin: Pin) {
        self.bytes += pin.value.pieces().map(<[u8]>::len).sum::<usize>();
        self.pieces.push_back(Piece::Value(pin));
    }

    /// Moves up to `bytes_max` bytes to `plain`. Blocks that are empty then go back to the pool,
    /// pins to `unpinned`.
    pub(super) fn take(
        &mut self,
        bytes_max: usize,
        plain: &mut Vec<u8>,
        pool: &mut BlockPool,
        unpinned: &mut Vec<Pin>,
    ) {
        let full = plain.len() + bytes_max;
        while let Some(piece) = self.pieces.front() {
            let mut skipped = self.taken;
            for slice in piece.slices() {
                if plain.len() == full {
                    return;
                }
                let rest = &slice[skipped.min(slice.len())..];
                skipped -= slice.len() - rest.len();
                let count = rest.len().min(full - plain.len());
                plain.extend_from_slice(&rest[..count]);
                self.taken += count;
                self.bytes -= count;
                if count < rest.len() {
                    return;
                }
            }
            self.drop_front(pool, unpinned);
        }
    }

    /// Gives all up that waits.
    pub(super) fn clear(&mut self, pool: &mut BlockPool, unpinned: &mut Vec<Pin>) {
        while !self.pieces.is_empty() {
            self.drop_front(pool, unpinned);
        }
        self.bytes = 0;
    }

    fn drop_front(&mut self, pool: &mut BlockPool, unpinned: &mut Vec<Pin>) {
        self.taken = 0;
        match self.pieces.pop_front() {
            Some(Piece::Text(block)) => pool.give(block),
            Some(Piece::Value(pin)) => unpinned.push(pin),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::BLOCK_BYTES;

    #[test]
    fn text_comes_out_as_it_went_in_whatever_is_taken_at_a_time() {
        for step in [1, 7, 1000, BLOCK_BYTES, 10 * BLOCK_BYTES] {
            let (mut outbox, mut pool) = (Outbox::default(), BlockPool::default());
            let text: Vec<u8> = (0..3 * BLOCK_BYTES + 11).map(|at| (at % 251) as u8).collect();
            for part in text.chunks(1009) {
                outbox.append(part, &mut pool);
            }
            let (mut plain, mut unpinned) = (Vec::new(), Vec::new());
            while outbox.bytes() > 0 {
                let before = plain.len();
                outbox.take(step, &mut plain, &mut pool, &mut unpinned);
                assert_eq!(plain.len() - before, step.min(text.len() - before));
            }
            assert!(plain == text && unpinned.is_empty());
            outbox.take(step, &mut plain, &mut pool, &mut unpinned);
            assert_eq!(plain.len(), text.len(), "nothing is left");
            assert_eq!(pool.blocks_free(), pool.blocks_made(), "all blocks are back");
        }
    }
}
