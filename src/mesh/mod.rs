//! How cores share their shards: [`Lent`], a value that is touched only under its token.
//!
//! A key's shard is named by its hash, so on N cores most keys belong to another core than the one
//! whose socket they came through. The costly way to serve them is to wake their owner: 36 to 54 us
//! through a sleeping peer on the machine this was measured on, against 0.07 us for a word that
//! passes between two running cores. So a shard isn't tied to its owner's thread: whoever needs it
//! takes its token, works, and frees the token. A core spends most of its time in the kernel and
//! holds no token there; nobody ever waits for a sleeping core.
//!
//! If the token is taken, the work goes to the shard's **mailbox**, and the token's holder, which
//! has the shard's lines in its cache, does it before it frees the token (*flat combining*:
//! Hendler, Incze, Shavit, Tzafrir, SPAA 2010). The poster watches two things meanwhile: that its
//! job was done, or that the token is free, in which case it takes it and empties the mailbox
//! itself. It spins for a bounded time, then sleeps on a futex until the holder wakes it.
//!
//! Two rules make that whole, and the loom tests explore every interleaving of them:
//!
//! 1. Whoever takes the token empties the mailbox before its own job, so jobs for a shard run in
//!    the order in which each core posted them.
//! 2. Whoever frees the token looks at the mailbox once more, so that no sleeping poster is left
//!    behind.

#![allow(unsafe_code)]

mod lent;
mod sync;

pub use lent::{Job, Lent};

/// The shard that a key's hash names, of `count`: the hash's upper half, scaled.
#[must_use]
pub fn route(hash: u64, count: usize) -> usize {
    (((hash >> 32) * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn every_shard_gets_its_part_and_no_other_exists() {
        for count in 1..=7 {
            let mut keys = vec![0; count];
            for step in 0..70_000_u64 {
                keys[route(step.wrapping_mul(0x9e37_79b9_7f4a_7c15), count)] += 1;
            }
            let fair = 70_000 / count;
            assert!(keys.iter().all(|&got| got > fair * 9 / 10 && got < fair * 11 / 10));
        }
        assert_eq!((route(0, 3), route(u64::MAX, 3)), (0, 2));
    }
}
