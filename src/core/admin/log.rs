//! The log: what a core writes for watchers, and how it gets to them.
//!
//! Lines have memcached's form, which programs parse: `ts=` with seconds and microseconds that are
//! not padded, as there, `gid=` with a number that orders the lines of all cores, then
//! the event. Nothing here runs unless somebody watches.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::detail::Uses;
use super::facts::for_each_shard;
use super::watch::{Line, Offered};
use crate::conn::ConnId;
use crate::core::group::Group;
use crate::core::shared::{Letter, Note};
use crate::core::state::State;
use crate::core::trace::{Event, Seen};
use crate::protocol::admin::WatchStreams;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::shard::{ClassId, EvictedRecord, Miss, PageMove, PageMoves, Shard, Stored};

/// Lines that a core has written in this turn.
pub(in crate::core) struct Log {
    text: Vec<u8>,
    /// Stream and end of each line.
    ends: Vec<(WatchStreams, usize)>,
    bytes_max: usize,
}

impl Log {
    /// A log of up to `bytes_max` bytes; its memory comes with the first line.
    pub(in crate::core) fn new(bytes_max: usize) -> Self {
        Self { text: Vec::new(), ends: Vec::new(), bytes_max }
    }

    #[inline]
    pub(in crate::core) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a line. False if it does not fit.
    fn write(
        &mut self,
        stream: WatchStreams,
        number: impl FnOnce() -> u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let start = self.text.len();
        if start >= self.bytes_max {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (s, us) = (now.as_secs(), now.subsec_micros());
        put(&mut self.text, format_args!("ts={s}.{us} gid={} ", number()));
        write(&mut self.text);
        self.text.push(b'\n');
        if self.text.len() > self.bytes_max {
            self.text.truncate(start);
            return false;
        }
        self.ends.push((stream, self.text.len()));
        true
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&(stream, end)| {
            let text = &self.text[start..end];
            start = end;
            Line { stream, text }
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

impl State {
    /// Writes a line if any watcher wants its stream.
    #[inline]
    pub(in crate::core) fn log(&mut self, stream: WatchStreams, write: impl FnOnce(&mut Vec<u8>)) {
        let watch = &self.shared.admin.watch;
        if !watch.wants(stream) {
            return;
        }
        if self.log.write(stream, || watch.number_line(), write) {
            self.counters().log_written.add(1);
        } else {
            self.counters().log_dropped.add(1);
        }
    }

    /// Hands this turn's lines to the watchers.
    pub(in crate::core) fn publish_log(&mut self) {
        let mut sum = Offered::default();
        for watcher in self.shared.admin.watch.all() {
            let offered = watcher.offer(self.log.lines());
            sum.taken += offered.taken;
            sum.skipped += offered.skipped;
            if offered.taken == 0 || !watcher.must_be_told() {
                continue;
            }
            if watcher.core == self.index {
                self.send_log(watcher.conn);
            } else {
                self.shared.inboxes[watcher.core].post(Letter::Note(Note::Log));
            }
        }
        self.counters().log_sent.add(sum.taken);
        self.counters().log_skipped.add(sum.skipped);
        self.log.clear();
    }

    /// Sends what waits for this core's watchers.
    pub(in crate::core) fn send_logs(&mut self) {
        for watcher in self.shared.admin.watch.all() {
            if watcher.core == self.index {
                self.send_log(watcher.conn);
            }
        }
    }

    /// Sends what waits for a watcher, unless a send to it is still under way.
    pub(in crate::core) fn send_log(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.has_output() || client.conn.is_sending() {
            return;
        }
        let Some(watcher) = self.shared.admin.watch.find(self.index, id) else { return };
        let mut text = std::mem::take(&mut self.log_to_send);
        if watcher.swap(&mut text) {
            self.reply(id, &text);
        }
        text.clear();
        self.log_to_send = text;
    }

    /// Has the shards take down what watchers want to know of them, and no more.
    pub(super) fn tell_shards_of_watchers(&self) {
        let watch = &self.shared.admin.watch;
        for_each_shard(&self.shared, |shard| {
            shard.watch_evictions(watch.wants(WatchStreams::EVICTIONS));
            shard.watch_moves(watch.wants(WatchStreams::SYSEVENTS));
        });
    }

    /// Makes log lines of what the shards have evicted since some core last did so.
    pub(in crate::core) fn log_evictions(&mut self) {
        let mut evicted = std::mem::take(&mut self.evicted);
        for number in 0..self.shared.shards.len() {
            evicted.make_room();
            self.shared.shards[number].run(&mut |shard: &mut Shard| {
                shard.swap_evicted(&mut evicted);
            });
            for (key, record) in evicted.iter() {
                self.log(WatchStreams::EVICTIONS, |line| put_evicted(line, key, record));
            }
            self.counters().log_dropped.add(evicted.lost());
            evicted.clear();
        }
        self.evicted = evicted;
    }

    /// Makes log lines of the pages that began to move since some core last did so.
    pub(in crate::core) fn log_moves(&mut self) {
        for number in 0..self.shared.shards.len() {
            let mut moves = PageMoves::default();
            self.shared.shards[number].run(&mut |shard: &mut Shard| moves = shard.take_moves());
            for page_move in moves.iter() {
                self.log(WatchStreams::SYSEVENTS, |line| put_move(line, page_move));
            }
            self.counters().log_dropped.add(moves.lost());
        }
    }

    /// Makes log lines and counts of what a group's operations did.
    pub(in crate::core) fn tell_trace(&mut self, group: &Group<'_>) {
        let events = self.replies.trace.take();
        for (index, event) in &events {
            let operation = &group[*index];
            let mut scratch = [0; KEY_BYTES_MAX];
            let key = group.key_of(operation, &mut scratch);
            self.tell_event(operation.conn, key.bytes(), event);
        }
        self.replies.trace.give_back(events);
    }

    /// Makes a log line and counts of one event.
    pub(in crate::core) fn tell_event(&mut self, conn: ConnId, key: &[u8], event: &Event) {
        self.count_event(key, event);
        let fd = self.clients.get_mut(conn).map_or(-1, |client| client.conn.fd);
        match *event {
            Event::Got { found, .. } => self.log(WatchStreams::FETCHERS, |line| {
                put_got(line, key, found, fd);
            }),
            Event::Stored { outcome, command, ttl_s, value_bytes, .. } => {
                let (status, class) = stored(outcome);
                self.log(WatchStreams::MUTATIONS, |line| {
                    put(line, format_args!("type=item_store key="));
                    put_uri(line, key);
                    let rest = format_args!(
                        " status={status} cmd={command} ttl={ttl_s} clsid={class} cfd={fd} \
                         size={value_bytes}"
                    );
                    put(line, rest);
                });
            }
            Event::Deleted { was: None, .. } => {}
            Event::Deleted { was: Some(Seen { class, value_bytes }), command, .. } => {
                self.log(WatchStreams::DELETIONS, |line| {
                    put(line, format_args!("type=deleted key="));
                    put_uri(line, key);
                    put(line, format_args!(" cmd={command} clsid={class} size={value_bytes}"));
                });
            }
        }
    }

    fn count_event(&self, key: &[u8], event: &Event) {
        let detail = &self.shared.admin.detail;
        if !detail.is_on() {
            return;
        }
        let none = Uses::default();
        let uses = match *event {
            Event::Got { found, counts: true } => {
                Uses { gets: 1, hits: u64::from(found.is_ok()), ..none }
            }
            Event::Stored { .. } => Uses { sets: 1, ..none },
            Event::Deleted { command: "delete", .. } => Uses { deletes: 1, ..none },
            _ => return,
        };
        detail.count(self.index, key, uses);
    }

    /// Tells of a connection's beginning or end; `what` is the event's name, `rest` what follows
    /// the address.
    pub(in crate::core) fn log_connection(
        &mut self,
        what: &str,
        peer: Option<SocketAddr>,
        rest: std::fmt::Arguments<'_>,
    ) {
        self.log(WatchStreams::CONNEVENTS, |line| match peer {
            Some(peer) => {
                let (ip, port) = (peer.ip(), peer.port());
                put(line, format_args!("type={what} rip={ip} rport={port} transport=tcp {rest}"));
            }
            None => {
                put(line, format_args!("type={what} rip=unix rport=0 transport=local {rest}"));
            }
        });
    }
}

fn put_got(line: &mut Vec<u8>, key: &[u8], found: Result<Seen, Miss>, fd: i32) {
    let (status, class, bytes) = match found {
        Ok(Seen { class, value_bytes }) => ("found", class, value_bytes),
        Err(Miss::NotFound) => ("not_found", 0, 0),
        Err(Miss::Flushed) => ("flushed", 0, 0),
        Err(Miss::Expired) => ("expired", 0, 0),
    };
    put(line, format_args!("type=item_get key="));
    put_uri(line, key);
    put(line, format_args!(" status={status} clsid={class} cfd={fd} size={bytes}"));
}

fn put_evicted(line: &mut Vec<u8>, key: &[u8], record: EvictedRecord) {
    let fetched = if record.fetched { "yes" } else { "no" };
    let ttl_s = record.ttl_s.map_or(-1, i64::from);
    let EvictedRecord { idle_s, class, value_bytes, .. } = record;
    put(line, format_args!("type=eviction key="));
    put_uri(line, key);
    let class = class.0;
    let rest =
        format_args!(" fetch={fetched} ttl={ttl_s} la={idle_s} clsid={class} size={value_bytes}");
    put(line, rest);
}

fn put_move(line: &mut Vec<u8>, page_move: PageMove) {
    const POOL: ClassId = ClassId(0);
    let (from, to) = (page_move.from.0, page_move.to.unwrap_or(POOL).0);
    let state = if page_move.started { "ok" } else { "fail" };
    put(line, format_args!("type=slab_move src={from} dst={to} state={state}"));
}

fn stored(outcome: Stored) -> (&'static str, u8) {
    match outcome {
        Stored::Stored { class, .. } => ("stored", class),
        Stored::NotStored => ("not_stored", 0),
        Stored::Exists => ("exists", 0),
        Stored::NotFound => ("not_found", 0),
        Stored::TooLarge => ("too_large", 0),
        Stored::OutOfMemory => ("no_memory", 0),
    }
}

pub(in crate::core) fn put(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("memory takes any text");
}

/// Appends a key as the log and dumps write it: letters, digits and `-._~` as they are, all other
/// bytes in percent form.
pub(in crate::core) fn put_uri(line: &mut Vec<u8>, key: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            line.push(byte);
        } else {
            let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            line.extend_from_slice(&[b'%', digits[0], digits[1]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_so_that_a_line_stays_a_line() {
        let mut line = Vec::new();
        put_uri(&mut line, b"k:\xff%/+~-_.!\n");
        assert_eq!(line, b"k%3A%FF%25%2F%2B~-_.%21%0A");
    }

    #[test]
    fn a_full_log_takes_no_part_of_a_line() {
        let mut log = Log::new(64);
        let mut number = 0;
        let mut write = |log: &mut Log, text: &'static [u8]| {
            number += 1;
            log.write(WatchStreams::FETCHERS, || number, |line| line.extend_from_slice(text))
        };
        assert!(write(&mut log, b"type=x"));
        assert!(!write(&mut log, &[b'y'; 60]));
        assert_eq!(log.lines().count(), 1);
        let line = log.lines().next().expect("one line").text.to_vec();
        let line = String::from_utf8(line).expect("text");
        assert!(line.starts_with("ts=") && line.ends_with(" gid=1 type=x\n"), "{line}");
        log.clear();
        assert!(log.is_empty());
    }
}
