//! Groups: operations from many requests and connections, run together.
//!
//! A lookup costs two cache misses: the index bucket, then the item. One at a time they take 156 ns
//! over five million items, in groups whose buckets and items are prefetched first 60 to 65 ns
//! (measured with the engine alone). A group gathers up to [`GROUP_MAX`] operations, whoever they
//! are for; each shard's part runs under its token, in the order of the requests; the replies are
//! then delivered in the order of the requests, whatever order they were made in.

use std::iter::successors;
use std::ops::{Deref, Range};

use arrayvec::ArrayVec;

use super::execute::{Replies, Work, key_of};
use crate::config::limits::{GROUP_MAX, THREADS_MAX};
use crate::conn::ConnId;
use crate::mesh::Job;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::{Clock, Key, Request};
use crate::shard::Shard;

/// An operation on one key.
pub(super) struct Operation<'a> {
    pub(super) conn: ConnId,
    pub(super) shard: u8,
    pub(super) key: Key<'a>,
    pub(super) hash: u64,
    pub(super) work: Work<'a>,
}

/// Operations that will run together.
///
/// Requests of the meta and the binary protocol have many fields, which a `get` should not carry
/// around: they stand beside the operations, and [`Work::Request`] tells which one is meant.
pub(super) struct Group<'a> {
    operations: ArrayVec<Operation<'a>, GROUP_MAX>,
    requests: ArrayVec<Request<'a>, GROUP_MAX>,
    /// What each shard named has to do, so that nobody looks for it among the operations of all.
    parts: ArrayVec<Part, GROUP_MAX>,
    /// By shard: the number of its part plus one; 0 = none.
    part_of: [u8; THREADS_MAX + 1],
    /// By operation: the next one of the same part, if it isn't the last.
    next: [u8; GROUP_MAX],
}

/// A shard's operations: a chain in the order of the requests.
#[derive(Clone, Copy)]
struct Part {
    shard: u8,
    first: u8,
    last: u8,
}

const _: () = assert!(GROUP_MAX <= 1 << u8::BITS && THREADS_MAX <= 1 << u8::BITS, "u8 will do");

impl<'a> Group<'a> {
    /// A group of nothing.
    pub(super) fn new() -> Self {
        Self {
            operations: ArrayVec::new(),
            requests: ArrayVec::new(),
            parts: ArrayVec::new(),
            part_of: [0; THREADS_MAX + 1],
            next: [0; GROUP_MAX],
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.operations.is_full()
    }

    pub(super) fn clear(&mut self) {
        self.operations.clear();
        self.requests.clear();
        for part in self.parts.drain(..) {
            self.part_of[usize::from(part.shard)] = 0;
        }
    }

    /// Adds an operation. The group must not be full.
    #[inline]
    pub(super) fn push(&mut self, operation: Operation<'a>) {
        let (index, shard) = (self.operations.len() as u8, operation.shard);
        let part_of = &mut self.part_of[usize::from(shard)];
        match *part_of {
            0 => {
                self.parts.push(Part { shard, first: index, last: index });
                *part_of = self.parts.len() as u8;
            }
            number => {
                let part = &mut self.parts[usize::from(number) - 1];
                self.next[usize::from(part.last) % GROUP_MAX] = index;
                part.last = index;
            }
        }
        self.operations.push(operation);
    }

    /// The numbers of all parts, in the order in which the requests name their shards.
    pub(super) fn parts(&self) -> Range<usize> {
        0..self.parts.len()
    }

    /// The shard that has to do a part.
    #[inline]
    pub(super) fn shard_of(&self, part: usize) -> usize {
        usize::from(self.parts[part].shard)
    }

    /// The numbers of a part's operations.
    #[inline]
    fn chain(&self, part: usize) -> impl Iterator<Item = usize> + use<'_, 'a> {
        let Part { first, last, .. } = self.parts[part];
        successors(Some(first), move |&index| {
            (index != last).then(|| self.next[usize::from(index) % GROUP_MAX])
        })
        .map(usize::from)
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

/// Where in the text an operation's reply lies.
pub(super) type ReplyPlace = Range<u32>;

/// The part of a group that one shard does.
pub(super) struct ShardPart<'g, 'a> {
    pub(super) part: usize,
    pub(super) group: &'g Group<'a>,
    pub(super) replies: &'g mut Replies,
    pub(super) places: &'g mut [ReplyPlace; GROUP_MAX],
    pub(super) clock: Clock,
}

impl Job<Shard> for ShardPart<'_, '_> {
    fn run(&mut self, shard: &mut Shard) {
        shard.set_now(self.clock.now);
        let group = self.group;
        self.replies.shard = group.shard_of(self.part);
        if group.len() > 1 {
            for index in group.chain(self.part) {
                shard.prefetch_bucket(group[index].hash);
            }
            for index in group.chain(self.part) {
                shard.prefetch_item(group[index].hash);
            }
        }
        for index in group.chain(self.part) {
            let operation = &group[index];
            self.replies.trace.set_operation(index);
            let start = self.replies.text.len() as u32;
            operation.work.execute(
                operation.key,
                operation.hash,
                &group.requests,
                shard,
                self.replies,
                self.clock,
            );
            self.places[index % GROUP_MAX] = start..self.replies.text.len() as u32;
        }
    }
}
