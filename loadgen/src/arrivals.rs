//! When requests of an open loop start: evenly, as a Poisson process, or with Facebook's
//! inter-arrival times.
//!
//! The schedule is drawn from the seed alone and never looks at the server: this is what makes a
//! loop open. All three laws have the mean that the rate asks for.

use crate::workload::random::Random;

/// A law of inter-arrival times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// All the same.
    Fixed,
    /// Exponential.
    Poisson,
    /// Generalised Pareto of shape 0.154971, as measured at Facebook (Atikoglu et al., 2012).
    Facebook,
}

/// The shape of Facebook's law; its scale follows from the rate.
const FACEBOOK_SHAPE: f64 = 0.154_971;

/// One stream of arrivals.
pub struct Arrivals {
    law: Law,
    gap_ns_mean: f64,
    next_ns: f64,
    random: Random,
}

impl Arrivals {
    /// Stream `stream` of `streams`, which together arrive `rate` times a second.
    pub fn new(law: Law, rate: f64, seed: u64, stream: usize, streams: usize) -> Self {
        let gap_ns_mean = 1e9 * streams as f64 / rate;
        let mut arrivals =
            Self { law, gap_ns_mean, next_ns: 0.0, random: Random::new(!seed, stream as u64) };
        arrivals.next_ns = match law {
            // Even streams interleave evenly.
            Law::Fixed => gap_ns_mean * stream as f64 / streams as f64,
            _ => arrivals.gap_ns(),
        };
        arrivals
    }

    /// When the next request starts, in nanoseconds from the start of the run.
    pub fn next_ns(&self) -> u64 {
        self.next_ns as u64
    }

    /// Goes on to the next.
    pub fn advance(&mut self) {
        self.next_ns += self.gap_ns();
    }

    fn gap_ns(&mut self) -> f64 {
        // In (0, 1], so that its logarithm and its negative power are finite.
        let u = 1.0 - self.random.unit();
        match self.law {
            Law::Fixed => self.gap_ns_mean,
            Law::Poisson => -u.ln() * self.gap_ns_mean,
            Law::Facebook => {
                let scale = (1.0 - FACEBOOK_SHAPE) * self.gap_ns_mean;
                scale * (u.powf(-FACEBOOK_SHAPE) - 1.0) / FACEBOOK_SHAPE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(law: Law, draws: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(law, 1e6, 11, 0, 1);
        (0..draws).map(|_| arrivals.gap_ns()).collect()
    }

    #[test]
    fn every_law_keeps_the_rate() {
        for law in [Law::Fixed, Law::Poisson, Law::Facebook] {
            let gaps = gaps(law, 1_000_000);
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            assert!((mean - 1000.0).abs() < 6.0, "{law:?} has a mean gap of {mean} ns");
        }
    }

    /// The Kolmogorov distance between draws and a law: below 1.95 / sqrt(n) in 999 of 1000 cases.
    fn distance(mut gaps: Vec<f64>, law: impl Fn(f64) -> f64) -> f64 {
        gaps.sort_unstable_by(f64::total_cmp);
        let count = gaps.len() as f64;
        let distances =
            gaps.iter().enumerate().map(|(i, gap)| (law(*gap) - i as f64 / count).abs());
        distances.fold(0.0, f64::max) * count.sqrt()
    }

    #[test]
    fn gaps_follow_their_formulas() {
        let poisson = distance(gaps(Law::Poisson, 100_000), |x| 1.0 - (-x / 1000.0).exp());
        assert!(poisson < 1.95, "{poisson}");
        let scale = (1.0 - FACEBOOK_SHAPE) * 1000.0;
        let pareto = |x: f64| 1.0 - (1.0 + FACEBOOK_SHAPE * x / scale).powf(-1.0 / FACEBOOK_SHAPE);
        let facebook = distance(gaps(Law::Facebook, 100_000), pareto);
        assert!(facebook < 1.95, "{facebook}");
    }

    #[test]
    fn even_streams_interleave() {
        let mut starts = Vec::new();
        for stream in 0..4 {
            let mut arrivals = Arrivals::new(Law::Fixed, 1000.0, 1, stream, 4);
            for _ in 0..10 {
                starts.push(arrivals.next_ns());
                arrivals.advance();
            }
        }
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000), "{starts:?}");
    }
}
