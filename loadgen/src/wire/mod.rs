//! The client's side of memcached's protocols: requests out, replies in, no I/O.
//!
//! A reply is read element by element (a value, or the end of the reply), so that a long multi-get
//! that comes in pieces is never scanned twice and at most one value waits for its rest.

pub mod auth;
pub mod binary;
pub mod meta;
pub mod text;

use crate::value::Values;
use crate::workload::keys::KeySpec;

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The classic text protocol.
    #[default]
    Text,
    /// The meta commands.
    Meta,
    /// The binary protocol.
    Binary,
}

impl Protocol {
    /// The dialect of a name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "text" | "ascii" => Self::Text,
            "meta" => Self::Meta,
            "binary" => Self::Binary,
            _ => return None,
        })
    }
}

/// A verb on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read keys.
    Get,
    /// Read keys with their unique numbers.
    Gets,
    /// Store always.
    Set,
    /// Store if absent.
    Add,
    /// Store if present.
    Replace,
    /// Add bytes at the end.
    Append,
    /// Add bytes at the front.
    Prepend,
    /// Store if the unique number still holds.
    Cas,
    /// Set a new time to live.
    Touch,
    /// Read and set a new time to live.
    Gat,
    /// Remove.
    Delete,
    /// Count up by one.
    Incr,
    /// Count down by one.
    Decr,
    /// Forget all.
    FlushAll,
    /// Do nothing and say so: tells that all before it is done.
    Noop,
    /// Show credentials.
    Auth,
}

impl Verb {
    /// Whether a value is sent along.
    pub fn stores(self) -> bool {
        use Verb::{Add, Append, Cas, Prepend, Replace, Set};
        matches!(self, Set | Add | Replace | Append | Prepend | Cas)
    }

    /// Whether values come back.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Gets | Self::Gat)
    }
}

/// What a request carries beside its keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body {
    /// Version of the value that is derived.
    pub version: u64,
    /// Length of the value, in bytes.
    pub value_bytes: usize,
    /// Length of the key, in bytes; 0 for the one the key's number gives.
    pub key_bytes: usize,
    /// Store digits that incr and decr can count on instead of a derived value.
    pub counter: bool,
    /// Ask for no reply to success.
    pub quiet: bool,
    /// Client flags.
    pub flags: u32,
    /// Seconds to live, 0 for ever.
    pub expiry_s: u32,
    /// Unique number, for `Cas`.
    pub unique: u64,
    /// Number that the binary protocol repeats in the reply.
    pub opaque: u32,
}

/// Everything requests are written with.
pub struct Encoder {
    /// The dialect.
    pub protocol: Protocol,
    /// The form of the keys.
    pub keys: KeySpec,
    /// The source of values.
    pub values: Values,
}

impl Encoder {
    /// Appends one request.
    pub fn write(&self, out: &mut Vec<u8>, verb: Verb, keys: &[u64], body: &Body) {
        match self.protocol {
            Protocol::Text => text::write(self, out, verb, keys, body),
            Protocol::Meta => meta::write(self, out, verb, keys, body),
            Protocol::Binary => binary::write(self, out, verb, keys, body),
        }
    }

    fn write_key(&self, out: &mut Vec<u8>, key: u64, body: &Body) {
        match body.key_bytes {
            0 => self.keys.write(out, key),
            bytes => self.keys.write_sized(out, key, bytes),
        }
    }

    /// Appends a value as `body` describes it.
    fn write_value(&self, out: &mut Vec<u8>, key: u64, body: &Body) {
        if body.counter {
            out.resize(out.len() + body.value_bytes.saturating_sub(1), b'0');
            out.push(b'1');
        } else {
            self.values.write(out, key, body.version, body.value_bytes);
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done: stored, deleted, touched, counted, or all values were sent.
    Success,
    /// There is no such item.
    NotFound,
    /// The condition of add, replace, append or prepend did not hold.
    NotStored,
    /// The item changed since its unique number was read.
    Exists,
    /// The server blames the request.
    ClientError,
    /// The server blames itself, most often for a lack of memory.
    ServerError,
}

/// A piece of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// An item.
    Value {
        /// Its key, empty if the protocol does not repeat it.
        key: &'a [u8],
        /// The value.
        data: &'a [u8],
        /// Its unique number, 0 if none was asked for.
        unique: u64,
        /// Whether nothing follows it.
        last: bool,
    },
    /// The end of the reply.
    End(Status),
    /// A quiet request before the one asked about failed.
    QuietFailure {
        /// What became of it.
        status: Status,
        /// The number it was sent with.
        opaque: u32,
    },
}

/// What the decoder made of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// An element and the bytes it took.
    Element(Element<'a>, usize),
    /// The element is not whole before this many bytes are there.
    Need(usize),
    /// This is no reply to what was asked.
    Malformed,
}

/// Reads the next element of the reply to `verb`; `many` says that it named more than one key.
pub fn decode(protocol: Protocol, verb: Verb, many: bool, input: &[u8]) -> Decoded<'_> {
    match protocol {
        Protocol::Text => text::decode(verb, input),
        Protocol::Meta => meta::decode(verb, many, input),
        Protocol::Binary => binary::decode(verb, many, input),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::size::Sizes;

    /// A request on keys `k00` to `k99`, with a counter of three digits as value.
    pub(super) fn written(protocol: Protocol, verb: Verb, keys: &[u64]) -> Vec<u8> {
        let spec = KeySpec { count: 100, prefix: "k".into(), bytes: Sizes::Fixed(3) };
        let encoder = Encoder { protocol, keys: spec, values: Values::default() };
        let unique = if verb == Verb::Cas { 77 } else { 0 };
        let body = Body {
            value_bytes: 3,
            counter: true,
            flags: 5,
            expiry_s: 60,
            unique,
            ..Body::default()
        };
        let mut out = Vec::new();
        encoder.write(&mut out, verb, keys, &body);
        out
    }
}
