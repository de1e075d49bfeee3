//! Who a completion is for: the 64 bits of `user_data`.
//!
//! ```text
//!   63      56 55              32 31               0
//!  +----------+------------------+------------------+
//!  | op       | generation       | slot             |
//!  +----------+------------------+------------------+
//! ```
//!
//! The generation counts how often the slot was given to somebody new. A completion that comes
//! late, after its connection ended and the slot was taken again, has an old generation and can't
//! be mistaken for the new owner's.

/// What kind of operation a completion ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// A listener took a connection.
    Accept = 1,
    /// A socket received.
    Receive = 2,
    /// A socket sent.
    Send = 3,
    /// A socket was shut down.
    Shutdown = 4,
    /// A descriptor was closed.
    Close = 5,
    /// Another thread rang.
    Wake = 6,
    /// An operation was asked to end.
    Cancel = 7,
    /// A socket connected.
    Connect = 8,
    /// A datagram came.
    ReceiveFrom = 9,
    /// A datagram went.
    SendTo = 10,
}

impl Op {
    const ALL: [Self; 10] = [
        Self::Accept,
        Self::Receive,
        Self::Send,
        Self::Shutdown,
        Self::Close,
        Self::Wake,
        Self::Cancel,
        Self::Connect,
        Self::ReceiveFrom,
        Self::SendTo,
    ];
}

const GENERATION_BITS: u32 = 24;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// The operation, slot and generation of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// Joins the three; of `generation` the lower 24 bits count.
    #[must_use]
    pub fn new(op: Op, slot: u32, generation: u32) -> Self {
        let generation = u64::from(generation & GENERATION_MASK);
        Self((op as u64) << 56 | generation << 32 | u64::from(slot))
    }

    /// The operation.
    ///
    /// # Panics
    /// When the bits were never made by [`Token::new`].
    #[must_use]
    pub fn op(self) -> Op {
        let number = (self.0 >> 56) as usize;
        Op::ALL[number.wrapping_sub(1)]
    }

    /// The slot's number.
    #[must_use]
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The slot's generation, 24 bits.
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & GENERATION_MASK
    }

    /// True if `generation`, cut to 24 bits, is this token's.
    #[must_use]
    pub fn is_of(self, generation: u32) -> bool {
        self.generation() == generation & GENERATION_MASK
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_what_it_was_made_of() {
        for op in Op::ALL {
            let token = Token::new(op, u32::MAX, 0x00ab_cdef);
            assert_eq!((token.op(), token.slot()), (op, u32::MAX));
            assert_eq!(token.generation(), 0x00ab_cdef);
            assert_eq!(Token::from_bits(token.bits()), token);
        }
    }

    #[test]
    fn a_generation_wraps_at_24_bits() {
        let token = Token::new(Op::Send, 7, (1 << 24) + 5);
        assert!(token.is_of(5) && token.is_of((1 << 24) + 5) && !token.is_of(6));
        assert_eq!(token.slot(), 7);
    }
}
