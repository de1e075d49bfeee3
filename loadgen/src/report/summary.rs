//! The numbers of a run: computed once, shown as a table, written as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::check::ledger::Findings;
use crate::engine::Outcome;
use crate::measure::cpu::CpuTime;
use crate::measure::tally::Tally;
use crate::plan::{Checking, Load, Plan};

/// Latencies of many requests, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 90 of 100 were faster.
    pub p90: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1000 were faster.
    pub p99_9: f64,
    /// 9999 of 10000 were faster.
    pub p99_99: f64,
    /// The slowest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
}

impl Percentiles {
    /// Reads a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: histogram.max() as f64 / 1000.0,
            mean: histogram.mean() / 1000.0,
        }
    }
}

/// One command's part.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CommandSummary {
    /// Requests answered.
    pub requests: u64,
    /// Keys named.
    pub keys: u64,
    /// Keys found, or conditions met.
    pub hits: u64,
    /// Keys not found, or conditions not met.
    pub misses: u64,
    /// From the intended start.
    pub response_us: Percentiles,
    /// From the hand-over to the kernel.
    pub service_us: Percentiles,
}

/// CPU time per request, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuSummary {
    /// User and system.
    pub us_per_request: f64,
    /// User alone.
    pub user_us_per_request: f64,
    /// User and system per key, which differs under multi-get.
    pub us_per_key: f64,
    /// Share of one CPU that was used, 1.0 being a whole one.
    pub cores: f64,
}

impl CpuSummary {
    fn new(cpu: CpuTime, requests: u64, keys: u64, over: Duration) -> Self {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Self {
            us_per_request: us(cpu.total()) / requests.max(1) as f64,
            user_us_per_request: us(cpu.user) / requests.max(1) as f64,
            us_per_key: us(cpu.total()) / keys.max(1) as f64,
            cores: cpu.total().as_secs_f64() / over.as_secs_f64().max(1e-9),
        }
    }
}

/// What filling the servers gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Preloaded {
    /// Keys that were set.
    pub keys: u64,
    /// Keys that could not be set.
    pub errors: u64,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// The share of some keys, looked up afterwards, that were there.
    pub hit_rate: f64,
}

/// The generator's judgement of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ClientSummary {
    /// CPU time of all worker threads.
    pub cpu: CpuSummary,
    /// The busiest thread's share of a CPU.
    pub busiest_thread: f64,
    /// The share of the time for which the unluckiest thread had to wait for a CPU, because other
    /// programs, or other threads of this one, had them.
    pub cpu_waited: f64,
    /// Open loop: share of requests that went out late.
    pub sends_late: f64,
    /// Open loop: the worst lag of a send, in microseconds.
    pub lag_us_max: f64,
    /// Open loop: turns in which arrivals waited for the cap of requests in flight.
    pub arrivals_capped: u64,
    /// Open loop: arrivals due and never sent.
    pub arrivals_unsent: u64,
    /// Connections made anew.
    pub reconnects: u64,
    /// The run was ended early because nothing was answered any more.
    pub gave_up: bool,
    /// Why the result may be the generator's rather than the server's.
    pub doubts: Vec<String>,
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Requests answered.
    pub requests: u64,
    /// The measured time in seconds.
    pub duration_s: f64,
    /// Requests a second that were asked for; absent in a closed loop.
    pub rate_asked: Option<f64>,
    /// Requests a second that were answered within the measured time.
    pub rate_achieved: f64,
    /// Keys a second.
    pub keys_per_s: f64,
    /// Keys read and found.
    pub hits: u64,
    /// Keys read and not found.
    pub misses: u64,
    /// Errors by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// From the intended start to the reply.
    pub response_us: Percentiles,
    /// From the hand-over to the kernel to the reply.
    pub service_us: Percentiles,
    /// The same by command.
    pub commands: BTreeMap<&'static str, CommandSummary>,
    /// How values were judged, if they were verified.
    pub verified: Option<Findings>,
    /// How the servers were filled, if they were.
    pub preload: Option<Preloaded>,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// How the generator itself did.
    pub client: ClientSummary,
    /// CPU time of the server, if it runs on this host.
    pub server_cpu: Option<CpuSummary>,
}

impl Summary {
    /// Sums a run up. The server's CPU time is that of the whole run, warm-up included, as is the
    /// client's.
    pub fn new(plan: &Plan, outcome: &Outcome, server: Option<CpuTime>) -> Self {
        let tally = &outcome.tally;
        let (requests, keys) = (tally.requests(), tally.keys());
        let (hits, misses) = tally.hits_and_misses();
        let latencies = tally.latencies();
        let seconds = outcome.duration.as_secs_f64().max(1e-9);
        // CPU time was read around warm-up and measurement, requests were counted in the latter
        // only.
        let whole = outcome.duration + plan.warmup;
        let scale = whole.as_secs_f64() / seconds;
        let scaled = |count: u64| (count as f64 * scale) as u64;
        let rate_asked = match plan.load {
            Load::Open { rate, .. } => Some(rate),
            Load::Closed { .. } => None,
        };
        Self {
            requests,
            duration_s: seconds,
            rate_asked,
            rate_achieved: tally.counters.requests_in_time as f64 / seconds,
            keys_per_s: keys as f64 / seconds,
            hits,
            misses,
            errors: tally.errors().map(|(kind, count)| (kind.name(), count)).collect(),
            response_us: Percentiles::of(&latencies.response),
            service_us: Percentiles::of(&latencies.service),
            commands: commands(tally),
            verified: matches!(plan.checking, Checking::Verify(_))
                .then_some(tally.counters.findings),
            preload: None,
            bytes_sent: tally.counters.bytes_sent,
            bytes_received: tally.counters.bytes_received,
            client: client(outcome, whole, scaled(requests), scaled(keys)),
            server_cpu: server
                .map(|cpu| CpuSummary::new(cpu, scaled(requests), scaled(keys), whole)),
        }
    }
}

fn commands(tally: &Tally) -> BTreeMap<&'static str, CommandSummary> {
    let summary = |(command, tally): (crate::workload::mix::Command, &_)| {
        let tally: &crate::measure::tally::CommandTally = tally;
        let summary = CommandSummary {
            requests: tally.requests,
            keys: tally.keys,
            hits: tally.hits,
            misses: tally.misses,
            response_us: Percentiles::of(&tally.latencies.response),
            service_us: Percentiles::of(&tally.latencies.service),
        };
        (command.name(), summary)
    };
    tally.commands().map(summary).collect()
}

fn client(outcome: &Outcome, whole: Duration, requests: u64, keys: u64) -> ClientSummary {
    let tally = &outcome.tally;
    let share = |cpu: &CpuTime| cpu.total().as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let waited = |cpu: &CpuTime| cpu.waited.as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let busiest_thread = outcome.cpu_by_thread.iter().map(share).fold(0.0, f64::max);
    let mut client = ClientSummary {
        cpu: CpuSummary::new(outcome.cpu(), requests, keys, whole),
        busiest_thread,
        cpu_waited: outcome.cpu_by_thread.iter().map(waited).fold(0.0, f64::max),
        sends_late: tally.counters.sends_late as f64 / tally.requests().max(1) as f64,
        lag_us_max: tally.counters.lag_ns_max as f64 / 1000.0,
        arrivals_capped: tally.counters.arrivals_capped,
        arrivals_unsent: tally.counters.arrivals_unsent,
        reconnects: tally.counters.reconnects,
        gave_up: outcome.gave_up,
        doubts: Vec::new(),
    };
    client.doubts = doubts(&client);
    client
}

/// A thread above this share of a CPU sets the pace itself.
const BUSY: f64 = 0.95;
/// More late sends than this disturb the 99th percentile.
const LATE: f64 = 0.01;

fn doubts(client: &ClientSummary) -> Vec<String> {
    let mut doubts = Vec::new();
    if client.busiest_thread > BUSY {
        let percent = client.busiest_thread * 100.0;
        doubts.push(format!("a client thread used {percent:.0} % of a CPU: add --threads"));
    }
    if client.sends_late > LATE {
        let percent = client.sends_late * 100.0;
        doubts.push(format!("{percent:.1} % of the requests went out late"));
    }
    if client.arrivals_capped > 0 {
        doubts.push("requests waited for the cap of --in-flight".into());
    }
    if client.arrivals_unsent > 0 {
        doubts.push(format!("{} requests were due and never sent", client.arrivals_unsent));
    }
    if client.gave_up {
        doubts.push("the run ended early: nothing was answered any more".into());
    }
    doubts
}
