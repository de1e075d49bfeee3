//! `tune sweep`: which -t and -L pay on this host, under a workload that is given.
//!
//! Each setting is run once a round, and the rounds start at another setting each time, so that a
//! neighbour's busy minute does not fall on one setting alone. What is compared are the rounds:
//! [`choose`] asks each of them which setting is enough, and only when they agree is the host
//! quiet enough to tell. The load comes from `loadgen`, one process a run, and each run has a
//! fresh server, because a warm one would be ahead of the next.

pub mod choose;
pub mod plot;
pub mod run;

use std::fmt::Write;
use std::io;

use choose::Choice;
use serde_json::{Value, json};

/// Flags of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `-t`.
    pub threads: usize,
    /// `-L`.
    pub large_pages: bool,
    /// Whatever else is swept.
    pub extra: Vec<String>,
}

impl Setting {
    /// The flags in the server's words.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec!["-t".to_owned(), self.threads.to_string()];
        flags.extend(self.large_pages.then(|| "-L".to_owned()));
        flags.extend(self.extra.iter().flat_map(|flag| flag.split(' ')).map(str::to_owned));
        flags
    }

    /// The flags as a person types them.
    #[must_use]
    pub fn label(&self) -> String {
        self.flags().join(" ")
    }
}

/// Every combination, what takes the least of the host first: threads, then reserved pages, then
/// the other flags in the order given.
#[must_use]
pub fn settings(threads: &[usize], large_pages: &[bool], vary: &[Vec<String>]) -> Vec<Setting> {
    let mut extras = vec![Vec::new()];
    for flags in vary {
        let with = |extra: &Vec<String>, flag: &String| {
            [extra.as_slice(), std::slice::from_ref(flag)].concat()
        };
        extras = extras
            .iter()
            .flat_map(|extra| flags.iter().map(move |flag| with(extra, flag)))
            .collect();
    }
    let mut settings = Vec::new();
    for extra in extras {
        for &threads in threads {
            for &large_pages in large_pages {
                settings.push(Setting { threads, large_pages, extra: extra.clone() });
            }
        }
    }
    settings.sort_by_key(|setting| (setting.threads, setting.large_pages));
    settings
}

/// What one run gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Requests answered, a second.
    pub rate: f64,
    /// CPU time of the server for each, user and system, in microseconds.
    pub cpu_us: f64,
    /// Half of the responses came within this, in microseconds.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1000.
    pub p99_9_us: f64,
    /// Requests that failed.
    pub errors: u64,
    /// What the load generator says against its own result.
    pub doubts: Vec<String>,
}

/// All runs of one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The flags.
    pub setting: Setting,
    /// One sample a round.
    pub samples: Vec<Sample>,
}

impl Series {
    /// The median of a figure over the rounds.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    /// The lowest and the highest of a figure.
    #[must_use]
    pub fn range(&self, of: impl Fn(&Sample) -> f64) -> (f64, f64) {
        let both = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        self.samples.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), both)
    }

    /// How far apart the rounds lie, as a share of the median.
    #[must_use]
    pub fn spread(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let (low, high) = self.range(&of);
        (high - low) / self.median(of)
    }
}

/// Runs every setting in every round. `one` runs a setting; `tell` hears of each before it runs.
///
/// # Errors
/// The first run that fails ends the sweep: a setting without its sample cannot be compared.
pub fn sweep(
    settings: Vec<Setting>,
    rounds: usize,
    mut one: impl FnMut(&Setting) -> io::Result<Sample>,
    mut tell: impl FnMut(usize, &Setting),
) -> io::Result<Vec<Series>> {
    let of = |setting| Series { setting, samples: Vec::new() };
    let mut series: Vec<Series> = settings.into_iter().map(of).collect();
    let count = series.len();
    for round in 0..rounds {
        for turn in 0..count {
            let series = &mut series[(round + turn) % count];
            tell(round, &series.setting);
            series.samples.push(one(&series.setting)?);
        }
    }
    Ok(series)
}

/// The table and the recommendation, as a person reads them.
#[must_use]
pub fn text(series: &[Series], choice: &Choice) -> String {
    let mut text = format!(
        "{:<24} {:>10} {:>7} {:>9} {:>9} {:>9} {:>9} {:>7}\n",
        "setting", "rate/s", "spread", "CPU us", "p50 us", "p99 us", "p99.9 us", "errors"
    );
    for (index, series) in series.iter().enumerate() {
        let mark = if choice.recommended() == Some(index) { '*' } else { ' ' };
        let errors: u64 = series.samples.iter().map(|sample| sample.errors).sum();
        let _ = writeln!(
            text,
            "{mark}{:<23} {:>10.0} {:>6.0}% {:>9.2} {:>9.0} {:>9.0} {:>9.0} {errors:>7}",
            series.setting.label(),
            series.median(|sample| sample.rate),
            100.0 * series.spread(|sample| sample.rate),
            series.median(|sample| sample.cpu_us),
            series.median(|sample| sample.p50_us),
            series.median(|sample| sample.p99_us),
            series.median(|sample| sample.p99_9_us),
        );
    }
    text + "\n" + &choice.text(series)
}

/// The same for programs, every sample included.
#[must_use]
pub fn json(series: &[Series], choice: &Choice) -> Value {
    let sample = |sample: &Sample| {
        json!({
            "rate": sample.rate,
            "cpu_us_per_request": sample.cpu_us,
            "p50_us": sample.p50_us,
            "p99_us": sample.p99_us,
            "p99_9_us": sample.p99_9_us,
            "errors": sample.errors,
            "doubts": sample.doubts,
        })
    };
    let entry = |series: &Series| {
        json!({
            "flags": series.setting.flags(),
            "rate": series.median(|sample| sample.rate),
            "rate_spread": series.spread(|sample| sample.rate),
            "samples": series.samples.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    json!({
        "settings": series.iter().map(entry).collect::<Vec<_>>(),
        "best": series[choice.best].setting.flags(),
        "recommended": choice.recommended().map(|index| series[index].setting.flags()),
        "rounds": choice.rounds,
        "rounds_agreeing": choice.agreeing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_all_combinations_from_the_smallest() {
        let vary = [vec!["-R 20".to_owned(), "-R 60".to_owned()]];
        let labels: Vec<String> =
            settings(&[2, 1], &[false, true], &vary).iter().map(Setting::label).collect();
        assert_eq!(labels[..3], ["-t 1 -R 20", "-t 1 -R 60", "-t 1 -L -R 20"]);
        assert_eq!(labels.len(), 8);
        assert_eq!(settings(&[1], &[false], &[]).len(), 1);
    }

    #[test]
    fn every_round_starts_at_another_setting() {
        let mut order = Vec::new();
        let tell = |round, setting: &Setting| order.push((round, setting.threads));
        let one = |_: &Setting| Ok(Sample::default());
        let series = sweep(settings(&[1, 2, 3], &[false], &[]), 2, one, tell).expect("samples");
        assert!(series.iter().all(|series| series.samples.len() == 2));
        assert_eq!(order, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 1)]);
    }

    #[test]
    fn a_median_is_the_middle() {
        let sample = |rate| Sample { rate, ..Sample::default() };
        let setting = Setting { threads: 1, large_pages: false, extra: Vec::new() };
        let mut series = Series { setting, samples: [3.0, 1.0, 2.0].map(sample).to_vec() };
        assert_eq!(series.median(|sample| sample.rate), 2.0);
        assert_eq!(series.spread(|sample| sample.rate), 1.0);
        series.samples.push(sample(10.0));
        assert_eq!(series.median(|sample| sample.rate), 2.5);
    }
}
