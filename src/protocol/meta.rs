//! The meta commands: `mg`, `ms`, `md`, `ma`, `me`.
//!
//! A meta command is a key and up to 18 flags, each one letter with an optional argument glued to
//! it. [`Meta`] holds the flags three ways, for the three uses that execution makes of them: a
//! set of letters to ask ([`Meta::has`]), the arguments as numbers, and the letters in the
//! client's order ([`Meta::order`]), because replies return them in that order.

use super::key::Key;

/// A parsed meta command, with all arguments validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The key as written: raw, or base64 when the flag `b` is there; see [`Meta::key`].
    pub key_written: Key<'a>,
    /// The flags as written, from the first flag to the last.
    pub text: &'a [u8],
    /// Which letters are there, bit `letter - b'A'`.
    pub letters: u64,
    /// The opaque token with its `O`, at most 32 bytes; empty if there is none.
    pub opaque: &'a [u8],
    /// `M`: the first byte behind it, already known to be legal for the command; 0 if absent.
    pub mode: u8,
    /// `F`: client flags, 0 if absent.
    pub flags: u32,
    /// `C`: the CAS id to compare with.
    pub cas_compare: Option<u64>,
    /// `E`: the CAS id to give.
    pub cas_new: Option<u64>,
    /// `T`: new expiry time as written.
    pub exptime: Option<i64>,
    /// `N`: create on a miss, with this expiry time as written.
    pub vivify: Option<i64>,
    /// `R`: recache when less than this is left, as written.
    pub recache: Option<i64>,
    /// `D`: delta, default 1.
    pub delta: u64,
    /// `J`: initial value, default 0.
    pub initial: u64,
}

impl<'a> Meta<'a> {
    /// Whether the flag `letter` (an ASCII letter) was given.
    pub fn has(&self, letter: u8) -> bool {
        self.letters >> (letter - b'A') & 1 != 0
    }

    /// `q`: hide the nominal reply.
    pub fn quiet(&self) -> bool {
        self.has(b'q')
    }

    /// `b`: the key is base64 on the wire.
    pub fn key_is_base64(&self) -> bool {
        self.has(b'b')
    }

    /// The flag letters in the client's order.
    pub fn order(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.text.split(|byte| *byte == b' ').filter_map(|token| token.first().copied())
    }
}
