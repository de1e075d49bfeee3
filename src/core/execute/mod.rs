//! What each operation does to a shard and what the client is told.
//!
//! [`Work`] is one request on one key, still in the words of its protocol; the files here, one a
//! protocol, join the parsed request with the shard's interface. All of it runs under
//! the shard's token, perhaps on another core than the one that parsed the request, so it knows
//! nothing but the shard, the clock and where to put the reply.

mod binary;
mod meta;
mod text;

use super::client::Pin;
use super::trace::Trace;
use crate::config::limits::PINNED_BYTES_MIN;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::reply::line;
use crate::protocol::time::exptime_to_clock;
use crate::protocol::{Clock, Key, Request, Store};
use crate::shard::{self, Hit, Shard, Stored};

/// Where replies gather until they are delivered.
#[derive(Default)]
pub(super) struct Replies {
    pub(super) text: Vec<u8>,
    /// Values that are not copied, and where in `text` each belongs.
    pub(super) pins: Vec<(usize, Option<Pin>)>,
    /// What the operations did, if somebody watches.
    pub(super) trace: Trace,
    /// The shard that is at work.
    pub(super) shard: usize,
}

impl Replies {
    /// Adds an item's value: a copy, or a large one as it lies in the arena.
    #[inline(always)]
    fn value(&mut self, hit: Hit<'_>) {
        match hit.value() {
            Some(value) if value.len() < PINNED_BYTES_MIN => self.text.extend_from_slice(value),
            _ => self.large_value(hit),
        }
    }

    #[inline(never)]
    fn large_value(&mut self, hit: Hit<'_>) {
        if hit.value_bytes() < PINNED_BYTES_MIN {
            return hit.pieces().for_each(|piece| self.text.extend_from_slice(piece));
        }
        let pin = Pin { shard: self.shard, value: hit.pin() };
        self.pins.push((self.text.len(), Some(pin)));
    }
}

/// One request on one key.
#[derive(Clone)]
pub(super) enum Work<'a> {
    /// A reply that needs no shard.
    Literal(&'static [u8]),
    /// One key of a `get`, `gets`, `gat` or `gats`, and perhaps the `END` behind the last.
    Get { with_cas: bool, touch: Option<i64>, is_end: bool },
    /// `set` and its kin.
    Store(Store<'a>),
    /// `delete`.
    Delete { noreply: bool },
    /// `touch`.
    Touch { exptime: i64, noreply: bool },
    /// `incr`, `decr`.
    Arithmetic { decrement: bool, delta: u64, noreply: bool },
    /// A request of the meta or the binary protocol, by its number in the group.
    Request(usize),
}

impl Work<'_> {
    /// Does it and appends the reply.
    pub(super) fn execute(
        &self,
        key: Key<'_>,
        hash: u64,
        requests: &[Request<'_>],
        shard: &mut Shard,
        replies: &mut Replies,
        clock: Clock,
    ) {
        let item = shard::Key { bytes: key.bytes(), hash };
        let exptime = |raw| exptime_to_clock(raw, clock);
        match self {
            Self::Literal(text) => replies.text.extend_from_slice(text),
            Self::Get { with_cas, touch, is_end } => {
                text::get(key, item, *with_cas, touch.map(exptime), shard, replies);
                if *is_end {
                    replies.text.extend_from_slice(line::END);
                }
            }
            Self::Store(store) => text::store(store, item, shard, replies, clock),
            Self::Delete { noreply } => text::delete(item, *noreply, shard, replies),
            Self::Touch { exptime: raw, noreply } => {
                text::touch(item, exptime(*raw), *noreply, shard, replies);
            }
            Self::Arithmetic { decrement, delta, noreply } => {
                text::arithmetic(item, !*decrement, *delta, *noreply, shard, replies);
            }
            Self::Request(index) => execute(&requests[*index], hash, shard, replies, clock),
        }
    }
}

/// Does what a request of the meta or the binary protocol asks.
fn execute(
    request: &Request<'_>,
    hash: u64,
    shard: &mut Shard,
    replies: &mut Replies,
    clock: Clock,
) {
    let meta = |meta| meta::Command { meta, hash, clock };
    match request {
        Request::MetaGet(flags) => meta(flags).get(shard, replies),
        Request::MetaSet(flags, value) => meta(flags).set(value, shard, replies),
        Request::MetaDelete(flags) => meta(flags).delete(shard, replies),
        Request::MetaArithmetic(flags) => meta(flags).arithmetic(shard, replies),
        Request::MetaDebug(flags) => meta(flags).debug(shard, replies),
        Request::Binary(request) => {
            binary::Command { request, hash, clock }.execute(shard, replies);
        }
        _ => unreachable!("requests of the text protocol are other kinds of work"),
    }
}

/// The shard's options of a store whose value is still to come.
pub(super) fn upload_options(request: &Request<'_>, clock: Clock) -> shard::StoreOptions {
    match request {
        Request::Store(store) => text::options(store, clock),
        Request::MetaSet(meta, _) => meta::options(meta, clock),
        Request::Binary(request) => binary::options(request, clock),
        _ => unreachable!("the parser uploads stores only"),
    }
}

/// Appends what a store is answered, however its value of `value_bytes` came.
pub(super) fn answer_store(
    request: &Request<'_>,
    value_bytes: usize,
    stored: Stored,
    replies: &mut Replies,
) {
    match request {
        Request::Store(store) => text::answer_store(store, stored, replies),
        Request::MetaSet(meta, _) => meta::answer_store(meta, value_bytes, stored, replies),
        Request::Binary(request) => binary::answer_store(request, stored, replies),
        _ => unreachable!("the parser uploads stores only"),
    }
}

/// The key that a request is about, as the cache knows it: base64 is decoded into `scratch`. None
/// for requests that are about no key.
pub(super) fn key_of<'k>(
    request: &Request<'k>,
    scratch: &'k mut [u8; KEY_BYTES_MAX],
) -> Option<Key<'k>> {
    match request {
        Request::Store(store) => Some(store.key),
        Request::MetaGet(meta)
        | Request::MetaSet(meta, _)
        | Request::MetaDelete(meta)
        | Request::MetaArithmetic(meta)
        | Request::MetaDebug(meta) => Some(meta.key(scratch)),
        Request::Binary(request) => binary::key_of(request),
        _ => None,
    }
}

#[cfg(test)]
mod testing;
