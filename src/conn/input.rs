//! What was received but not yet understood: the front of a request whose rest is to come.
//!
//! Requests are parsed where the ring put them. Only when bytes are left over at the end, or while
//! the connection may not go on, do they move into an [`Input`], whose memory comes from a pool
//! and goes back as soon as it is empty. An idle connection has none.

use crate::config::limits::BLOCK_BYTES;

/// Memory for inputs, last in, first out.
#[derive(Default)]
pub struct InputPool {
    free: Vec<Vec<u8>>,
    bytes_used: usize,
}

/// What an input begins with. Most hold the front of one short request, and a client that never
/// sends the rest should not cost more.
const BYTES_LEAST: usize = 512;

/// A pooled input of more than this is given back to the allocator.
const POOLED_BYTES_MAX: usize = 4 * BLOCK_BYTES;

/// Bytes that wait.
#[derive(Default)]
pub struct Input {
    /// Memory from the pool, or without any.
    bytes: Vec<u8>,
    /// Bytes at the front that are done with: `consumed <= bytes.len()`.
    consumed: usize,
}

impl Input {
    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.consumed == self.bytes.len()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8], pool: &mut InputPool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        if self.consumed > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
        }
        let had = self.bytes.capacity();
        self.bytes.extend_from_slice(bytes);
        pool.bytes_used += self.bytes.capacity() - had;
    }

    /// Drops bytes at the front.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        self.consumed += count;
        assert!(self.consumed <= self.bytes.len(), "only bytes that are there can be consumed");
    }

    /// Drops bytes at the end.
    pub fn truncate(&mut self, count: usize) {
        self.bytes.truncate(self.bytes.len() - count);
    }

    /// Gives the memory back.
    pub fn clear(&mut self, pool: &mut InputPool) {
        self.consumed = 0;
        if self.bytes.capacity() > 0 {
            pool.give(std::mem::take(&mut self.bytes));
        }
    }
}

impl InputPool {
    /// Bytes that all inputs take.
    #[must_use]
    pub fn bytes_used(&self) -> usize {
        self.bytes_used
    }

    fn take(&mut self) -> Vec<u8> {
        let bytes = self.free.pop().unwrap_or_else(|| Vec::with_capacity(BYTES_LEAST));
        self.bytes_used += bytes.capacity();
        bytes
    }

    fn give(&mut self, mut bytes: Vec<u8>) {
        self.bytes_used -= bytes.capacity();
        if bytes.capacity() <= POOLED_BYTES_MAX {
            bytes.clear();
            self.free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_whatever_was_consumed_between() {
        let mut pool = InputPool::default();
        let mut input = Input::default();
        let mut expected = Vec::new();
        for round in 0..200_usize {
            let part: Vec<u8> = (0..round * 7 % 500).map(|index| (index + round) as u8).collect();
            input.append(&part, &mut pool);
            expected.extend(part);
            let count = input.bytes().len() * (round % 3) / 3;
            input.consume(count);
            expected.drain(..count);
            assert_eq!(input.bytes(), expected);
        }
        assert!(pool.bytes_used() >= input.bytes().len());
        input.clear(&mut pool);
        assert!(input.is_empty() && pool.bytes_used() == 0);
    }
}
