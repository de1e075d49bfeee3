//! The binary protocol: a 24-byte header, then extras, key and value.
//!
//! Every length is in the header, so that all of them are checked before anything else is looked
//! at, in the reference's order: what is impossible or not allowed closes the connection, because
//! behind it nobody knows where the next request starts; an unknown opcode is answered and its
//! body swallowed. The quiet opcodes are the loud ones with a flag.
//!
//! Deprecated upstream, but what php-memcached's sessions and several clients speak by default.

use super::admin::{Detail, Stats};
use super::key::{KEY_BYTES_MAX, Key};
use super::parser::{Framing, Gate, Parser, Step};
use super::reply::{Refusal, Status};
use super::request::{Request, Store, StoreMode};

/// The byte that opens every binary request, and tells the protocol of a connection.
pub const MAGIC_REQUEST: u8 = 0x80;
/// The byte that opens every binary response.
pub const MAGIC_RESPONSE: u8 = 0x81;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 24;

/// The opcode of a request as it came, quiet forms included; replies echo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

/// One request of the binary protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary<'a> {
    /// As received.
    pub opcode: Opcode,
    /// Echoed in the reply, byte for byte.
    pub opaque: u32,
    /// A quiet form: mutations hide success, reads hide misses.
    pub quiet: bool,
    /// The CAS id of the header; 0 means unconditional.
    pub cas: u64,
    /// What to do.
    pub command: BinaryCommand<'a>,
}

/// The commands of the binary protocol, without their quiet doubles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinaryCommand<'a> {
    /// GET, GETK, GAT, GATK.
    Get {
        /// The key.
        key: Key<'a>,
        /// The reply repeats the key.
        with_key: bool,
        /// A new expiry time (GAT, GATK).
        touch: Option<i64>,
    },
    /// TOUCH.
    Touch {
        /// The key.
        key: Key<'a>,
        /// Expiry time as written.
        exptime: i64,
    },
    /// SET, ADD, REPLACE, APPEND, PREPEND. With a CAS id in the header the first three become
    /// [`StoreMode::Cas`], and the other two must compare [`Binary::cas`]. `noreply` is always
    /// false, since errors of quiet forms are sent: see [`Binary::quiet`].
    Store(Store<'a>),
    /// DELETE.
    Delete {
        /// The key.
        key: Key<'a>,
    },
    /// INCREMENT, DECREMENT.
    Arithmetic {
        /// The key.
        key: Key<'a>,
        /// True for DECREMENT.
        decrement: bool,
        /// What to add or subtract.
        delta: u64,
        /// Value to create on a miss, with its expiry time; `None`: a miss is an error.
        initial: Option<(u64, i64)>,
    },
    /// FLUSH after a delay as written; 0 is now.
    Flush {
        /// Seconds or a Unix time.
        delay: i64,
    },
    /// NOOP: also sends everything that is ready.
    Noop,
    /// VERSION.
    Version,
    /// QUIT: answers unless quiet, then closes.
    Quit,
    /// STAT; `Stats::Other` is answered with "Not found".
    Stat(Stats<'a>),
    /// SASL_LIST_MECHS.
    SaslList,
    /// SASL_AUTH.
    SaslAuth {
        /// The mechanism's name, 1..=32 bytes.
        mechanism: &'a [u8],
        /// The initial response.
        data: &'a [u8],
    },
    /// SASL_STEP.
    SaslStep {
        /// The mechanism's name, 1..=32 bytes.
        mechanism: &'a [u8],
        /// The response.
        data: &'a [u8],
    },
}

/// Bytes of the longest body: the reference's upper limit of an item.
const BODY_BYTES_MAX: u32 = 1 << 30;
/// Bytes of the longest mechanism name.
const MECHANISM_BYTES_MAX: usize = 32;
/// Bytes of the longest SASL response. PLAIN needs two names and a password.
const SASL_BYTES_MAX: usize = 4096;
/// The expiry time of an arithmetic command that must not create.
const NO_CREATION: u32 = u32::MAX;

/// Opcodes by their name in the specification, quiet ones left out where [`loud`] maps them.
mod op {
    pub(super) const GET: u8 = 0x00;
    pub(super) const SET: u8 = 0x01;
    pub(super) const ADD: u8 = 0x02;
    pub(super) const REPLACE: u8 = 0x03;
    pub(super) const DELETE: u8 = 0x04;
    pub(super) const INCREMENT: u8 = 0x05;
    pub(super) const DECREMENT: u8 = 0x06;
    pub(super) const QUIT: u8 = 0x07;
    pub(super) const FLUSH: u8 = 0x08;
    pub(super) const GETQ: u8 = 0x09;
    pub(super) const NOOP: u8 = 0x0a;
    pub(super) const VERSION: u8 = 0x0b;
    pub(super) const GETK: u8 = 0x0c;
    pub(super) const GETKQ: u8 = 0x0d;
    pub(super) const APPEND: u8 = 0x0e;
    pub(super) const PREPEND: u8 = 0x0f;
    pub(super) const STAT: u8 = 0x10;
    pub(super) const SETQ: u8 = 0x11;
    pub(super) const FLUSHQ: u8 = 0x18;
    pub(super) const APPENDQ: u8 = 0x19;
    pub(super) const PREPENDQ: u8 = 0x1a;
    pub(super) const TOUCH: u8 = 0x1c;
    pub(super) const GAT: u8 = 0x1d;
    pub(super) const GATQ: u8 = 0x1e;
    pub(super) const SASL_LIST: u8 = 0x20;
    pub(super) const SASL_AUTH: u8 = 0x21;
    pub(super) const SASL_STEP: u8 = 0x22;
    pub(super) const GATK: u8 = 0x23;
    pub(super) const GATKQ: u8 = 0x24;
}

/// The loud form of an opcode, and whether it was quiet.
fn loud(opcode: u8) -> (u8, bool) {
    match opcode {
        // SETQ to FLUSHQ mirror SET to FLUSH.
        op::SETQ..=op::FLUSHQ => (opcode - op::SETQ + op::SET, true),
        op::APPENDQ => (op::APPEND, true),
        op::PREPENDQ => (op::PREPEND, true),
        op::GETQ => (op::GET, true),
        op::GETKQ => (op::GETK, true),
        op::GATQ => (op::GAT, true),
        op::GATKQ => (op::GATK, true),
        _ => (opcode, false),
    }
}

/// A request header in the machine's byte order.
#[derive(Clone, Copy)]
struct Header {
    opcode: Opcode,
    key_bytes: usize,
    extras_bytes: usize,
    body_bytes: u32,
    opaque: u32,
    cas: u64,
}

impl Header {
    /// `None` without the magic byte.
    fn new(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [magic, opcode, key_0, key_1, extras_bytes, _type, _, _, rest @ ..] = bytes;
        let [body_0, body_1, body_2, body_3, opaque_0, opaque_1, opaque_2, opaque_3, cas @ ..] =
            rest;
        (*magic == MAGIC_REQUEST).then(|| Self {
            opcode: Opcode(*opcode),
            key_bytes: usize::from(u16::from_be_bytes([*key_0, *key_1])),
            extras_bytes: usize::from(*extras_bytes),
            body_bytes: u32::from_be_bytes([*body_0, *body_1, *body_2, *body_3]),
            opaque: u32::from_be_bytes([*opaque_0, *opaque_1, *opaque_2, *opaque_3]),
            cas: u64::from_be_bytes(*cas),
        })
    }

    fn refusal(&self, status: Status) -> Refusal {
        Refusal::Binary { opcode: self.opcode, opaque: self.opaque, status }
    }

    fn close<'a>(&self, status: Status) -> Step<'a> {
        Step::Close { refusal: Some(self.refusal(status)) }
    }

    /// Bytes of everything before the value.
    fn bytes_before_value(&self) -> usize {
        HEADER_BYTES + self.extras_bytes + self.key_bytes
    }

    fn value_bytes(&self) -> usize {
        self.body_bytes as usize - self.extras_bytes - self.key_bytes
    }

    /// Whether the lengths are those that the opcode wants.
    fn has_legal_lengths(&self) -> bool {
        let (key, extras, value) = (self.key_bytes, self.extras_bytes, self.value_bytes());
        match loud(self.opcode.0).0 {
            op::NOOP | op::VERSION | op::QUIT | op::SASL_LIST => self.body_bytes == 0,
            op::FLUSH => key == 0 && value == 0 && (extras == 0 || extras == 4),
            op::SET | op::ADD | op::REPLACE => key > 0 && extras == 8,
            op::APPEND | op::PREPEND | op::SASL_AUTH | op::SASL_STEP => key > 0 && extras == 0,
            op::GET | op::GETK | op::DELETE => key > 0 && extras == 0 && value == 0,
            op::INCREMENT | op::DECREMENT => key > 0 && extras == 20 && value == 0,
            op::TOUCH | op::GAT | op::GATK => key > 0 && extras == 4,
            op::STAT => extras == 0,
            _ => true,
        }
    }
}

impl Parser {
    /// The step at the start of a binary request.
    pub(super) fn binary<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(bytes) = input.first_chunk() else { return Step::Need };
        let Some(header) = Header::new(bytes) else { return Step::Close { refusal: None } };
        let named_bytes = header.key_bytes + header.extras_bytes;
        if named_bytes > header.body_bytes as usize {
            return header.close(Status::UnknownCommand);
        }
        if header.body_bytes > BODY_BYTES_MAX {
            return header.close(Status::Invalid);
        }
        if self.gate == Gate::Sasl && !is_open_to_all(header.opcode) {
            return header.close(Status::AuthError);
        }
        if header.key_bytes > KEY_BYTES_MAX || !header.has_legal_lengths() {
            return header.close(Status::Invalid);
        }
        let Some(named) = input.get(HEADER_BYTES..HEADER_BYTES + named_bytes) else {
            return Step::Need;
        };
        let (extras, key) = named.split_at(header.extras_bytes);
        self.binary_request(input, header, extras, key)
    }

    fn binary_request<'a>(
        &mut self,
        input: &'a [u8],
        header: Header,
        extras: &'a [u8],
        key: &'a [u8],
    ) -> Step<'a> {
        match loud(header.opcode.0).0 {
            code @ (op::SET | op::ADD | op::REPLACE | op::APPEND | op::PREPEND) => {
                let key = legal(key);
                self.binary_store(input, header, code, extras, key)
            }
            op::SASL_LIST | op::SASL_AUTH | op::SASL_STEP if !self.has_sasl => {
                self.refuse_body(header, Status::UnknownCommand)
            }
            code @ (op::SASL_AUTH | op::SASL_STEP) => self.binary_sasl(input, header, code, key),
            code => match simple_command(code, extras, key) {
                Some(command) => {
                    let consumed = header.bytes_before_value();
                    // The reference takes a value that should not be there for the next request.
                    self.refuse_data(header.value_bytes() as u64, Framing::Binary);
                    request(header, command, consumed)
                }
                None => self.refuse_body(header, Status::UnknownCommand),
            },
        }
    }

    /// Answers an error and swallows the value.
    fn refuse_body<'a>(&mut self, header: Header, status: Status) -> Step<'a> {
        self.refuse_data(header.value_bytes() as u64, Framing::Binary);
        let refusal = header.refusal(status);
        Step::Reject { refusal, consumed: header.bytes_before_value() }
    }

    fn binary_store<'a>(
        &mut self,
        input: &'a [u8],
        header: Header,
        code: u8,
        extras: &'a [u8],
        key: Key<'a>,
    ) -> Step<'a> {
        let mode = match (code, header.cas) {
            (op::APPEND, _) => StoreMode::Append,
            (op::PREPEND, _) => StoreMode::Prepend,
            (op::SET, 0) => StoreMode::Set,
            (op::ADD, 0) => StoreMode::Add,
            (_, 0) => StoreMode::Replace,
            (_, cas) => StoreMode::Cas(cas),
        };
        let (flags, exptime) = match extras.split_first_chunk() {
            Some((flags, exptime)) => (u32::from_be_bytes(*flags), exptime_extras(exptime)),
            None => (0, 0),
        };
        let store = Store { key, mode, flags, exptime, value: &[], noreply: false };
        let (header_bytes, value_bytes) = (header.bytes_before_value(), header.value_bytes());
        if value_bytes > self.limits.item_bytes_max as usize {
            self.refuse_data(value_bytes as u64, Framing::Binary);
            let request = as_request(header, BinaryCommand::Store(store));
            return Step::Oversize { request, consumed: header_bytes };
        }
        let consumed = header_bytes + value_bytes;
        match input.get(header_bytes..consumed) {
            Some(value) => {
                request(header, BinaryCommand::Store(Store { value, ..store }), consumed)
            }
            None => {
                let request = as_request(header, BinaryCommand::Store(store));
                Step::Upload { request, header_bytes, value_bytes, tail_bytes: 0 }
            }
        }
    }

    fn binary_sasl<'a>(
        &mut self,
        input: &'a [u8],
        header: Header,
        code: u8,
        mechanism: &'a [u8],
    ) -> Step<'a> {
        if mechanism.len() > MECHANISM_BYTES_MAX {
            return self.refuse_body(header, Status::Invalid);
        }
        if header.value_bytes() > SASL_BYTES_MAX {
            return self.refuse_body(header, Status::OutOfMemory);
        }
        let start = header.bytes_before_value();
        let consumed = start + header.value_bytes();
        let Some(data) = input.get(start..consumed) else { return Step::Need };
        let command = if code == op::SASL_AUTH {
            BinaryCommand::SaslAuth { mechanism, data }
        } else {
            BinaryCommand::SaslStep { mechanism, data }
        };
        request(header, command, consumed)
    }
}

/// What a client may ask before it is authenticated. Everything else is denied.
fn is_open_to_all(opcode: Opcode) -> bool {
    matches!(opcode.0, op::SASL_LIST | op::SASL_AUTH | op::SASL_STEP | op::VERSION)
}

/// The commands without a value, their lengths being right; `None` for an unknown opcode.
fn simple_command<'a>(code: u8, extras: &[u8], key: &'a [u8]) -> Option<BinaryCommand<'a>> {
    let exptime = || exptime_extras(extras);
    let get = |with_key, touch| BinaryCommand::Get { key: legal(key), with_key, touch };
    let command = match code {
        op::GET => get(false, None),
        op::GETK => get(true, None),
        op::GAT => get(false, Some(exptime())),
        op::GATK => get(true, Some(exptime())),
        op::TOUCH => BinaryCommand::Touch { key: legal(key), exptime: exptime() },
        op::DELETE => BinaryCommand::Delete { key: legal(key) },
        op::INCREMENT | op::DECREMENT => arithmetic(extras, key, code == op::DECREMENT),
        op::FLUSH if extras.is_empty() => BinaryCommand::Flush { delay: 0 },
        op::FLUSH => BinaryCommand::Flush { delay: exptime() },
        op::NOOP => BinaryCommand::Noop,
        op::VERSION => BinaryCommand::Version,
        op::QUIT => BinaryCommand::Quit,
        op::STAT => BinaryCommand::Stat(stats(key)),
        op::SASL_LIST => BinaryCommand::SaslList,
        _ => return None,
    };
    Some(command)
}

fn arithmetic<'a>(extras: &[u8], key: &'a [u8], decrement: bool) -> BinaryCommand<'a> {
    let number =
        |at: usize| extras[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let exptime = exptime_extras(&extras[16..]);
    let initial = (exptime != i64::from(NO_CREATION)).then(|| (number(8), exptime));
    BinaryCommand::Arithmetic { key: legal(key), decrement, delta: number(0), initial }
}

/// Names are compared as prefixes of what the client sent, but for those of three lists.
fn stats(name: &[u8]) -> Stats<'_> {
    match name {
        b"" => Stats::General,
        _ if name.starts_with(b"reset") => Stats::Reset,
        _ if name.starts_with(b"settings") => Stats::Settings,
        _ if name.starts_with(b"detail dump") => Stats::Detail(Ok(Detail::Dump)),
        _ if name.starts_with(b"detail on") => Stats::Detail(Ok(Detail::On)),
        _ if name.starts_with(b"detail off") => Stats::Detail(Ok(Detail::Off)),
        b"items" => Stats::Items,
        b"slabs" => Stats::Slabs,
        b"sizes" => Stats::Sizes,
        b"cores" => Stats::Cores,
        _ => Stats::Other(name),
    }
}

/// An expiry time is unsigned here: what would be negative is far in the future.
fn exptime_extras(extras: &[u8]) -> i64 {
    extras.first_chunk().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)))
}

fn legal(key: &[u8]) -> Key<'_> {
    Key::new(key).expect("the header's lengths were checked")
}

fn request<'a>(header: Header, command: BinaryCommand<'a>, consumed: usize) -> Step<'a> {
    Step::Request { request: as_request(header, command), consumed }
}

fn as_request<'a>(header: Header, command: BinaryCommand<'a>) -> Request<'a> {
    let Header { opcode, opaque, cas, .. } = header;
    Request::Binary(Binary { opcode, opaque, quiet: loud(opcode.0).1, cas, command })
}

#[cfg(test)]
mod tests;
