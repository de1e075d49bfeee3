//! Wrong command lines: told in a line, with 64, before anything runs.

use std::time::{Duration, Instant};

use crate::run::{free_port, loadgen, words};

/// What is typed and what the complaint must name.
const WRONG: [(&str, &str); 34] = [
    ("--bogus", "--bogus"),
    ("stray", "stray"),
    ("--servers 127.0.0.1:99999", "no port"),
    ("--rate 0", "--rate"),
    ("--rate fast", "--rate"),
    ("--depth 0", "--depth"),
    ("-c 0", "--connections"),
    ("-T 0", "--threads"),
    ("-x 0", "--requests"),
    ("-t 0", "--time"),
    ("-t 1x", "unit of time"),
    ("-S 0", "--interval"),
    ("-d 0", "--mget"),
    ("--keys 0", "--keys"),
    ("--key-size 0", "--key-size"),
    ("--key-size 10-300", "--key-size"),
    ("--value-size 2g", "--value-size"),
    ("--mix fetch=1", "fetch"),
    ("--mix get=0", "weight"),
    ("--popularity zip", "zipf:S"),
    ("--arrivals poisson", "--rate"),
    ("--arrivals often --rate 9", "poisson"),
    ("--distribution round", "ketama"),
    ("--hash sum", "sum"),
    ("--protocol http", "binary"),
    ("--tls", "--tls-ca"),
    ("--tls --tls-insecure --udp", "--udp"),
    ("--user ann", "--password"),
    ("--replicas 1", "--replicas"),
    ("--verify --keys 3", "--verify"),
    ("--search fast", "--search"),
    ("--search p99<1ms --sweep depth=1,2", "--sweep"),
    ("--sweep depth", "--sweep"),
    ("--compare one:1", "--compare"),
];

#[test]
fn wrong_command_lines_are_told_with_64() {
    let server = format!("--servers 127.0.0.1:{} ", free_port());
    for (line, named) in WRONG {
        let begun = Instant::now();
        let line = if line.contains("--servers") { line.into() } else { server.clone() + line };
        let run = loadgen(&words(&line));
        assert_eq!(run.code, Some(64), "{line}: {run:?}");
        assert!(run.err.contains(named) && run.out.is_empty(), "{line}: {run:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{line}");
    }
}
