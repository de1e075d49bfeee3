//! Dumps: all keys, told to one connection a piece at a time.
//!
//! A dump may be larger than memory and its reader slow. So it is a task of its connection: it
//! produces a piece of some 16 KB, holding a shard's token for a few tens of microseconds, then
//! waits until that is sent; the connection's further requests wait behind it. What it keeps
//! meanwhile is a cursor. An item stored, moved or deleted during a dump may be in it or not; all
//! others are, once.
//!
//! `stats sizes` goes the same way: it looks at all items, and answers when it has.

use std::collections::BTreeMap;
use std::io::Write;

use super::listing::{Form, Listing};
use super::log::put_uri;
use super::registry::Doing;
use crate::config::limits::BLOCK_BYTES;
use crate::conn::ConnId;
use crate::core::client::Task;
use crate::core::state::State;
use crate::protocol::admin::{Checked, CrawlTarget};
use crate::protocol::reply::line;
use crate::protocol::{Clock, base64};
use crate::shard::{ClassId, DumpCursor, DumpItem, Shard};

use super::cachedump::unix;

/// What a dump tells of each item.
pub(in crate::core) enum Telling {
    /// All that is known of it.
    Meta,
    /// The command that gets it.
    Get,
    /// Nothing: how many there are of each size, at the end.
    Sizes(Form, BTreeMap<u64, u64>),
}

/// A dump that is under way.
pub(in crate::core) struct Dump {
    telling: Telling,
    classes: u64,
    shard: usize,
    cursor: DumpCursor,
}

/// Chunks looked at while a shard's token is held.
const CHUNKS_PER_STEP: u32 = 256;
/// Steps of one connection before other work has its turn, if they produce nothing.
const STEPS_PER_TURN: u32 = 8;
/// Sizes are counted in steps of so many bytes.
const SIZE_STEP_BYTES: u64 = 32;

impl State {
    /// `lru_crawler metadump` and `mgdump`.
    pub(super) fn begin_key_dump(
        &mut self,
        id: ConnId,
        telling: Telling,
        target: Checked<CrawlTarget>,
    ) {
        match self.check_key_dump(id, &telling, target) {
            Ok(classes) => {
                self.reply(id, line::OK);
                self.begin_dump(id, telling, classes);
            }
            Err(refusal) => self.reply(id, refusal),
        }
    }

    /// The classes to be dumped, as bits.
    fn check_key_dump(
        &mut self,
        id: ConnId,
        telling: &Telling,
        target: Checked<CrawlTarget>,
    ) -> Result<u64, &'static [u8]> {
        let (not_allowed, pipelined) = match telling {
            Telling::Get => (line::MGDUMP_NOT_ALLOWED, line::MGDUMP_PIPELINED),
            _ => (line::METADUMP_NOT_ALLOWED, line::METADUMP_PIPELINED),
        };
        if !self.shared.admin.live().crawler.enabled {
            return Err(line::CRAWLER_DISABLED);
        }
        if !self.shared.config.dump_enabled {
            return Err(not_allowed);
        }
        if self.clients.get_mut(id).is_some_and(|client| client.owes_replies()) {
            return Err(pipelined);
        }
        match target? {
            CrawlTarget::All | CrawlTarget::Hash => Ok(u64::MAX),
            CrawlTarget::Classes(0) => Err(line::CRAWLER_NOTHING),
            CrawlTarget::Classes(classes) => Ok(classes),
        }
    }

    /// `stats sizes`, which answers later.
    pub(in crate::core) fn begin_sizes(&mut self, id: ConnId, form: Form) {
        self.begin_dump(id, Telling::Sizes(form, BTreeMap::new()), u64::MAX);
    }

    fn begin_dump(&mut self, id: ConnId, telling: Telling, classes: u64) {
        let dump = Dump { telling, classes, shard: 0, cursor: DumpCursor::default() };
        let Some(client) = self.clients.get_mut(id) else { return };
        client.task = Some(Task::Dump(Box::new(dump)));
        client.conn.pause();
        self.registry().set_doing(id, Doing::Dumping);
        self.working.push(id);
    }

    /// Goes on with the dumps that have something to do.
    pub(in crate::core) fn work(&mut self) {
        for id in std::mem::take(&mut self.working) {
            let Some(client) = self.clients.get_mut(id) else { continue };
            if client.has_output() || client.conn.is_sending() {
                // Goes on when that is sent.
                continue;
            }
            if let Some(Task::Dump(dump)) = client.task.take() {
                self.go_on_dumping(id, dump);
            }
        }
    }

    fn go_on_dumping(&mut self, id: ConnId, mut dump: Box<Dump>) {
        let mut text = std::mem::take(&mut self.replies.text);
        let mut is_more = true;
        for _ in 0..STEPS_PER_TURN {
            is_more = self.dump_step(&mut dump, &mut text);
            if !is_more || text.len() >= BLOCK_BYTES {
                break;
            }
        }
        if !is_more {
            dump.telling.end(&mut text);
            self.registry().set_doing(id, Doing::Reading);
        }
        self.reply(id, &text);
        let is_silent = text.is_empty();
        text.clear();
        self.replies.text = text;
        if is_more && let Some(client) = self.clients.get_mut(id) {
            client.task = Some(Task::Dump(dump));
            if is_silent {
                self.working.push(id);
            }
        }
    }

    /// Tells a few items. False when there are no more.
    fn dump_step(&self, dump: &mut Dump, text: &mut Vec<u8>) -> bool {
        let Some(shard) = self.shared.shards.get(dump.shard) else { return false };
        let clock = self.clock;
        let (classes, telling) = (dump.classes, &mut dump.telling);
        let mut cursor = dump.cursor;
        let mut is_more = false;
        shard.run(&mut |shard: &mut Shard| {
            shard.set_now(clock.now);
            let wanted = |class: ClassId| classes >> class.0 & 1 == 1;
            let visit = |item: &DumpItem<'_>| telling.tell(item, clock, text);
            is_more = shard.dump(&mut cursor, CHUNKS_PER_STEP, wanted, visit);
        });
        dump.cursor = cursor;
        if !is_more {
            dump.shard += 1;
            dump.cursor = DumpCursor::default();
        }
        dump.shard < self.shared.shards.len()
    }
}

impl Telling {
    fn tell(&mut self, item: &DumpItem<'_>, clock: Clock, text: &mut Vec<u8>) {
        match self {
            Self::Meta => put_meta(item, clock, text),
            Self::Get => put_get(item, text),
            Self::Sizes(_, counts) => {
                let steps = (item.item_bytes as u64).div_ceil(SIZE_STEP_BYTES);
                *counts.entry(steps * SIZE_STEP_BYTES).or_default() += 1;
            }
        }
    }

    /// What follows the last item.
    fn end(&self, text: &mut Vec<u8>) {
        match self {
            Self::Meta => text.extend_from_slice(line::END),
            Self::Get => text.extend_from_slice(b"EN\r\n"),
            Self::Sizes(form, counts) => {
                let mut listing = Listing::new(*form);
                for (bytes, count) in counts {
                    listing.put(bytes, count);
                }
                text.extend_from_slice(&listing.end());
            }
        }
    }
}

/// A line of memcached's `metadump`: one word a fact, a space behind each, no carriage return.
fn put_meta(item: &DumpItem<'_>, clock: Clock, text: &mut Vec<u8>) {
    let exptime = if item.exptime == 0 { -1 } else { unix(clock, item.exptime) };
    text.extend_from_slice(b"key=");
    put_uri(text, item.key);
    let facts = format_args!(
        " exp={exptime} la={} cas={} fetch={} cls={} size={} flags={} \n",
        unix(clock, item.last_access),
        item.cas,
        if item.fetched { "yes" } else { "no" },
        item.class.0,
        item.item_bytes,
        item.client_flags,
    );
    text.write_fmt(facts).expect("memory takes any text");
}

fn put_get(item: &DumpItem<'_>, text: &mut Vec<u8>) {
    text.extend_from_slice(b"mg ");
    if item.key_binary {
        base64::put_encoded(text, item.key);
        text.extend_from_slice(b" b");
    } else {
        text.extend_from_slice(item.key);
    }
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &[u8]) -> DumpItem<'_> {
        DumpItem {
            key,
            key_binary: false,
            exptime: 0,
            last_access: 7,
            cas: 3,
            fetched: true,
            class: ClassId(2),
            item_bytes: 65,
            value_bytes: 3,
            client_flags: 5,
        }
    }

    #[test]
    fn an_item_in_each_form() {
        let clock = Clock { now: 10, zero_unix: 1000 };
        let mut text = Vec::new();
        put_meta(&item(b"a b"), clock, &mut text);
        let expected = b"key=a%20b exp=-1 la=1007 cas=3 fetch=yes cls=2 size=65 flags=5 \n";
        assert_eq!(text, expected);
        text.clear();
        put_meta(&DumpItem { exptime: 50, fetched: false, ..item(b"k") }, clock, &mut text);
        assert!(text.starts_with(b"key=k exp=1050 la=1007 cas=3 fetch=no "));
        text.clear();
        put_get(&item(b"k"), &mut text);
        put_get(&DumpItem { key_binary: true, ..item(b"k k") }, &mut text);
        assert_eq!(text, b"mg k\r\nmg ayBr b\r\n");
    }

    #[test]
    fn sizes_are_rounded_up() {
        let clock = Clock { now: 10, zero_unix: 1000 };
        let mut telling = Telling::Sizes(Form::Text, BTreeMap::new());
        for bytes in [64, 65, 66] {
            telling.tell(&DumpItem { item_bytes: bytes, ..item(b"k") }, clock, &mut Vec::new());
        }
        let mut text = Vec::new();
        telling.end(&mut text);
        assert_eq!(text, b"STAT 64 1\r\nSTAT 96 2\r\nEND\r\n");
    }
}
