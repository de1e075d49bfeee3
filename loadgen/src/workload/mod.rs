//! What is asked of the server: which commands, on which keys, with which values.
//!
//! A [`Spec`] says it, a [`Generator`] draws from it. A generator is cheap (no allocation, a few tens
//! of nanoseconds a request) and deterministic: the same seed and stream number give the same requests.

pub mod keys;
pub mod mix;
pub mod popularity;
pub mod random;
pub mod size;
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
}

impl Spec {
    /// The length of a key's value: a function of its number, so that nobody has to remember it.
    pub fn value_bytes_of(&self, key: u64) -> usize {
        self.value_bytes.of_index(key, VALUE_SALT) as usize
    }
}

const VALUE_SALT: u64 = 0x76616c7565;

/// One request to send; its keys stand in the generator.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Time to live of what is stored, in seconds.
    pub expiry_s: u32,
}

/// Draws requests.
pub struct Generator {
    spec: Spec,
    chooser: Chooser,
    random: Random,
    /// The key numbers of the last request drawn.
    pub keys: Vec<u64>,
}

impl Generator {
    /// A generator of stream `stream` out of `streams`: streams differ, and share what must be shared out.
    pub fn new(spec: &Spec, seed: u64, stream: u64, streams: u64) -> Self {
        let chooser = Chooser::new(&spec.popularity, spec.keys.count, stream, streams);
        Self { spec: spec.clone(), chooser, random: Random::new(seed, stream), keys: Vec::new() }
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
            self.keys.push(self.chooser.draw(&mut self.random));
        }
        let expiry_s = if command.takes_expiry() {
            self.spec.expiry_s.draw(&mut self.random) as u32
        } else {
            0
        };
        Request { command, expiry_s }
    }
}
