//! What a connection sends: blocks of reply text and, between them, values still in the arena.
//!
//! A [`Message`] is built by appending, then moves into the ring for the time of its send and comes
//! back with the completion. Text gathers in [`Block`]s from the core's [`BlockPool`]. A value that
//! is too large to copy joins as [`Segment::Pinned`]: bytes that stay where they are, unchanged,
//! until the message has been sent; whoever appends them holds the pin. A message with one segment
//! goes out by `send(2)`, with several by `sendmsg(2)`, up to [`SEGMENTS_PER_SEND`] and
//! [`SEND_BYTES_PER_TURN`] at a time: the kernel copies them while the core waits, and all its
//! other connections with it.

use io_uring::types::Fd;
use io_uring::{opcode, squeue};

use crate::config::limits::{BLOCK_BYTES, SEND_BYTES_PER_TURN};

/// Segments that one `sendmsg` carries; the rest follows with the next.
const SEGMENTS_PER_SEND: usize = 16;

/// A fixed piece of memory for reply text or for a request that came in parts.
pub struct Block {
    bytes: Box<[u8; BLOCK_BYTES]>,
    len: usize,
}

impl Block {
    fn new() -> Self {
        let bytes = vec![0; BLOCK_BYTES].into_boxed_slice();
        Self { bytes: bytes.try_into().expect("the vector has the block's length"), len: 0 }
    }

    /// What was appended so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        BLOCK_BYTES - self.len
    }

    /// Appends as much of `bytes` as fits; returns how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        count
    }

    /// Appends what `write` puts at the front of the next `room` bytes; returns how many it said
    /// those are.
    fn append_with(&mut self, room: usize, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let count = write(&mut self.bytes[self.len..self.len + room]);
        self.len += count.min(room);
        count.min(room)
    }

    /// Drops the first `count` bytes and moves the rest to the front.
    pub fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

/// Blocks and messages that wait for use: last in, first out, so that those in use stay in the
/// processor's cache. It grows to the most that were ever needed at once.
#[derive(Default)]
pub struct BlockPool {
    blocks: Vec<Block>,
    #[expect(clippy::vec_box, reason = "a message keeps its address while the kernel reads it")]
    messages: Vec<Box<Message>>,
    blocks_made: usize,
}

impl BlockPool {
    /// An empty block.
    pub fn take(&mut self) -> Block {
        self.blocks.pop().unwrap_or_else(|| {
            self.blocks_made += 1;
            Block::new()
        })
    }

    /// Takes a block back.
    pub fn give(&mut self, mut block: Block) {
        block.len = 0;
        self.blocks.push(block);
    }

    /// An empty message.
    pub fn take_message(&mut self) -> Box<Message> {
        self.messages.pop().unwrap_or_default()
    }

    /// Takes a message and its blocks back.
    pub fn give_message(&mut self, mut message: Box<Message>) {
        for segment in message.segments.drain(..) {
            if let Segment::Block(block) = segment {
                self.give(block);
            }
        }
        message.sent = 0;
        message.bytes = 0;
        message.is_begun = false;
        self.messages.push(message);
    }

    /// Bytes of the blocks in use.
    #[must_use]
    #[inline]
    pub fn bytes_used(&self) -> usize {
        (self.blocks_made - self.blocks.len()) * BLOCK_BYTES
    }

    /// Blocks made so far, in use or waiting.
    #[must_use]
    pub fn blocks_made(&self) -> usize {
        self.blocks_made
    }

    /// Blocks that wait for use.
    #[must_use]
    pub fn blocks_free(&self) -> usize {
        self.blocks.len()
    }
}

/// A piece of a message.
pub enum Segment {
    /// Text of ours.
    Block(Block),
    /// Bytes of somebody who keeps them in place. Only the kernel reads them.
    Pinned(*const u8, usize),
}

impl Segment {
    fn start(&self) -> *const u8 {
        match self {
            Self::Block(block) => block.bytes.as_ptr(),
            Self::Pinned(start, _) => *start,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Block(block) => block.len,
            Self::Pinned(_, bytes) => *bytes,
        }
    }
}

/// Bytes on their way to one connection.
pub struct Message {
    segments: Vec<Segment>,
    /// Bytes of all segments.
    bytes: usize,
    /// How many of them the socket has taken: `sent <= bytes`.
    sent: usize,
    is_begun: bool,
    /// It is under way, and the kernel tells only if that doesn't go well.
    pub(super) is_quiet: bool,
    header: libc::msghdr,
    vectors: [libc::iovec; SEGMENTS_PER_SEND],
}

// SAFETY: the pointers in `header` and `vectors` are written by `entry` right before a send and
// read by the kernel alone; the thread that owns the message owns all they point to.
unsafe impl Send for Message {}

impl Default for Message {
    fn default() -> Self {
        const EMPTY: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            segments: Vec::with_capacity(4),
            bytes: 0,
            sent: 0,
            is_begun: false,
            is_quiet: false,
            // SAFETY: all zeroes is a valid, empty header.
            header: unsafe { std::mem::zeroed() },
            vectors: [EMPTY; SEGMENTS_PER_SEND],
        }
    }
}

impl Message {
    /// Appends a copy of `bytes`.
    pub fn append(&mut self, mut bytes: &[u8], pool: &mut BlockPool) {
        self.bytes += bytes.len();
        loop {
            if let Some(Segment::Block(block)) = self.segments.last_mut() {
                let count = block.append(bytes);
                bytes = &bytes[count..];
            }
            if bytes.is_empty() {
                return;
            }
            self.segments.push(Segment::Block(pool.take()));
        }
    }

    /// Appends what `write` puts at the front of `room` bytes; it tells how many those are.
    ///
    /// # Panics
    /// When `room` is more than a block has.
    pub fn append_with(
        &mut self,
        room: usize,
        pool: &mut BlockPool,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        assert!(room <= BLOCK_BYTES, "a block has no more");
        let has_room =
            |segment: &Segment| matches!(segment, Segment::Block(block) if block.room() >= room);
        if !self.segments.last().is_some_and(has_room) {
            self.segments.push(Segment::Block(pool.take()));
        }
        let Some(Segment::Block(block)) = self.segments.last_mut() else { return };
        self.bytes += block.append_with(room, write);
    }

    /// Appends bytes without copying them. The caller keeps them in place and unchanged until the
    /// message has come back from its last send; no Rust code looks at them through the message, so
    /// a caller who does not sends garbage, but breaks nothing here.
    pub fn append_in_place(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.segments.push(Segment::Pinned(bytes.as_ptr(), bytes.len()));
        }
    }

    /// Bytes not yet sent.
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes - self.sent
    }

    /// Whether it has been given to a socket before, which did not take all of it.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether one send takes all that is left, and no pin waits for its end.
    #[must_use]
    pub fn is_of_one_send(&self) -> bool {
        let is_pinned = |segment: &Segment| matches!(segment, Segment::Pinned(..));
        self.segments.len() <= SEGMENTS_PER_SEND
            && self.left() <= SEND_BYTES_PER_TURN
            && !self.segments.iter().any(is_pinned)
    }

    /// Notes that the socket took `count` more bytes.
    ///
    /// # Panics
    /// When that is more than was left.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.left(), "a socket can't take more than it was given");
        self.sent += count;
        self.is_begun = true;
    }

    /// The submission that sends what is left. It points into the message, which therefore must
    /// not move or change until its completion: the ring owns it for that time.
    pub(super) fn entry(&mut self, fd: Fd) -> squeue::Entry {
        // A quiet one doesn't wait for room, and to be sent in part is a failure.
        let how = if self.is_quiet { libc::MSG_DONTWAIT | libc::MSG_WAITALL } else { 0 };
        let flags = libc::MSG_NOSIGNAL | how;
        let mut skip = self.sent;
        let mut count = 0;
        let mut room = SEND_BYTES_PER_TURN;
        for segment in &self.segments {
            if skip >= segment.len() {
                skip -= segment.len();
                continue;
            }
            if count == SEGMENTS_PER_SEND || room == 0 {
                break;
            }
            self.vectors[count] = vector(segment, skip, room);
            room -= self.vectors[count].iov_len;
            skip = 0;
            count += 1;
        }
        assert!(count > 0, "an empty message is never sent");
        if count == 1 {
            let [only, ..] = &self.vectors;
            let bytes = u32::try_from(only.iov_len).unwrap_or(u32::MAX);
            return opcode::Send::new(fd, only.iov_base.cast(), bytes).flags(flags).build();
        }
        self.header.msg_iov = self.vectors.as_mut_ptr();
        self.header.msg_iovlen = count;
        opcode::SendMsg::new(fd, &raw const self.header).flags(flags.cast_unsigned()).build()
    }
}

/// A segment behind its first `skip` bytes, up to `bytes_max` of it.
fn vector(segment: &Segment, skip: usize, bytes_max: usize) -> libc::iovec {
    let start = segment.start().wrapping_add(skip);
    let bytes = (segment.len() - skip).min(bytes_max);
    libc::iovec { iov_base: start.cast_mut().cast(), iov_len: bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_carries_a_bounded_part_of_a_large_message() {
        let large = vec![0; 2 * SEND_BYTES_PER_TURN];
        let mut message = Message::default();
        message.append(b"head", &mut BlockPool::default());
        message.append_in_place(&large);
        let mut sent = Vec::new();
        while message.left() > 0 {
            let _entry = message.entry(Fd(0));
            let count = if message.sent == 0 { 2 } else { 1 };
            let bytes = message.vectors[..count].iter().map(|vector| vector.iov_len).sum();
            message.advance(bytes);
            sent.push(bytes);
        }
        assert_eq!(sent, [SEND_BYTES_PER_TURN, SEND_BYTES_PER_TURN, 4]);
    }
}
