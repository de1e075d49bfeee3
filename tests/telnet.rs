//! What a person types: the sessions of memcached's tutorials, word for word.
//!
//! Somebody who learns memcached opens telnet and types what a page told him. Every line here is
//! typed as those pages show it, and what the server prints is what they print.

mod common;

use std::time::Duration;

use common::{Server, Wire};

fn session(cores: &str) -> (Server, Wire) {
    let server = Server::ringcached(&["-t", cores]);
    let wire = server.connect();
    (server, wire)
}

/// Reads the lines of a listing up to its END.
#[track_caller]
fn listing(wire: &mut Wire, command: &str) -> Vec<String> {
    wire.send(format!("{command}\r\n"));
    let mut lines = Vec::new();
    loop {
        let line = wire.line();
        if line == "END" {
            return lines;
        }
        assert!(!line.starts_with("ERROR"), "{command}: {line}");
        lines.push(line);
    }
}

/// The value that a listing gives for `name`.
#[track_caller]
fn stat(lines: &[String], name: &str) -> String {
    let start = format!("STAT {name} ");
    let line = lines.iter().find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("no {name} in {lines:?}"))[start.len()..].to_string()
}

#[test]
fn storing_and_getting() {
    let (_server, mut wire) = session("1");
    wire.expect("set tutorialspoint 0 900 9\r\nmemcached\r\n", "STORED\r\n");
    wire.expect("get tutorialspoint\r\n", "VALUE tutorialspoint 0 9\r\nmemcached\r\nEND\r\n");
    wire.expect("add key 0 900 9\r\nmemcached\r\n", "STORED\r\n");
    wire.expect("add key 0 900 5\r\nredis\r\n", "NOT_STORED\r\n");
    wire.expect("get key\r\n", "VALUE key 0 9\r\nmemcached\r\nEND\r\n");
    wire.expect("replace key 0 900 16\r\nsome_other_value\r\n", "STORED\r\n");
    wire.expect("get key\r\n", "VALUE key 0 16\r\nsome_other_value\r\nEND\r\n");
    wire.expect("append key 0 900 5\r\nredis\r\n", "STORED\r\n");
    wire.expect("prepend key 0 900 5\r\nhello\r\n", "STORED\r\n");
    wire.expect("get key\r\n", "VALUE key 0 26\r\nhellosome_other_valueredis\r\nEND\r\n");
    wire.expect("delete key\r\n", "DELETED\r\n");
    wire.expect("get key\r\n", "END\r\n");
    wire.expect("delete key\r\n", "NOT_FOUND\r\n");
    wire.expect("get key tutorialspoint\r\n", "VALUE tutorialspoint 0 9\r\nmemcached\r\nEND\r\n");
}

#[test]
fn swapping_by_cas_id() {
    let (_server, mut wire) = session("2");
    wire.expect("cas cp 0 900 9\r\nmemcached\r\n", "CLIENT_ERROR bad command line format\r\n");
    wire.expect("cas cp 0 900 9 2\r\nmemcached\r\n", "NOT_FOUND\r\n");
    wire.expect("set cp 0 900 9\r\nmemcached\r\n", "STORED\r\n");
    let shown = wire.ask("gets cp\r\n");
    let id: u64 = shown.rsplit(' ').next().and_then(|id| id.parse().ok()).expect("a cas id");
    assert_ne!(id, 0, "0 means that there is no id");
    assert_eq!(shown, format!("VALUE cp 0 9 {id}"));
    wire.expect("", "memcached\r\nEND\r\n");
    wire.expect(format!("cas cp 0 900 5 {id}\r\nredis\r\n"), "STORED\r\n");
    wire.expect(format!("cas cp 0 900 5 {id}\r\nagain\r\n"), "EXISTS\r\n");
    wire.expect("get cp\r\n", "VALUE cp 0 5\r\nredis\r\nEND\r\n");
}

#[test]
fn counting() {
    let (_server, mut wire) = session("2");
    wire.expect("set visitors 0 900 2\r\n10\r\n", "STORED\r\n");
    wire.expect("get visitors\r\n", "VALUE visitors 0 2\r\n10\r\nEND\r\n");
    wire.expect("incr visitors 5\r\n", "15\r\n");
    wire.expect("decr visitors 6\r\n", "9\r\n");
    wire.expect("get visitors\r\n", "VALUE visitors 0 2\r\n9 \r\nEND\r\n");
    wire.expect("incr visitors 18446744073709551615\r\n", "8\r\n");
    wire.expect("decr visitors 100\r\n", "0\r\n");
    wire.expect("incr nobody 1\r\n", "NOT_FOUND\r\n");
    let not_a_number = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    wire.expect("set word 0 0 4\r\nword\r\n", "STORED\r\n");
    wire.expect("incr word 1\r\n", not_a_number);
    wire.expect("incr visitors word\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n");
}

#[test]
fn lifetimes() {
    let (_server, mut wire) = session("1");
    wire.expect("set short 0 1 1\r\na\r\n", "STORED\r\n");
    wire.expect("set long 0 100 1\r\nb\r\n", "STORED\r\n");
    wire.expect("set touched 0 100 1\r\nc\r\n", "STORED\r\n");
    wire.expect("touch touched 1\r\n", "TOUCHED\r\n");
    wire.expect("gat 1 long\r\n", "VALUE long 0 1\r\nb\r\nEND\r\n");
    wire.expect("set past 0 -1 1\r\nd\r\nget past\r\n", "STORED\r\nEND\r\n");
    // Thirty days are a span; a second more is a moment in January 1970.
    wire.expect(
        "set month 0 2592000 1\r\ne\r\nget month\r\n",
        "STORED\r\nVALUE month 0 1\r\ne\r\nEND\r\n",
    );
    wire.expect("set old 0 2592001 1\r\nf\r\nget old\r\n", "STORED\r\nEND\r\n");
    std::thread::sleep(Duration::from_millis(2100));
    wire.expect("get short long touched past month\r\n", "VALUE month 0 1\r\ne\r\nEND\r\n");
}

#[test]
fn flushing() {
    let (_server, mut wire) = session("2");
    for n in 0..50 {
        wire.expect(format!("set k{n} 0 0 1\r\nx\r\n"), "STORED\r\n");
    }
    wire.expect("flush_all\r\n", "OK\r\n");
    for n in 0..50 {
        wire.expect(format!("get k{n}\r\n"), "END\r\n");
    }
    wire.expect(
        "set after 0 0 1\r\nx\r\nget after\r\n",
        "STORED\r\nVALUE after 0 1\r\nx\r\nEND\r\n",
    );
    wire.expect("flush_all 2\r\n", "OK\r\n");
    wire.expect("get after\r\n", "VALUE after 0 1\r\nx\r\nEND\r\n");
    std::thread::sleep(Duration::from_millis(3200));
    wire.expect("get after\r\n", "END\r\n");
}

#[test]
fn the_stats_listing() {
    let (server, mut wire) = session("2");
    wire.expect("set k 0 0 5\r\nvalue\r\n", "STORED\r\n");
    wire.expect("get k\r\n", "VALUE k 0 5\r\nvalue\r\nEND\r\n");
    wire.expect("get none\r\n", "END\r\n");
    let lines = listing(&mut wire, "stats");
    assert!(lines[0].starts_with("STAT pid "), "the listing begins with {}", lines[0]);
    for (name, value) in [
        ("curr_connections", "2"),
        ("cmd_get", "2"),
        ("cmd_set", "1"),
        ("get_hits", "1"),
        ("get_misses", "1"),
        ("curr_items", "1"),
        ("total_items", "1"),
        ("evictions", "0"),
        ("threads", "2"),
        ("limit_maxbytes", "67108864"),
        ("accepting_conns", "1"),
        ("pointer_size", "64"),
    ] {
        // memcached counts a connection that is about to be accepted, too.
        let found = stat(&lines, name);
        let fine = found == value || name == "curr_connections" && found.parse::<u32>().is_ok();
        assert!(fine, "{name} is {found}, not {value}");
    }
    assert_eq!(stat(&lines, "pid"), server.process().pid.to_string());
    wire.expect("stats reset\r\n", "RESET\r\n");
    assert_eq!(stat(&listing(&mut wire, "stats"), "cmd_get"), "0");
}

#[test]
fn the_slab_and_item_listings() {
    let (_server, mut wire) = session("1");
    for n in 0..20 {
        wire.expect(format!("set key{n} 0 0 100\r\n{}\r\n", "v".repeat(100)), "STORED\r\n");
    }
    let slabs = listing(&mut wire, "stats slabs");
    let used = slabs.iter().find(|line| line.contains(":used_chunks 20"));
    let class = used.and_then(|line| line["STAT ".len()..].split(':').next());
    let class: u8 = class.and_then(|class| class.parse().ok()).expect("a class holds them all");
    for name in ["chunk_size", "chunks_per_page", "total_pages", "total_chunks", "free_chunks"] {
        let number: u64 = stat(&slabs, &format!("{class}:{name}")).parse().expect("a number");
        assert!(number > 0 || name == "free_chunks", "{name} is {number}");
    }
    assert_eq!(stat(&slabs, "active_slabs"), "1");
    let items = listing(&mut wire, "stats items");
    assert_eq!(stat(&items, &format!("items:{class}:number")), "20");
    for name in ["age", "evicted", "outofmemory", "reclaimed"] {
        stat(&items, &format!("items:{class}:{name}"));
    }
    let settings = listing(&mut wire, "stats settings");
    assert_eq!(stat(&settings, "maxbytes"), "67108864");
    assert_eq!(stat(&settings, "growth_factor"), "1.25");
    assert_eq!(stat(&settings, "item_size_max"), "1048576");
    assert_eq!(listing(&mut wire, "stats sizes"), ["STAT sizes_status disabled"]);
    let dumped = listing(&mut wire, &format!("stats cachedump {class} 100"));
    assert!(dumped.iter().all(|line| line.starts_with("ITEM key") && line.ends_with(" s]")));
}

#[test]
fn leaving() {
    let (_server, mut wire) = session("1");
    assert!(wire.ask("version\r\n").starts_with("VERSION 1.6."), "clients read the version");
    wire.expect("verbosity 1\r\n", "OK\r\n");
    wire.expect("help\r\n", "ERROR\r\n");
    wire.expect("set k 0 0 1\r\nx\r\nget k\r\nquit\r\n", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
    assert!(wire.closes_within(Duration::from_secs(2)), "quit closes");
}

/// Programs that speak another language to this port are let go without a word.
#[test]
fn strangers_are_let_go() {
    let (server, _wire) = session("1");
    for greeting in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /x HTTP/1.0\r\n\r\n"] {
        let mut stranger = server.connect();
        stranger.send(greeting);
        assert!(stranger.closes_within(Duration::from_secs(2)), "{greeting:?} was not let go");
    }
}
