//! Facebook's ETC pool (Atikoglu et al., SIGMETRICS 2012), with the constants that mutilate uses.

use super::keys::KEY_BYTES_MAX;
use super::size::Sizes;

/// Shares of the value lengths 0 to 14; the rest follows the Pareto law.
const VALUE_HEAD: [f64; 15] = [
    0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606, 0.00023, 0.00837,
    0.00837, 0.08989, 0.00092, 0.00326, 0.01980,
];

/// Key lengths: generalised extreme value, cut where memcached's limit is.
pub fn key_sizes() -> Sizes {
    let max = KEY_BYTES_MAX as u64;
    Sizes::ExtremeValue { location: 30.7984, scale: 8.20449, shape: 0.078688, min: 1, max }
}

/// Value lengths: a table for the shortest, generalised Pareto for the others.
pub fn value_sizes() -> Sizes {
    let tail = Sizes::Pareto { location: 15.0, scale: 214.476, shape: 0.348238, max: 1_000_000 };
    Sizes::Headed { head: VALUE_HEAD.to_vec(), tail: Box::new(tail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::random::Random;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
    }

    #[test]
    fn key_lengths_have_the_published_quantiles() {
        let sizes = key_sizes();
        near(sizes.mean(), 36.22, 0.1);
        for (share, bytes) in [(0.5, 33.8), (0.9, 51.0), (0.99, 76.3), (0.9999, 141.8)] {
            near(sizes.quantile(share) as f64, bytes, 0.6);
        }
        assert_eq!(sizes.quantile(1.0 - 1e-12), 250);
    }

    #[test]
    fn value_lengths_have_the_published_quantiles() {
        let sizes = value_sizes();
        near(sizes.mean(), 194.4, 2.0);
        let quantiles = [(0.25, 3.0), (0.5, 39.0), (0.75, 214.0), (0.9, 520.0), (0.99, 1899.0)];
        for (share, bytes) in quantiles {
            near(sizes.quantile(share) as f64, bytes, 1.0);
        }
        near(sizes.quantile(0.999) as f64, 4972.0, 5.0);
        near(sizes.quantile(0.9999) as f64, 11825.0, 12.0);
    }

    #[test]
    fn drawn_lengths_follow_the_quantiles() {
        let (sizes, mut random) = (value_sizes(), Random::new(9, 0));
        let mut drawn: Vec<_> = (0..200_000).map(|_| sizes.draw(&mut random)).collect();
        drawn.sort_unstable();
        let two_bytes = drawn.iter().filter(|bytes| **bytes == 2).count() as f64 / 200_000.0;
        near(two_bytes, 0.1782, 0.004);
        near(drawn[180_000] as f64, 520.0, 12.0);
    }

    #[test]
    fn a_keys_length_is_drawn_from_the_same_law() {
        let sizes = key_sizes();
        let mut lengths: Vec<_> = (0..100_000).map(|key| sizes.of_index(key, 5)).collect();
        lengths.sort_unstable();
        near(lengths[50_000] as f64, 33.8, 0.6);
        near(lengths[99_000] as f64, 76.3, 1.5);
    }
}
