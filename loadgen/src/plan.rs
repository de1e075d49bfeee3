//! A run as data: everything the command line said, checked and resolved, and nothing else.
//!
//! The engine takes a plan and knows no flags; search, sweep and compare change a plan and run it again.

use std::time::Duration;

use crate::arrivals::Law;
use crate::net::target::{Target, Transport};
use crate::wire::Protocol;
use crate::workload::Spec;

/// A server to load.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The host or path as it was given: distributions hash this, not the address it resolved to.
    pub host: String,
    /// The port; 0 with a path.
    pub port: u16,
    /// The weight for weighted distributions.
    pub weight: u32,
    /// Where it is.
    pub target: Target,
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

/// When a run ends: at the first of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// After this time.
    pub time: Option<Duration>,
    /// After this many requests.
    pub requests: Option<u64>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The servers, in the order given.
    pub servers: Vec<Server>,
    /// Streams or datagrams.
    pub transport: Transport,
    /// The dialect.
    pub protocol: Protocol,
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
    /// Receive buffers on huge pages.
    pub large_pages: bool,
}

impl Plan {
    /// The clients of one worker.
    pub fn clients_of(&self, worker: usize) -> std::ops::Range<usize> {
        share(self.clients, worker, self.threads)
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
