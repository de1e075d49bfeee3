//! The classic text protocol's commands on keys.

use super::Replies;
use crate::core::trace::Event;
use crate::protocol::reply::{Sink, line, put_u64, put_value_line};
use crate::protocol::time::exptime_to_clock;
use crate::protocol::{Clock, Key, Store, StoreMode};
use crate::shard::{self, Access, Arithmetic, Computed, Shard, StoreOptions, Stored};

#[inline(always)]
pub(super) fn get(
    key: Key<'_>,
    item: shard::Key<'_>,
    with_cas: bool,
    touch: Option<u32>,
    shard: &mut Shard,
    replies: &mut Replies,
) {
    let access = touch.map_or(Access::Get, Access::Touch);
    let Some(hit) = shard.get(&item, access) else {
        replies.trace.missed(shard.last_miss(), true);
        return;
    };
    replies.trace.hit(&hit, true);
    let cas = if with_cas { Some(hit.cas()) } else { None };
    put_value_line(&mut replies.text, key, hit.client_flags(), hit.value_bytes() as u32, cas);
    replies.value(hit);
    replies.text.put(b"\r\n");
}

pub(super) fn options(store: &Store<'_>, clock: Clock) -> StoreOptions {
    let mode = match store.mode {
        StoreMode::Set => shard::StoreMode::Set,
        StoreMode::Add => shard::StoreMode::Add,
        StoreMode::Replace => shard::StoreMode::Replace,
        StoreMode::Append => shard::StoreMode::Append,
        StoreMode::Prepend => shard::StoreMode::Prepend,
        StoreMode::Cas(cas) => shard::StoreMode::Cas(cas),
    };
    StoreOptions::new(mode, store.flags, exptime_to_clock(store.exptime, clock))
}

pub(super) fn store(
    store: &Store<'_>,
    item: shard::Key<'_>,
    shard: &mut Shard,
    replies: &mut Replies,
    clock: Clock,
) {
    let options = options(store, clock);
    let stored = shard.store(&item, &options, store.value);
    if replies.trace.is_on() {
        replies.trace.add(Event::stored(&options, stored, store.value.len(), clock.now));
    }
    answer_store(store, stored, replies);
}

pub(super) fn answer_store(store: &Store<'_>, stored: Stored, replies: &mut Replies) {
    if store.noreply {
        return;
    }
    replies.text.put(match stored {
        Stored::Stored { .. } => line::STORED,
        Stored::NotStored => line::NOT_STORED,
        Stored::Exists => line::EXISTS,
        Stored::NotFound => line::NOT_FOUND,
        Stored::TooLarge => line::TOO_LARGE,
        Stored::OutOfMemory => line::OUT_OF_MEMORY_STORING,
    });
}

pub(super) fn delete(
    item: shard::Key<'_>,
    noreply: bool,
    shard: &mut Shard,
    replies: &mut Replies,
) {
    let was = replies.trace.look(shard, &item);
    let deleted = shard.delete(&item);
    replies.trace.deleted(was, "delete");
    if !noreply {
        replies.text.put(if deleted { line::DELETED } else { line::NOT_FOUND });
    }
}

pub(super) fn touch(
    item: shard::Key<'_>,
    exptime: u32,
    noreply: bool,
    shard: &mut Shard,
    replies: &mut Replies,
) {
    let was = replies.trace.look(shard, &item);
    replies.trace.looked(was, shard);
    let touched = shard.touch(&item, exptime);
    if !noreply {
        replies.text.put(if touched { line::TOUCHED } else { line::NOT_FOUND });
    }
}

pub(super) fn arithmetic(
    item: shard::Key<'_>,
    increment: bool,
    delta: u64,
    noreply: bool,
    shard: &mut Shard,
    replies: &mut Replies,
) {
    let was = replies.trace.look(shard, &item);
    replies.trace.looked(was, shard);
    let computed = shard.arithmetic(&item, &Arithmetic::new(increment, delta));
    if noreply {
        return;
    }
    match computed {
        Computed::Value { number, .. } => {
            put_u64(&mut replies.text, number);
            replies.text.put(b"\r\n");
        }
        Computed::NotFound => replies.text.put(line::NOT_FOUND),
        Computed::Exists => replies.text.put(line::EXISTS),
        Computed::NonNumeric => replies.text.put(line::NON_NUMERIC),
        Computed::OutOfMemory => replies.text.put(line::OUT_OF_MEMORY),
    }
}
