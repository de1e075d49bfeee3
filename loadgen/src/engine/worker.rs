//! A worker thread: its connections, its ring and the loop that drives them.
//!
//! One turn: start the requests that are due, hand every connection's bytes to the kernel, enter it
//! once, take what came. The clock is read twice a turn, before the kernel is entered (the send
//! time of all that was handed over) and after (the arrival time of all that came), because a read
//! per request would cost more than it tells.
//!
//! The measured window starts after the warm-up; a request belongs to it by its intended start.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use ringcached::ring::{BlockPool, Completion, Op, Ring, Token, Wait};

use super::book::Book;
use super::conn::{Conn, State};
use super::source::Source;
use crate::arrivals::Arrivals;
use crate::check::history::Event;
use crate::measure::tally::Tally;
use crate::net::target::Transport;
use crate::plan::Plan;
use crate::wire::Encoder;

/// Looks for time-outs and connections to remake this often.
const TICK_NS: u64 = 20_000_000;
/// An arrival closer than this is awaited without sleep: waking up costs about as much.
const SPIN_NS: u64 = 5_000;
/// Completions worth waiting for when the plan wants replies gathered.
const GATHER_COUNT: u32 = 64;
/// A run without an end in time is over when nothing was answered for this long, or for two
/// time-outs where these are longer.
const GIVE_UP_NS: u64 = 10_000_000_000;
const GIVE_UP_TIMEOUTS: u32 = 2;

/// A message to the collector: one interval of one worker.
pub(super) struct Part {
    pub(super) worker: usize,
    pub(super) interval: usize,
    pub(super) tally: Box<Tally>,
}

/// The worker's part of the plan's limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Start no more than this many.
    pub(super) requests: u64,
    /// Requests each client keeps under way, in a closed loop.
    pub(super) depth: usize,
    /// Requests all clients of the worker may have under way, in an open loop.
    pub(super) in_flight: usize,
}

/// Everything one thread owns for one run.
pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) index: usize,
    pub(super) encoder: Encoder,
    /// Client by client, each with one connection per server.
    pub(super) conns: Vec<Conn>,
    pub(super) source: Source,
    pub(super) arrivals: Option<Arrivals>,
    pub(super) limits: Limits,
    pub(super) book: Book,
    pub(super) parts: Sender<Part>,
    pub(super) empties: Receiver<Box<Tally>>,
    pub(super) clients: u32,
    /// The number of this worker's first client among those of all hosts.
    pub(super) client_first: u64,
    pub(super) clock: Instant,
    pub(super) pool: BlockPool,
    pub(super) version: u64,
    /// Between two versions of a worker; 0 while the server is filled.
    pub(super) version_step: u64,
    pub(super) started: u64,
    pub(super) dirty: Vec<u32>,
    /// Receives to cancel.
    pub(super) cancels: Vec<Token>,
    pub(super) next_client: u32,
    /// Receives, sends and connects that the kernel has yet to end.
    pub(super) kernel_ops: usize,
    pub(super) exhausted: bool,
    /// Starting ended at this time.
    pub(super) stopped_ns: Option<u64>,
    pub(super) schedule: Schedule,
}

/// What comes when, beside the requests.
pub(super) struct Schedule {
    interval: usize,
    interval_end_ns: u64,
    interval_ns: u64,
    tick_ns: u64,
    measuring: bool,
    /// The last time at which a server was known to answer.
    alive_ns: u64,
}

impl Schedule {
    pub(super) fn new(measure_ns: u64, interval: Duration) -> Self {
        let interval_ns = interval.as_nanos() as u64;
        Self {
            interval: 0,
            interval_end_ns: measure_ns + interval_ns,
            interval_ns,
            tick_ns: TICK_NS,
            measuring: measure_ns == 0,
            alive_ns: 0,
        }
    }
}

/// What a worker tells at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    /// When it stopped to start requests, or when the last reply came if it ran out of requests.
    pub(super) stopped_ns: u64,
    /// The history, if one was recorded.
    pub(super) events: Vec<Event>,
    /// The server refused our credentials.
    pub(super) denied: bool,
    /// Nothing was answered any more.
    pub(super) gave_up: bool,
}

impl Worker {
    /// Runs to the end, then lets go of all connections.
    pub(super) fn run(mut self, ring: &mut Ring) -> io::Result<Ended> {
        self.book.now_ns = self.elapsed_ns();
        self.prime(ring);
        let mut completions = Vec::with_capacity(256);
        while !self.is_finished() {
            self.start_due();
            self.flush(ring)?;
            ring.enter(self.wait())?;
            self.book.now_ns = self.elapsed_ns();
            self.handle(ring, &mut completions)?;
            self.keep_time(ring)?;
        }
        self.close_interval();
        self.let_go(ring, &mut completions)?;
        let ran_out = self.exhausted || self.started >= self.limits.requests;
        let stopped_ns = self.stopped_ns.unwrap_or(self.book.now_ns);
        Ok(Ended {
            stopped_ns: if ran_out { self.book.last_reply_ns } else { stopped_ns },
            events: std::mem::take(&mut self.book.events),
            denied: self.book.denied,
            gave_up: self.gave_up(),
        })
    }

    fn prime(&mut self, ring: &mut Ring) {
        for index in 0..self.conns.len() {
            self.conns[index].state = State::Up;
            self.arm(ring, index);
        }
        if self.book.closed {
            for client in 0..self.clients {
                self.book.free.extend(std::iter::repeat_n(client, self.limits.depth));
            }
        }
    }

    pub(super) fn elapsed_ns(&self) -> u64 {
        // Before a start that lies in the future it is zero, and nothing is due.
        Instant::now().saturating_duration_since(self.clock).as_nanos() as u64
    }

    fn is_finished(&self) -> bool {
        self.stopped_ns.is_some() && self.book.in_flight == 0
    }

    /// Whether there is no hope of an answer. A run with an end in time goes on to it: servers
    /// come back, and an outage that is measured to its end is a result.
    fn gave_up(&self) -> bool {
        let patience_ns = (self.plan.timeout * GIVE_UP_TIMEOUTS).as_nanos() as u64;
        let endless = self.book.window.end_ns == u64::MAX;
        endless && self.book.now_ns > self.schedule.alive_ns + patience_ns.max(GIVE_UP_NS)
    }

    /// Looks for a sign of life: a reply, or a connection of which nothing is awaited.
    fn feel_pulse(&mut self) {
        let idle = self.book.in_flight == 0;
        let up = |conn: &Conn| conn.state == State::Up;
        let alive_ns = if idle && self.conns.iter().any(up) { self.book.now_ns } else { 0 };
        let last_ns = self.book.last_reply_ns.max(alive_ns);
        self.schedule.alive_ns = self.schedule.alive_ns.max(last_ns);
    }

    /// Whether another request may be started; notes when that ended.
    pub(super) fn may_start(&mut self) -> bool {
        if self.stopped_ns.is_some() {
            return false;
        }
        let (now_ns, end_ns) = (self.book.now_ns, self.book.window.end_ns);
        let ran_out = self.exhausted || self.started >= self.limits.requests;
        let is_over = now_ns >= end_ns && !self.is_due_before_end();
        if ran_out || is_over || self.book.denied || self.gave_up() {
            self.stopped_ns = Some(now_ns.min(end_ns));
            self.count_unsent();
            return false;
        }
        true
    }

    /// Whether an arrival can still go out that is due before the end, though the clock was last
    /// looked at after it.
    fn is_due_before_end(&self) -> bool {
        let is_due = |arrivals: &Arrivals| arrivals.next_ns() < self.book.window.end_ns;
        self.arrivals.as_ref().is_some_and(is_due) && self.book.in_flight < self.limits.in_flight
    }

    /// Arrivals that were due before the end and could not be sent under the cap.
    fn count_unsent(&mut self) {
        let end_ns = self.book.window.end_ns.min(self.book.now_ns);
        let Some(arrivals) = &mut self.arrivals else { return };
        let left = self.limits.requests - self.started.min(self.limits.requests);
        let mut unsent = 0;
        while arrivals.next_ns() < end_ns && unsent < left {
            arrivals.advance();
            unsent += 1;
        }
        self.book.tally.counters.arrivals_unsent += unsent;
    }

    /// How long the kernel may keep the thread.
    fn wait(&self) -> Wait {
        let now_ns = self.elapsed_ns();
        let mut until_ns = self.schedule.tick_ns.min(self.schedule.interval_end_ns);
        if self.stopped_ns.is_none() {
            until_ns = until_ns.min(self.book.window.end_ns);
            if let Some(arrivals) = &self.arrivals
                && self.book.in_flight < self.limits.in_flight
            {
                until_ns = until_ns.min(arrivals.next_ns());
            }
        }
        let wait_ns = until_ns.saturating_sub(now_ns);
        if wait_ns < SPIN_NS {
            return Wait::POLL;
        }
        let timeout = Duration::from_nanos(wait_ns);
        match self.plan.gather.as_micros() as u32 {
            0 => Wait::one(timeout),
            batch_us => Wait { want: GATHER_COUNT, batch_us, timeout: Some(timeout) },
        }
    }

    fn handle(&mut self, ring: &mut Ring, completions: &mut Vec<Completion>) -> io::Result<()> {
        ring.drain(completions);
        for completion in completions.drain(..) {
            self.complete(ring, &completion)?;
        }
        ring.recycle();
        Ok(())
    }

    fn keep_time(&mut self, ring: &mut Ring) -> io::Result<()> {
        let now_ns = self.book.now_ns;
        if !self.schedule.measuring && self.book.measures(now_ns) {
            self.schedule.measuring = true;
            self.book.tally.clear();
        }
        if now_ns >= self.schedule.interval_end_ns {
            self.close_interval();
        }
        if now_ns >= self.schedule.tick_ns {
            self.schedule.tick_ns = now_ns + TICK_NS;
            self.feel_pulse();
            self.expire();
            self.reconnect(ring)?;
        }
        Ok(())
    }

    /// Hands the interval's tally to the collector and goes on with an empty one.
    fn close_interval(&mut self) {
        let empty = self.empties.try_recv().unwrap_or_default();
        let tally = std::mem::replace(&mut self.book.tally, empty);
        let schedule = &mut self.schedule;
        let part = Part { worker: self.index, interval: schedule.interval, tally };
        // The collector lives longer than its workers, unless the run is being given up.
        let _ = self.parts.send(part);
        let late_ns = self.book.now_ns.saturating_sub(schedule.interval_end_ns);
        let passed = 1 + late_ns / schedule.interval_ns;
        schedule.interval += passed as usize;
        schedule.interval_end_ns += passed * schedule.interval_ns;
    }

    /// Closes all connections and waits until the kernel has let go of them, so that the ring can
    /// serve the next run.
    fn let_go(&mut self, ring: &mut Ring, completions: &mut Vec<Completion>) -> io::Result<()> {
        if self.plan.transport == Transport::Udp {
            self.cancels.extend(self.conns.iter().map(|conn| conn.token(Op::Receive)));
            self.cancel(ring);
        }
        self.conns.iter_mut().for_each(Conn::close);
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.kernel_ops > 0 && Instant::now() < deadline {
            ring.enter(Wait::one(Duration::from_millis(10)))?;
            ring.drain(completions);
            completions.drain(..).for_each(|completion| self.let_go_of(ring, &completion));
            ring.recycle();
        }
        if self.kernel_ops > 0 {
            return Err(io::Error::other("the kernel does not let go of closed connections"));
        }
        Ok(())
    }
}
