//! A worker thread: its connections, its ring and the loop that drives them.
//!
//! One turn: start the requests that are due, hand every connection's bytes to the kernel, enter it once, take
//! what came. The clock is read twice a turn, before the kernel is entered (the send time of all that
//! was handed over) and after (the arrival time of all that came), because a read per request would
//! cost more than it tells.
//!
//! The measured window starts after the warm-up; a request belongs to it by its intended start.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};

use super::conn::{Answered, Conn, NO_FAN, Pending, State};
use super::source::Source;
use crate::arrivals::Arrivals;
use crate::measure::tally::{ErrorKind, Finished, Tally};
use crate::net::ring::{ConnToken, Event, Filled, Ring};
use crate::plan::Plan;
use crate::wire::{Body, Encoder, Status, Verb};
use crate::workload::Request;
use crate::workload::mix::Command;

/// Looks for time-outs and connections to remake this often.
const TICK_NS: u64 = 20_000_000;
/// An arrival closer than this is awaited without sleep: waking up costs about as much.
const SPIN_NS: u64 = 5_000;
/// The first pause before a lost connection is made anew; it doubles up to the last.
const BACKOFF_NS_FIRST: u64 = 10_000_000;
const BACKOFF_NS_LAST: u64 = 1_000_000_000;

/// A message to the collector: one interval of one worker.
pub(super) struct Part {
    pub(super) worker: usize,
    pub(super) interval: usize,
    pub(super) tally: Box<Tally>,
}

/// A client of the closed or open loop.
struct Client {
    /// Requests under way.
    outstanding: usize,
}

/// Everything one thread owns.
pub(super) struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) index: usize,
    pub(super) ring: Ring,
    pub(super) encoder: Encoder,
    pub(super) conns: Vec<Conn>,
    pub(super) source: Source,
    pub(super) arrivals: Option<Arrivals>,
    pub(super) limits: Limits,
    pub(super) parts: Sender<Part>,
    pub(super) empties: Receiver<Box<Tally>>,
    pub(super) clients: usize,
}

/// The worker's part of the plan's limits, on the clock of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Measure from here on.
    pub(super) measure_ns: u64,
    /// Start nothing after this.
    pub(super) end_ns: u64,
    /// Start no more than this many.
    pub(super) requests: u64,
    /// How many each client keeps under way.
    pub(super) depth: usize,
    /// How many all clients of the worker may have under way.
    pub(super) in_flight: usize,
}

/// The state of a run.
pub(super) struct Run<'a> {
    worker: Worker<'a>,
    clock: Instant,
    now_ns: u64,
    clients: Vec<Client>,
    in_flight: usize,
    started: u64,
    version: u64,
    /// Clients with a free slot, once per slot.
    free: Vec<u32>,
    /// Clients whose connection was down when they wanted to use it.
    parked: Vec<u32>,
    dirty: Vec<u32>,
    events: Vec<Event>,
    tally: Box<Tally>,
    interval: usize,
    interval_end_ns: u64,
    tick_ns: u64,
    next_client: u32,
    measuring: bool,
    /// Generating stopped at this time.
    stopped_ns: Option<u64>,
    last_reply_ns: u64,
    exhausted: bool,
}

/// What a worker tells at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// When it stopped to start requests, or when the last reply came if it ran out of requests.
    pub(super) stopped_ns: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(worker: Worker<'a>, clock: Instant) -> Self {
        let clients = (0..worker.clients).map(|_| Client { outstanding: 0 }).collect::<Vec<_>>();
        let slots = clients.len() * worker.limits.depth;
        let interval_end_ns = worker.limits.measure_ns + worker.plan.interval.as_nanos() as u64;
        Self {
            clock,
            now_ns: 0,
            in_flight: 0,
            started: 0,
            version: worker.index as u64 + 1,
            free: Vec::with_capacity(slots),
            parked: Vec::new(),
            dirty: Vec::with_capacity(worker.conns.len()),
            events: Vec::with_capacity(256),
            tally: Box::default(),
            interval: 0,
            interval_end_ns,
            tick_ns: TICK_NS,
            next_client: 0,
            measuring: worker.limits.measure_ns == 0,
            stopped_ns: None,
            last_reply_ns: 0,
            exhausted: false,
            clients,
            worker,
        }
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> io::Result<Ended> {
        self.prime();
        while !self.is_finished() {
            self.start_due();
            self.flush();
            let wait = self.wait();
            self.worker.ring.enter(1, Some(wait))?;
            self.now_ns = self.elapsed_ns();
            self.handle_events()?;
            self.keep_time()?;
        }
        self.close_interval();
        let ran_out = self.exhausted || self.started >= self.worker.limits.requests;
        let stopped_ns = self.stopped_ns.unwrap_or(self.now_ns);
        Ok(Ended { stopped_ns: if ran_out { self.last_reply_ns } else { stopped_ns } })
    }

    fn prime(&mut self) {
        self.now_ns = self.elapsed_ns();
        for conn in &mut self.worker.conns {
            conn.state = State::Up;
            let fd = conn.fd.as_ref().expect("connected before the start");
            self.worker.ring.receive(conn.token, fd.as_raw_fd());
        }
        if self.worker.arrivals.is_none() {
            for client in 0..self.clients.len() as u32 {
                self.free.extend(std::iter::repeat_n(client, self.worker.limits.depth));
            }
        }
    }

    fn elapsed_ns(&self) -> u64 {
        // Negative before a start that lies in the future: nothing is due then.
        Instant::now().saturating_duration_since(self.clock).as_nanos() as u64
    }

    fn is_finished(&self) -> bool {
        self.stopped_ns.is_some() && self.in_flight == 0
    }

    fn may_start(&mut self) -> bool {
        if self.stopped_ns.is_some() {
            return false;
        }
        let limits = &self.worker.limits;
        if self.exhausted || self.started >= limits.requests || self.now_ns >= limits.end_ns {
            self.stopped_ns = Some(self.now_ns.min(limits.end_ns));
            return false;
        }
        true
    }

    fn start_due(&mut self) {
        if self.worker.arrivals.is_some() {
            return self.start_arrivals();
        }
        while self.may_start() {
            let Some(client) = self.free.pop() else { return };
            self.start(client, 0);
        }
    }

    /// Starts all arrivals whose time has come, round robin over the clients.
    fn start_arrivals(&mut self) {
        while self.may_start() {
            let due_ns = self.worker.arrivals.as_ref().map_or(u64::MAX, Arrivals::next_ns);
            if due_ns > self.now_ns || due_ns >= self.worker.limits.end_ns {
                return;
            }
            if self.in_flight >= self.worker.limits.in_flight {
                // It waits, and its latency counts from when it was due.
                self.tally.arrivals_capped += 1;
                return;
            }
            let client = self.next_client;
            self.next_client = (client + 1) % self.clients.len() as u32;
            self.start(client, due_ns.max(1));
            self.worker.arrivals.as_mut().expect("an open loop").advance();
        }
    }

    /// Draws a request and queues it on the client's connection.
    fn start(&mut self, client: u32, intended_ns: u64) {
        let conn = client as usize;
        if self.worker.conns[conn].state != State::Up {
            return self.refuse(client, intended_ns);
        }
        let Some(request) = self.worker.source.draw() else {
            self.exhausted = true;
            return;
        };
        self.started += 1;
        self.in_flight += 1;
        self.clients[client as usize].outstanding += 1;
        let (verb, body) = self.describe(&request);
        let keys = self.worker.source.keys();
        let conn = &mut self.worker.conns[conn];
        self.worker.encoder.write(&mut conn.out, verb, keys, &body);
        let pending = Pending {
            intended_ns,
            sent_ns: 0,
            client,
            fan: NO_FAN,
            keys: keys.len() as u32,
            hits: 0,
            command: request.command,
            verb,
            unique: 0,
        };
        conn.queue(pending, keys);
        mark_dirty(conn, &mut self.dirty);
    }

    /// No connection for a request that is due: an open loop counts an error, a closed one waits for the connection.
    fn refuse(&mut self, client: u32, intended_ns: u64) {
        if intended_ns == 0 {
            self.parked.push(client);
            return;
        }
        self.started += 1;
        if self.measuring {
            self.tally.fail(ErrorKind::Refused, 1);
        }
    }

    fn describe(&mut self, request: &Request) -> (Verb, Body) {
        let verb = match request.command {
            Command::Get => Verb::Get,
            Command::Set => Verb::Set,
            Command::Add => Verb::Add,
            Command::Replace => Verb::Replace,
            Command::Append => Verb::Append,
            Command::Prepend => Verb::Prepend,
            Command::Cas => Verb::Gets,
            Command::Touch => Verb::Touch,
            Command::Gat => Verb::Gat,
            Command::Delete => Verb::Delete,
            Command::Incr => Verb::Incr,
            Command::Decr => Verb::Decr,
        };
        (verb, self.body(request.command, request.expiry_s, 0))
    }

    fn body(&mut self, command: Command, expiry_s: u32, unique: u64) -> Body {
        let spec = &self.worker.plan.spec;
        let key = self.worker.source.keys()[0];
        let value_bytes = if command.stores() { spec.value_bytes_of(key) } else { 0 };
        self.version += self.worker.plan.threads as u64;
        Body {
            version: self.version,
            value_bytes,
            counter: false,
            flags: spec.flags,
            expiry_s,
            unique,
        }
    }

    /// Hands the bytes of every connection that has some to the kernel.
    fn flush(&mut self) {
        if self.dirty.is_empty() {
            return;
        }
        let sent_ns = self.elapsed_ns();
        let allowed_ns = self.worker.plan.lag_allowed.as_nanos() as u64;
        for index in self.dirty.drain(..) {
            let conn = &mut self.worker.conns[index as usize];
            conn.dirty = false;
            if !conn.can_send() {
                continue;
            }
            for pending in conn.stamp_unsent() {
                pending.sent_ns = sent_ns;
                if pending.intended_ns == 0 {
                    pending.intended_ns = sent_ns;
                } else if self.measuring {
                    self.tally.note_lag(sent_ns.saturating_sub(pending.intended_ns), allowed_ns);
                }
            }
            let buffer = conn.take_out();
            self.tally.bytes_sent += buffer.len() as u64;
            let fd = conn.fd.as_ref().expect("up").as_raw_fd();
            self.worker.ring.send(conn.token, fd, buffer, 0);
        }
    }

    /// How long the kernel may keep the thread.
    fn wait(&self) -> Duration {
        let now_ns = self.elapsed_ns();
        let mut until_ns = self.tick_ns.min(self.interval_end_ns);
        if self.stopped_ns.is_none() {
            until_ns = until_ns.min(self.worker.limits.end_ns);
            if let Some(arrivals) = &self.worker.arrivals
                && self.in_flight < self.worker.limits.in_flight
            {
                until_ns = until_ns.min(arrivals.next_ns());
            }
        }
        let wait_ns = until_ns.saturating_sub(now_ns);
        Duration::from_nanos(if wait_ns < SPIN_NS { 0 } else { wait_ns })
    }

    fn handle_events(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        self.worker.ring.take_events(&mut events);
        for event in events.drain(..) {
            match event {
                Event::Received { conn, filled, armed } => self.received(conn, filled, armed),
                Event::ReceiveEnded { conn, result } => self.receive_ended(conn, result),
                Event::Sent { conn, buffer, result } => self.sent(conn, buffer, result),
                Event::Connected { conn, result } => self.connected(conn, result),
            }
        }
        self.events = events;
        self.worker.ring.publish();
        Ok(())
    }

    fn received(&mut self, token: ConnToken, filled: Filled, armed: bool) {
        let conn = &mut self.worker.conns[token.index as usize];
        if conn.token != token {
            return self.worker.ring.recycle(filled);
        }
        let bytes = self.worker.ring.bytes(&filled);
        self.tally.bytes_received += bytes.len() as u64;
        let mut answers = Answers {
            tally: &mut self.tally,
            free: &mut self.free,
            closed: self.worker.arrivals.is_none(),
            clients: &mut self.clients,
            in_flight: &mut self.in_flight,
            now_ns: self.now_ns,
            measure_ns: self.worker.limits.measure_ns,
            end_ns: self.worker.limits.end_ns,
        };
        let protocol = self.worker.plan.protocol;
        let parsed =
            conn.receive(protocol, bytes, |_, _, _| {}, |answered| answers.take(&answered));
        self.last_reply_ns = self.now_ns;
        self.worker.ring.recycle(filled);
        if parsed.is_err() {
            return self.lose(token, ErrorKind::Protocol);
        }
        if !armed {
            self.rearm(token);
        }
    }

    fn receive_ended(&mut self, token: ConnToken, result: io::Result<()>) {
        if self.worker.conns[token.index as usize].token != token {
            return;
        }
        match result {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.rearm(token),
            _ => self.lose(token, ErrorKind::Reset),
        }
    }

    fn rearm(&mut self, token: ConnToken) {
        let conn = &self.worker.conns[token.index as usize];
        if let Some(fd) = &conn.fd {
            self.worker.ring.receive(token, fd.as_raw_fd());
        }
    }

    fn sent(&mut self, token: ConnToken, mut buffer: Vec<u8>, result: io::Result<usize>) {
        let conn = &mut self.worker.conns[token.index as usize];
        if conn.token != token {
            return;
        }
        let Ok(bytes) = result else { return self.lose(token, ErrorKind::Reset) };
        conn.sent_bytes += bytes;
        if conn.sent_bytes < buffer.len() {
            let (fd, from) = (conn.fd.as_ref().expect("up").as_raw_fd(), conn.sent_bytes);
            return self.worker.ring.send(token, fd, buffer, from);
        }
        buffer.clear();
        conn.spare = Some(buffer);
        if !conn.out.is_empty() {
            mark_dirty(conn, &mut self.dirty);
        }
    }

    fn connected(&mut self, token: ConnToken, result: io::Result<()>) {
        let conn = &mut self.worker.conns[token.index as usize];
        if conn.token != token {
            return;
        }
        if result.is_err() {
            return self.lose(token, ErrorKind::Refused);
        }
        conn.state = State::Up;
        self.tally.reconnects += 1;
        self.rearm(token);
        self.free.append(&mut self.parked);
    }

    /// A connection is gone, and what was under way on it with it.
    fn lose(&mut self, token: ConnToken, kind: ErrorKind) {
        let conn = &mut self.worker.conns[token.index as usize];
        if let Some(fd) = &conn.fd {
            // Ends what the kernel still does with it; an error says that it has ended already.
            let _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
        }
        let pause_ns = (BACKOFF_NS_FIRST << conn.losses.min(10)).min(BACKOFF_NS_LAST);
        conn.state = State::Down { retry_ns: self.now_ns + pause_ns };
        let closed = self.worker.arrivals.is_none();
        let mut lost = 0;
        for pending in conn.reset() {
            lost += 1;
            self.clients[pending.client as usize].outstanding -= 1;
            if closed {
                self.free.push(pending.client);
            }
        }
        self.in_flight -= lost;
        if self.measuring {
            // A connection that could not be made is an error of its own.
            self.tally.fail(kind, (lost as u64).max(u64::from(kind == ErrorKind::Refused)));
        }
    }

    fn keep_time(&mut self) -> io::Result<()> {
        if !self.measuring && self.now_ns >= self.worker.limits.measure_ns {
            self.measuring = true;
            self.tally.clear();
        }
        if self.now_ns >= self.interval_end_ns {
            self.close_interval();
        }
        if self.now_ns >= self.tick_ns {
            self.tick_ns = self.now_ns + TICK_NS;
            self.expire();
            self.reconnect()?;
        }
        Ok(())
    }

    /// Hands the interval's tally to the collector and goes on with an empty one.
    fn close_interval(&mut self) {
        let empty = self.worker.empties.try_recv().unwrap_or_default();
        let tally = std::mem::replace(&mut self.tally, empty);
        let part = Part { worker: self.worker.index, interval: self.interval, tally };
        // The collector lives longer than its workers, unless the run is being given up.
        let _ = self.worker.parts.send(part);
        let length_ns = self.worker.plan.interval.as_nanos() as u64;
        let behind = self.now_ns.saturating_sub(self.interval_end_ns) / length_ns;
        self.interval += 1 + behind as usize;
        self.interval_end_ns += (1 + behind) * length_ns;
    }

    /// Gives up connections whose oldest request has waited too long.
    fn expire(&mut self) {
        let limit_ns = self.worker.plan.timeout.as_nanos() as u64;
        for index in 0..self.worker.conns.len() {
            let conn = &self.worker.conns[index];
            let since_ns = match conn.state {
                State::Up => conn.pending.front().map(|pending| pending.sent_ns),
                State::Connecting { since_ns } => Some(since_ns),
                State::Down { .. } => None,
            };
            let since_ns = since_ns.filter(|since_ns| *since_ns > 0);
            if since_ns.is_some_and(|since_ns| self.now_ns > since_ns + limit_ns) {
                self.lose(self.worker.conns[index].token, ErrorKind::Timeout);
            }
        }
    }

    fn reconnect(&mut self) -> io::Result<()> {
        if self.stopped_ns.is_some() {
            return Ok(());
        }
        for index in 0..self.worker.conns.len() {
            let conn = &mut self.worker.conns[index];
            let State::Down { retry_ns } = conn.state else { continue };
            if retry_ns > self.now_ns {
                continue;
            }
            let plan = self.worker.plan;
            let target = &plan.servers[conn.server].target;
            let fd = target.socket(plan.transport, plan.no_delay)?;
            self.worker.ring.connect(conn.token, fd.as_raw_fd(), target.socket_address()?);
            conn.fd = Some(fd);
            conn.state = State::Connecting { since_ns: self.now_ns };
        }
        Ok(())
    }
}

fn mark_dirty(conn: &mut Conn, dirty: &mut Vec<u32>) {
    if !conn.dirty {
        conn.dirty = true;
        dirty.push(conn.token.index);
    }
}

/// What an answer changes.
struct Answers<'a> {
    tally: &'a mut Tally,
    free: &'a mut Vec<u32>,
    closed: bool,
    clients: &'a mut [Client],
    in_flight: &'a mut usize,
    now_ns: u64,
    measure_ns: u64,
    end_ns: u64,
}

impl Answers<'_> {
    fn take(&mut self, answered: &Answered) {
        let Answered { pending, status, .. } = answered;
        *self.in_flight -= 1;
        self.clients[pending.client as usize].outstanding -= 1;
        if self.closed {
            self.free.push(pending.client);
        }
        if pending.intended_ns < self.measure_ns {
            return;
        }
        match status {
            Status::ClientError => self.tally.fail(ErrorKind::ClientError, 1),
            Status::ServerError => self.tally.fail(ErrorKind::ServerError, 1),
            Status::Success | Status::NotFound | Status::NotStored | Status::Exists => {
                self.tally.finish(&finished(pending, *status, self.now_ns));
                self.tally.requests_in_time += u64::from(self.now_ns <= self.end_ns);
            }
        }
    }
}

fn finished(pending: &Pending, status: Status, done_ns: u64) -> Finished {
    let hits = match (pending.command.reads(), status) {
        (true, _) => pending.hits,
        (false, Status::Success) => 1,
        (false, _) => 0,
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
