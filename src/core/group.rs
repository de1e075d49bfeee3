//! Groups: operations from many requests and connections, run together.
//!
//! A lookup costs two cache misses: the index bucket, then the item. One at a time they take 156 ns
//! over five million items, in groups whose buckets and items are prefetched first 60 to 65 ns
//! (measured with the engine alone). A group gathers up to [`GROUP_MAX`] operations, whoever they
//! are for; each shard's part runs under its token, in the order of the requests; the replies are
//! then delivered in the order of the requests, whatever order they were made in.

use std::ops::{Deref, Range};

use arrayvec::ArrayVec;

use super::execute::{Replies, Work, key_of};
use crate::config::limits::GROUP_MAX;
use crate::conn::ConnId;
use crate::mesh::Job;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::{Clock, Key, Request};
use crate::shard::Shard;

/// An operation on one key.
pub(super) struct Operation<'a> {
    pub(super) conn: ConnId,
    pub(super) shard: usize,
    pub(super) key: Key<'a>,
    pub(super) hash: u64,
    pub(super) work: Work<'a>,
}

/// Operations that will run together.
///
/// Requests of the meta and the binary protocol have many fields, which a `get` should not carry
/// around: they stand beside the operations, and [`Work::Request`] tells which one is meant.
#[derive(Default)]
pub(super) struct Group<'a> {
    operations: ArrayVec<Operation<'a>, GROUP_MAX>,
    requests: ArrayVec<Request<'a>, GROUP_MAX>,
}

impl<'a> Group<'a> {
    /// A group of nothing.
    pub(super) fn new() -> Self {
        Self::default()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.operations.is_full()
    }

    pub(super) fn clear(&mut self) {
        self.operations.clear();
        self.requests.clear();
    }

    /// Adds an operation. The group must not be full.
    #[inline]
    pub(super) fn push(&mut self, operation: Operation<'a>) {
        self.operations.push(operation);
    }

    /// The key that an operation is about, as the cache knows it.
    pub(super) fn key_of<'k>(
        &'k self,
        operation: &'k Operation<'a>,
        scratch: &'k mut [u8; KEY_BYTES_MAX],
    ) -> Key<'k> {
        let kept = match operation.work {
            Work::Request(index) => key_of(&self.requests[index], scratch),
            _ => None,
        };
        kept.unwrap_or(operation.key)
    }

    /// Keeps a request for the operation that is pushed next, which names it by the work returned.
    pub(super) fn keep(&mut self, request: Request<'a>) -> Work<'a> {
        self.requests.push(request);
        Work::Request(self.requests.len() - 1)
    }
}

impl<'a> Deref for Group<'a> {
    type Target = [Operation<'a>];

    #[inline]
    fn deref(&self) -> &[Operation<'a>] {
        &self.operations
    }
}

/// Where each operation's reply lies in the text, and where its pinned value in the list of them.
#[derive(Default, Clone)]
pub(super) struct ReplyPlace {
    pub(super) text: Range<usize>,
    pub(super) pins: Range<usize>,
}

/// The part of a group that one shard does.
pub(super) struct ShardPart<'g, 'a> {
    pub(super) shard: usize,
    pub(super) group: &'g Group<'a>,
    pub(super) replies: &'g mut Replies,
    pub(super) places: &'g mut [ReplyPlace],
    pub(super) clock: Clock,
}

impl Job<Shard> for ShardPart<'_, '_> {
    fn run(&mut self, shard: &mut Shard) {
        shard.set_now(self.clock.now);
        self.replies.shard = self.shard;
        let group = self.group;
        let mine = group.iter().enumerate().filter(|(_, operation)| operation.shard == self.shard);
        if group.len() > 1 {
            for (_, operation) in mine.clone() {
                shard.prefetch_bucket(operation.hash);
            }
            for (_, operation) in mine.clone() {
                shard.prefetch_item(operation.hash);
            }
        }
        for (index, operation) in mine {
            self.replies.trace.set_operation(index);
            let text = self.replies.text.len();
            let pins = self.replies.pins.len();
            operation.work.execute(
                operation.key,
                operation.hash,
                &group.requests,
                shard,
                self.replies,
                self.clock,
            );
            self.places[index] = ReplyPlace {
                text: text..self.replies.text.len(),
                pins: pins..self.replies.pins.len(),
            };
        }
    }
}
