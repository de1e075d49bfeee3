//! Runs servers in turn under one load, interleaved, and tells medians and ratios with their
//! spread.
//!
//! A B A B ... instead of A A ... B B: whatever drifts on the host (clock speed, neighbours) drifts
//! over all servers alike. A ratio is taken round by round, between runs that were neighbours in
//! time, and the median of these is told with the lowest and highest.

use std::sync::Arc;

use serde::Serialize;

use crate::bench::Bench;
use crate::engine::{RunError, Silent};
use crate::plan::Plan;
use crate::report::summary::Summary;
use crate::report::table::number;

/// A server to compare.
pub struct Contender {
    /// The load, on this server alone.
    pub plan: Arc<Plan>,
    /// The server's process, if it runs on this host.
    pub pid: Option<u32>,
}

impl Contender {
    /// The server's address.
    pub fn server(&self) -> String {
        self.plan.servers[0].target.to_string()
    }
}

/// The median of several runs, with the extremes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of one or more values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, low, high })
    }
}

/// What is told about one server.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Its address.
    pub server: String,
    /// Keys a second.
    pub keys_per_s: Option<Spread>,
    /// Requests a second.
    pub rate: Option<Spread>,
    /// Response time in microseconds.
    pub p50_us: Option<Spread>,
    /// Likewise.
    pub p99_us: Option<Spread>,
    /// Likewise.
    pub p99_9_us: Option<Spread>,
    /// CPU time of the server per key, in microseconds.
    pub server_cpu_us_per_key: Option<Spread>,
    /// Of it in user mode.
    pub server_user_us_per_request: Option<Spread>,
    /// CPU time of the client per key, in microseconds.
    pub client_cpu_us_per_key: Option<Spread>,
    /// This server's rate over the first one's.
    pub rate_ratio: Option<Spread>,
    /// This server's CPU time per key over the first one's.
    pub server_cpu_ratio: Option<Spread>,
    /// Errors in all its runs.
    pub errors: u64,
    /// Every run, in order.
    pub runs: Vec<Summary>,
}

/// Runs the comparison: `rounds` runs of each server, interleaved.
pub fn compare(
    bench: &mut Bench,
    contenders: &[Contender],
    rounds: usize,
    mut progress: impl FnMut(usize, &Contender, &Summary),
) -> Result<Vec<Standing>, RunError> {
    let mut runs: Vec<Vec<Summary>> = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            let pids = Vec::from_iter(contender.pid);
            let measured = bench.measure(&contender.plan, &pids, &mut Silent)?;
            progress(round, contender, &measured.summary);
            runs.push(measured.summary);
        }
    }
    Ok(standings(contenders, runs))
}

fn standings(contenders: &[Contender], runs: Vec<Vec<Summary>>) -> Vec<Standing> {
    let base = runs[0].clone();
    let standing = |(contender, runs): (&Contender, Vec<Summary>)| {
        let spread =
            |value: &dyn Fn(&Summary) -> Option<f64>| Spread::of(runs.iter().filter_map(value));
        let ratio = |value: &dyn Fn(&Summary) -> Option<f64>| {
            Spread::of(runs.iter().zip(&base).filter_map(|(a, b)| Some(value(a)? / value(b)?)))
        };
        let server_cpu = |s: &Summary| s.server_cpu.map(|cpu| cpu.us_per_key);
        Standing {
            server: contender.server(),
            keys_per_s: spread(&|s| Some(s.keys_per_s)),
            rate: spread(&|s| Some(s.rate_achieved)),
            p50_us: spread(&|s| Some(s.response_us.p50)),
            p99_us: spread(&|s| Some(s.response_us.p99)),
            p99_9_us: spread(&|s| Some(s.response_us.p99_9)),
            server_cpu_us_per_key: spread(&server_cpu),
            server_user_us_per_request: spread(&|s| {
                s.server_cpu.map(|cpu| cpu.user_us_per_request)
            }),
            client_cpu_us_per_key: spread(&|s| Some(s.client.cpu.us_per_key)),
            rate_ratio: ratio(&|s| Some(s.rate_achieved)),
            server_cpu_ratio: ratio(&server_cpu),
            errors: runs.iter().flat_map(|run| run.errors.values()).sum(),
            runs,
        }
    };
    contenders.iter().zip(runs).map(standing).collect()
}

/// The comparison as a table: a column for each server, medians with the extremes in brackets.
pub fn render(standings: &[Standing]) -> String {
    let plain = |value: f64| format!("{value:.0}");
    let with = |digits: usize| move |value: f64| format!("{value:.digits$}");
    let mut out = line("", standings, |standing| standing.server.clone());
    out += &spreads("keys/s", standings, number, |standing| standing.keys_per_s);
    out += &spreads("server CPU us/key", standings, with(3), |s| s.server_cpu_us_per_key);
    out += &spreads("user us/request", standings, with(2), |s| s.server_user_us_per_request);
    out += &spreads("p50 us", standings, plain, |standing| standing.p50_us);
    out += &spreads("p99 us", standings, plain, |standing| standing.p99_us);
    out += &spreads("p99.9 us", standings, plain, |standing| standing.p99_9_us);
    out += &spreads("client CPU us/key", standings, with(3), |s| s.client_cpu_us_per_key);
    out += &line("errors", standings, |standing| standing.errors.to_string());
    out += &spreads("rate ratio", standings, with(3), |standing| standing.rate_ratio);
    out += &spreads("server CPU ratio", standings, with(3), |s| s.server_cpu_ratio);
    out
}

fn spreads(
    name: &str,
    standings: &[Standing],
    show: impl Fn(f64) -> String,
    spread: impl Fn(&Standing) -> Option<Spread>,
) -> String {
    line(name, standings, |standing| match spread(standing) {
        Some(Spread { median, low, high }) => {
            format!("{} ({}-{})", show(median), show(low), show(high))
        }
        None => "-".into(),
    })
}

fn line(name: &str, standings: &[Standing], cell: impl Fn(&Standing) -> String) -> String {
    let cells: String =
        standings.iter().map(|standing| format!("  {:>27}", cell(standing))).collect();
    format!("{name:<18}{cells}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_median_and_extremes() {
        let spread = Spread::of([3.0, 1.0, 2.0]).expect("values");
        assert_eq!((spread.median, spread.low, spread.high), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([1.0, 2.0]).expect("values").median, 1.5);
        assert!(Spread::of([]).is_none());
    }
}
