//! Replies: every fixed line as a constant, and what formats the rest.

use super::binary::Opcode;

/// The answer to a request that could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A line, with its end.
    Line(&'static [u8]),
    /// A binary error.
    Binary {
        /// As received.
        opcode: Opcode,
        /// As received.
        opaque: u32,
        /// What went wrong.
        status: Status,
    },
}

/// Status of a binary response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Done.
    Success = 0x00,
    /// No such key.
    KeyNotFound = 0x01,
    /// The key is there, or its CAS id differs.
    KeyExists = 0x02,
    /// Value too large.
    TooLarge = 0x03,
    /// Malformed request.
    Invalid = 0x04,
    /// Append or prepend on nothing.
    NotStored = 0x05,
    /// Arithmetic on text.
    NonNumeric = 0x06,
    /// Not authenticated, or not allowed.
    AuthError = 0x20,
    /// One more step.
    AuthContinue = 0x21,
    /// Unknown opcode.
    UnknownCommand = 0x81,
    /// No memory.
    OutOfMemory = 0x82,
}
