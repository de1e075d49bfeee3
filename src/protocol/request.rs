//! The requests a parser hands out: typed, validated, borrowing from the receive buffer.
//!
//! A request is complete in itself: its key has a legal length, its numbers are numbers, its
//! value is whole. What is left to decide needs the cache or the server's settings. Expiry times
//! stay as the client wrote them, because turning them into the cache's clock needs the time of
//! day (see [`super::time`]).

use super::admin::Admin;
use super::binary::Binary;
use super::key::{Key, Keys};
use super::meta::Meta;

/// One command of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// `get`, `gets`, `gat`, `gats`: any number of keys.
    Get(Get<'a>),
    /// `set`, `add`, `replace`, `append`, `prepend`, `cas`.
    Store(Store<'a>),
    /// `delete`.
    Delete(Delete<'a>),
    /// `touch`.
    Touch(Touch<'a>),
    /// `incr`, `decr`.
    Arithmetic(Arithmetic<'a>),
    /// `mg`: get.
    MetaGet(Meta<'a>),
    /// `ms`: set; the second field is the value, without its line end.
    MetaSet(Meta<'a>, &'a [u8]),
    /// `md`: delete.
    MetaDelete(Meta<'a>),
    /// `ma`: arithmetic.
    MetaArithmetic(Meta<'a>),
    /// `me`: describe an item.
    MetaDebug(Meta<'a>),
    /// `mn`: answer `MN` and send everything that is ready.
    MetaNoop,
    /// Any command of the binary protocol.
    Binary(Binary<'a>),
    /// A user and a password, of text authentication (`-Y`). Answer with `STORED` and open the
    /// parser's gate by [`super::Parser::admit`], or with `reply::line::AUTH_FAILURE`.
    Authenticate {
        /// Bytes before the first space.
        user: &'a [u8],
        /// Bytes after it.
        password: &'a [u8],
    },
    /// Everything that is not about one key.
    Admin(Admin<'a>),
}

/// A retrieval of one or more keys, in the client's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Get<'a> {
    /// The keys; each one is legal. May be empty when `is_last` ends a long line.
    pub keys: Keys<'a>,
    /// Replies carry the CAS id (`gets`, `gats`).
    pub with_cas: bool,
    /// A new expiry time as written (`gat`, `gats`).
    pub touch: Option<i64>,
    /// False: the line goes on, more keys follow in the next request and `END` must wait.
    pub is_last: bool,
}

/// How a store treats what is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// Store in any case.
    Set,
    /// Store only if the key is absent.
    Add,
    /// Store only if the key is present.
    Replace,
    /// Put the value behind the present one; flags and expiry time stay.
    Append,
    /// Put the value before the present one; flags and expiry time stay.
    Prepend,
    /// Store only if the item still has this CAS id.
    Cas(u64),
}

/// A store of one value. In [`super::Step::Upload`] and [`super::Step::Oversize`] the value is
/// empty, because it has not been received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Condition and placement.
    pub mode: StoreMode,
    /// Opaque client flags.
    pub flags: u32,
    /// Expiry time as written: 0 never, up to 30 days relative, above that a Unix time, negative
    /// already expired.
    pub exptime: i64,
    /// The bytes, without the line end.
    pub value: &'a [u8],
    /// Send no reply, not even an error.
    pub noreply: bool,
}

/// A deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Send no reply.
    pub noreply: bool,
}

/// A new expiry time for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Expiry time as written.
    pub exptime: i64,
    /// Send no reply.
    pub noreply: bool,
}

/// `incr` (wraps at 2^64) or `decr` (stops at 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arithmetic<'a> {
    /// The key.
    pub key: Key<'a>,
    /// True for `decr`.
    pub decrement: bool,
    /// What to add or subtract.
    pub delta: u64,
    /// Send no reply.
    pub noreply: bool,
}
