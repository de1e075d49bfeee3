//! Memory: what -m promises, and that no size of item starves another.
//!
//! memcached gives pages to size classes and moves one a second at most, so a cache whose items
//! change in size answers "out of memory" while it is full of what could be evicted. And its -m
//! counts item pages only. Here both are promises: whatever is stored next finds room, and resident
//! memory stays within the budget that is printed at start.

mod common;

use common::{Random, Server, Wire};

const MIB: usize = 1 << 20;

/// Sets per write: enough to keep the server busy, few enough to stay within socket buffers.
const BATCH: usize = 200;

/// Stores `count` values of `value_bytes` each under `prefix` and a number; fails on any other
/// reply.
fn fill(wire: &mut Wire, prefix: &str, count: usize, value_bytes: usize) {
    let batch = (64 << 10) / (value_bytes + 64) + 1;
    let value = vec![b'v'; value_bytes];
    for from in (0..count).step_by(batch.min(BATCH)) {
        let to = (from + batch.min(BATCH)).min(count);
        let mut requests = Vec::new();
        for n in from..to {
            requests.extend(format!("set {prefix}{n} 0 0 {value_bytes}\r\n").bytes());
            requests.extend_from_slice(&value);
            requests.extend_from_slice(b"\r\n");
        }
        wire.exchange(&requests, "STORED\r\n".repeat(to - from).as_bytes());
    }
}

/// How many of the numbered keys are still there.
fn hits(wire: &mut Wire, prefix: &str, numbers: impl Iterator<Item = usize>) -> usize {
    let keys: Vec<String> = numbers.map(|n| format!("{prefix}{n}")).collect();
    let mut hits = 0;
    for chunk in keys.chunks(16) {
        wire.send(format!("get {}\r\n", chunk.join(" ")));
        let replies = wire.read_until(b"END\r\n");
        hits += memchr::memmem::find_iter(&replies, b"VALUE ").count();
    }
    hits
}

fn assert_pages_follow_the_sizes(cores: &str) {
    let server = Server::ringcached(&["-m", "64", "-t", cores]);
    let mut wire = server.connect();
    fill(&mut wire, "small", 64 * MIB / 140, 100);
    // Twice the memory in values of another size: every one is stored, or fill fails.
    let large = 128 * MIB / 4096;
    fill(&mut wire, "large", large, 4096);
    let newest = 30 * MIB / 4096;
    let found = hits(&mut wire, "large", large - newest..large);
    assert!(found * 10 >= newest * 9, "{found} of the newest {newest} are there on {cores} cores");
}

#[test]
fn pages_follow_the_sizes_on_one_core() {
    assert_pages_follow_the_sizes("1");
}

#[test]
fn pages_follow_the_sizes_on_two_cores() {
    assert_pages_follow_the_sizes("2");
}

/// The total that the server prints at start, in bytes.
fn printed_budget(log: &str) -> usize {
    let total = log.split("memory budget ").nth(1).expect("the budget is printed at start");
    let megabytes = total.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    (megabytes.expect("the total is a number of MB") * MIB as f64) as usize
}

#[test]
fn resident_memory_stays_within_the_printed_budget() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-m", "64", "-t", cores, "-v"]);
        let budget = printed_budget(&server.log());
        let mut wire = server.connect();
        let mut random = Random::new(7);
        for round in 0..12 {
            let value_bytes = [20, 100, 500, 3000, 20_000, 200_000][random.below(6)];
            fill(&mut wire, &format!("r{round}-"), 12 * MIB / (value_bytes + 60), value_bytes);
        }
        let resident = server.process().resident_bytes_max() as usize;
        assert!(
            resident * 100 <= budget * 102,
            "{resident} bytes resident on {cores} cores, {budget} announced"
        );
    }
}

#[test]
fn without_evictions_a_full_cache_says_so() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-m", "64", "-M", "-t", cores]);
        let mut wire = server.connect();
        let value = "v".repeat(100_000);
        let mut stored = 0;
        let refused = loop {
            match wire.ask(format!("set k{stored} 0 0 100000\r\n{value}\r\n")).as_str() {
                "STORED" => stored += 1,
                other => break other.to_string(),
            }
            assert!(stored < 1000, "100 MB went into 64");
        };
        assert_eq!(refused, "SERVER_ERROR out of memory storing object");
        assert!(stored > 300, "only {stored} values of 100 KB fit into 64 MB");
        // What was stored stays, and what is deleted makes room.
        assert_eq!(hits(&mut wire, "k", 0..stored), stored);
        for n in 0..stored {
            wire.expect(format!("delete k{n}\r\n"), "DELETED\r\n");
        }
        fill(&mut wire, "again", 50, 100_000);
    }
}

#[test]
fn evictions_are_counted_and_spare_the_newest() {
    let server = Server::ringcached(&["-m", "64", "-t", "2"]);
    let mut wire = server.connect();
    let count = 96 * MIB / 1100;
    fill(&mut wire, "k", count, 1000);
    let newest = 16 * MIB / 1100;
    assert_eq!(hits(&mut wire, "k", count - newest..count), newest);
    wire.send("stats\r\n");
    let stats = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let stat = |name: &str| -> usize {
        let start = format!("STAT {name} ");
        let line = stats.lines().find(|line| line.starts_with(&start)).expect("the stat is there");
        line[start.len()..].parse().expect("a number")
    };
    assert!(stat("evictions") > 0);
    assert_eq!(stat("curr_items") + stat("evictions"), count, "an item is here or was evicted");
    assert!(stat("bytes") <= stat("limit_maxbytes"));
}
