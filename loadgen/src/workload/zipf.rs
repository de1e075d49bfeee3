//! Zipf's law for any exponent: rank `k` of `n` is drawn with a probability in proportion to
//! `k^-s`.
//!
//! By rejection-inversion (Hörmann and Derflinger, 1996): a continuous hat over the histogram is
//! inverted in closed form and a draw is rejected where the hat stands above it. No tables,
//! constant time, exact for every `s >= 0` and every `n`; about 1.1 tries a draw. The quotients
//! that vanish at `s = 1` go through series, so that 0.99, 1 and 1.01 need no case of their own.

use super::random::Random;

/// A Zipf distribution over `1..=count`.
#[derive(Clone, Debug)]
pub struct Zipf {
    count: f64,
    exponent: f64,
    /// The hat's integral at 1.5, less the mass of rank 1.
    integral_low: f64,
    /// The hat's integral at the upper end.
    integral_high: f64,
    /// Draws this close below their rank are accepted without evaluating the hat.
    sure: f64,
}

impl Zipf {
    /// A distribution of `count >= 1` ranks with an exponent of zero (uniform) or more.
    pub fn new(count: u64, exponent: f64) -> Self {
        assert!(count >= 1 && exponent >= 0.0 && exponent.is_finite(), "a Zipf law out of range");
        let integral_low = integral(1.5, exponent) - 1.0;
        let integral_high = integral(count as f64 + 0.5, exponent);
        let sure = 2.0 - inverse(integral(2.5, exponent) - hat(2.0, exponent), exponent);
        Self { count: count as f64, exponent, integral_low, integral_high, sure }
    }

    /// A rank from 0, the most popular one, to `count - 1`.
    pub fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let u = self.integral_high + random.unit() * (self.integral_low - self.integral_high);
            let x = inverse(u, self.exponent);
            let rank = x.round().clamp(1.0, self.count);
            let accepted = rank - x <= self.sure
                || u >= integral(rank + 0.5, self.exponent) - hat(rank, self.exponent);
            if accepted {
                return rank as u64 - 1;
            }
        }
    }
}

/// `x^-s`.
fn hat(x: f64, s: f64) -> f64 {
    (-s * x.ln()).exp()
}

/// The integral of the hat: `(x^(1-s) - 1) / (1 - s)`, or `ln x` at `s = 1`.
fn integral(x: f64, s: f64) -> f64 {
    let log = x.ln();
    exp_quotient((1.0 - s) * log) * log
}

/// The inverse of [`integral`].
fn inverse(y: f64, s: f64) -> f64 {
    // Rounding may carry the product below -1, where the logarithm ends.
    let t = (y * (1.0 - s)).max(-1.0);
    (log_quotient(t) * y).exp()
}

/// `(e^t - 1) / t`, with its series where the quotient loses all digits.
fn exp_quotient(t: f64) -> f64 {
    if t.abs() > 1e-8 { t.exp_m1() / t } else { 1.0 + t / 2.0 * (1.0 + t / 3.0) }
}

/// `ln(1 + t) / t`, likewise.
fn log_quotient(t: f64) -> f64 {
    if t.abs() > 1e-8 { t.ln_1p() / t } else { 1.0 - t / 2.0 + t * t / 3.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pearson's statistic of the first ranks and all the rest, against the law itself.
    fn chi_squared(count: u64, exponent: f64, draws: u32) -> f64 {
        let (zipf, mut random) = (Zipf::new(count, exponent), Random::new(7, count));
        let cells = count.min(20) as usize;
        let mut seen = vec![0u32; cells + 1];
        for _ in 0..draws {
            let rank = zipf.draw(&mut random);
            assert!(rank < count);
            seen[(rank as usize).min(cells)] += 1;
        }
        let weight = |rank: u64| (rank as f64).powf(-exponent);
        let total: f64 = (1..=count).map(weight).sum();
        let mut expected: Vec<f64> = (1..=cells as u64).map(|rank| weight(rank) / total).collect();
        expected.push(1.0 - expected.iter().sum::<f64>());
        let parts = seen.iter().zip(&expected).filter(|(_, share)| **share > 1e-9);
        parts
            .map(|(seen, share)| {
                let mean = share * f64::from(draws);
                (f64::from(*seen) - mean).powi(2) / mean
            })
            .sum()
    }

    #[test]
    fn frequencies_follow_the_law_at_every_exponent() {
        for exponent in [0.0, 0.02, 0.5, 0.99, 1.0, 1.01, 1.21, 2.1, 2.6774] {
            for count in [2, 10, 1000, 100_000] {
                // The 99.99th percentile of chi-squared at 20 degrees of freedom is 52.4.
                let found = chi_squared(count, exponent, 200_000);
                assert!(found < 52.4, "{count} ranks at {exponent}: chi-squared {found}");
            }
        }
    }

    #[test]
    fn one_rank_is_always_drawn() {
        let (zipf, mut random) = (Zipf::new(1, 1.0), Random::new(1, 1));
        assert!((0..100).all(|_| zipf.draw(&mut random) == 0));
    }
}
