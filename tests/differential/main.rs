//! Random command streams, sent to Debian's memcached and to ringcached, answered alike byte for
//! byte.
//!
//! Every stream comes from a printed seed. Where the two part, the stream is run again with ever
//! fewer commands, and the shortest that still shows the difference is printed in a form to paste
//! into a test.
//!
//! `DIFFERENTIAL_SEED` and `DIFFERENTIAL_COMMANDS` run other streams and more of them;
//! `MEMCACHED_TEST_BINARY` takes another memcached as the yardstick. What is asked depends on its
//! version; 1.6.45 built from its source is asked more, for nothing has to be left out:
//!
//! ```text
//! MEMCACHED_TEST_BINARY=/path/to/memcached-1.6.45/memcached DIFFERENTIAL_SEED=7 \
//!     DIFFERENTIAL_COMMANDS=200000 cargo test --test differential
//! ```
//!
//! Six streams of `COMMANDS` each: text, meta and binary, on one core and on two. Malformed
//! requests are part of each: data that is longer or shorter than it says, numbers that are none,
//! flags twice or unknown, lines cut by packets, packets whose lengths contradict each other.

mod binary;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod known;
mod meta;
mod replay;
mod script;
mod text;

use compare::Pair;
use replay::Dialect;
use script::Script;

/// Commands sent to both servers by a protocol and number of cores, unless `DIFFERENTIAL_COMMANDS`
/// says otherwise.
const COMMANDS: usize = 40_000;

/// The seed of a run, unless `DIFFERENTIAL_SEED` says otherwise; each test adds its own number.
const SEED: u64 = 0x5eed_0000;

/// Enough memory that neither of the two evicts anything.
const SHARED_ARGS: [&str; 2] = ["-m", "512"];

fn from_environment(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("the variable holds a number"))
}

fn commands() -> usize {
    from_environment("DIFFERENTIAL_COMMANDS", COMMANDS as u64) as usize
}

fn seed(test: u64) -> u64 {
    from_environment("DIFFERENTIAL_SEED", SEED + (test << 40))
}

/// One core, where every key is its own, and two, where half of them are another's.
const CORES: [&str; 2] = ["1", "2"];

fn compare(dialect: Dialect, number: u64, generate: impl Fn(u64, bool) -> Script) {
    for (at, cores) in CORES.iter().enumerate() {
        let pair = Pair::start(dialect, &SHARED_ARGS, &["-t", cores]);
        let seed = seed(number * 10 + at as u64);
        pair.compare(seed, commands(), |seed| generate(seed, pair.today));
    }
}

fn pair(dialect: Dialect) -> Pair {
    Pair::start(dialect, &SHARED_ARGS, &["-t", "2"])
}

#[test]
fn text_commands_are_answered_alike() {
    compare(Dialect::Text, 1, text::script);
}

#[test]
fn version_differences_of_text_are_as_listed() {
    known::check_text(&pair(Dialect::Text));
}

#[test]
fn meta_commands_are_answered_alike() {
    compare(Dialect::Text, 2, meta::script);
}

#[test]
fn version_differences_of_meta_are_as_listed() {
    known::check_meta(&pair(Dialect::Text));
}

#[test]
fn departures_are_as_listed() {
    let pair = pair(Dialect::Text);
    // The list is about Debian's version; 1.6.45 has yet others.
    if !pair.today {
        known::check_departures(&pair);
    }
}

#[test]
fn binary_packets_are_answered_alike() {
    compare(Dialect::Binary, 3, binary::script);
}
