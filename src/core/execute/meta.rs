//! The meta commands on keys.
//!
//! A command's flags mean something in their order: `t` before `T` tells the old time to live, `t`
//! behind it the new one. So the reply is formatted from what the item was before the command and
//! what each flag made of it ([`MetaItem`]), not from the item as it is when all is done.
//!
//! A key in base64 is decoded here once more (the first time was to hash it), into the stack.

use super::Replies;
use crate::core::trace::Event;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::reply::meta::{
    Description, MetaItem, Tail, put_arithmetic, put_description, put_get_line, put_plain_line,
    put_set_line,
};
use crate::protocol::reply::{Sink, line};
use crate::protocol::time::exptime_to_clock;
use crate::protocol::{Clock, Key, Meta, StoreMode};
use crate::shard::{
    self, Access, Arithmetic, Computed, DeleteOptions, Deleted, GetOptions, Hit, Miss, Shard,
    StoreOptions, Stored, Vivify,
};

/// Room for a decoded key.
type Scratch = [u8; KEY_BYTES_MAX];

/// A meta command at work.
#[derive(Clone, Copy)]
pub(super) struct Command<'c, 'a> {
    pub(super) meta: &'c Meta<'a>,
    /// Of the decoded key.
    pub(super) hash: u64,
    pub(super) clock: Clock,
}

impl Command<'_, '_> {
    /// `mg`.
    pub(super) fn get(self, shard: &mut Shard, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let (key, item) = self.key(&mut scratch);
        let touched = self.exptime(self.meta.exptime());
        let exptime_before = touched.and_then(|_| peek_exptime(shard, &item));
        let Some(mut hit) = shard.get_with(&item, &self.get_options(key, touched)) else {
            replies.trace.missed(shard.last_miss(), false);
            if !self.meta.quiet() {
                put_plain_line(&mut replies.text, b"EN", self.meta, key);
            }
            return;
        };
        if hit.created() {
            replies.trace.missed(Miss::NotFound, false);
        } else {
            replies.trace.hit(&hit, false);
        }
        let before =
            if hit.created() { 0 } else { exptime_before.unwrap_or_else(|| hit.exptime()) };
        let found = self.found(key, &hit, before);
        let tail = self.tail(&found, &mut hit);
        let unchanged = self.meta.cas_compare() == Some(hit.cas());
        let with_value = self.meta.has(b'v') && !unchanged;
        put_get_line(&mut replies.text, self.meta, &found, with_value, tail, self.clock.now);
        if with_value {
            replies.value(hit);
            replies.text.put(b"\r\n");
        }
    }

    /// `ms` with its value at hand.
    pub(super) fn set(self, value: &[u8], shard: &mut Shard, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let (key, item) = self.key(&mut scratch);
        let options = options(self.meta, self.clock);
        let stored = shard.store(&item, &options, value);
        if replies.trace.is_on() {
            replies.trace.add(Event::stored(&options, stored, value.len(), self.clock.now));
        }
        answer_set(self.meta, key, value.len(), stored, replies);
    }

    /// `md`.
    pub(super) fn delete(self, shard: &mut Shard, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let (key, item) = self.key(&mut scratch);
        let options = DeleteOptions {
            cas_compare: self.meta.cas_compare(),
            invalidate: self.meta.has(b'I'),
            clear: self.meta.has(b'x'),
            exptime: self.exptime(self.meta.exptime()),
            cas_new: self.meta.cas_new(),
        };
        let was = replies.trace.look(shard, &item);
        let deleted = shard.delete_with(&item, &options);
        if deleted == Deleted::Deleted && options.clear {
            replies.trace.placed("set", shard, &item, self.ttl_s(options.exptime.unwrap_or(0)));
        }
        if deleted == Deleted::Deleted && !options.invalidate {
            replies.trace.deleted(was, "md");
        }
        let code = match deleted {
            Deleted::Deleted if self.meta.quiet() => return,
            Deleted::Deleted => b"HD",
            Deleted::NotFound => b"NF",
            Deleted::Exists => b"EX",
            Deleted::OutOfMemory => return replies.text.put(line::OUT_OF_MEMORY),
        };
        put_plain_line(&mut replies.text, code, self.meta, key);
    }

    /// `ma`.
    pub(super) fn arithmetic(self, shard: &mut Shard, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let (key, item) = self.key(&mut scratch);
        let touched = self.exptime(self.meta.exptime());
        let exptime_before = touched.and_then(|_| peek_exptime(shard, &item));
        let fresh = self.about(key, 0);
        let options = Arithmetic {
            cas_compare: self.meta.cas_compare(),
            cas_new: self.meta.cas_new(),
            exptime: touched,
            vivify: self
                .meta
                .vivify()
                .map(|_| (self.meta.initial(), self.exptime_at(&fresh, None))),
            key_binary: self.meta.key_is_base64(),
            ..Arithmetic::new(!self.meta.decrements(), self.meta.delta())
        };
        let was = replies.trace.look(shard, &item);
        replies.trace.looked(was, shard);
        let computed = shard.arithmetic(&item, &options);
        if let Computed::Value { created: true, exptime, .. } = computed {
            replies.trace.placed("add", shard, &item, self.ttl_s(exptime));
        }
        let code = match computed {
            Computed::Value { .. } if self.meta.quiet() => return,
            Computed::Value { number, cas, exptime, created } => {
                let before = if created { 0 } else { exptime_before.unwrap_or(exptime) };
                let vivified = fresh.exptime_vivified.filter(|_| created);
                let item = MetaItem { cas, exptime: before, exptime_vivified: vivified, ..fresh };
                let now = self.clock.now;
                return put_arithmetic(&mut replies.text, self.meta, &item, number, now);
            }
            Computed::NotFound => b"NF",
            Computed::Exists => b"EX",
            Computed::NonNumeric => return replies.text.put(line::NON_NUMERIC),
            Computed::OutOfMemory => return replies.text.put(line::OUT_OF_MEMORY),
        };
        put_plain_line(&mut replies.text, code, self.meta, key);
    }

    /// `me`.
    pub(super) fn debug(self, shard: &mut Shard, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let (key, item) = self.key(&mut scratch);
        let Some(hit) = shard.get(&item, Access::Peek) else {
            replies.trace.missed(shard.last_miss(), false);
            return replies.text.put(b"EN\r\n");
        };
        replies.trace.hit(&hit, false);
        let description = Description {
            key,
            key_is_binary: self.is_spelled_in_base64(key, &hit),
            exptime: hit.exptime(),
            idle_seconds: self.clock.now.saturating_sub(hit.last_access()),
            cas: hit.cas(),
            fetched: hit.hit_before(),
            class: hit.class().0,
            item_bytes: hit.item_bytes(),
        };
        put_description(&mut replies.text, &description, self.clock.now);
    }

    /// The key as the cache knows it, and with its hash.
    fn key<'k>(&'k self, scratch: &'k mut Scratch) -> (Key<'k>, shard::Key<'k>) {
        let key = self.meta.key(scratch);
        (key, shard::Key { bytes: key.bytes(), hash: self.hash })
    }

    fn exptime(&self, raw: Option<i64>) -> Option<u32> {
        raw.map(|raw| exptime_to_clock(raw, self.clock))
    }

    /// Seconds to live, as the log tells them.
    fn ttl_s(&self, exptime: u32) -> u32 {
        exptime.saturating_sub(self.clock.now)
    }

    fn get_options(&self, key: Key<'_>, touched: Option<u32>) -> GetOptions {
        let vivify = self.exptime(self.meta.vivify()).map(|_| Vivify {
            exptime: self.exptime_at(&self.about(key, 0), None),
            cas: self.meta.cas_new(),
            key_binary: self.meta.key_is_base64(),
        });
        let access = touched.map_or(Access::Get, Access::Touch);
        GetOptions { access, bump: !self.meta.has(b'u'), vivify }
    }

    /// What is known without an item.
    fn about<'k>(&self, key: Key<'k>, exptime: u32) -> MetaItem<'k> {
        MetaItem {
            key,
            key_is_binary: self.meta.key_is_base64(),
            flags: 0,
            cas: 0,
            value_bytes: 0,
            exptime,
            exptime_touched: self.exptime(self.meta.exptime()),
            exptime_vivified: self.exptime(self.meta.vivify()),
            fetched_before: false,
            idle_seconds: 0,
        }
    }

    fn found<'k>(&self, key: Key<'k>, hit: &Hit<'_>, exptime_before: u32) -> MetaItem<'k> {
        let about = self.about(key, exptime_before);
        MetaItem {
            key_is_binary: self.is_spelled_in_base64(key, hit),
            flags: hit.client_flags(),
            cas: hit.cas(),
            value_bytes: hit.value_bytes(),
            exptime_vivified: about.exptime_vivified.filter(|_| hit.created()),
            fetched_before: hit.hit_before(),
            idle_seconds: self.clock.now.saturating_sub(hit.last_access()),
            ..about
        }
    }

    /// Whether a reply spells the key in base64: as whoever stored it did, or because in a line
    /// it could not stand otherwise.
    fn is_spelled_in_base64(&self, key: Key<'_>, hit: &Hit<'_>) -> bool {
        let breaks_lines = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
        hit.key_binary() || (self.meta.key_is_base64() && key.bytes().iter().any(breaks_lines))
    }

    /// The item's expiry time where the flag `letter` stands, or behind all flags.
    fn exptime_at(&self, item: &MetaItem<'_>, letter: Option<u8>) -> u32 {
        let before = self.meta.order().take_while(|flag| Some(*flag) != letter);
        before.fold(item.exptime, |exptime, flag| match flag {
            b'T' => item.exptime_touched.unwrap_or(exptime),
            b'N' => item.exptime_vivified.unwrap_or(exptime),
            _ => exptime,
        })
    }

    /// Decides who is to fetch the value anew, and notes it in the item.
    fn tail(&self, item: &MetaItem<'_>, hit: &mut Hit<'_>) -> Tail {
        let (stale, token_sent) = (hit.stale(), hit.token_sent());
        let is_due = self.exptime(self.meta.recache()).is_some_and(|recache| {
            let exptime = self.exptime_at(item, Some(b'R'));
            exptime != 0 && exptime < recache
        });
        let won = hit.created() || (!token_sent && (stale || is_due));
        if won {
            hit.set_token_sent(true);
        }
        Tail { won, token_sent, stale }
    }
}

/// An item's expiry time, which the command is about to change.
fn peek_exptime(shard: &mut Shard, item: &shard::Key<'_>) -> Option<u32> {
    shard.get(item, Access::Peek).map(|hit| hit.exptime())
}

/// What the shard is to do for an `ms`.
pub(super) fn options(meta: &Meta<'_>, clock: Clock) -> StoreOptions {
    let mode = match meta.store_mode() {
        StoreMode::Set => shard::StoreMode::Set,
        StoreMode::Add => shard::StoreMode::Add,
        StoreMode::Replace => shard::StoreMode::Replace,
        StoreMode::Append => shard::StoreMode::Append,
        StoreMode::Prepend => shard::StoreMode::Prepend,
        StoreMode::Cas(cas) => shard::StoreMode::Cas(cas),
    };
    let exptime = meta.exptime().map_or(0, |raw| exptime_to_clock(raw, clock));
    StoreOptions {
        // To append, a CAS id of 0 is as good as none.
        cas_compare: meta.cas_compare().filter(|cas| *cas != 0),
        cas_new: meta.cas_new(),
        invalidate: meta.has(b'I'),
        vivify: meta.vivify().map(|raw| exptime_to_clock(raw, clock)),
        key_binary: meta.key_is_base64(),
        // Whatever the mode: what is there is older than what the client wanted.
        remove_on_failure: true,
        ..StoreOptions::new(mode, meta.flags(), exptime)
    }
}

/// Appends the answer to an `ms` whose value of `value_bytes` came in parts.
pub(super) fn answer_store(
    meta: &Meta<'_>,
    value_bytes: usize,
    stored: Stored,
    replies: &mut Replies,
) {
    let mut scratch = [0; KEY_BYTES_MAX];
    answer_set(meta, meta.key(&mut scratch), value_bytes, stored, replies);
}

fn answer_set(
    meta: &Meta<'_>,
    key: Key<'_>,
    value_bytes: usize,
    stored: Stored,
    replies: &mut Replies,
) {
    let (code, cas, value_bytes) = match stored {
        Stored::Stored { .. } if meta.quiet() => return,
        Stored::Stored { cas, value_bytes, .. } => (b"HD", cas, value_bytes as usize),
        Stored::NotStored => (b"NS", 0, value_bytes),
        Stored::Exists => (b"EX", 0, value_bytes),
        Stored::NotFound => (b"NF", 0, value_bytes),
        Stored::TooLarge => return replies.text.put(line::TOO_LARGE),
        Stored::OutOfMemory => return replies.text.put(line::OUT_OF_MEMORY_STORING),
    };
    let item = MetaItem {
        key,
        key_is_binary: meta.key_is_base64(),
        flags: meta.flags(),
        cas,
        value_bytes,
        exptime: 0,
        exptime_touched: None,
        exptime_vivified: None,
        fetched_before: false,
        idle_seconds: 0,
    };
    put_set_line(&mut replies.text, code, meta, &item);
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
