//! `tune size` against servers that are filled: what it learns, and what it foretells.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::{MEMCACHED, Server, program, stdout, tune};

/// Stores items `from..to`: keys of 14 bytes, values as long as `value_bytes` says.
fn fill(server: &Server, from: usize, to: usize, value_bytes: impl Fn(usize) -> usize) {
    let mut batch = String::new();
    for item in from..to {
        let bytes = value_bytes(item);
        let _ = write!(batch, "set key_{item:010} 0 0 {bytes} noreply\r\n{:x>bytes$}\r\n", "");
        if batch.len() > 1 << 20 || item + 1 == to {
            batch += "version\r\n";
            server.exchange(batch.as_bytes(), "\r\n");
            batch.clear();
        }
    }
}

fn size(args: &[&str]) -> serde_json::Value {
    let output = tune(&[&["size", "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&stdout(&output)).expect("JSON")
}

#[test]
fn a_running_memcached_teaches_its_items_and_their_sizes() {
    let server = Server::start(Path::new(MEMCACHED), &["-m", "256"]);
    let value_bytes = |item: usize| 50 + item * 7919 % 1500;
    fill(&server, 0, 40_000, value_bytes);
    let plan = size(&["--from", &server.address, "--expiring", "0"]);
    let payload: usize = (0..40_000).map(|item| 14 + value_bytes(item)).sum();
    assert_eq!(plan["items"], 40_000.0);
    let learnt = plan["payload_bytes"].as_f64().expect("a number");
    let error = (learnt / payload as f64 - 1.0).abs();
    assert!(error < 0.001, "{learnt} bytes learnt of {payload}");
}

#[test]
fn a_server_that_is_not_there_or_speaks_no_statistics_is_an_error() {
    let gone = format!("127.0.0.1:{}", common::free_port());
    let output = tune(&["size", "--from", &gone]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && told.contains(&format!("{gone}: Connection refused")),
        "{told}"
    );

    let empty = Server::start(Path::new(MEMCACHED), &["-m", "64"]);
    let output = tune(&["size", "--from", &empty.address]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("holds no items"), "{told}");
}

#[test]
fn a_lifetime_bounds_the_items_alive() {
    let plan = size(&["--ttl", "3540", "--sets", "100", "--value", "100"]);
    assert_eq!(plan["items"], 360_000.0);
    let fewer = size(&["--ttl", "3540", "--sets", "100", "--items", "1k", "--value", "100"]);
    assert_eq!(fewer["items"], 1000.0);
}

#[test]
fn nonsense_is_refused() {
    for args in [
        &["--items", "0", "--value", "1"][..],
        &["--items", "10x", "--value", "1"],
        &["--items", "10", "--value", "9-3"],
        &["--items", "10"],
        &["--items", "10", "--value", "10", "--flagged", "2"],
        &["--items", "10", "--value", "10", "--expiring", "-1"],
        &["--items", "10", "--value", "10", "-t", "0"],
    ] {
        let output = tune(&[&["size"], args].concat());
        assert!(!output.status.success(), "{args:?}: {}", stdout(&output));
    }
}

/// The flags of a plan, with its memory.
fn flags(plan: &serde_json::Value) -> Vec<String> {
    let command = plan["command"].as_str().expect("a command");
    command.split(' ').skip(1).map(str::to_owned).collect()
}

/// Fills a server that was started as advised. It must hold the items foretold within 3 %.
fn holds_what_was_foretold(items: usize, values: &str, threads: &str, of: impl Fn(usize) -> usize) {
    let Some(ringcached) = program("ringcached") else {
        eprintln!("skipped: cargo build --bin ringcached, or name it in RINGCACHED");
        return;
    };
    let given = items.to_string();
    let wanted = ["--items", &given, "--key", "14", "--value", values, "--expiring", "0"];
    let plan = size(&[&wanted[..], &["-t", threads]].concat());
    let flags = flags(&plan);
    let server = Server::start(&ringcached, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    // What is advised is rounded up to whole megabytes, and so holds a little more.
    let advised = plan["memory_mb"].as_f64().expect("a number") * f64::from(1 << 20);
    let rounded = advised / plan["total_bytes"].as_f64().expect("a number");
    let foretold = items as f64 * rounded;
    let (fewer, more) = ((foretold * 0.97) as usize, (foretold * 1.03) as usize);
    fill(&server, 0, fewer, &of);
    assert_eq!(server.stat("evictions"), 0.0, "{values}: full before {fewer}: {flags:?}");
    fill(&server, fewer, more, &of);
    assert!(server.stat("evictions") > 0.0, "{values}: not full with {more}: {flags:?}");
    let held = server.stat("curr_items");
    assert!((held / foretold - 1.0).abs() <= 0.03, "{values}: {held} of {foretold}");
}

#[test]
fn a_filled_server_holds_what_was_foretold_of_small_items() {
    holds_what_was_foretold(700_000, "64", "1", |_| 64);
}

#[test]
fn a_filled_server_holds_what_was_foretold_of_mixed_items_on_two_cores() {
    // Spread by a multiplier without a common factor, so that every size comes as often.
    holds_what_was_foretold(200_000, "10-900", "2", |item| 10 + item * 7919 % 891);
}

#[test]
fn a_filled_server_holds_what_was_foretold_of_large_items() {
    holds_what_was_foretold(4_000, "40000", "1", |_| 40_000);
}

#[test]
fn a_running_ringcached_teaches_as_well_as_memcached() {
    let Some(ringcached) = program("ringcached") else {
        eprintln!("skipped: cargo build --bin ringcached, or name it in RINGCACHED");
        return;
    };
    let server = Server::start(&ringcached, &["-m", "256", "-t", "1"]);
    let value_bytes = |item: usize| 50 + item * 7919 % 1500;
    fill(&server, 0, 40_000, value_bytes);
    let plan = size(&["--from", &server.address, "--expiring", "0"]);
    let payload: usize = (0..40_000).map(|item| 14 + value_bytes(item)).sum();
    let learnt = plan["payload_bytes"].as_f64().expect("a number");
    let error = (learnt / payload as f64 - 1.0).abs();
    assert!(error < 0.001, "{learnt} bytes learnt of {payload}");
}
