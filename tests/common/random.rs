//! A small seeded random source, so that a failing run can be had again from the seed that it
//! printed.
//!
//! The generator is SplitMix64: one word of state, any seed good. It needs no dependency, and its
//! stream never changes under us with a version of one.

/// A stream of pseudo-random numbers, wholly determined by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below 0");
        (self.next() % bound as u64) as usize
    }

    /// True `per_cent` times in a hundred.
    pub(crate) fn chance(&mut self, per_cent: usize) -> bool {
        self.below(100) < per_cent
    }

    /// One of `choices`, each as likely as any other.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// Bytes that `value` commands carry: letters mostly, at times anything at all.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        if self.chance(20) {
            return (0..len).map(|_| self.next() as u8).collect();
        }
        let letter = b'a' + self.below(26) as u8;
        (0..len).map(|at| letter.wrapping_add((at % 7) as u8)).collect()
    }
}
