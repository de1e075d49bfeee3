//! What parsing one request costs, in time and in instructions.
//!
//! `cargo bench --bench parser` prints nanoseconds per request of each kind, medians of several
//! runs over a pipeline that stays in the first-level cache. `cargo bench --bench parser --
//! --instructions` prints instructions instead, counted by callgrind (which must be installed) as
//! the difference between two runs that parse different numbers of requests: it does not depend
//! on the machine's load and shows a change of a single instruction.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use ringcached::protocol::{Binding, Gate, Limits, Parser, Request, Step};

/// A kind of request, and how many keys one stands for.
struct Case {
    name: &'static str,
    request: Vec<u8>,
    keys: usize,
}

fn cases() -> Vec<Case> {
    let case = |name, request: &[u8]| Case { name, request: request.to_vec(), keys: 1 };
    let value = [b'v'; 100];
    let store = |line: &str| [line.as_bytes(), &value, b"\r\n"].concat();
    let keys: String = (0..50).map(|number| format!(" key:{number:010}")).collect();
    vec![
        case("get, 1-byte key", b"get k\r\n"),
        case("get, 14-byte key", b"get key:0000000001\r\n"),
        case("get, 40-byte key", b"get key:000000000000000000000000000000000001\r\n"),
        case("gets, 14-byte key", b"gets key:0000000001\r\n"),
        Case {
            name: "get of 50 keys, per key",
            request: format!("get{keys}\r\n").into_bytes(),
            keys: 50,
        },
        case("set, 1-byte key", &store("set k 0 0 100\r\n")),
        case("set, 14-byte key", &store("set key:0000000001 0 0 100\r\n")),
        case("set noreply", &store("set key:0000000001 5 3600 100 noreply\r\n")),
        case("cas", &store("cas key:0000000001 0 0 100 1234567\r\n")),
        case("delete", b"delete key:0000000001\r\n"),
        case("incr", b"incr key:0000000001 1\r\n"),
        case("mg v", b"mg key:0000000001 v\r\n"),
        case("mg with 6 flags", b"mg key:0000000001 v f t k q O1234\r\n"),
        case("ms", &store("ms key:0000000001 100 T3600 F5\r\n")),
        case("binary get", b"\x80\0\0\x0e\0\0\0\0\0\0\0\x0e\0\0\0\0\0\0\0\0\0\0\0\0key:0000000001"),
    ]
}

/// Parses a pipeline to its end, `rounds` times, and returns the number of keys seen.
#[inline(never)]
fn parse(pipeline: &[u8], rounds: usize) -> usize {
    let mut parser = Parser::new(Binding::Auto, Gate::Open, Limits::default());
    let mut keys = 0;
    for _ in 0..rounds {
        let mut rest = black_box(pipeline);
        while !rest.is_empty() {
            let Step::Request { request, consumed } = parser.next(rest) else {
                panic!("a benchmark's request is refused");
            };
            match &request {
                Request::Get(get) => keys += get.keys.clone().map(black_box).count(),
                other => {
                    black_box(other);
                    keys += 1;
                }
            }
            rest = &rest[consumed..];
        }
    }
    keys
}

/// Requests of one pipeline: few enough for the cache, many enough to look like one.
const DEPTH: usize = 64;

fn pipeline(case: &Case) -> Vec<u8> {
    case.request.repeat((DEPTH / case.keys).max(1))
}

fn time_ns(case: &Case) -> f64 {
    const RUNS: usize = 9;
    let pipeline = pipeline(case);
    let mut samples: Vec<f64> = (0..RUNS)
        .map(|_| {
            let (start, mut keys) = (Instant::now(), 0);
            while start.elapsed() < Duration::from_millis(30) {
                keys += parse(&pipeline, 200);
            }
            start.elapsed().as_nanos() as f64 / keys as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[RUNS / 2]
}

/// Instructions of a run of this program that parses one case `rounds` times.
fn count_instructions(name: &str, rounds: usize) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--parse", name, &rounds.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn instructions(case: &Case) -> f64 {
    const ROUNDS: usize = 100;
    let keys = pipeline(case).len() / case.request.len() * case.keys * ROUNDS;
    let counted = count_instructions(case.name, 2 * ROUNDS)
        .zip(count_instructions(case.name, ROUNDS))
        .map(|(two, one)| (two - one) as f64 / keys as f64);
    counted.expect("valgrind is installed and counts")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = |flag: &str| arguments.iter().position(|argument| argument == flag);
    if let Some(at) = at("--parse") {
        let (name, rounds) = (&arguments[at + 1], arguments[at + 2].parse().expect("a number"));
        let cases = cases();
        let case = cases.iter().find(|case| case.name == name).expect("a case's name");
        black_box(parse(&pipeline(case), rounds));
        return;
    }
    let (unit, measure): (_, fn(&Case) -> f64) = match at("--instructions") {
        Some(_) => ("instructions", instructions),
        None => ("ns", time_ns),
    };
    for case in cases() {
        println!("{:24} {:8.1} {unit}", case.name, measure(&case));
    }
}
