//! What clients say and what they are answered, and nothing else: no socket, no cache, no clock.
//!
//! Bytes come in as a borrowed slice and go out as appended bytes. [`Parser::next`] looks at the
//! unread input of one connection and says what the next step is: a [`Request`] that borrows its
//! key and value from that input, a reply to a malformed line, bytes to throw away, or that more
//! bytes are needed. Nothing is copied and nothing is allocated, whatever the client sends.
//!
//! Three protocols share the port. The classic text protocol and the meta commands are lines
//! ([`text`], [`meta`]); the binary protocol is framed and announced by its first byte
//! ([`binary`]). They end in the same [`Request`], so that whoever executes requests need not
//! care which one a client prefers, except where the replies differ ([`reply`]).
//!
//! What holds, and is tested: every call makes progress or says [`Step::Need`] or
//! [`Step::Close`]; the steps do not depend on how the bytes were split on their way; and what
//! the parser remembers between two calls is a few words, however long a line or value is.
//!
//! The behaviour is memcached 1.6.45's, byte for byte, where following it loses neither data nor
//! safety. The deviations are listed in the manual's chapter on the protocol.

pub mod admin;
pub mod auth;
pub mod base64;
pub mod binary;
pub mod key;
pub mod meta;
pub mod number;
pub mod parser;
pub mod reply;
pub mod request;
pub mod text;
pub mod time;
pub mod udp;

pub use admin::Admin;
pub use binary::{Binary, BinaryCommand, Opcode};
pub use key::{Key, Keys};
pub use meta::Meta;
pub use parser::{Binding, Gate, Limits, Parser, Step};
pub use reply::Refusal;
pub use request::{Arithmetic, Delete, Get, Request, Store, StoreMode, Touch};
pub use text::plain_get;
pub use time::Clock;

#[cfg(test)]
mod testing;
