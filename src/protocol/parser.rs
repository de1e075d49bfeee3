//! The parser of one connection: where in its stream it stands, and what comes next.
//!
//! All that must be remembered between two calls is a [`Place`]: a few words, whatever the client
//! sends. Everything else is found again in the input, which the connection keeps until a step
//! says that it is consumed. So a parser is cheap to hold for each of a million connections, and
//! a call with the same input gives the same answer.

use super::reply::Refusal;
use super::request::{Get, Request};
use crate::config::limits;

/// What a connection speaks and where in its stream it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parser {
    pub(super) place: Place,
    pub(super) gate: Gate,
    /// SASL is known here, whether or not this connection still needs it.
    pub(super) has_sasl: bool,
    pub(super) limits: Limits,
}

/// Where the unread input starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At a text request.
    Line,
    /// At a binary request.
    Frame,
    /// At the first byte of a connection that may speak either.
    Unknown,
    /// At the line, or inside the token, by which a client authenticates itself.
    Token { token_bytes: Option<u32> },
    /// In the middle of a retrieval's line.
    Keys { with_cas: bool, touch: Option<i64> },
    /// In a line that was refused: its end is the next place of interest.
    RefusedLine,
    /// In the data block of a store that was refused.
    RefusedData { bytes: u64, then: Framing },
}

/// What follows a refused data block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Text,
    Binary,
}

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

impl Default for Limits {
    /// With the item size that holds when `-I` is not given.
    fn default() -> Self {
        Self {
            item_bytes_max: limits::ITEM_BYTES_MAX_DEFAULT as u32,
            line_bytes_max: limits::LINE_BYTES_MAX as u32,
            keys_bytes_min: limits::KEYS_BYTES_MIN as u32,
        }
    }
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
        let place = match (gate, binding) {
            (Gate::Token, Binding::Ascii) => Place::Token { token_bytes: None },
            (Gate::Token, _) => panic!("authentication by text needs a text-only listener"),
            (Gate::Sasl, Binding::Ascii | Binding::Auto) => {
                panic!("SASL needs a binary-only listener")
            }
            (_, Binding::Ascii) => Place::Line,
            (_, Binding::Binary) => Place::Frame,
            (_, Binding::Auto) => Place::Unknown,
        };
        Self { place, gate, has_sasl: gate == Gate::Sasl, limits }
    }

    /// The next step for the unread `input`, which starts where the last step's consumption ended.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if self.place == Place::Line { self.text(input) } else { self.next_elsewhere(input) }
    }

    /// Whether the unread input starts with a text request, so that [`plain_get`] may look at it.
    ///
    /// [`plain_get`]: super::text::plain_get
    #[inline]
    pub fn is_at_line(&self) -> bool {
        self.place == Place::Line
    }

    fn next_elsewhere<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(first) = input.first() else { return Step::Need };
        match self.place {
            Place::Line => self.text(input),
            Place::Frame => self.binary(input),
            Place::Unknown if *first == super::binary::MAGIC_REQUEST => {
                self.place = Place::Frame;
                self.binary(input)
            }
            Place::Unknown => {
                self.place = Place::Line;
                self.text(input)
            }
            Place::Token { token_bytes } => self.authentication(input, token_bytes),
            Place::Keys { with_cas, touch } => self.more_keys(input, with_cas, touch),
            Place::RefusedLine => self.skip_line(input),
            Place::RefusedData { bytes, then } => self.skip_data(input, bytes, then),
        }
    }

    fn skip_line<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return Step::Skip { consumed: input.len() };
        };
        self.place = Place::Line;
        Step::Skip { consumed: end + 1 }
    }

    fn skip_data<'a>(&mut self, input: &'a [u8], bytes: u64, then: Framing) -> Step<'a> {
        let consumed = usize::try_from(bytes).map_or(input.len(), |bytes| bytes.min(input.len()));
        self.refuse_data(bytes - consumed as u64, then);
        Step::Skip { consumed }
    }

    /// Lets the next `bytes` of input be swallowed.
    pub(super) fn refuse_data(&mut self, bytes: u64, then: Framing) {
        self.place = match (bytes, then) {
            (0, Framing::Text) => Place::Line,
            (0, Framing::Binary) => Place::Frame,
            _ => Place::RefusedData { bytes, then },
        };
    }

    /// Throws away the next `bytes` of input: the rest of an upload that was refused after its
    /// header was consumed (value and tail, less what has been fed already). Only between steps
    /// that belong to no other data block.
    pub fn swallow(&mut self, bytes: usize) {
        let then = if self.place == Place::Frame { Framing::Binary } else { Framing::Text };
        assert!(matches!(self.place, Place::Line | Place::Frame), "no upload is open");
        self.refuse_data(bytes as u64, then);
    }

    /// Goes back into the middle of a retrieval: the input that follows starts with the keys that
    /// were handed out but not looked up, because the connection has enough to send for now.
    pub fn rewind(&mut self, get: &Get<'_>) {
        self.place = Place::Keys { with_cas: get.with_cas, touch: get.touch };
    }

    /// Opens the gate, after the user and password were found right.
    pub fn admit(&mut self) {
        self.gate = Gate::Open;
        if let Place::Token { .. } = self.place {
            self.place = Place::Line;
        }
    }

    /// Closes the gate again where SASL is in use: whoever authenticates anew is out until that is
    /// found right.
    pub fn dismiss(&mut self) {
        if self.has_sasl {
            self.gate = Gate::Sasl;
        }
    }

    /// Whether the bytes behind an uploaded value end its data block. If not, answer
    /// `reply::line::BAD_DATA_CHUNK` (unless a classic store said noreply) and go on: they are
    /// consumed.
    pub fn tail(tail: &[u8]) -> bool {
        tail.is_empty() || tail == b"\r\n"
    }

    /// Whether this connection speaks the binary protocol; `None` until its first byte.
    pub fn is_binary(&self) -> Option<bool> {
        match self.place {
            Place::Unknown => None,
            Place::Frame | Place::RefusedData { then: Framing::Binary, .. } => Some(true),
            _ => Some(false),
        }
    }
}

/// A refusal that respects noreply.
#[inline]
pub(super) fn reject<'a>(line: &'static [u8], noreply: bool, consumed: usize) -> Step<'a> {
    if noreply {
        Step::Skip { consumed }
    } else {
        Step::Reject { refusal: Refusal::Line(line), consumed }
    }
}

const _: () = assert!(size_of::<Parser>() <= 64, "one per connection, next to its hot state");
