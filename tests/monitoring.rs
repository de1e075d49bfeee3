//! What monitoring reads: every statistic that Prometheus's memcached_exporter takes, and
//! memcached-tool, which comes with Debian's memcached.

mod common;

use std::collections::HashMap;
use std::process::{Command, Stdio};

use common::{Server, Wire};

/// Statistics of `stats` that the exporter shows. Without the first four it says that the server
/// is down.
#[rustfmt::skip]
const GENERAL: &[&str] = &[
    "cmd_set", "cas_hits", "cas_misses", "cas_badval",
    "uptime", "time", "version", "rusage_user", "rusage_system", "bytes_read", "bytes_written",
    "curr_connections", "max_connections", "total_connections", "rejected_connections",
    "conn_yields", "listen_disabled_num", "accepting_conns", "bytes", "limit_maxbytes",
    "curr_items", "total_items", "evictions", "reclaimed", "store_too_large", "store_no_memory",
    "direct_reclaims", "cmd_get", "get_hits", "get_misses", "delete_hits", "delete_misses",
    "incr_hits", "incr_misses", "decr_hits", "decr_misses", "touch_hits", "touch_misses",
    "cmd_flush", "cmd_touch", "lru_crawler_starts", "crawler_reclaimed", "crawler_items_checked",
    "moves_to_cold", "moves_to_warm", "moves_within_lru", "round_robin_fallback",
    "unexpected_napi_ids",
];

/// Of `stats settings`.
const SETTINGS: &[&str] = &[
    "maxconns",
    "lru_crawler",
    "lru_crawler_sleep",
    "lru_crawler_tocrawl",
    "lru_maintainer_thread",
    "hot_lru_pct",
    "warm_lru_pct",
    "hot_max_factor",
    "warm_max_factor",
];

/// Of `stats slabs`, for each class; the first three must be there.
#[rustfmt::skip]
const SLABS: &[&str] = &[
    "cmd_set", "cas_hits", "cas_badval",
    "chunk_size", "chunks_per_page", "total_pages", "total_chunks", "used_chunks", "free_chunks",
    "free_chunks_end", "get_hits", "delete_hits", "incr_hits", "decr_hits", "touch_hits",
];

/// Of `stats items`, for each class.
#[rustfmt::skip]
const ITEMS: &[&str] = &[
    "number", "age", "number_hot", "number_warm", "number_cold", "number_temp", "age_hot",
    "age_warm", "mem_requested", "evicted", "evicted_nonzero", "evicted_time",
    "evicted_unfetched", "expired_unfetched", "outofmemory", "reclaimed", "tailrepairs",
    "crawler_reclaimed", "crawler_items_checked", "lrutail_reflocked", "moves_to_cold",
    "moves_to_warm", "moves_within_lru", "direct_reclaims", "hits_to_hot", "hits_to_warm",
    "hits_to_cold", "hits_to_temp",
];

/// A server that has seen commands of every kind.
fn server(cores: &str) -> Server {
    let server = Server::ringcached(&["-t", cores, "-o", "track_sizes,temporary_ttl=60"]);
    let mut wire = server.connect();
    wire.expect("set number 0 0 1\r\n1\r\nget number none\r\n", "STORED\r\nVALUE number 0 1\r\n");
    wire.expect("", "1\r\nEND\r\n");
    wire.expect("incr number 1\r\ndecr number 1\r\ntouch number 0\r\n", "2\r\n1\r\nTOUCHED\r\n");
    wire.expect("cas number 0 0 1 1\r\n2\r\ndelete none\r\n", "EXISTS\r\nNOT_FOUND\r\n");
    for n in 0..50 {
        let value = "x".repeat(20 * n);
        wire.expect(format!("set key{n} 5 900 {}\r\n{value}\r\n", 20 * n), "STORED\r\n");
    }
    server
}

fn listing(wire: &mut Wire, command: &str) -> HashMap<String, String> {
    wire.send(format!("{command}\r\n"));
    let text = String::from_utf8(wire.read_until(b"END\r\n")).expect("statistics are text");
    let stats = text.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    stats.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The numbers of the classes in a listing whose names are `[prefix]CLASS:name`.
fn classes(listing: &HashMap<String, String>, prefix: &str) -> Vec<u8> {
    let class = |name: &String| name.strip_prefix(prefix)?.split_once(':')?.0.parse().ok();
    let mut classes: Vec<u8> = listing.keys().filter_map(class).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

#[track_caller]
fn assert_number(listing: &HashMap<String, String>, name: &str) {
    let value = listing.get(name).unwrap_or_else(|| panic!("{name} is not there"));
    assert!(value.parse::<f64>().is_ok(), "{name} is no number: {value}");
}

#[test]
fn every_statistic_of_memcached_exporter_is_there() {
    for cores in ["1", "2"] {
        let server = server(cores);
        let mut wire = server.connect();
        let general = listing(&mut wire, "stats");
        assert!(general["version"].starts_with("1.6."), "{}", general["version"]);
        for name in GENERAL.iter().filter(|name| **name != "version") {
            assert_number(&general, name);
        }
        let settings = listing(&mut wire, "stats settings");
        for name in SETTINGS {
            assert!(settings.contains_key(*name), "{name} is not there");
        }
        let slabs = listing(&mut wire, "stats slabs");
        assert_number(&slabs, "total_malloced");
        assert_number(&slabs, "active_slabs");
        let items = listing(&mut wire, "stats items");
        for (listing, prefix, names) in [(&slabs, "", SLABS), (&items, "items:", ITEMS)] {
            let classes = classes(listing, prefix);
            assert!(classes.len() > 5, "classes of {prefix}: {classes:?}");
            for class in classes {
                for name in names {
                    assert_number(listing, &format!("{prefix}{class}:{name}"));
                }
            }
        }
    }
}

/// What classes count adds up to what the server counts.
#[test]
fn the_classes_counters_are_true() {
    let server = server("2");
    let mut wire = server.connect();
    let general = listing(&mut wire, "stats");
    let slabs = listing(&mut wire, "stats slabs");
    let sum = |name: &str| -> u64 {
        let of_name = slabs.iter().filter(|(key, _)| key.ends_with(&format!(":{name}")));
        of_name.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
    };
    for name in ["cmd_set", "get_hits", "incr_hits", "decr_hits", "cas_badval", "touch_hits"] {
        assert_eq!(sum(name).to_string(), general[name], "{name}");
    }
    let sums = ["cmd_set", "get_hits", "incr_hits", "cas_badval"].map(sum);
    assert_eq!(sums, [52, 1, 1, 1]);
    wire.expect("stats reset\r\n", "RESET\r\n");
    let general = listing(&mut wire, "stats");
    for name in ["cmd_set", "get_hits", "get_misses", "total_items", "total_connections"] {
        assert_eq!(general[name], "0", "{name} after stats reset");
    }
    assert_eq!(general["curr_items"], "51", "what is there is not reset");
}

/// Debian's memcached-tool, to its end.
#[track_caller]
fn tool(server: &Server, mode: &[&str]) -> String {
    let output = Command::new("timeout")
        .args(["30", "/usr/share/memcached/scripts/memcached-tool", &server.address()])
        .args(mode)
        .stdin(Stdio::null())
        .output()
        .expect("memcached-tool starts: run tests/setup.sh first");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{mode:?}: {said}{complained}");
    said
}

#[test]
fn memcached_tool_displays_and_lists() {
    let server = server("2");
    for display in [tool(&server, &[]), tool(&server, &["display"])] {
        let head = display.lines().next().expect("a head");
        assert!(head.contains("Item_Size") && head.contains("Evicted"), "{display}");
        let items: u64 = display
            .lines()
            .skip(1)
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words[4].parse::<u64>().expect("a count of items")
            })
            .sum();
        assert_eq!(items, 51, "{display}");
    }
    let stats = tool(&server, &["stats"]);
    assert!(stats.contains("curr_items") && stats.contains("limit_maxbytes"), "{stats}");
    let settings = tool(&server, &["settings"]);
    assert!(settings.contains("maxconns") && settings.contains("temporary_ttl"), "{settings}");
    let sizes = tool(&server, &["sizes"]);
    let counted = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    assert_eq!(sizes.lines().filter_map(counted).sum::<u64>(), 51, "{sizes}");
}

#[test]
fn memcached_tool_dumps_keys_and_values() {
    let server = server("2");
    let keys = tool(&server, &["keys"]);
    for n in 0..50 {
        assert!(keys.contains(&format!("key=key{n} ")), "key{n} is not in {keys}");
    }
    let dump = tool(&server, &["dump"]);
    for n in 0..50 {
        let add = format!("add key{n} 5 ");
        let line = dump.lines().find(|line| line.starts_with(&add));
        let line = line.unwrap_or_else(|| panic!("key{n} is not in {dump}"));
        assert!(line.ends_with(&format!(" {}", 20 * n)), "{line}");
    }
}

/// The mark that firewalls and routes go by is on the sockets that listen and on what they accept,
/// where ss(8) shows it.
#[test]
fn sockets_carry_the_mark_of_sock_cookie_id() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root may mark sockets; run it as root");
        return;
    }
    for (args, is_marked) in [(&["-o", "sock_cookie_id=4660"][..], true), (&[], false)] {
        let server = Server::ringcached(args);
        let mut wire = server.connect();
        wire.assert_in_step();
        let filter = format!("sport = :{}", server.port());
        let listed = Command::new("ss").args(["--tcp", "--all", "-n", "-e", &filter]).output();
        let listed = listed.expect("ss runs: tests/setup.sh installs it").stdout;
        let listed = String::from_utf8(listed).expect("text");
        for state in ["LISTEN", "ESTAB"] {
            let line = listed.lines().find(|line| line.starts_with(state));
            let line = line.unwrap_or_else(|| panic!("no {state} in {listed}"));
            assert_eq!(line.contains(" fwmark:0x1234"), is_marked, "{line}");
        }
    }
}
