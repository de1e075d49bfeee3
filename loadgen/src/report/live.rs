//! The line a person watches while a run goes on.

use std::io::{IsTerminal, Write, stderr};

use super::table::number;
use crate::engine::Observer;
use crate::measure::series::Row;
use crate::measure::tally::Tally;
use crate::plan::Limit;

/// To the start of the line, which is emptied.
const CLEAR: &str = "\r\x1b[K";
/// A terminal narrower than the line cuts it: what goes on below could not be cleared.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// Rewrites one line on the standard error, if that is a terminal.
pub struct Live {
    shown: bool,
    limit: Limit,
    requests: u64,
}

impl Live {
    /// A line for a run of this length.
    pub fn new(wanted: bool, limit: Limit) -> Self {
        Self { shown: wanted && stderr().is_terminal(), limit, requests: 0 }
    }

    /// Clears the line for what comes after it.
    pub fn end(&self) {
        if self.shown {
            eprint!("{CLEAR}");
        }
    }

    /// Seconds until the first of the run's limits is reached at the present pace.
    fn left_s(&self, row: &Row) -> Option<f64> {
        let by_time = self.limit.time.map(|whole| whole.as_secs_f64() - row.at_s);
        let by_count = self
            .limit
            .requests
            .filter(|_| row.requests > 0)
            .map(|requests| requests.saturating_sub(self.requests) as f64 / row.rate());
        let left = [by_time, by_count].into_iter().flatten().reduce(f64::min)?;
        Some(left.max(0.0))
    }
}

impl Observer for Live {
    fn interval(&mut self, row: &Row, _tally: &Tally) {
        self.requests += row.requests;
        // What is answered after the end makes an interval that is none.
        let is_after =
            self.limit.time.is_some_and(|whole| row.at_s - row.length_s >= whole.as_secs_f64());
        if !self.shown || is_after {
            return;
        }
        let line = line(row, self.left_s(row));
        // A terminal that is gone is no reason to stop measuring.
        let _ = write!(stderr(), "{CLEAR}{WRAP_OFF}{line}{WRAP_ON}");
        let _ = stderr().flush();
    }
}

fn line(row: &Row, left_s: Option<f64>) -> String {
    let looked_up = row.hits + row.misses;
    let hits = match looked_up {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * row.hits as f64 / looked_up as f64),
    };
    let left = left_s.map_or_else(String::new, |left_s| format!("  {left_s:.0} s left"));
    format!(
        "{}/s  hits {hits}  p50 {:.0}  p99 {:.0}  p99.9 {:.0} us  errors {}{left}",
        number(row.rate()),
        row.p50_us,
        row.p99_us,
        row.p99_9_us,
        row.errors,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row() -> Row {
        Row { at_s: 3.0, length_s: 1.0, requests: 500, errors: 2, p99_us: 80.4, ..Row::default() }
    }

    #[test]
    fn the_line_tells_of_the_interval() {
        let expected = "500.0/s  hits -  p50 0  p99 80  p99.9 0 us  errors 2  7 s left";
        assert_eq!(line(&row(), Some(7.0)), expected);
        let read = Row { hits: 3, misses: 1, ..row() };
        assert!(line(&read, None).contains("  hits 75.0 %  "));
    }

    #[test]
    fn the_first_limit_tells_the_time_left() {
        let left_s = |time: Option<u64>, requests| {
            let limit = Limit { time: time.map(Duration::from_secs), requests };
            let mut live = Live::new(false, limit);
            live.interval(&row(), &Tally::default());
            live.left_s(&row())
        };
        assert_eq!(left_s(Some(10), None), Some(7.0));
        assert_eq!(left_s(None, Some(1500)), Some(2.0));
        assert_eq!(left_s(Some(4), Some(1500)), Some(1.0));
        assert_eq!(left_s(None, None), None);
    }
}
