//! A run as data: everything the command line said, checked and resolved, and nothing else.
//!
//! The engine takes a plan and knows no flags; search, sweep and compare change a plan and run it
//! again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringcached::ring::SocketAddress;
use rustls::ClientConfig;

use crate::arrivals::Law;
use crate::check::ledger::Ledger;
use crate::net::target::{Target, Transport};
use crate::servers::hash::KeyHash;
use crate::servers::{Distribution, Member, Router};
use crate::wire::Protocol;
use crate::wire::auth::Credentials;
use crate::workload::Spec;
use crate::workload::trace::Replay;

/// A server to load.
#[derive(Clone)]
pub struct Server {
    /// As it was given.
    pub member: Member,
    /// Where it is.
    pub target: Target,
    /// The same for the kernel.
    pub address: &'static SocketAddress,
}

/// How replies are checked.
#[derive(Clone, Default)]
pub enum Checking {
    /// Not at all.
    #[default]
    Off,
    /// Against what was acknowledged; every key is written by one client.
    Verify(Arc<Ledger>),
    /// Everything is recorded, to be checked afterwards.
    History,
}

/// How requests are started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Each client keeps so many requests under way and starts one for every reply.
    Closed {
        /// Requests under way per client.
        depth: usize,
    },
    /// Requests start at their time, whatever the server does: so many a second in all.
    Open {
        /// Requests a second, all threads together.
        rate: f64,
        /// The law of the times between them.
        law: Law,
    },
}

/// The parts of a trace, one for each worker, of which each can be taken once: a trace is replayed
/// by one run.
#[derive(Clone, Default)]
pub struct Replays(Arc<Mutex<Vec<Option<Replay>>>>);

impl Replays {
    /// Parts to be taken.
    pub fn new(parts: Vec<Replay>) -> Self {
        Self(Arc::new(Mutex::new(parts.into_iter().map(Some).collect())))
    }

    /// The part of a worker.
    pub fn take(&self, worker: usize) -> Option<Replay> {
        self.0.lock().ok()?.get_mut(worker)?.take()
    }
}

/// When a run ends: at the first of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// After this time.
    pub time: Option<Duration>,
    /// After this many requests.
    pub requests: Option<u64>,
}

/// A run.
#[derive(Clone)]
pub struct Plan {
    /// The servers, in the order given.
    pub servers: Vec<Server>,
    /// Which server owns a key.
    pub router: Router,
    /// Copies of each value beyond the first; they lie on the servers after the owner.
    pub replicas: usize,
    /// Streams or datagrams.
    pub transport: Transport,
    /// The dialect.
    pub protocol: Protocol,
    /// Encryption, if any.
    pub tls: Option<Arc<ClientConfig>>,
    /// Shown on every connection, if any.
    pub credentials: Option<Credentials>,
    /// Ask for no replies to writes.
    pub quiet: bool,
    /// Switch Nagle's algorithm off.
    pub no_delay: bool,
    /// Worker threads.
    pub threads: usize,
    /// Clients; each has one connection to every server.
    pub clients: usize,
    /// Closed or open.
    pub load: Load,
    /// When to stop.
    pub limit: Limit,
    /// Run this long before anything is measured.
    pub warmup: Duration,
    /// The length of a row of the time series.
    pub interval: Duration,
    /// The requests.
    pub spec: Spec,
    /// A trace to replay instead of drawing requests.
    pub replays: Replays,
    /// The seed of all chance.
    pub seed: u64,
    /// How long a reply may take before its connection is given up.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Open loop: requests under way at most, over all threads.
    pub in_flight_max: usize,
    /// Open loop: a send later than this behind its intended start is reported as late.
    pub lag_allowed: Duration,
    /// Bind worker `i` to the `i`-th of these CPUs, round robin.
    pub cpus: Vec<usize>,
    /// Wait so long for more replies once one has come: fewer entries into the kernel, later times.
    pub gather: Duration,
    /// How replies are checked.
    pub checking: Checking,
    /// Set keys that were read and not found.
    pub fill_misses: bool,
    /// The first version of values, so that those of an earlier run are older.
    pub version_base: u64,
    /// This host's place among several: its number and how many there are.
    pub host: (usize, usize),
    /// Fold memory of ours into huge pages.
    pub large_pages: bool,
}

impl Plan {
    /// The clients of one worker.
    pub fn clients_of(&self, worker: usize) -> std::ops::Range<usize> {
        share(self.clients, worker, self.threads)
    }

    /// The same run against one server alone.
    pub fn with_server(&self, server: Server) -> Self {
        let members = [server.member.clone()];
        let router = Router::new(&members, Distribution::Modula, KeyHash::OneAtATime);
        Self { servers: vec![server], router, replicas: 0, ..self.clone() }
    }

    /// A worker's stream number among those of all hosts, and how many there are.
    pub fn stream(&self, worker: usize) -> (usize, usize) {
        (self.host.0 * self.threads + worker, self.host.1 * self.threads)
    }
}

/// Part `index` of `0..whole` cut into `parts` as even as can be.
pub fn share(whole: usize, index: usize, parts: usize) -> std::ops::Range<usize> {
    whole * index / parts..whole * (index + 1) / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_the_whole_evenly() {
        for (whole, parts) in [(10, 3), (3, 3), (50, 2), (7, 1), (5, 4)] {
            let shares: Vec<_> = (0..parts).map(|index| share(whole, index, parts)).collect();
            assert!(shares.iter().flat_map(Clone::clone).eq(0..whole));
            let sizes: Vec<_> = shares.iter().map(ExactSizeIterator::len).collect();
            assert!(sizes.iter().max().expect("a part") - sizes.iter().min().expect("a part") <= 1);
        }
    }
}
