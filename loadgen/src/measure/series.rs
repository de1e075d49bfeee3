//! The time series: one small row per interval, made when the interval is whole, so that a long run
//! does not keep its histograms.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// One interval of all workers. Latencies are response times in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// Its end, in seconds from the start of the measured time.
    pub at_s: f64,
    /// Its length in seconds; the last one may be shorter.
    pub length_s: f64,
    /// Requests answered.
    pub requests: u64,
    /// Keys found.
    pub hits: u64,
    /// Keys not found.
    pub misses: u64,
    /// Errors of all kinds.
    pub errors: u64,
    /// Latencies.
    pub p50_us: f64,
    /// See above.
    pub p90_us: f64,
    /// See above.
    pub p99_us: f64,
    /// See above.
    pub p99_9_us: f64,
    /// See above.
    pub max_us: f64,
    /// The 99th percentile of the service time.
    pub service_p99_us: f64,
}

impl Row {
    /// The `index`-th interval.
    pub fn new(index: usize, length: Duration, tally: &Tally) -> Self {
        let latencies = tally.latencies();
        let at = |quantile| latencies.response.value_at_quantile(quantile) as f64 / 1000.0;
        let (hits, misses) = tally.hits_and_misses();
        let length_s = length.as_secs_f64();
        Self {
            at_s: length_s * (index + 1) as f64,
            length_s,
            requests: tally.requests(),
            hits,
            misses,
            errors: tally.errors_total(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: latencies.response.max() as f64 / 1000.0,
            service_p99_us: latencies.service.value_at_quantile(0.99) as f64 / 1000.0,
        }
    }

    /// Adds the same interval of another host: counts are summed, of latencies the worse stays.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.hits += other.hits;
        self.misses += other.misses;
        self.errors += other.errors;
        self.p50_us = self.p50_us.max(other.p50_us);
        self.p90_us = self.p90_us.max(other.p90_us);
        self.p99_us = self.p99_us.max(other.p99_us);
        self.p99_9_us = self.p99_9_us.max(other.p99_9_us);
        self.max_us = self.max_us.max(other.max_us);
        self.service_p99_us = self.service_p99_us.max(other.service_p99_us);
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.length_s.max(1e-9)
    }
}

/// Cuts the series where the run ended: what came while it drained belongs to no second of it.
pub fn trim(rows: &mut Vec<Row>, duration: Duration) {
    let end_s = duration.as_secs_f64();
    rows.retain(|row| row.at_s - row.length_s < end_s - 1e-6);
    if let Some(last) = rows.last_mut() {
        let over = (last.at_s - end_s).max(0.0);
        last.at_s -= over;
        last.length_s -= over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_ends_with_its_run() {
        let row = |index| Row::new(index, Duration::from_secs(1), &Tally::default());
        let mut rows: Vec<_> = (0..4).map(row).collect();
        trim(&mut rows, Duration::from_millis(2500));
        assert_eq!(rows.len(), 3);
        assert!((rows[2].at_s - 2.5).abs() < 1e-9 && (rows[2].length_s - 0.5).abs() < 1e-9);
    }
}
