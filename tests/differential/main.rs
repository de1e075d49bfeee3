//! Random command streams, sent to Debian's memcached and to ringcached, answered alike byte for
//! byte.
//!
//! Every stream comes from a printed seed. Where the two part, the stream is run again with ever
//! fewer commands, and the shortest that still shows the difference is printed in a form to paste
//! into a test.
//!
//! `DIFFERENTIAL_SEED` and `DIFFERENTIAL_COMMANDS` run other streams and more of them;
//! `MEMCACHED_TEST_BINARY` takes another memcached as the yardstick.

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

/// Commands sent to both servers in a run of a test, unless `DIFFERENTIAL_COMMANDS` says otherwise.
const COMMANDS: usize = 12_000;

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

#[test]
fn version_differences_are_as_listed() {
    let pair = Pair::start(Dialect::Text, &SHARED_ARGS, &["-t", "2"]);
    known::check(&pair);
}

#[test]
fn text_commands_are_answered_alike_by_one_core() {
    let pair = Pair::start(Dialect::Text, &SHARED_ARGS, &["-t", "1"]);
    pair.compare(seed(1), commands(), |seed| text::script(seed, pair.today));
}

#[test]
fn text_commands_are_answered_alike_by_two_cores() {
    let pair = Pair::start(Dialect::Text, &SHARED_ARGS, &["-t", "2"]);
    pair.compare(seed(2), commands(), |seed| text::script(seed, pair.today));
}

#[test]
fn meta_commands_are_answered_alike_by_one_core() {
    let pair = Pair::start(Dialect::Text, &SHARED_ARGS, &["-t", "1"]);
    pair.compare(seed(3), commands(), |seed| meta::script(seed, pair.today));
}

#[test]
fn meta_commands_are_answered_alike_by_two_cores() {
    let pair = Pair::start(Dialect::Text, &SHARED_ARGS, &["-t", "2"]);
    pair.compare(seed(4), commands(), |seed| meta::script(seed, pair.today));
}

#[test]
fn binary_commands_are_answered_alike_by_one_core() {
    let pair = Pair::start(Dialect::Binary, &SHARED_ARGS, &["-t", "1"]);
    pair.compare(seed(5), commands(), |seed| binary::script(seed, pair.today));
}

#[test]
fn binary_commands_are_answered_alike_by_two_cores() {
    let pair = Pair::start(Dialect::Binary, &SHARED_ARGS, &["-t", "2"]);
    pair.compare(seed(6), commands(), |seed| binary::script(seed, pair.today));
}
