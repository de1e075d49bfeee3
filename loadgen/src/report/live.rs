//! The line a person watches while a run goes on.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use super::table::number;
use crate::engine::{Interval, Observer};

/// Rewrites one line on the standard error, if that is a terminal.
pub struct Live {
    shown: bool,
    interval: Duration,
    whole: Option<Duration>,
}

impl Live {
    /// A line for a run of rows of this length.
    pub fn new(wanted: bool, interval: Duration, whole: Option<Duration>) -> Self {
        Self { shown: wanted && stderr().is_terminal(), interval, whole }
    }

    /// Clears the line for what comes after it.
    pub fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

impl Observer for Live {
    fn interval(&mut self, index: usize, interval: &Interval) {
        if !self.shown {
            return;
        }
        let tally = &interval.tally;
        let rate = tally.requests() as f64 / self.interval.as_secs_f64();
        let (hits, misses) = tally.hits_and_misses();
        let ratio = 100.0 * hits as f64 / (hits + misses).max(1) as f64;
        let latencies = tally.latencies();
        let at = |quantile| latencies.response.value_at_quantile(quantile) as f64 / 1000.0;
        let gone = self.interval * (index as u32 + 1);
        let left = self.whole.map(|whole| whole.saturating_sub(gone).as_secs());
        let left = left.map(|left| format!("  {left} s left")).unwrap_or_default();
        let _ = write!(
            stderr(),
            "\r\x1b[K{}/s  hits {ratio:.1} %  p50 {:.0}  p99 {:.0}  p99.9 {:.0} us  errors {}{left}",
            number(rate),
            at(0.5),
            at(0.99),
            at(0.999),
            tally.errors_total(),
        );
        let _ = stderr().flush();
    }
}
