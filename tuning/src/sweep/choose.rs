//! The smallest setting that is enough, and whether this host is quiet enough to tell.
//!
//! Settings come smallest first. The best one is that with the best median; enough is whatever
//! lies within the tolerance of it; the smallest of those is recommended. The same question is
//! then put to each round alone. Within a round the runs lie minutes apart at most, so rounds
//! that disagree say that the differences are the host's noise, whatever the medians look like.

use std::fmt::Write;

use super::{Sample, Series};

/// Fewer rounds cannot disagree in a way that means anything.
pub const ROUNDS_MIN: usize = 3;

/// What makes a setting better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// More requests a second, for a closed loop.
    Rate,
    /// A lower 99th percentile, for a given rate.
    P99,
}

impl By {
    /// Higher is better, in both cases.
    fn score(self, sample: &Sample) -> f64 {
        match self {
            Self::Rate => sample.rate,
            // A response takes some time; the floor is for a sample without any.
            Self::P99 => 1.0 / sample.p99_us.max(0.001),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P99 => "p99",
        }
    }
}

/// The outcome of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Index of the best setting.
    pub best: usize,
    /// Index of the smallest one within the tolerance of the best.
    pub chosen: usize,
    /// Rounds that, each for itself, would have chosen the same.
    pub agreeing: usize,
    /// All rounds.
    pub rounds: usize,
    /// What was compared.
    pub by: By,
    /// Share of the best that may be missing, as 0.05.
    pub tolerance: f64,
}

/// Chooses among series of as many samples each, smallest setting first.
///
/// # Panics
/// If there is no series, or one lacks a round.
#[must_use]
pub fn choose(series: &[Series], by: By, tolerance: f64) -> Choice {
    let rounds = series.first().expect("a sweep has settings").samples.len();
    assert!(series.iter().all(|series| series.samples.len() == rounds), "a round is missing");
    let medians: Vec<f64> =
        series.iter().map(|series| series.median(|sample| by.score(sample))).collect();
    let chosen = smallest_within(&medians, tolerance);
    let in_round = |round: usize| {
        let scores: Vec<f64> = series.iter().map(|one| by.score(&one.samples[round])).collect();
        smallest_within(&scores, tolerance)
    };
    let agreeing = (0..rounds).filter(|&round| in_round(round) == chosen).count();
    Choice { best: highest(&medians), chosen, agreeing, rounds, by, tolerance }
}

fn highest(scores: &[f64]) -> usize {
    let indices = 0..scores.len();
    // Of equals the first, which is the smallest setting.
    indices.rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
}

fn smallest_within(scores: &[f64], tolerance: f64) -> usize {
    let enough = scores[highest(scores)] * (1.0 - tolerance);
    scores.iter().position(|&score| score >= enough).unwrap_or(0)
}

impl Choice {
    /// Whether the rounds agree: all of three, four of five, and so on.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.rounds >= ROUNDS_MIN && self.agreeing * 4 >= self.rounds * 3
    }

    /// Index of the setting to take, if the rounds agree on one.
    #[must_use]
    pub fn recommended(&self) -> Option<usize> {
        self.is_clear().then_some(self.chosen)
    }

    /// The recommendation, or why there is none, and what speaks against it.
    #[must_use]
    pub fn text(&self, series: &[Series]) -> String {
        let Self { agreeing, rounds, tolerance, .. } = *self;
        let label = series[self.chosen].setting.label();
        let percent = 100.0 * tolerance;
        let best = series[self.best].setting.label();
        let mut text = if self.is_clear() {
            format!(
                "Recommended: {label}, the smallest within {percent:.0} % of the best {} ({best}); \
                 {agreeing} of {rounds} rounds agree.\n",
                self.by.name()
            )
        } else if rounds < ROUNDS_MIN {
            format!("Too few rounds to tell: run at least {ROUNDS_MIN}.\n")
        } else {
            format!(
                "This host is too noisy to tell: only {agreeing} of {rounds} rounds would choose \
                 {label}. Quiet it, or run longer: more --rounds, and a longer --time behind --.\n"
            )
        };
        for (doubt, count) in doubts(series) {
            let _ = writeln!(text, "In {count} runs loadgen says: {doubt}");
        }
        text
    }
}

/// What the generator held against its results, with the number of runs; the figures within the
/// sentences differ from run to run, so that only their first words tell them apart.
fn doubts(series: &[Series]) -> Vec<(&str, usize)> {
    let samples = series.iter().flat_map(|series| &series.samples);
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for doubt in samples.flat_map(|sample| &sample.doubts) {
        let same = |text: &str| text.split(' ').take(3).eq(doubt.split(' ').take(3));
        match counted.iter_mut().find(|(text, _)| same(text)) {
            Some((_, count)) => *count += 1,
            None => counted.push((doubt, 1)),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Setting;

    fn series(rates: &[&[f64]]) -> Vec<Series> {
        let sample = |&rate: &f64| Sample { rate, p99_us: 1e6 / rate, ..Sample::default() };
        let of = |(index, rates): (usize, &&[f64])| Series {
            setting: Setting { threads: index + 1, large_pages: false, extra: Vec::new() },
            samples: rates.iter().map(sample).collect(),
        };
        rates.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_smallest_within_the_tolerance_is_chosen() {
        let steady =
            series(&[&[100.0, 101.0, 99.0], &[191.0, 192.0, 190.0], &[200.0, 198.0, 199.0]]);
        let choice = choose(&steady, By::Rate, 0.05);
        assert_eq!((choice.best, choice.chosen, choice.agreeing), (2, 1, 3));
        assert!(choice.is_clear());
        assert!(choice.text(&steady).starts_with("Recommended: -t 2, the smallest within 5 %"));
        assert_eq!(choose(&steady, By::Rate, 0.01).chosen, 2);
        assert_eq!(choose(&steady, By::P99, 0.05).chosen, 1);
    }

    #[test]
    fn equals_are_settled_by_size() {
        let equal = series(&[&[100.0; 3], &[100.0; 3]]);
        let choice = choose(&equal, By::Rate, 0.0);
        assert_eq!((choice.best, choice.chosen), (0, 0));
    }

    #[test]
    fn rounds_that_disagree_are_noise() {
        let noisy = series(&[&[100.0, 200.0, 110.0, 190.0], &[150.0, 120.0, 200.0, 130.0]]);
        let choice = choose(&noisy, By::Rate, 0.05);
        assert!(!choice.is_clear());
        assert!(choice.text(&noisy).starts_with("This host is too noisy to tell"));
    }

    #[test]
    fn noise_that_moves_whole_rounds_does_not_matter() {
        let moved = series(&[&[100.0, 50.0, 75.0], &[200.0, 100.0, 150.0]]);
        let choice = choose(&moved, By::Rate, 0.05);
        assert!(choice.is_clear() && choice.chosen == 1);
    }

    #[test]
    fn two_rounds_tell_nothing() {
        let few = series(&[&[100.0, 100.0], &[200.0, 200.0]]);
        let choice = choose(&few, By::Rate, 0.05);
        assert!(!choice.is_clear() && choice.text(&few).starts_with("Too few rounds"));
    }

    #[test]
    fn doubts_are_told_once_with_their_number() {
        let mut doubtful = series(&[&[100.0, 100.0, 100.0]]);
        for (index, sample) in doubtful[0].samples.iter_mut().enumerate() {
            sample.doubts = vec![format!("a client thread used {} % of a CPU", 96 + index)];
        }
        let text = choose(&doubtful, By::Rate, 0.05).text(&doubtful);
        assert!(text.ends_with("In 3 runs loadgen says: a client thread used 96 % of a CPU\n"));
    }
}
