//! Several servers: the list's grammar, who owns a key, copies, and what is lost with one of them.

use std::collections::BTreeSet;

use crate::run::{Running, errors, loadgen, number, report, words};
use crate::server::{Kind, Server};

fn three() -> [Server; 3] {
    [Kind::Memcached, Kind::Ringcached, Kind::Memcached].map(|kind| kind.start(&[]))
}

fn list(servers: &[Server]) -> String {
    servers.iter().map(|server| server.address.as_str()).collect::<Vec<_>>().join(",")
}

/// How many items each server holds.
fn items(servers: &[Server]) -> Vec<u64> {
    servers.iter().map(|server| server.stat("curr_items")).collect()
}

#[test]
fn keys_are_shared_out_and_found_again() {
    for distribution in ["modula", "modulo", "ketama", "ketama-weighted", "spy"] {
        let servers = three();
        let load = format!("--distribution {distribution} --keys 3000 --requests 3k --mget 1-20");
        let found = report(&list(&servers), &load);
        assert_eq!((number(&found, "/misses"), errors(&found)), (0.0, 0), "{distribution}");
        let items = items(&servers);
        assert_eq!(items.iter().sum::<u64>(), 3000, "{distribution}: {items:?}");
        assert!(items.iter().all(|items| *items > 300), "{distribution}: {items:?}");
    }
}

#[test]
fn weights_switch_to_weighted_ketama() {
    let servers = three();
    let [a, b, c] = [0, 1, 2].map(|at: usize| &servers[at].address);
    let found = report(&format!("{a}:1, {b} 8 ,{c}:1"), "--keys 5000 --requests 5k");
    assert_eq!((number(&found, "/misses"), errors(&found)), (0.0, 0));
    let items = items(&servers);
    assert!(items[1] > 3 * (items[0] + items[2]), "{items:?}");
}

#[test]
fn the_environment_names_the_servers() {
    let server = Kind::Memcached.start(&[]);
    let environment = [("MEMCACHED_SERVERS", server.address.as_str())];
    let line = words("--time 200ms --keys 100 --quiet --json -");
    let found = Running::start_with(&line, &environment).end().well().json();
    assert!(number(&found, "/requests") > 0.0);
    assert_eq!(server.stat("curr_items"), 100);
}

#[test]
fn copies_lie_on_the_servers_behind_the_owner() {
    let servers = three();
    let load = "--replicas 1 --keys 900 --requests 4k --mix get=1,set=1 --mget 1-5";
    let found = report(&list(&servers), load);
    assert_eq!((number(&found, "/misses"), errors(&found)), (0.0, 0), "{found:#}");
    assert_eq!(items(&servers).iter().sum::<u64>(), 1800);
    let run = loadgen(&["--servers", &list(&servers), "--replicas", "3"]);
    assert!(run.code == Some(64) && run.err.contains("more servers than copies"), "{run:?}");
}

#[test]
fn keys_go_where_libmemcached_looks_for_them() {
    let servers = three();
    // Python's pylibmc is libmemcached; memccp and its like come with Debian's tools.
    let load = "--keys 50 --requests 1 --key-prefix k --key-size 8 --value-size 40";
    report(&list(&servers), load);
    let keys: BTreeSet<_> = (0..50).map(|key| format!("k{key:07}")).collect();
    let mut memccat = std::process::Command::new("memccat");
    memccat.arg(format!("--servers={}", list(&servers))).args(&keys);
    let output = memccat.output().expect("Debian's libmemcached-tools are installed");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.len() >= 50 * 40, "{output:?}");
}
