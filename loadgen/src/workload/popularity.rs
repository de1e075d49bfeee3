//! Which keys are asked for: uniform, Zipf, a hot set or one after the other, over a key space that
//! may grow.

use super::random::Random;
use super::zipf::Zipf;

/// A law of popularity.
#[derive(Clone, Debug, PartialEq)]
pub enum Popularity {
    /// All keys alike.
    Uniform,
    /// Rank `k` in proportion to `k^-exponent`; ranks are scattered over the key numbers.
    Zipf(f64),
    /// A share of the keys takes a share of the requests: `(keys, requests)`, both between 0 and 1.
    HotSet(f64, f64),
    /// One key after the other; each stream takes its own part.
    Sequential,
}

/// Draws positions among the keys there are.
pub struct Chooser {
    count: u64,
    /// The count the law was last set up for: setting it up again for every new key would cost too
    /// much.
    settled: u64,
    growing: bool,
    law: Law,
}

enum Law {
    Uniform,
    Zipf { zipf: Zipf, exponent: f64, stride: u64 },
    HotSet { hot: u64, keys: f64, share: f64, stride: u64 },
    Sequential { next: u64, step: u64 },
}

impl Chooser {
    /// A chooser among `count` keys for stream `stream` of `streams`. Where keys are `growing`, the
    /// popular ones are the newest; else they are scattered.
    pub fn new(law: &Popularity, count: u64, growing: bool, stream: u64, streams: u64) -> Self {
        assert!(count > 0 && stream < streams, "no keys, or a stream out of range");
        let stride = scatter_stride(count);
        let law = match law {
            Popularity::Uniform => Law::Uniform,
            Popularity::Zipf(exponent) => {
                Law::Zipf { zipf: Zipf::new(count, *exponent), exponent: *exponent, stride }
            }
            Popularity::HotSet(keys, share) => {
                Law::HotSet { hot: hot(count, *keys), keys: *keys, share: *share, stride }
            }
            Popularity::Sequential => Law::Sequential { next: stream % count, step: streams },
        };
        Self { count, settled: count, growing, law }
    }

    /// The number of keys.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// One more key.
    pub fn grow(&mut self) {
        self.count += 1;
        if self.count - self.settled <= self.settled / 100 {
            return;
        }
        self.settled = self.count;
        match &mut self.law {
            Law::Zipf { zipf, exponent, .. } => *zipf = Zipf::new(self.count, *exponent),
            Law::HotSet { hot: size, keys, .. } => *size = hot(self.count, *keys),
            Law::Uniform | Law::Sequential { .. } => {}
        }
    }

    /// A position below the count.
    pub fn draw(&mut self, random: &mut Random) -> u64 {
        let (rank, stride) = match &mut self.law {
            Law::Uniform => return random.below(self.count),
            Law::Sequential { next, step } => {
                let position = *next;
                *next = (*next + *step) % self.count;
                return position;
            }
            Law::Zipf { zipf, stride, .. } => (zipf.draw(random), *stride),
            Law::HotSet { hot, share, stride, .. } => {
                let cold = self.count - *hot;
                let is_hot = cold == 0 || random.unit() < *share;
                let rank = if is_hot { random.below(*hot) } else { *hot + random.below(cold) };
                (rank, *stride)
            }
        };
        if self.growing { self.count - 1 - rank } else { scatter(rank, stride, self.count) }
    }
}

fn hot(count: u64, share: f64) -> u64 {
    ((count as f64 * share).round() as u64).clamp(1, count)
}

/// Popular keys must not be neighbours, so ranks are multiplied modulo the count, by a number
/// without a common factor: a permutation that costs one multiplication.
fn scatter(rank: u64, stride: u64, count: u64) -> u64 {
    match rank.checked_mul(stride) {
        Some(product) => product % count,
        None => (u128::from(rank) * u128::from(stride) % u128::from(count)) as u64,
    }
}

/// The first number from the golden section of the count on that shares no factor with it.
fn scatter_stride(count: u64) -> u64 {
    let start = (count as f64 * 0.618_033_988_749_895) as u64;
    (start.max(1)..).find(|stride| gcd(*stride, count) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattering_is_a_permutation() {
        for count in [1, 2, 3, 10, 97, 100, 1000, 4096] {
            let stride = scatter_stride(count);
            let mut seen: Vec<_> = (0..count).map(|rank| scatter(rank, stride, count)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count), "{count} keys");
        }
    }

    #[test]
    fn a_hot_set_takes_its_share() {
        let (mut chooser, mut random) =
            (Chooser::new(&Popularity::HotSet(0.1, 0.9), 1000, false, 0, 1), Random::new(3, 0));
        let mut seen = vec![0u32; 1000];
        (0..100_000).for_each(|_| seen[chooser.draw(&mut random) as usize] += 1);
        seen.sort_unstable();
        let hot: u32 = seen[900..].iter().sum();
        // Four standard deviations of a binomial of 100,000 draws at 0.9 are 379.
        assert!(hot.abs_diff(90_000) < 400, "{hot}");
        assert!(seen.iter().all(|count| *count > 0), "a cold key was never drawn");
    }

    #[test]
    fn sequential_streams_share_the_keys_out() {
        let mut random = Random::new(1, 0);
        let mut seen = Vec::new();
        for stream in 0..3 {
            let mut chooser = Chooser::new(&Popularity::Sequential, 9, false, stream, 3);
            seen.extend((0..3).map(|_| chooser.draw(&mut random)));
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..9));
    }

    #[test]
    fn in_a_growing_space_the_newest_are_the_popular_ones() {
        let (mut chooser, mut random) =
            (Chooser::new(&Popularity::Zipf(1.2), 100, true, 0, 1), Random::new(5, 0));
        (0..900).for_each(|_| chooser.grow());
        let newest = (0..10_000).filter(|_| chooser.draw(&mut random) >= 900).count();
        assert!(newest > 7000, "{newest} of 10000 draws among the newest tenth");
        assert!((0..10_000).all(|_| chooser.draw(&mut random) < 1000));
    }
}
