//! The line a person watches while a run goes on.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use super::table::number;
use crate::engine::Observer;
use crate::measure::series::Row;
use crate::measure::tally::Tally;

/// Rewrites one line on the standard error, if that is a terminal.
pub struct Live {
    shown: bool,
    whole: Option<Duration>,
}

impl Live {
    /// A line for a run of this length.
    pub fn new(wanted: bool, whole: Option<Duration>) -> Self {
        Self { shown: wanted && stderr().is_terminal(), whole }
    }

    /// Clears the line for what comes after it.
    pub fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

impl Observer for Live {
    fn interval(&mut self, row: &Row, _tally: &Tally) {
        if !self.shown {
            return;
        }
        let ratio = 100.0 * row.hits as f64 / (row.hits + row.misses).max(1) as f64;
        let left = self.whole.map(|whole| (whole.as_secs_f64() - row.at_s).max(0.0));
        let left = left.map(|left| format!("  {left:.0} s left")).unwrap_or_default();
        // A terminal that is gone is no reason to stop measuring.
        let _ = write!(
            stderr(),
            "\r\x1b[K{}/s  hits {ratio:.1} %  p50 {:.0}  p99 {:.0}  p99.9 {:.0} us  \
             errors {}{left}",
            number(row.rate()),
            row.p50_us,
            row.p99_us,
            row.p99_9_us,
            row.errors,
        );
        let _ = stderr().flush();
    }
}
