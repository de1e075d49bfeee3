//! `tune size` against servers that are filled: what it learns, and what it foretells.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::{MEMCACHED, Server, stdout, tune};

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
    let plan = size(&["--from", &server.address]);
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
    assert!(output.status.code() == Some(1) && told.contains("refused"), "{told}");

    let empty = Server::start(Path::new(MEMCACHED), &["-m", "64"]);
    let output = tune(&["size", "--from", &empty.address]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("holds no items"), "{told}");
}

#[test]
fn a_lifetime_bounds_the_items_alive() {
    let plan = size(&["--ttl", "3540", "--sets", "100", "--value", "100"]);
    assert_eq!(plan["items"], 360_000.0);
    let fewer = size(&["--ttl", "3540", "--sets", "100", "--items", "1000", "--value", "100"]);
    assert_eq!(fewer["items"], 1000.0);
}

#[test]
fn nonsense_is_refused() {
    for args in [
        &["--items", "0", "--value", "1"][..],
        &["--items", "10", "--value", "9-3"],
        &["--items", "10"],
        &["--items", "10", "--value", "10", "--flagged", "2"],
        &["--items", "10", "--value", "10", "-t", "0"],
    ] {
        let output = tune(&[&["size"], args].concat());
        assert!(!output.status.success(), "{args:?}: {}", stdout(&output));
    }
}
