//! The commands, and in which shares they are drawn.

use super::random::Random;

/// A command of the memcached protocols, as a workload means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Command {
    /// Read one or more keys.
    Get,
    /// Store always.
    Set,
    /// Store if absent.
    Add,
    /// Store if present.
    Replace,
    /// Add bytes at the end.
    Append,
    /// Add bytes at the front.
    Prepend,
    /// Read with a unique number, then store if it still holds.
    Cas,
    /// Set a new time to live.
    Touch,
    /// Read and set a new time to live.
    Gat,
    /// Remove.
    Delete,
    /// Count up.
    Incr,
    /// Count down.
    Decr,
}

impl Command {
    /// All commands, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Get,
        Self::Set,
        Self::Add,
        Self::Replace,
        Self::Append,
        Self::Prepend,
        Self::Cas,
        Self::Touch,
        Self::Gat,
        Self::Delete,
        Self::Incr,
        Self::Decr,
    ];

    /// The command's name in the text protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Prepend => "prepend",
            Self::Cas => "cas",
            Self::Touch => "touch",
            Self::Gat => "gat",
            Self::Delete => "delete",
            Self::Incr => "incr",
            Self::Decr => "decr",
        }
    }

    /// The command of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Whether a value is sent along.
    pub fn stores(self) -> bool {
        use Command::{Add, Append, Cas, Prepend, Replace, Set};
        matches!(self, Set | Add | Replace | Append | Prepend | Cas)
    }

    /// Whether it asks for values and nothing else, so that its misses are misses of the cache.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Gat)
    }

    /// Whether a time to live is sent along.
    pub fn takes_expiry(self) -> bool {
        self.stores() || matches!(self, Self::Touch | Self::Gat)
    }
}

/// Shares of commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Each command with the upper end of its part of `[0, 2^32)`, in rising order.
    bounds: Vec<(u64, Command)>,
}

impl Mix {
    /// A mix out of weights, which need no certain sum. `None` if no weight is above zero.
    pub fn new(weights: &[(Command, f64)]) -> Option<Self> {
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if total <= 0.0 || !total.is_finite() || weights.iter().any(|(_, weight)| *weight < 0.0) {
            return None;
        }
        let mut sum = 0.0;
        let mut bounds: Vec<_> = weights
            .iter()
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(command, weight)| {
                sum += weight;
                ((sum / total * WHOLE).round() as u64, *command)
            })
            .collect();
        // Rounding must not leave a gap at the upper end.
        bounds.last_mut()?.0 = 1 << 32;
        Some(Self { bounds })
    }

    /// One command only.
    pub fn only(command: Command) -> Self {
        Self { bounds: vec![(1 << 32, command)] }
    }

    /// The share of a command, between 0 and 1.
    pub fn share(&self, command: Command) -> f64 {
        let mut below = 0;
        let mut share = 0;
        for (bound, this) in &self.bounds {
            share += if *this == command { bound - below } else { 0 };
            below = *bound;
        }
        share as f64 / WHOLE
    }

    /// The commands that occur.
    pub fn commands(&self) -> impl Iterator<Item = Command> + '_ {
        self.bounds.iter().map(|(_, command)| *command)
    }

    /// Draws a command.
    pub fn draw(&self, random: &mut Random) -> Command {
        let bits = random.bits() >> 32;
        let found = self.bounds.iter().find(|(bound, _)| bits < *bound);
        found.expect("the last bound is above all draws").1
    }
}

const WHOLE: f64 = (1u64 << 32) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_out_as_given() {
        let mix = Mix::new(&[(Command::Get, 30.0), (Command::Set, 1.0), (Command::Delete, 0.0)]);
        let mix = mix.expect("a mix");
        let mut random = Random::new(1, 0);
        let gets = (0..310_000).filter(|_| mix.draw(&mut random) == Command::Get).count();
        // Four standard deviations of a binomial of 310,000 draws at 30/31 are 394.
        assert!(gets.abs_diff(300_000) < 394, "{gets} gets");
        assert_eq!(mix.share(Command::Delete), 0.0);
        assert!((mix.share(Command::Set) - 1.0 / 31.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_no_mix() {
        assert!(Mix::new(&[]).is_none());
        assert!(Mix::new(&[(Command::Get, 0.0)]).is_none());
        assert!(Mix::new(&[(Command::Get, 2.0), (Command::Set, -1.0)]).is_none());
    }
}
