//! What one worker saw in one interval, and how intervals and workers add up.
//!
//! Latencies go into HDR histograms in nanoseconds at three digits, response time (from the
//! intended start) beside service time (from the hand-over to the kernel). A worker fills a tally
//! without locks and swaps it for an empty one when an interval ends; merging is somebody else's
//! work.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::check::ledger::Findings;
use crate::workload::mix::Command;

/// Longest latency told apart, in nanoseconds: two minutes.
pub const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// What can go wrong with a request or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorKind {
    /// No reply within `--timeout`; its connection is closed.
    Timeout,
    /// A connection could not be made, or none was up when a request was due.
    Refused,
    /// A connection broke and took the request with it.
    Reset,
    /// Bytes that are no reply to the request.
    Protocol,
    /// The server answered SERVER_ERROR or its like.
    ServerError,
    /// The server answered ERROR, CLIENT_ERROR or their like.
    ClientError,
}

impl ErrorKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Timeout,
        Self::Refused,
        Self::Reset,
        Self::Protocol,
        Self::ServerError,
        Self::ClientError,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::ServerError => "server_error",
            Self::ClientError => "client_error",
        }
    }
}

/// Latencies of one kind of request.
#[derive(Clone)]
pub struct Latencies {
    /// From the intended start to the reply, in nanoseconds.
    pub response: Histogram<u64>,
    /// From the hand-over to the kernel to the reply, in nanoseconds.
    pub service: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("bounds in order");
        Self { response: empty(), service: empty() }
    }
}

impl Latencies {
    fn clear(&mut self) {
        self.response.reset();
        self.service.reset();
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.response.add(&other.response).expect("the same bounds");
        self.service.add(&other.service).expect("the same bounds");
    }
}

/// Requests of one command.
#[derive(Clone, Default)]
pub struct CommandTally {
    /// Requests answered.
    pub requests: u64,
    /// Keys named in them.
    pub keys: u64,
    /// Keys found, or conditions met.
    pub hits: u64,
    /// Keys not found, or conditions not met.
    pub misses: u64,
    /// Their latencies.
    pub latencies: Latencies,
}

/// Everything that is only counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Errors by kind.
    errors: [u64; ErrorKind::ALL.len()],
    /// Requests answered before the end of the measured time; the others came while the run
    /// drained.
    pub requests_in_time: u64,
    /// Bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Open loop: requests handed to the kernel more than the allowed lag after their intended
    /// start.
    pub sends_late: u64,
    /// Open loop: the greatest lag of a send behind its intended start, in nanoseconds.
    pub lag_ns_max: u64,
    /// Open loop: turns in which arrivals had to wait because the cap of requests in flight was
    /// reached.
    pub arrivals_capped: u64,
    /// Open loop: arrivals that were due and never sent.
    pub arrivals_unsent: u64,
    /// Connections made anew after a loss.
    pub reconnects: u64,
    /// How values were judged, if they were verified.
    pub findings: Findings,
}

impl Counters {
    fn merge(&mut self, other: &Self) {
        self.errors.iter_mut().zip(other.errors).for_each(|(mine, theirs)| *mine += theirs);
        self.requests_in_time += other.requests_in_time;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.sends_late += other.sends_late;
        self.lag_ns_max = self.lag_ns_max.max(other.lag_ns_max);
        self.arrivals_capped += other.arrivals_capped;
        self.arrivals_unsent += other.arrivals_unsent;
        self.reconnects += other.reconnects;
        self.findings.merge(&other.findings);
    }
}

/// One interval of one worker, or any sum of such.
#[derive(Clone, Default)]
pub struct Tally {
    commands: [Option<Box<CommandTally>>; Command::ALL.len()],
    /// What is only counted.
    pub counters: Counters,
}

/// A finished request, as it is tallied.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Which command it was.
    pub command: Command,
    /// Keys named.
    pub keys: u32,
    /// Keys found, or 1 if the condition held.
    pub hits: u32,
    /// When it should have started, when it went out, when its reply was there: nanoseconds on one
    /// clock.
    pub intended_ns: u64,
    /// See above.
    pub sent_ns: u64,
    /// See above.
    pub done_ns: u64,
}

impl Tally {
    /// Counts a request that was answered.
    pub fn finish(&mut self, request: &Finished) {
        let tally = self.commands[request.command as usize].get_or_insert_default();
        tally.requests += 1;
        tally.keys += u64::from(request.keys);
        tally.hits += u64::from(request.hits);
        tally.misses += u64::from(request.keys - request.hits);
        let response = request.done_ns.saturating_sub(request.intended_ns).max(1);
        let service = request.done_ns.saturating_sub(request.sent_ns).max(1);
        tally.latencies.response.saturating_record(response);
        tally.latencies.service.saturating_record(service);
    }

    /// Counts errors of a kind.
    pub fn fail(&mut self, kind: ErrorKind, count: u64) {
        self.counters.errors[kind as usize] += count;
    }

    /// Notes that a request went out so long after its intended start.
    pub fn note_lag(&mut self, lag_ns: u64, allowed_ns: u64) {
        self.counters.sends_late += u64::from(lag_ns > allowed_ns);
        self.counters.lag_ns_max = self.counters.lag_ns_max.max(lag_ns);
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        for tally in commands.iter_mut().flatten() {
            tally.latencies.clear();
            let latencies = std::mem::take(&mut tally.latencies);
            **tally = CommandTally { latencies, ..CommandTally::default() };
        }
        *self = Self { commands, counters: Counters::default() };
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.commands.iter_mut().zip(&other.commands) {
            let Some(theirs) = theirs else { continue };
            let mine = mine.get_or_insert_default();
            mine.requests += theirs.requests;
            mine.keys += theirs.keys;
            mine.hits += theirs.hits;
            mine.misses += theirs.misses;
            mine.latencies.merge(&theirs.latencies);
        }
        self.counters.merge(&other.counters);
    }

    /// Puts in what another tally said of a command.
    pub fn insert(&mut self, command: Command, tally: CommandTally) {
        self.commands[command as usize] = Some(Box::new(tally));
    }

    /// The commands that occurred, with their tallies.
    pub fn commands(&self) -> impl Iterator<Item = (Command, &CommandTally)> {
        Command::ALL.into_iter().zip(&self.commands).filter_map(|(command, tally)| {
            let tally = tally.as_deref().filter(|tally| tally.requests > 0)?;
            Some((command, tally))
        })
    }

    /// Errors by kind.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorKind, u64)> + '_ {
        ErrorKind::ALL.into_iter().zip(self.counters.errors)
    }

    /// Errors of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.counters.errors.iter().sum()
    }

    /// Requests answered.
    pub fn requests(&self) -> u64 {
        self.commands().map(|(_, tally)| tally.requests).sum()
    }

    /// Keys named in requests that were answered.
    pub fn keys(&self) -> u64 {
        self.commands().map(|(_, tally)| tally.keys).sum()
    }

    /// Keys found and not found by commands that read values.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        let reads = self.commands().filter(|(command, _)| command.reads());
        reads.fold((0, 0), |(hits, misses), (_, tally)| (hits + tally.hits, misses + tally.misses))
    }

    /// The latencies of all commands together.
    pub fn latencies(&self) -> Latencies {
        let mut all = Latencies::default();
        self.commands().for_each(|(_, tally)| all.merge(&tally.latencies));
        all
    }
}
