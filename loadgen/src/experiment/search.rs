//! Finds the highest rate at which a condition holds, such as `p99<1ms`.
//!
//! A rate holds when three things are true: the condition on the response time, no errors, and that
//! the rate was really delivered: of the requests that were due in the measured time nearly all
//! were answered in it. Without the last a generator that can't keep up, or a server that answers
//! late, would pass for one that holds. The search starts from what a closed loop delivers, halves
//! the gap between the highest rate that held and the lowest that did not until it is small, and
//! tries the winner again, lower if it fails, so that luck does not win.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::arrivals::Law;
use crate::bench::{Bench, Measured};
use crate::engine::{RunError, Silent};
use crate::plan::{Load, Plan};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The quantile of the response time; 1 is the slowest.
    pub quantile: f64,
    /// Its limit.
    pub limit: Duration,
}

impl Condition {
    /// Reads `p99<1ms`, `p99.9<500us` or `max<10ms`.
    pub fn parse(
        text: &str,
        duration: impl Fn(&str) -> Result<Duration, String>,
    ) -> Result<Self, String> {
        let problem = || format!("{text:?} is no condition such as p99<1ms");
        let (measure, limit) = text.split_once('<').ok_or_else(problem)?;
        let limit = duration(limit.trim_start_matches('=').trim())?;
        let quantile = match measure.trim() {
            "max" => 1.0,
            percentile => {
                let number = percentile.strip_prefix('p').ok_or_else(problem)?;
                // p99_9 as in the JSON, besides p99.9.
                number.replace('_', ".").parse::<f64>().map_err(|_| problem())? / 100.0
            }
        };
        if !(0.0..=1.0).contains(&quantile) || limit.is_zero() {
            return Err(problem());
        }
        Ok(Self { quantile, limit })
    }
}

/// One rate that was tried.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Probe {
    /// Requests a second asked for.
    pub rate_asked: f64,
    /// Requests a second delivered.
    pub rate_achieved: f64,
    /// The quantile in question, in microseconds.
    pub value_us: f64,
    /// Errors of all kinds.
    pub errors: u64,
    /// Whether it held.
    pub holds: bool,
}

/// What a search found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The highest rate that held, as delivered; `None` if none did.
    pub rate: Option<f64>,
    /// What a closed loop delivered.
    pub rate_closed: f64,
    /// Everything that was tried, in order.
    pub probes: Vec<Probe>,
}

/// The share of what was due that must have been answered in time.
const DELIVERED: f64 = 0.98;
/// The search ends when the gap is this small.
const GAP: f64 = 1.03;
/// Rates below this share of what a closed loop delivers are not worth a probe.
const LOWEST: f64 = 0.001;
/// No search takes more probes.
const PROBES_MAX: usize = 24;
/// How much lower a winner that failed is tried again.
const STEP_DOWN: f64 = 0.97;

/// Searches. The plan's own load is replaced.
pub fn search(
    bench: &mut Bench,
    plan: &Plan,
    pids: &[u32],
    condition: Condition,
    mut progress: impl FnMut(&Probe),
) -> Result<Found, RunError> {
    let depth = match plan.load {
        Load::Closed { depth } => depth,
        Load::Open { .. } => 1,
    };
    let closed = Arc::new(Plan { load: Load::Closed { depth: depth.max(8) }, ..plan.clone() });
    let rate_closed = bench.measure(&closed, pids, &mut Silent)?.summary.rate_achieved;
    let mut found = Found { rate: None, rate_closed, probes: Vec::new() };
    let mut trial = |found: &mut Found, rate: f64| {
        let probe = probe(bench, plan, pids, condition, rate)?;
        progress(&probe);
        found.probes.push(probe);
        Ok::<_, RunError>(probe)
    };
    // An open loop may deliver a little more than the closed one did.
    let (mut low, mut high) = (0.0, rate_closed * 1.2);
    let mut rate = rate_closed / 2.0;
    while high > low * GAP && rate >= rate_closed * LOWEST && found.probes.len() < PROBES_MAX {
        if trial(&mut found, rate)?.holds {
            low = rate;
        } else {
            high = rate;
        }
        rate = f64::midpoint(low, high);
    }
    while low > 0.0 && found.probes.len() < PROBES_MAX + 5 {
        let again = trial(&mut found, low)?;
        if again.holds {
            found.rate = Some(again.rate_achieved);
            break;
        }
        low *= STEP_DOWN;
    }
    Ok(found)
}

fn probe(
    bench: &mut Bench,
    plan: &Plan,
    pids: &[u32],
    condition: Condition,
    rate: f64,
) -> Result<Probe, RunError> {
    let law = match plan.load {
        Load::Open { law, .. } => law,
        Load::Closed { .. } => Law::Poisson,
    };
    let open = Arc::new(Plan { load: Load::Open { rate, law }, ..plan.clone() });
    let Measured { summary, outcome, .. } = bench.measure(&open, pids, &mut Silent)?;
    let response = outcome.tally.latencies().response;
    let value_us = response.value_at_quantile(condition.quantile) as f64 / 1000.0;
    let errors = outcome.tally.errors_total();
    let in_time = value_us <= condition.limit.as_secs_f64() * 1e6;
    let counters = &outcome.tally.counters;
    // What was due is known from the schedule that was kept, not from its mean rate, which chance
    // misses.
    let due = summary.requests + errors + counters.arrivals_unsent;
    let delivered = counters.requests_in_time as f64 >= DELIVERED * due as f64;
    let answered = summary.requests > 0;
    Ok(Probe {
        rate_asked: rate,
        rate_achieved: summary.rate_achieved,
        value_us,
        errors,
        holds: in_time && delivered && answered && errors == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::units::duration;

    #[test]
    fn conditions_are_read() {
        let ms = Duration::from_millis;
        let condition = |text| Condition::parse(text, duration);
        assert_eq!(condition("p99<1ms"), Ok(Condition { quantile: 0.99, limit: ms(1) }));
        assert_eq!(condition("max<10ms"), Ok(Condition { quantile: 1.0, limit: ms(10) }));
        let p99_9 = condition("p99_9 <= 2ms").expect("a condition");
        assert!((p99_9.quantile - 0.999).abs() < 1e-9 && p99_9.limit == ms(2));
        for text in ["p99", "p99<", "q99<1ms", "p101<1ms", "p99<0s"] {
            assert!(condition(text).is_err(), "{text:?}");
        }
    }
}
