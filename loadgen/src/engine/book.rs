//! The books of a worker: slots, tallies, fan-outs and what replies prove.
//!
//! Connections tell the book what they read ([`Sink`]); it decides what that means. What a reply
//! leads to on the wire (the second half of a cas, the filling of a miss) it notes in `follow_ups`
//! for the worker, since it has no connections itself.

use std::collections::VecDeque;
use std::sync::Arc;

use super::conn::{Key, NO_FAN, NOBODY, Pending, Sink};
use crate::check::history::{Event, Kind, NEVER_NS};
use crate::check::ledger::Floor;
use crate::measure::tally::{ErrorKind, Finished, Tally};
use crate::plan::{Checking, Plan};
use crate::value::{Values, Verdict};
use crate::wire::{Status, Verb};
use crate::workload::mix::Command;

/// The measured time on the clock of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Measure from here on.
    pub(super) start_ns: u64,
    /// Start nothing after this.
    pub(super) end_ns: u64,
}

/// A request that was split over servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fan {
    /// Parts not answered.
    pub(super) left: u32,
    /// The request as a whole: keys and hits summed up, times of the first part.
    pub(super) whole: Pending,
    /// The worst answer of a part.
    pub(super) status: Status,
    /// What a part was lost to.
    pub(super) lost: Option<ErrorKind>,
}

/// A request that a reply leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowUp {
    pub(super) conn: u32,
    pub(super) pending: Pending,
    pub(super) key: u64,
}

pub(super) struct Book {
    plan: Arc<Plan>,
    values: Values,
    pub(super) window: Window,
    /// A slot that gets free is used again at once.
    pub(super) closed: bool,
    pub(super) now_ns: u64,
    pub(super) last_reply_ns: u64,
    /// Requests under way, fan-outs counted once.
    pub(super) in_flight: usize,
    /// Clients with a free slot, once per slot.
    pub(super) free: Vec<u32>,
    pub(super) tally: Box<Tally>,
    pub(super) fans: Vec<Fan>,
    fans_free: Vec<u32>,
    pub(super) follow_ups: Vec<FollowUp>,
    /// The connection that is being read.
    pub(super) conn: u32,
    pub(super) events: Vec<Event>,
    /// The server refused our credentials.
    pub(super) denied: bool,
}

impl Book {
    pub(super) fn new(plan: Arc<Plan>, window: Window, closed: bool) -> Self {
        Self {
            plan,
            values: Values::default(),
            window,
            closed,
            now_ns: 0,
            last_reply_ns: 0,
            in_flight: 0,
            free: Vec::new(),
            tally: Box::default(),
            fans: Vec::new(),
            fans_free: Vec::new(),
            follow_ups: Vec::new(),
            conn: 0,
            events: Vec::new(),
            denied: false,
        }
    }

    pub(super) fn measures(&self, at_ns: u64) -> bool {
        at_ns >= self.window.start_ns
    }

    /// Opens a fan-out of so many parts.
    pub(super) fn open_fan(&mut self, parts: u32, whole: Pending) -> u32 {
        let fan = Fan { left: parts, whole, status: Status::Success, lost: None };
        if let Some(free) = self.fans_free.pop() {
            self.fans[free as usize] = fan;
            return free;
        }
        self.fans.push(fan);
        self.fans.len() as u32 - 1
    }

    /// A request was lost with its connection, or was given up.
    pub(super) fn lose(&mut self, pending: &Pending, key: u64, kind: ErrorKind) {
        if pending.client == NOBODY || pending.settled {
            return;
        }
        self.note_lost_write(pending, key);
        if pending.fan == NO_FAN {
            return self.fail(pending, kind);
        }
        self.fans[pending.fan as usize].lost = Some(kind);
        self.end_part(pending, Status::Success);
    }

    fn fail(&mut self, pending: &Pending, kind: ErrorKind) {
        // A request that was never sent has no time; it belongs to now.
        let at_ns = if pending.intended_ns == 0 { self.now_ns } else { pending.intended_ns };
        if self.measures(at_ns) {
            self.tally.fail(kind, 1);
        }
        self.release(pending.client);
    }

    fn release(&mut self, client: u32) {
        self.in_flight -= 1;
        if self.closed {
            self.free.push(client);
        }
    }

    fn end_part(&mut self, part: &Pending, status: Status) {
        let fan = &mut self.fans[part.fan as usize];
        fan.left -= 1;
        fan.whole.hits += part.hits;
        fan.whole.intended_ns = first(fan.whole.intended_ns, part.intended_ns);
        fan.whole.sent_ns = first(fan.whole.sent_ns, part.sent_ns);
        if status != Status::Success {
            fan.status = status;
        }
        if fan.left > 0 {
            return;
        }
        let Fan { whole, status, lost, .. } = *fan;
        self.fans_free.push(part.fan);
        match lost {
            Some(kind) => self.fail(&whole, kind),
            None => self.end(&whole, status),
        }
    }

    fn end(&mut self, pending: &Pending, status: Status) {
        self.count(pending, status);
        self.release(pending.client);
    }

    fn count(&mut self, pending: &Pending, status: Status) {
        if !self.measures(pending.intended_ns) {
            return;
        }
        match status {
            Status::ClientError => self.tally.fail(ErrorKind::ClientError, 1),
            Status::ServerError => self.tally.fail(ErrorKind::ServerError, 1),
            Status::Success | Status::NotFound | Status::NotStored | Status::Exists => {
                self.tally.finish(&finished(pending, status, self.now_ns));
                self.tally.requests_in_time += u64::from(self.now_ns <= self.window.end_ns);
            }
        }
    }

    /// Whether the reply leads to another request in the same slot.
    fn leads_on(&mut self, pending: &Pending, status: Status, key: u64) -> bool {
        let hit = pending.hits > 0;
        if pending.verb == Verb::Gets && hit {
            let next = Pending { verb: Verb::Cas, hits: 0, ..*pending };
            self.follow_ups.push(FollowUp { conn: self.conn, pending: next, key });
            return true;
        }
        let missed = pending.verb == Verb::Get && pending.keys == 1 && !hit;
        if missed && self.plan.fill_misses && self.now_ns < self.window.end_ns {
            self.count(pending, status);
            let next = Pending {
                verb: Verb::Set,
                command: Command::Set,
                intended_ns: if self.closed { 0 } else { self.now_ns },
                sent_ns: 0,
                ..*pending
            };
            self.follow_ups.push(FollowUp { conn: self.conn, pending: next, key });
            return true;
        }
        false
    }

    /// What the key's place in the request is: `None` if it was not asked for.
    fn place(&self, pending: &Pending, keys: &VecDeque<Key>, key: &[u8]) -> Option<usize> {
        if key.is_empty() {
            return Some(0);
        }
        let number = self.plan.spec.keys.read(key)?;
        let mut asked = keys.iter().take(pending.keys as usize);
        // The same key may stand twice in a multi-get; each place is answered once.
        asked.position(|key| key.number == number && key.floor != Floor::SEEN)
    }

    fn judge(&mut self, key: Key, data: &[u8]) {
        let bytes = self.plan.spec.value_bytes_of(key.number);
        self.tally.findings.judge(&self.values, key.number, bytes, data, key.floor);
    }

    fn record_value(&mut self, pending: &Pending, key: u64, data: &[u8]) {
        let (kind, version) = match self.values.check(key, data) {
            Verdict::Genuine { version: Some(version) } => (Kind::Read, version),
            _ => (Kind::Garbage, 0),
        };
        self.record(pending, kind, key, version, pending.unique);
    }

    fn record(&mut self, pending: &Pending, kind: Kind, key: u64, version: u64, unique: u64) {
        let (start_ns, end_ns) = (pending.sent_ns, self.now_ns);
        self.events.push(Event { key, kind, version, unique, start_ns, end_ns });
    }

    fn note_answer(&mut self, pending: &Pending, status: Status, keys: &VecDeque<Key>) {
        match self.plan.checking.clone() {
            Checking::Off => {}
            Checking::Verify(ledger) => {
                let key = keys[0].number;
                if pending.verb.reads() {
                    // A delete that went on beside the read explains why it found nothing.
                    let still = |key: &Key| ledger.floor(key.number) == key.floor;
                    let expected = |key: &&Key| key.floor.expects_value() && still(key);
                    let missing = keys.iter().take(pending.keys as usize).filter(expected);
                    self.tally.findings.missing += missing.count() as u64;
                } else if status == Status::Success && pending.quiet {
                    // Success was not told, only that nothing else was.
                    ledger.lose(key);
                } else if status == Status::Success && pending.verb.stores() {
                    ledger.acknowledge(key, pending.version, false);
                } else if status == Status::Success && pending.verb == Verb::Delete {
                    ledger.acknowledge(key, pending.version, true);
                }
            }
            Checking::History => self.record_answer(pending, status, keys),
        }
    }

    fn record_answer(&mut self, pending: &Pending, status: Status, keys: &VecDeque<Key>) {
        if pending.verb.reads() {
            let unseen = keys.iter().take(pending.keys as usize);
            let unseen = unseen.filter(|key| key.floor != Floor::SEEN).map(|key| key.number);
            unseen.for_each(|key| self.record(pending, Kind::Absent, key, 0, 0));
            return;
        }
        let kind = match (pending.verb, status) {
            (Verb::Cas, Status::Success) => Kind::Cas,
            (Verb::Cas, Status::Exists) => Kind::CasRefused,
            (verb, Status::Success) if verb.stores() => Kind::Write,
            (Verb::Delete, Status::Success) => Kind::Delete,
            (_, Status::NotFound) => Kind::Absent,
            (Verb::Replace, Status::NotStored) => Kind::Absent,
            _ => return,
        };
        self.record(pending, kind, keys[0].number, pending.version, pending.unique);
    }

    fn note_lost_write(&mut self, pending: &Pending, key: u64) {
        let writes = pending.verb.stores() || pending.verb == Verb::Delete;
        if !writes || pending.sent_ns == 0 {
            return;
        }
        match &self.plan.checking {
            Checking::Off => {}
            Checking::Verify(ledger) => ledger.lose(key),
            Checking::History => {
                let kind = match pending.verb {
                    Verb::Delete => Kind::Delete,
                    Verb::Cas => Kind::Cas,
                    _ => Kind::Write,
                };
                let (start_ns, end_ns) = (pending.sent_ns, NEVER_NS);
                let (version, unique) = (pending.version, pending.unique);
                self.events.push(Event { key, kind, version, unique, start_ns, end_ns });
            }
        }
    }
}

impl Sink for Book {
    fn value(&mut self, pending: &Pending, keys: &mut VecDeque<Key>, key: &[u8], data: &[u8]) {
        if matches!(self.plan.checking, Checking::Off) {
            return;
        }
        let Some(place) = self.place(pending, keys, key) else {
            self.tally.findings.foreign += 1;
            return;
        };
        let asked = keys[place];
        keys[place].floor = Floor::SEEN;
        match self.plan.checking {
            Checking::Verify(_) => self.judge(asked, data),
            _ => self.record_value(pending, asked.number, data),
        }
    }

    fn answer(&mut self, pending: &Pending, status: Status, keys: &VecDeque<Key>) {
        self.last_reply_ns = self.now_ns;
        if pending.client == NOBODY {
            self.denied |= pending.verb == Verb::Auth && status != Status::Success;
            return;
        }
        if !matches!(self.plan.checking, Checking::Off) {
            self.note_answer(pending, status, keys);
        }
        if pending.fan != NO_FAN {
            self.end_part(pending, status);
        } else if !self.leads_on(pending, status, keys[0].number) {
            self.end(pending, status);
        }
    }
}

/// The earlier of two times, where 0 is none.
fn first(a: u64, b: u64) -> u64 {
    match (a, b) {
        (0, time) | (time, 0) => time,
        (a, b) => a.min(b),
    }
}

fn finished(pending: &Pending, status: Status, done_ns: u64) -> Finished {
    let hits = match pending.verb {
        verb if verb.reads() => pending.hits,
        _ => u32::from(status == Status::Success) * pending.keys,
    };
    Finished {
        command: pending.command,
        keys: pending.keys,
        hits: hits.min(pending.keys),
        intended_ns: pending.intended_ns,
        sent_ns: pending.sent_ns,
        done_ns,
    }
}
