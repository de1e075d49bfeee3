//! Distributions of lengths: keys, values, times to live, keys per multi-get.
//!
//! Each is a quantile function: a number `u` in `[0, 1)` goes in, a length comes out. Drawn with a
//! random `u` it gives a random length; with the hash of a key's number it gives that key the same
//! length every time, which saves a table of all keys.

use super::random::{Random, unit};
use crate::value::mix;

/// A distribution of lengths.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// Always the same.
    Fixed(u64),
    /// Evenly between the two, both included.
    Uniform(u64, u64),
    /// Length ranges with their cumulated shares, the last of which is 1.
    Weighted(Vec<(f64, u64, u64)>),
    /// Points of the cumulative distribution `(share, length)`, between which lengths grow
    /// geometrically.
    Quantiles(Vec<(f64, f64)>),
    /// Generalised extreme value: location, scale, shape; and the bounds it is cut to.
    #[allow(missing_docs)]
    ExtremeValue { location: f64, scale: f64, shape: f64, min: u64, max: u64 },
    /// Generalised Pareto: location, scale, shape; and the upper bound it is cut to.
    #[allow(missing_docs)]
    Pareto { location: f64, scale: f64, shape: f64, max: u64 },
    /// A table for the shortest lengths `0..n` and, for the share the table leaves, another
    /// distribution.
    Headed {
        /// The share of each length from 0 on.
        head: Vec<f64>,
        /// The law of the rest.
        tail: Box<Self>,
    },
}

impl Sizes {
    /// A random length.
    pub fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Self::Fixed(bytes) => *bytes,
            _ => self.quantile(random.unit()),
        }
    }

    /// The length that belongs to a number; `salt` keeps the lengths of keys and values
    /// independent.
    pub fn of_index(&self, index: u64, salt: u64) -> u64 {
        match self {
            Self::Fixed(bytes) => *bytes,
            _ => self.quantile(unit(mix(index ^ mix(salt)))),
        }
    }

    /// The largest length below which a share `u` of all lengths lies, for `u` in `[0, 1)`.
    pub fn quantile(&self, u: f64) -> u64 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Uniform(low, high) => scaled(*low, *high, u),
            Self::Weighted(parts) => weighted(parts, u),
            Self::Quantiles(points) => interpolated(points, u).round() as u64,
            Self::ExtremeValue { location, scale, shape, min, max } => {
                // -ln(u) is infinite at 0 and its power is then 0: the lower end of the support.
                let x = location + scale * ((-u.ln()).powf(-shape) - 1.0) / shape;
                x.round().clamp(*min as f64, *max as f64) as u64
            }
            Self::Pareto { location, scale, shape, max } => {
                let x = location + scale * ((1.0 - u).powf(-shape) - 1.0) / shape;
                x.round().clamp(0.0, *max as f64) as u64
            }
            Self::Headed { head, tail } => headed(head, tail, u),
        }
    }

    /// The mean length, by the midpoint rule over the quantile function; good to about a
    /// thousandth.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(bytes) => *bytes as f64,
            _ => {
                let steps = 200_000;
                let at = |i: i32| (f64::from(i) + 0.5) / f64::from(steps);
                (0..steps).map(|i| self.quantile(at(i)) as f64).sum::<f64>() / f64::from(steps)
            }
        }
    }

    /// An upper bound of the lengths.
    pub fn max(&self) -> u64 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Uniform(_, high) => *high,
            Self::Weighted(parts) => parts.iter().map(|part| part.2).max().unwrap_or(0),
            Self::Quantiles(points) => points.last().map_or(0, |point| point.1.ceil() as u64),
            Self::ExtremeValue { max, .. } | Self::Pareto { max, .. } => *max,
            Self::Headed { head, tail } => tail.max().max(head.len() as u64),
        }
    }

    /// Weighted ranges out of `(weight, low, high)`; `None` if the weights add up to nothing.
    pub fn weighted(parts: &[(f64, u64, u64)]) -> Option<Self> {
        let total: f64 = parts.iter().map(|part| part.0).sum();
        if total <= 0.0 || !total.is_finite() || parts.iter().any(|part| part.1 > part.2) {
            return None;
        }
        let mut sum = 0.0;
        let mut parts: Vec<_> = parts
            .iter()
            .map(|(weight, low, high)| {
                sum += weight;
                (sum / total, *low, *high)
            })
            .collect();
        parts.last_mut()?.0 = 1.0;
        Some(Self::Weighted(parts))
    }
}

fn scaled(low: u64, high: u64, u: f64) -> u64 {
    let span = (high - low + 1) as f64;
    (low + (u * span) as u64).min(high)
}

fn weighted(parts: &[(f64, u64, u64)], u: f64) -> u64 {
    let mut below = 0.0;
    for (upto, low, high) in parts {
        if u < *upto {
            return scaled(*low, *high, (u - below) / (upto - below));
        }
        below = *upto;
    }
    parts.last().map_or(0, |part| part.2)
}

fn interpolated(points: &[(f64, f64)], u: f64) -> f64 {
    let above = points.partition_point(|point| point.0 <= u);
    match (above.checked_sub(1).map(|at| points[at]), points.get(above)) {
        (Some((u0, x0)), Some((u1, x1))) => {
            let part = (u - u0) / (u1 - u0);
            // Geometric, because lengths spread over orders of magnitude; the +1 lets zero take
            // part.
            ((x0 + 1.0).ln() * (1.0 - part) + (x1 + 1.0).ln() * part).exp() - 1.0
        }
        (Some((_, last)), None) => last,
        (None, Some((_, first))) => *first,
        (None, None) => 0.0,
    }
}

fn headed(head: &[f64], tail: &Sizes, u: f64) -> u64 {
    let mut below = 0.0;
    for (bytes, share) in head.iter().enumerate() {
        if u < below + share {
            return bytes as u64;
        }
        below += share;
    }
    tail.quantile((u - below) / (1.0 - below))
}
