//! The parser of one connection: where in its stream it stands, and what comes next.

use super::reply::Refusal;
use super::request::Request;

/// Which protocol a listener speaks (`-B`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Text and meta commands only.
    Ascii,
    /// The binary protocol only.
    Binary,
    /// Told by the first byte of each connection.
    Auto,
}

/// What a connection must do before its requests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    Open,
    /// `-Y`: a text store of `user password` first. Needs [`Binding::Ascii`].
    Token,
    /// `-S`: SASL first. Needs [`Binding::Binary`].
    Sasl,
}

/// The lengths that matter while parsing, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `-I`: a longer value is an [`Step::Oversize`].
    pub item_bytes_max: u32,
    /// Without a line end in so many bytes a connection is closed, unless it sends a `get`.
    pub line_bytes_max: u32,
    /// From so many bytes on, the keys of an unfinished `get` line are handed out. The receive
    /// buffer must be able to hold this and one more receive.
    pub keys_bytes_min: u32,
}

/// What a connection speaks and where in its stream it stands.
#[derive(Clone, Debug)]
pub struct Parser {
    binding: Binding,
    gate: Gate,
    limits: Limits,
    swallow_bytes: u64,
}

/// What to do next. `consumed` counts bytes from the start of the input given.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// A whole request, with its value if it has one. Execute it, then drop `consumed` bytes.
    Request {
        /// The request.
        request: Request<'a>,
        /// Bytes it took, value included.
        consumed: usize,
    },
    /// The header of a store (`Store`, `MetaSet` or `Binary`, with an empty value) whose data
    /// block is not all there. Either keep all bytes and call again with more, or take the upload:
    /// drop `header_bytes`, feed `value_bytes` into a reservation, then `tail_bytes` that
    /// [`Parser::tail`] must accept. To have the request again at the end, keep the header's
    /// bytes and give them to a clone of the parser: it answers this very step.
    Upload {
        /// The store without its value.
        request: Request<'a>,
        /// Bytes of the header.
        header_bytes: usize,
        /// Bytes of the value that follows.
        value_bytes: usize,
        /// Bytes behind the value: 2 for text (`\r\n`), 0 for binary.
        tail_bytes: usize,
    },
    /// The header of a store that is longer than `Limits::item_bytes_max`. Answer "too large"
    /// (and delete the present item for a plain `set` and any `ms`), drop `consumed` bytes; the
    /// parser swallows the data block by itself. The value in `request` is empty.
    Oversize {
        /// The store without its value.
        request: Request<'a>,
        /// Bytes of the header.
        consumed: usize,
    },
    /// Incomplete: keep all bytes, call again when there are more.
    Need,
    /// Drop `consumed` bytes; there is nothing to answer.
    Skip {
        /// Bytes to drop.
        consumed: usize,
    },
    /// A malformed request: answer it and go on. What must be swallowed is remembered.
    Reject {
        /// The answer.
        refusal: Refusal,
        /// Bytes to drop.
        consumed: usize,
    },
    /// Send what is pending, then the refusal if there is one, then close. Nothing behind it may
    /// be parsed.
    Close {
        /// The last words.
        refusal: Option<Refusal>,
    },
}

impl Parser {
    /// A parser at the start of a connection.
    pub fn new(binding: Binding, gate: Gate, limits: Limits) -> Self {
        Self { binding, gate, limits, swallow_bytes: 0 }
    }

    /// The next step for the unread `input`, which starts where the last step's consumption ended.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if input.is_empty() {
            return Step::Need;
        }
        Step::Need
    }

    /// Throws away the next `bytes` of input: the data block of an upload that was refused after
    /// its header was consumed (value and tail, less what has been fed already).
    pub fn swallow(&mut self, bytes: usize) {
        self.swallow_bytes += bytes as u64;
    }

    /// Opens the gate, after the user and password were found right.
    pub fn admit(&mut self) {
        self.gate = Gate::Open;
    }

    /// Whether the bytes behind an uploaded value end its data block. If not, answer
    /// `reply::BAD_DATA_CHUNK` (unless a classic store said noreply) and go on: they are consumed.
    pub fn tail(tail: &[u8]) -> bool {
        tail.is_empty() || tail == b"\r\n"
    }
}
