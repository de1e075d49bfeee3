//! Replies: every fixed line as a constant, and what formats the rest.
//!
//! Everything here appends to a [`Sink`], usually the connection's output buffer, and formats
//! numbers itself: a get's reply line costs about as much as the get.

pub mod line;
pub mod meta;

use super::binary::{HEADER_BYTES, MAGIC_RESPONSE, Opcode};
use super::key::Key;

/// What replies are appended to.
pub trait Sink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the first `count` bytes of a text.
    #[inline]
    fn put_front<const N: usize>(&mut self, text: &[u8; N], count: usize) {
        self.put(&text[..count]);
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    /// Copies all of the text, which is done in a step or two where the length is known.
    #[inline]
    fn put_front<const N: usize>(&mut self, text: &[u8; N], count: usize) {
        let end = self.len() + count;
        self.extend_from_slice(text);
        self.truncate(end);
    }
}

impl<const N: usize> Sink for arrayvec::ArrayVec<u8, N> {
    /// Panics when the bytes don't fit.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.try_extend_from_slice(bytes).expect("a reply fits the buffer it is formatted in");
    }
}

/// Appends a number in decimal.
#[inline]
pub fn put_u64(out: &mut impl Sink, value: u64) {
    let mut digits = [0; DIGITS_MAX];
    let start = format_u64(value, &mut digits);
    out.put(&digits[start..]);
}

/// Digits of the largest `u64`.
pub const DIGITS_MAX: usize = 20;

/// Writes a number at the end of the array and returns where it starts.
#[inline]
pub fn format_u64(mut value: u64, digits: &mut [u8; DIGITS_MAX]) -> usize {
    let mut end = DIGITS_MAX;
    while value > u64::from(u32::MAX) {
        end -= 2;
        digits[end..end + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    format_before(value as u32, digits, end)
}

/// Writes a number so that it ends before `end`, and returns where it starts.
#[inline]
fn format_before(mut value: u32, text: &mut [u8], end: usize) -> usize {
    let mut at = end;
    while value >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        text[at] = b'0' + value as u8;
    }
    at
}

/// "00" to "99", so that a division yields two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Appends `VALUE <key> <flags> <bytes>[ <cas>]\r\n`.
///
/// The numbers are written from the line's end to its start, because that is how digits come. What
/// is copied then has a fixed length, which takes two steps instead of a call.
#[inline]
pub fn put_value_line(
    out: &mut impl Sink,
    key: Key<'_>,
    flags: u32,
    value_bytes: u32,
    cas: Option<u64>,
) {
    const NUMBERS_BYTES_MAX: usize = " 4294967295 4294967295\r\n".len();
    let mut text = [b' '; 2 * NUMBERS_BYTES_MAX];
    let mut at = NUMBERS_BYTES_MAX - 2;
    text[at..at + 2].copy_from_slice(b"\r\n");
    at = format_before(value_bytes, &mut text, at) - 1;
    at = format_before(flags, &mut text, at) - 1;
    let (numbers, _) = text[at..].split_first_chunk::<NUMBERS_BYTES_MAX>().expect("as much again");
    out.put(b"VALUE ");
    out.put(key.bytes());
    match cas {
        None => out.put_front(numbers, NUMBERS_BYTES_MAX - at),
        Some(cas) => {
            out.put_front(numbers, NUMBERS_BYTES_MAX - at - 2);
            out.put(b" ");
            put_u64(out, cas);
            out.put(b"\r\n");
        }
    }
}

/// Appends `STAT <name> <value>\r\n`.
pub fn put_stat(out: &mut impl Sink, name: &[u8], value: &[u8]) {
    out.put(b"STAT ");
    out.put(name);
    out.put(b" ");
    out.put(value);
    out.put(b"\r\n");
}

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

impl Refusal {
    /// Appends the whole reply.
    pub fn put(self, out: &mut impl Sink) {
        match self {
            Self::Line(line) => out.put(line),
            Self::Binary { opcode, opaque, status } => {
                put_binary_error(out, opcode, opaque, status);
            }
        }
    }
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

impl Status {
    /// The text that goes with an error.
    pub fn text(self) -> &'static [u8] {
        match self {
            Self::Success | Self::AuthContinue => b"",
            Self::KeyNotFound => b"Not found",
            Self::KeyExists => b"Data exists for key.",
            Self::TooLarge => b"Too large.",
            Self::Invalid => b"Invalid arguments",
            Self::NotStored => b"Not stored.",
            Self::NonNumeric => b"Non-numeric server-side value for incr or decr",
            Self::AuthError => b"Auth failure.",
            Self::UnknownCommand => b"Unknown command",
            Self::OutOfMemory => b"Out of memory",
        }
    }
}

/// The header of a binary response. The body is extras, key and value in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryHeader {
    /// As in the request.
    pub opcode: Opcode,
    /// As in the request.
    pub opaque: u32,
    /// Outcome.
    pub status: Status,
    /// Bytes of extras.
    pub extras_bytes: u8,
    /// Bytes of the key.
    pub key_bytes: u16,
    /// Bytes of the value alone.
    pub value_bytes: u32,
    /// The item's CAS id, or 0.
    pub cas: u64,
}

/// Appends the 24 bytes of a binary response header.
#[inline]
pub fn put_binary_header(out: &mut impl Sink, header: BinaryHeader) {
    let body_bytes =
        u32::from(header.extras_bytes) + u32::from(header.key_bytes) + header.value_bytes;
    let mut bytes = [0; HEADER_BYTES];
    bytes[0] = MAGIC_RESPONSE;
    bytes[1] = header.opcode.0;
    bytes[2..4].copy_from_slice(&header.key_bytes.to_be_bytes());
    bytes[4] = header.extras_bytes;
    bytes[6..8].copy_from_slice(&(header.status as u16).to_be_bytes());
    bytes[8..12].copy_from_slice(&body_bytes.to_be_bytes());
    bytes[12..16].copy_from_slice(&header.opaque.to_be_bytes());
    bytes[16..24].copy_from_slice(&header.cas.to_be_bytes());
    out.put(&bytes);
}

/// Appends a binary response without extras and key: `body` may be empty.
pub fn put_binary(out: &mut impl Sink, opcode: Opcode, opaque: u32, cas: u64, body: &[u8]) {
    put_binary_status(out, opcode, opaque, Status::Success, cas, body);
}

/// Appends a binary error with its usual text.
pub fn put_binary_error(out: &mut impl Sink, opcode: Opcode, opaque: u32, status: Status) {
    put_binary_status(out, opcode, opaque, status, 0, status.text());
}

/// Appends a binary response with a status and a body of one's own.
pub fn put_binary_status(
    out: &mut impl Sink,
    opcode: Opcode,
    opaque: u32,
    status: Status,
    cas: u64,
    body: &[u8],
) {
    let value_bytes = u32::try_from(body.len()).expect("a reply is shorter than 4 GB");
    let header =
        BinaryHeader { opcode, opaque, status, extras_bytes: 0, key_bytes: 0, value_bytes, cas };
    put_binary_header(out, header);
    out.put(body);
}

/// Appends one entry of a binary statistics list; both empty ends the list.
pub fn put_binary_stat(
    out: &mut impl Sink,
    opcode: Opcode,
    opaque: u32,
    name: &[u8],
    value: &[u8],
) {
    let key_bytes = u16::try_from(name.len()).expect("a statistic's name is short");
    let value_bytes = u32::try_from(value.len()).expect("a statistic's value is short");
    let status = Status::Success;
    let header =
        BinaryHeader { opcode, opaque, status, extras_bytes: 0, key_bytes, value_bytes, cas: 0 };
    put_binary_header(out, header);
    out.put(name);
    out.put(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_the_standard_library_prints_them() {
        let mut value = 0u64;
        let edges = [0, 9, 10, 99, 100, 101, 999, 1000, 65535, u64::from(u32::MAX), u64::MAX];
        let spread = std::iter::repeat_with(|| {
            value = value.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            value >> (value & 63)
        });
        for value in edges.into_iter().chain(spread.take(20_000)) {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn value_lines() {
        let key = Key::new(b"k").expect("legal");
        let mut out = Vec::new();
        put_value_line(&mut out, key, 0, 100, None);
        put_value_line(&mut out, key, u32::MAX, 0, Some(7));
        put_value_line(&mut out, key, u32::MAX, u32::MAX, Some(u64::MAX));
        let longest = format!("VALUE k {} {} {}\r\n", u32::MAX, u32::MAX, u64::MAX);
        let expected = format!("VALUE k 0 100\r\nVALUE k 4294967295 0 7\r\n{longest}");
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn binary_errors() {
        let mut out = Vec::new();
        let (opcode, status) = (Opcode(0x0c), Status::KeyNotFound);
        Refusal::Binary { opcode, opaque: 0x01020304, status }.put(&mut out);
        assert_eq!(out[..8], [0x81, 0x0c, 0, 0, 0, 0, 0, 1]);
        assert_eq!(out[8..16], [0, 0, 0, 9, 1, 2, 3, 4]);
        assert_eq!(&out[16..], b"\0\0\0\0\0\0\0\0Not found");
    }
}
