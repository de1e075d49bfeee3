//! The binary protocol's commands: those on keys, and those that only have to be answered in their
//! place among the others.
//!
//! A quiet command hides its nominal outcome: a mutation its success, a lookup its miss. Errors are
//! always sent.

use super::Replies;
use crate::core::trace::Event;
use crate::protocol::binary::BinaryCommand;
use crate::protocol::reply::{
    BinaryHeader, Sink, Status, put_binary, put_binary_error, put_binary_header, put_binary_status,
};
use crate::protocol::time::exptime_to_clock;
use crate::protocol::{Binary, Clock, Key, Store, StoreMode};
use crate::shard::{
    self, Access, Arithmetic, Computed, DeleteOptions, Deleted, Shard, StoreOptions, Stored,
};

/// What clients are told about the version; the first word is what some of them parse.
pub(in crate::core) const VERSION: &[u8] = b"1.6.45 ringcached";

/// The opcodes of SET and SETQ.
const SET_OPCODES: [u8; 2] = [0x01, 0x11];

/// A binary command at work.
#[derive(Clone, Copy)]
pub(super) struct Command<'c, 'a> {
    pub(super) request: &'c Binary<'a>,
    pub(super) hash: u64,
    pub(super) clock: Clock,
}

impl Command<'_, '_> {
    pub(super) fn execute(self, shard: &mut Shard, replies: &mut Replies) {
        match &self.request.command {
            BinaryCommand::Get { key, with_key, touch } => {
                self.get(*key, *with_key, *touch, shard, replies);
            }
            BinaryCommand::Touch { key, exptime } => self.touch(*key, *exptime, shard, replies),
            BinaryCommand::Store(store) => {
                let options = options(self.request, self.clock);
                let stored = shard.store(&self.item(store.key), &options, store.value);
                if replies.trace.is_on() {
                    let bytes = store.value.len();
                    replies.trace.add(Event::stored(&options, stored, bytes, self.clock.now));
                }
                answer_store(self.request, stored, replies);
            }
            BinaryCommand::Delete { key } => self.delete(*key, shard, replies),
            BinaryCommand::Arithmetic { key, decrement, delta, initial } => {
                let options = Arithmetic {
                    cas_compare: self.cas_compare(),
                    vivify: initial.map(|(number, raw)| (number, self.exptime(raw))),
                    ..Arithmetic::new(!decrement, *delta)
                };
                let was = replies.trace.look(shard, &self.item(*key));
                replies.trace.looked(was, shard);
                let computed = shard.arithmetic(&self.item(*key), &options);
                if let Computed::Value { created: true, exptime, .. } = computed {
                    let ttl_s = exptime.saturating_sub(self.clock.now);
                    replies.trace.placed("add", shard, &self.item(*key), ttl_s);
                }
                self.answer_arithmetic(computed, replies);
            }
            BinaryCommand::Version => self.succeed(0, VERSION, replies),
            BinaryCommand::Noop | BinaryCommand::Quit => self.succeed(0, b"", replies),
            BinaryCommand::Flush { .. }
            | BinaryCommand::Stat(_)
            | BinaryCommand::SaslList
            | BinaryCommand::SaslAuth { .. }
            | BinaryCommand::SaslStep { .. } => unreachable!("these concern more than a shard"),
        }
    }

    fn get(
        self,
        key: Key<'_>,
        with_key: bool,
        touch: Option<i64>,
        shard: &mut Shard,
        replies: &mut Replies,
    ) {
        let access = touch.map_or(Access::Get, |raw| Access::Touch(self.exptime(raw)));
        let Some(hit) = shard.get(&self.item(key), access) else {
            replies.trace.missed(shard.last_miss(), true);
            return self.miss(with_key.then_some(key), replies);
        };
        replies.trace.hit(&hit, true);
        let key = if with_key { key.bytes() } else { b"" };
        self.put_hit(hit.cas(), hit.client_flags(), key, hit.value_bytes(), replies);
        replies.value(hit);
    }

    fn miss(self, key: Option<Key<'_>>, replies: &mut Replies) {
        if self.request.quiet {
            return;
        }
        let Some(key) = key else { return self.fail(Status::KeyNotFound, replies) };
        // The key takes the place of the error's text.
        let header = BinaryHeader {
            opcode: self.request.opcode,
            opaque: self.request.opaque,
            status: Status::KeyNotFound,
            extras_bytes: 0,
            key_bytes: key.bytes().len() as u16,
            value_bytes: 0,
            cas: 0,
        };
        put_binary_header(&mut replies.text, header);
        replies.text.put(key.bytes());
    }

    fn touch(self, key: Key<'_>, raw: i64, shard: &mut Shard, replies: &mut Replies) {
        match shard.get(&self.item(key), Access::Touch(self.exptime(raw))) {
            Some(hit) => {
                replies.trace.hit(&hit, true);
                self.put_hit(hit.cas(), hit.client_flags(), b"", 0, replies);
            }
            None => {
                replies.trace.missed(shard.last_miss(), true);
                self.fail(Status::KeyNotFound, replies);
            }
        }
    }

    fn delete(self, key: Key<'_>, shard: &mut Shard, replies: &mut Replies) {
        let options = DeleteOptions { cas_compare: self.cas_compare(), ..DeleteOptions::default() };
        let was = replies.trace.look(shard, &self.item(key));
        let deleted = shard.delete_with(&self.item(key), &options);
        if deleted != Deleted::Exists {
            replies.trace.deleted(was, "delete");
        }
        match deleted {
            Deleted::Deleted => self.succeed(0, b"", replies),
            Deleted::NotFound => self.fail(Status::KeyNotFound, replies),
            Deleted::Exists => self.fail(Status::KeyExists, replies),
            Deleted::OutOfMemory => self.fail(Status::OutOfMemory, replies),
        }
    }

    fn answer_arithmetic(self, computed: Computed, replies: &mut Replies) {
        match computed {
            Computed::Value { number, cas, .. } => {
                self.succeed(cas, &number.to_be_bytes(), replies);
            }
            Computed::NotFound => self.fail(Status::KeyNotFound, replies),
            Computed::Exists => self.fail(Status::KeyExists, replies),
            Computed::NonNumeric => self.fail(Status::NonNumeric, replies),
            Computed::OutOfMemory => {
                let text = b"Out of memory incrementing value";
                let Binary { opcode, opaque, .. } = *self.request;
                let status = Status::OutOfMemory;
                put_binary_status(&mut replies.text, opcode, opaque, status, 0, text);
            }
        }
    }

    /// The header, client flags and key of an item that was found; its value follows.
    fn put_hit(self, cas: u64, flags: u32, key: &[u8], value_bytes: usize, replies: &mut Replies) {
        let flags = flags.to_be_bytes();
        let header = BinaryHeader {
            opcode: self.request.opcode,
            opaque: self.request.opaque,
            status: Status::Success,
            extras_bytes: flags.len() as u8,
            key_bytes: key.len() as u16,
            value_bytes: value_bytes as u32,
            cas,
        };
        put_binary_header(&mut replies.text, header);
        replies.text.put(&flags);
        replies.text.put(key);
    }

    fn succeed(self, cas: u64, body: &[u8], replies: &mut Replies) {
        if !self.request.quiet {
            let Binary { opcode, opaque, .. } = *self.request;
            put_binary(&mut replies.text, opcode, opaque, cas, body);
        }
    }

    fn fail(self, status: Status, replies: &mut Replies) {
        let Binary { opcode, opaque, .. } = *self.request;
        put_binary_error(&mut replies.text, opcode, opaque, status);
    }

    fn item<'k>(&self, key: Key<'k>) -> shard::Key<'k> {
        shard::Key { bytes: key.bytes(), hash: self.hash }
    }

    fn exptime(&self, raw: i64) -> u32 {
        exptime_to_clock(raw, self.clock)
    }

    fn cas_compare(&self) -> Option<u64> {
        cas_compare(self.request)
    }
}

/// The key that a command is about.
pub(super) fn key_of<'a>(request: &Binary<'a>) -> Option<Key<'a>> {
    match &request.command {
        BinaryCommand::Get { key, .. }
        | BinaryCommand::Touch { key, .. }
        | BinaryCommand::Delete { key }
        | BinaryCommand::Arithmetic { key, .. } => Some(*key),
        BinaryCommand::Store(store) => Some(store.key),
        _ => None,
    }
}

/// What the shard is to do for a store.
pub(super) fn options(request: &Binary<'_>, clock: Clock) -> StoreOptions {
    let store = as_store(request);
    let mode = match store.mode {
        StoreMode::Set => shard::StoreMode::Set,
        StoreMode::Add => shard::StoreMode::Add,
        StoreMode::Replace => shard::StoreMode::Replace,
        StoreMode::Append => shard::StoreMode::Append,
        StoreMode::Prepend => shard::StoreMode::Prepend,
        StoreMode::Cas(cas) => shard::StoreMode::Cas(cas),
    };
    StoreOptions {
        cas_compare: cas_compare(request),
        remove_on_failure: SET_OPCODES.contains(&request.opcode.0),
        ..StoreOptions::new(mode, store.flags, exptime_to_clock(store.exptime, clock))
    }
}

/// Appends what a store is answered.
pub(super) fn answer_store(request: &Binary<'_>, stored: Stored, replies: &mut Replies) {
    let Binary { opcode, opaque, .. } = *request;
    let status = match stored {
        Stored::Stored { .. } if request.quiet => return,
        Stored::Stored { cas, .. } => {
            return put_binary(&mut replies.text, opcode, opaque, cas, b"");
        }
        Stored::NotStored => match as_store(request).mode {
            StoreMode::Add => Status::KeyExists,
            StoreMode::Replace => Status::KeyNotFound,
            _ => Status::NotStored,
        },
        Stored::Exists => Status::KeyExists,
        Stored::NotFound => Status::KeyNotFound,
        Stored::TooLarge => Status::TooLarge,
        Stored::OutOfMemory => {
            let text = b"Out of memory allocating item";
            let status = Status::OutOfMemory;
            return put_binary_status(&mut replies.text, opcode, opaque, status, 0, text);
        }
    };
    put_binary_error(&mut replies.text, opcode, opaque, status);
}

fn as_store<'r, 'a>(request: &'r Binary<'a>) -> &'r Store<'a> {
    match &request.command {
        BinaryCommand::Store(store) => store,
        other => unreachable!("{other:?} stores nothing"),
    }
}

/// The CAS id that the item must have; the header's 0 means any.
fn cas_compare(request: &Binary<'_>) -> Option<u64> {
    Some(request.cas).filter(|cas| *cas != 0)
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
