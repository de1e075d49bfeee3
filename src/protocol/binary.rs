//! The binary protocol: a 24-byte header, then extras, key and value.

use super::admin::Stats;
use super::key::Key;
use super::request::Store;

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
    /// SET, ADD, REPLACE, APPEND, PREPEND. The mode is the opcode's, whatever the header's CAS
    /// id; a CAS id other than 0 must match in every mode (SET, ADD and REPLACE become CAS).
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

impl super::Parser {
    /// The step at the start of a binary request.
    pub(super) fn binary<'a>(&mut self, _input: &'a [u8]) -> super::Step<'a> {
        super::Step::Close { refusal: None }
    }
}
