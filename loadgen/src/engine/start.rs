//! The starting side of a worker: which requests are due, where they go, their bytes.

use super::book::FollowUp;
use super::conn::{Conn, Key, NO_FAN, Pending, State};
use super::link::Link;
use super::worker::Worker;
use crate::arrivals::Arrivals;
use crate::check::ledger::Floor;
use crate::measure::tally::ErrorKind;
use crate::net::udp;
use crate::plan::Checking;
use crate::wire::{Body, Verb};
use crate::workload::Request;
use crate::workload::mix::Command;

impl Worker {
    /// Starts all requests whose time has come.
    pub(super) fn start_due(&mut self) {
        if self.arrivals.is_some() {
            return self.start_arrivals();
        }
        // A client whose connection is down waits; it is looked at again next turn.
        let mut waiting = 0;
        while self.may_start() && self.book.free.len() > waiting {
            let client = self.book.free.swap_remove(waiting);
            if self.start(client, 0) {
                continue;
            }
            let last = self.book.free.len();
            self.book.free.push(client);
            self.book.free.swap(waiting, last);
            waiting += 1;
        }
    }

    /// Starts arrivals, round robin over the clients.
    fn start_arrivals(&mut self) {
        while self.may_start() {
            let due_ns = self.arrivals.as_ref().map_or(u64::MAX, Arrivals::next_ns);
            if due_ns > self.book.now_ns || due_ns >= self.book.window.end_ns {
                return;
            }
            if self.book.in_flight >= self.limits.in_flight {
                // It waits, and its latency counts from when it was due.
                self.book.tally.counters.arrivals_capped += 1;
                return;
            }
            let client = self.next_client;
            self.next_client = (client + 1) % self.clients;
            if !self.start(client, due_ns.max(1)) {
                self.started += 1;
                if self.book.measures(due_ns) {
                    self.book.tally.fail(ErrorKind::Refused, 1);
                }
            }
            self.arrivals.as_mut().expect("an open loop").advance();
        }
    }

    /// Draws a request and queues it. False if no connection of the client is up.
    fn start(&mut self, client: u32, intended_ns: u64) -> bool {
        let servers = self.plan.servers.len();
        let first = client as usize * servers;
        if !self.conns[first..first + servers].iter().any(|conn| conn.state == State::Up) {
            return false;
        }
        let Some(request) = self.source.draw() else {
            self.exhausted = true;
            return true;
        };
        self.started += 1;
        self.book.in_flight += 1;
        let request = self.own_key(client, request);
        let (pending, body) = self.describe(client, intended_ns, &request);
        if servers == 1 {
            let mut keys = std::mem::take(self.source.keys());
            self.queue(first, pending, &keys, &body);
            std::mem::swap(self.source.keys(), &mut keys);
        } else {
            self.spread(first, pending, &body);
        }
        true
    }

    /// While a run is verified a key is written by one client only: the nearest key that is this
    /// client's, with a value of that key's length.
    fn own_key(&mut self, client: u32, request: Request) -> Request {
        let writes = request.command.stores() || request.command == Command::Delete;
        // While the server is filled each key is written once, by whoever has it in his part.
        let filling = self.version_step == 0;
        if !writes || filling || !matches!(self.plan.checking, Checking::Verify(_)) {
            return request;
        }
        let (count, mine) = (self.plan.spec.keys.count, self.client_first + u64::from(client));
        let all = (self.plan.clients * self.plan.host.1) as u64;
        let key = &mut self.source.keys()[0];
        if *key >= count {
            return request;
        }
        let own = *key - *key % all + mine;
        *key = if own < count { own } else { own - all };
        Request { value_bytes: self.plan.spec.value_bytes_of(*key), ..request }
    }

    fn describe(&mut self, client: u32, intended_ns: u64, request: &Request) -> (Pending, Body) {
        let verb = if request.restart { Verb::Set } else { verb_of(request.command) };
        let quiet = self.plan.quiet && !verb.reads();
        let spec = &self.plan.spec;
        let body = Body {
            version: self.version,
            value_bytes: request.value_bytes,
            key_bytes: request.key_bytes,
            counter: request.counter,
            quiet,
            flags: spec.flags,
            expiry_s: request.expiry_s,
            unique: 0,
            opaque: 0,
        };
        let pending = Pending {
            intended_ns,
            sent_ns: 0,
            version: self.version,
            unique: 0,
            client,
            fan: NO_FAN,
            keys: 1,
            hits: 0,
            command: request.command,
            verb,
            quiet,
            settled: false,
        };
        self.version += self.version_step;
        (pending, body)
    }

    /// Sends each key to its owner and, for writes, to the servers that hold its copies.
    fn spread(&mut self, first: usize, pending: Pending, body: &Body) {
        let (servers, replicas) = (self.plan.servers.len(), self.plan.replicas);
        let keys = std::mem::take(self.source.keys());
        let mut parts: Vec<(usize, Vec<u64>)> = Vec::new();
        for key in &keys {
            let owner = self.owner(*key, body);
            let copies = if pending.verb.reads() { 0 } else { replicas };
            // Reads take the copies in turn, so that each is used.
            let skip =
                if pending.verb.reads() { self.started as usize % (replicas + 1) } else { 0 };
            for copy in 0..=copies {
                let server = (owner + skip + copy) % servers;
                match parts.iter_mut().find(|part| part.0 == server) {
                    Some(part) => part.1.push(*key),
                    None => parts.push((server, vec![*key])),
                }
            }
        }
        let fan = if parts.len() == 1 {
            NO_FAN
        } else {
            let whole = Pending { keys: keys.len() as u32, ..pending };
            self.book.open_fan(parts.len() as u32, whole)
        };
        for (server, keys) in &parts {
            self.queue(first + server, Pending { fan, ..pending }, keys, body);
        }
        *self.source.keys() = keys;
    }

    fn owner(&self, key: u64, body: &Body) -> usize {
        let mut text = Vec::with_capacity(64);
        match body.key_bytes {
            0 => self.plan.spec.keys.write(&mut text, key),
            bytes => self.plan.spec.keys.write_sized(&mut text, key, bytes),
        }
        self.plan.router.owner(&text)
    }

    /// Appends a request to a connection; a connection that is down loses it at once.
    fn queue(&mut self, index: usize, pending: Pending, keys: &[u64], body: &Body) {
        let pending = Pending { keys: keys.len() as u32, ..pending };
        if self.conns[index].state != State::Up {
            return self.book.lose(&pending, keys[0], ErrorKind::Refused);
        }
        let conn = &mut self.conns[index];
        let body = Body { opaque: conn.sequence, unique: pending.unique, ..*body };
        if let Link::Udp(_) = conn.link {
            udp::write_frame(&mut conn.out, conn.sequence as u16);
        }
        self.encoder.write(&mut conn.out, pending.verb, keys, &body);
        if let Link::Udp(datagrams) = &mut conn.link {
            datagrams.ends.push_back(conn.out.len());
        }
        let floor = |key: u64| match &self.plan.checking {
            Checking::Verify(ledger) => ledger.floor(key),
            _ => Floor::NONE,
        };
        conn.keys.extend(keys.iter().map(|number| Key { number: *number, floor: floor(*number) }));
        conn.queue(pending);
        mark_dirty(conn, &mut self.dirty);
    }

    /// Queues what replies led to.
    pub(super) fn follow_up(&mut self) {
        while let Some(FollowUp { conn, pending, key }) = self.book.follow_ups.pop() {
            let spec = &self.plan.spec;
            let body = Body {
                version: self.version,
                value_bytes: spec.value_bytes_of(key),
                flags: spec.flags,
                expiry_s: spec.expiry_s_of(key),
                ..Body::default()
            };
            let pending = Pending { version: self.version, ..pending };
            self.version += self.version_step;
            self.queue(conn as usize, pending, &[key], &body);
        }
    }

    /// A request that is answered, behind quiet ones that are not.
    pub(super) fn queue_barrier(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        let body = Body { opaque: conn.sequence, ..Body::default() };
        if let Link::Udp(_) = conn.link {
            udp::write_frame(&mut conn.out, conn.sequence as u16);
        }
        self.encoder.write(&mut conn.out, Verb::Noop, &[], &body);
        if let Link::Udp(datagrams) = &mut conn.link {
            datagrams.ends.push_back(conn.out.len());
        }
        conn.queue(Pending::nobodys(Verb::Noop));
    }
}

pub(super) fn mark_dirty(conn: &mut Conn, dirty: &mut Vec<u32>) {
    if !conn.dirty {
        conn.dirty = true;
        dirty.push(conn.index);
    }
}

fn verb_of(command: Command) -> Verb {
    match command {
        Command::Get => Verb::Get,
        Command::Set => Verb::Set,
        Command::Add => Verb::Add,
        Command::Replace => Verb::Replace,
        Command::Append => Verb::Append,
        Command::Prepend => Verb::Prepend,
        // A cas reads the number first.
        Command::Cas => Verb::Gets,
        Command::Touch => Verb::Touch,
        Command::Gat => Verb::Gat,
        Command::Delete => Verb::Delete,
        Command::Incr => Verb::Incr,
        Command::Decr => Verb::Decr,
    }
}
