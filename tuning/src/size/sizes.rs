//! A spread of sizes as an operator writes it: `100`, `10-200`, or `64:7,1024:2,4096-8192:1`.
//!
//! Parts are separated by commas; each is a size in bytes, or a range whose sizes are all as
//! likely, and may carry a weight. Weights need not sum to anything. For the sums of this program
//! a spread becomes a list of points, because what matters is which slab class each size falls
//! in; a range is cut into [`POINTS_PER_RANGE`] pieces, fine against any class's width.

use std::str::FromStr;

const POINTS_PER_RANGE: usize = 256;

/// Sizes in bytes with their shares of the whole, which sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    points: Vec<(f64, f64)>,
}

impl Sizes {
    /// Sizes with weights of any sum; `None` if there are none, or a weight is not positive.
    #[must_use]
    pub fn weighted(points: Vec<(f64, f64)>) -> Option<Self> {
        let sum: f64 = points.iter().map(|(_, weight)| weight).sum();
        let sound = points.iter().all(|&(size, weight)| size >= 0.0 && weight > 0.0);
        let share = |(size, weight)| (size, weight / sum);
        (sound && sum.is_finite() && sum > 0.0)
            .then(|| Self { points: points.into_iter().map(share).collect() })
    }

    /// Each size in bytes with its share.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied()
    }

    /// The mean in bytes.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.iter().map(|(size, share)| size * share).sum()
    }

    /// The spread of the sum of two independent sizes, as of a key and a value.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let pair = |(a, p): (f64, f64)| other.iter().map(move |(b, q)| (a + b, p * q));
        Self { points: self.iter().flat_map(pair).collect() }
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut points = Vec::new();
        for part in text.split(',') {
            let (range, weight) = part.split_once(':').unwrap_or((part, "1"));
            let weight: f64 = weight.parse().map_err(|_| format!("{weight:?} is no weight"))?;
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let (low, high) = (bytes(low)?, bytes(high)?);
            if low > high {
                return Err(format!("{range:?} runs backwards"));
            }
            points.extend(spread(low, high, weight));
        }
        Self::weighted(points).ok_or_else(|| format!("{text:?} needs weights above 0"))
    }
}

/// The range's sizes, or so many of them that each stands for its neighbours.
fn spread(low: u32, high: u32, weight: f64) -> impl Iterator<Item = (f64, f64)> {
    let sizes = (high - low) as usize + 1;
    let count = sizes.min(POINTS_PER_RANGE);
    let width = sizes as f64 / count as f64;
    let point = move |index| f64::from(low) + (index as f64 + 0.5) * width - 0.5;
    (0..count).map(move |index| (point(index), weight / count as f64))
}

fn bytes(text: &str) -> Result<u32, String> {
    let (number, factor) = match text.trim().to_ascii_lowercase() {
        text if text.ends_with('k') => (text[..text.len() - 1].to_owned(), 1 << 10),
        text if text.ends_with('m') => (text[..text.len() - 1].to_owned(), 1 << 20),
        text => (text, 1),
    };
    let parsed = number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    parsed.ok_or_else(|| format!("{text:?} is no size in bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Sizes {
        text.parse().expect("a spread")
    }

    #[test]
    fn a_spread_has_the_mean_of_its_parts() {
        assert_eq!(sizes("100").mean(), 100.0);
        assert_eq!(sizes("2k").mean(), 2048.0);
        assert!((sizes("10-200").mean() - 105.0).abs() < 1e-9);
        assert!((sizes("1-100000").mean() - 50000.5).abs() < 1e-6);
        assert!((sizes("64:3,1024:1").mean() - 304.0).abs() < 1e-9);
        assert!((sizes("10-20").plus(&sizes("100:1,300:1")).mean() - 215.0).abs() < 1e-9);
    }

    #[test]
    fn shares_sum_to_one() {
        let both = sizes("1-100000:2,5:1").plus(&sizes("0-9"));
        let sum: f64 = both.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "9-3", "10:0", "10:-1", "10:x", "-5", "9999999999", "5000m"] {
            assert!(text.parse::<Sizes>().is_err(), "{text:?}");
        }
    }
}
