//! Pages that began to change classes, taken down while somebody watches.

use arrayvec::ArrayVec;

use super::{ClassId, Shard};

/// Moves that are taken down between two readings.
const MOVES_MAX: usize = 64;

/// A decision to take a page from a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageMove {
    /// The class that gives it.
    pub from: ClassId,
    /// The class that it is for; `None` is the pool of free pages.
    pub to: Option<ClassId>,
    /// Whether there was a page that could be given.
    pub started: bool,
}

/// Moves, oldest first.
#[derive(Debug, Default)]
pub struct PageMoves {
    moves: ArrayVec<PageMove, MOVES_MAX>,
    lost: u64,
}

impl PageMoves {
    /// The moves.
    pub fn iter(&self) -> impl Iterator<Item = PageMove> {
        self.moves.iter().copied()
    }

    /// How many found no room.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

impl Shard {
    /// Takes down which pages begin to move from now on, or no longer does so.
    pub fn watch_moves(&mut self, wanted: bool) {
        if !wanted {
            self.moves = None;
        } else if self.moves.is_none() {
            self.moves = Some(Box::default());
        }
    }

    /// The moves since the last time.
    pub fn take_moves(&mut self) -> PageMoves {
        self.moves.as_deref_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes a move down.
    pub(super) fn take_down_move(&mut self, from: ClassId, to: Option<ClassId>, started: bool) {
        let Some(PageMoves { moves, lost }) = self.moves.as_deref_mut() else { return };
        if moves.try_push(PageMove { from, to, started }).is_err() {
            *lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tests::shard_of;

    #[test]
    fn moves_are_kept_for_a_watcher_only_and_not_without_bound() {
        let mut shard = shard_of(8);
        let (from, to) = (ClassId(3), Some(ClassId(5)));
        shard.take_down_move(from, to, true);
        shard.watch_moves(true);
        assert_eq!(shard.take_moves().iter().count(), 0, "nobody watched");
        for _ in 0..=MOVES_MAX {
            shard.take_down_move(from, to, true);
        }
        let moves = shard.take_moves();
        assert_eq!((moves.iter().count(), moves.lost()), (MOVES_MAX, 1));
        assert_eq!(moves.iter().next(), Some(PageMove { from, to, started: true }));
        assert_eq!(shard.take_moves().iter().count(), 0, "each is told once");
    }
}
