//! What is asked of the server: which commands, on which keys, with which values.
//!
//! A [`Spec`] says it, a [`Generator`] draws from it. A generator is cheap (no allocation, a few
//! tens of nanoseconds a request) and deterministic: the same seed and stream number give the same
//! requests.
//!
//! Key numbers lie in families of `count` each, so that what one command makes of a value does not
//! spoil it for another: plain values first, counters for incr and decr behind them, then values
//! that grow by append and prepend, then the keys that a growing key space adds.

pub mod facebook;
pub mod keys;
pub mod mix;
pub mod popularity;
pub mod profile;
pub mod random;
pub mod size;
pub mod trace;
pub mod zipf;

use keys::KeySpec;
use mix::{Command, Mix};
use popularity::{Chooser, Popularity};
use random::Random;
use size::Sizes;

/// A whole workload, as data.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The shares of the commands.
    pub mix: Mix,
    /// Keys in one get.
    pub keys_per_get: Sizes,
    /// The form and number of the keys.
    pub keys: KeySpec,
    /// Which keys are asked for.
    pub popularity: Popularity,
    /// Value lengths in bytes: a key always has the same one.
    pub value_bytes: Sizes,
    /// Seconds until a stored item expires; 0 means never.
    pub expiry_s: Sizes,
    /// Client flags stored with each item.
    pub flags: u32,
    /// The share of sets that make a new key.
    pub growth: f64,
    /// The share of requests for a key that no other request names.
    pub once: f64,
    /// The share of requests with which some key goes out of use for ever and a new one takes its
    /// place, as popular as the old one was.
    pub churn: f64,
}

/// Which family a key number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Values derived from key and version.
    Plain,
    /// Digits to count on.
    Counter,
    /// Values that append and prepend make longer.
    Appended,
}

impl Family {
    /// The family a command works on.
    pub fn of(command: Command) -> Self {
        match command {
            Command::Incr | Command::Decr => Self::Counter,
            Command::Append | Command::Prepend => Self::Appended,
            _ => Self::Plain,
        }
    }

    fn offset(self, count: u64) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Counter => count,
            Self::Appended => 2 * count,
        }
    }
}

/// Digits of a counter: as many as the largest number has, so that counting never changes the
/// length.
pub const COUNTER_BYTES: usize = 20;
/// One in so many appends starts its value anew, which bounds how long values grow.
const APPENDS_PER_RESTART: u64 = 16;
const VALUE_SALT: u64 = 0x76_616c_7565;
const EXPIRY_SALT: u64 = 0x6578_7069_7279;

impl Spec {
    /// The length of a key's value: a function of its number, so that nobody has to remember it.
    pub fn value_bytes_of(&self, key: u64) -> usize {
        self.value_bytes.of_index(key, VALUE_SALT) as usize
    }

    /// How long a key's value lives when it is stored because it was not there.
    pub fn expiry_s_of(&self, key: u64) -> u32 {
        self.expiry_s.of_index(key, EXPIRY_SALT) as u32
    }

    /// The key ranges to fill before a run: every family that the mix works on.
    pub fn preload(&self) -> Vec<(Family, std::ops::Range<u64>)> {
        let used =
            |family: Family| self.mix.commands().any(|command| Family::of(command) == family);
        let families = [Family::Plain, Family::Counter, Family::Appended].into_iter();
        let families = families.filter(|family| *family == Family::Plain || used(*family));
        families
            .map(|family| {
                let first = family.offset(self.keys.count);
                (family, first..first + self.keys.count)
            })
            .collect()
    }
}

/// One request to send; its keys stand in the generator.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Time to live of what is stored, in seconds.
    pub expiry_s: u32,
    /// Set the key instead of adding to it.
    pub restart: bool,
    /// Length of the value to store.
    pub value_bytes: usize,
    /// Length of the key, 0 for the one its number gives.
    pub key_bytes: usize,
    /// The value is a counter's.
    pub counter: bool,
}

/// Draws requests.
pub struct Generator {
    spec: Spec,
    chooser: Chooser,
    random: Random,
    stream: u64,
    streams: u64,
    turnover: Turnover,
    /// The key numbers of the last request drawn.
    pub keys: Vec<u64>,
}

impl Generator {
    /// A generator of stream `stream` out of `streams`: streams differ, and share what must be
    /// shared out.
    pub fn new(spec: &Spec, seed: u64, stream: u64, streams: u64) -> Self {
        let growing = spec.growth > 0.0;
        let chooser = Chooser::new(&spec.popularity, spec.keys.count, growing, stream, streams);
        let random = Random::new(seed, stream);
        let turnover = Turnover::default();
        Self { spec: spec.clone(), chooser, random, stream, streams, turnover, keys: Vec::new() }
    }

    /// Draws the next request and its keys.
    pub fn draw(&mut self) -> Request {
        let command = self.spec.mix.draw(&mut self.random);
        let keys = match command {
            Command::Get => self.spec.keys_per_get.draw(&mut self.random).max(1),
            _ => 1,
        };
        self.keys.clear();
        for _ in 0..keys {
            let key = self.draw_key(command);
            self.keys.push(key);
        }
        let expiry_s = if command.takes_expiry() {
            self.spec.expiry_s.draw(&mut self.random) as u32
        } else {
            0
        };
        let restart = matches!(command, Command::Append | Command::Prepend)
            && self.random.below(APPENDS_PER_RESTART) == 0;
        let value_bytes = if command.stores() { self.spec.value_bytes_of(self.keys[0]) } else { 0 };
        Request { command, expiry_s, restart, value_bytes, key_bytes: 0, counter: false }
    }

    fn draw_key(&mut self, command: Command) -> u64 {
        let count = self.spec.keys.count;
        if command == Command::Set
            && self.spec.growth > 0.0
            && self.random.unit() < self.spec.growth
        {
            let position = self.chooser.count();
            self.chooser.grow();
            return self.grown(position);
        }
        self.turnover.churned += self.spec.churn;
        if self.spec.once > 0.0 && self.random.unit() < self.spec.once {
            self.turnover.onces += 1;
            return self.behind(2 * (self.turnover.onces * self.streams + self.stream));
        }
        let position = self.chooser.draw(&mut self.random);
        if position >= count {
            return self.grown(position);
        }
        match self.turnover.generation(position, count) {
            0 => Family::of(command).offset(count) + position,
            generation => self.behind(2 * ((generation - 1) * count + position) + 1),
        }
    }

    /// The key number of a position that was added: behind all families, streams interleaved.
    fn grown(&self, position: u64) -> u64 {
        self.behind((position - self.spec.keys.count) * self.streams + self.stream)
    }

    fn behind(&self, number: u64) -> u64 {
        3 * self.spec.keys.count + number
    }
}

/// How far a key space whose keys change has come.
#[derive(Clone, Copy, Debug, Default)]
struct Turnover {
    /// Keys that were used once.
    onces: u64,
    /// Keys that were replaced, and the part of the next one that is due.
    churned: f64,
}

impl Turnover {
    /// How often the key at a position has been replaced. Positions take turns; popular ones are
    /// scattered over them.
    fn generation(&self, position: u64, count: u64) -> u64 {
        (self.churned as u64 + count - 1 - position) / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mix: Mix, growth: f64) -> Spec {
        Spec {
            mix,
            keys_per_get: Sizes::Uniform(1, 4),
            keys: KeySpec { count: 100, prefix: "k".into(), bytes: Sizes::Fixed(10) },
            popularity: Popularity::Zipf(0.99),
            value_bytes: Sizes::Uniform(10, 1000),
            expiry_s: Sizes::Fixed(0),
            flags: 0,
            growth,
            once: 0.0,
            churn: 0.0,
        }
    }

    fn drawn(spec: &Spec, seed: u64, stream: u64) -> Vec<(Command, Vec<u64>, usize)> {
        let mut generator = Generator::new(spec, seed, stream, 2);
        let mut draw = || {
            let request = generator.draw();
            (request.command, generator.keys.clone(), request.value_bytes)
        };
        (0..1000).map(|_| draw()).collect()
    }

    #[test]
    fn a_seed_fixes_all_requests() {
        let spec = spec(Mix::new(&[(Command::Get, 3.0), (Command::Set, 1.0)]).expect("a mix"), 0.0);
        assert_eq!(drawn(&spec, 1, 0), drawn(&spec, 1, 0));
        assert_ne!(drawn(&spec, 1, 0), drawn(&spec, 2, 0));
        assert_ne!(drawn(&spec, 1, 0), drawn(&spec, 1, 1));
    }

    #[test]
    fn a_key_keeps_its_value_length() {
        let spec = spec(Mix::only(Command::Set), 0.0);
        for (_, keys, bytes) in drawn(&spec, 1, 0) {
            assert_eq!(bytes, spec.value_bytes_of(keys[0]));
        }
    }

    #[test]
    fn families_stay_apart() {
        let mix = [Command::Get, Command::Incr, Command::Append].map(|command| (command, 1.0));
        let spec = spec(Mix::new(&mix).expect("a mix"), 0.0);
        for (command, keys, _) in drawn(&spec, 1, 0) {
            let family = Family::of(command).offset(100) / 100;
            assert!(keys.iter().all(|key| key / 100 == family), "{command:?} on {keys:?}");
        }
        assert_eq!(spec.preload().len(), 3);
    }

    #[test]
    fn a_growing_space_gets_new_keys_that_streams_do_not_share() {
        let spec = spec(Mix::only(Command::Set), 0.5);
        let new = |stream| {
            let mut new: Vec<_> =
                drawn(&spec, 1, stream).into_iter().map(|drawn| drawn.1[0]).collect();
            new.retain(|key| *key >= 300);
            new
        };
        let (first, second) = (new(0), new(1));
        assert!(first.len() > 300 && first.iter().all(|key| !second.contains(key)));
    }

    #[test]
    fn keys_of_one_use_come_once_and_change_places_with_nobody() {
        let spec = Spec { once: 0.3, ..spec(Mix::only(Command::Set), 0.0) };
        let keys = |stream| drawn(&spec, 1, stream).into_iter().map(|drawn| drawn.1[0]);
        let mut once: Vec<_> = keys(0).chain(keys(1)).filter(|key| *key >= 300).collect();
        let count = once.len();
        // Four standard deviations of a binomial of 2000 draws at 0.3 are 82.
        assert!(count.abs_diff(600) < 82, "{count}");
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), count);
    }

    #[test]
    fn churn_replaces_every_key_in_turn() {
        let spec = Spec { churn: 0.1, ..spec(Mix::only(Command::Set), 0.0) };
        let keys: Vec<_> = drawn(&spec, 1, 0).into_iter().map(|drawn| drawn.1[0]).collect();
        // A thousand requests replace each of a hundred keys once.
        assert!(keys[..5].iter().all(|key| *key < 100));
        let replaced = |keys: &[u64]| keys.iter().filter(|key| **key >= 300).count();
        assert!(replaced(&keys[..500]) > 50 && replaced(&keys[..500]) < 450);
        assert!(replaced(&keys[950..]) > 40);
        assert!(keys.iter().all(|key| *key < 100 || *key % 2 == 1));
    }
}
