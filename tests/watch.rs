//! `watch`: each stream in memcached's form, and watchers that are slow, many or gone.

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::{Server, Wire};

/// Takes a watcher in, on a connection of its own.
#[track_caller]
fn watch(server: &Server, streams: &str) -> Wire {
    let mut watcher = server.connect();
    watcher.expect(format!("watch{streams}\r\n"), "OK\r\n");
    watcher
}

/// The next line of a watcher without its time, and with the numbers that differ from run to run
/// as letters.
#[track_caller]
fn line(watcher: &mut Wire) -> String {
    let line = watcher.read_until(b"\n");
    let line = String::from_utf8(line).expect("the log is text");
    let words = line.trim_end().split(' ').map(|word| match word.split_once('=') {
        Some(("ts", time)) => {
            let (seconds, micros) = time.split_once('.').expect("seconds and microseconds");
            assert!(seconds.parse::<u64>().is_ok() && micros.parse::<u32>().is_ok(), "{line}");
            "ts".to_owned()
        }
        Some((name @ ("gid" | "cfd" | "rport"), number)) => {
            assert!(number.parse::<u64>().is_ok(), "{line}");
            name.to_owned()
        }
        Some(("clsid", class)) if class != "0" => "class".to_owned(),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn expect_lines(watcher: &mut Wire, lines: &[&str]) {
    for expected in lines {
        assert_eq!(line(watcher), format!("ts gid {expected}"));
    }
}

fn on_each_number_of_cores(test: impl Fn(&Server)) {
    for cores in ["1", "2"] {
        test(&Server::ringcached(&["-t", cores, "-m", "64"]));
    }
}

fn stat(wire: &mut Wire, name: &str) -> u64 {
    wire.send("stats\r\n");
    let text = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let start = format!("STAT {name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

#[test]
fn fetchers_are_the_default_and_tell_hits_and_misses() {
    on_each_number_of_cores(|server| {
        let mut watcher = watch(server, "");
        let mut wire = server.connect();
        wire.expect("get none\r\n", "END\r\n");
        wire.expect("set k:%1 0 0 3\r\nabc\r\n", "STORED\r\n");
        wire.expect("get k:%1\r\n", "VALUE k:%1 0 3\r\nabc\r\nEND\r\n");
        wire.expect("mg k:%1 s\r\n", "HD s3\r\n");
        wire.expect("touch none 0\r\n", "NOT_FOUND\r\n");
        wire.expect("set past 0 -1 1\r\nx\r\nget past\r\n", "STORED\r\nEND\r\n");
        wire.expect("flush_all\r\nget k:%1\r\n", "OK\r\nEND\r\n");
        expect_lines(
            &mut watcher,
            &[
                "type=item_get key=none status=not_found clsid=0 cfd size=0",
                "type=item_get key=k%3A%251 status=found class cfd size=3",
                "type=item_get key=k%3A%251 status=found class cfd size=3",
                "type=item_get key=none status=not_found clsid=0 cfd size=0",
                "type=item_get key=past status=expired clsid=0 cfd size=0",
                "type=item_get key=k%3A%251 status=flushed clsid=0 cfd size=0",
            ],
        );
    });
}

#[test]
fn mutations_tell_stores_of_every_kind_and_outcome() {
    on_each_number_of_cores(|server| {
        let mut watcher = watch(server, " mutations");
        let mut wire = server.connect();
        wire.expect("set k 0 60 3\r\nabc\r\n", "STORED\r\n");
        wire.expect("add k 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
        wire.expect("append k 0 0 2\r\nde\r\n", "STORED\r\n");
        wire.expect("cas k 0 0 1 1\r\nx\r\n", "EXISTS\r\n");
        wire.expect("cas none 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n");
        wire.expect("ms k 2 MR\r\nxy\r\n", "HD\r\n");
        wire.expect("ma n N0 J12\r\n", "HD\r\n");
        wire.expect("md k x\r\n", "HD\r\n");
        let large = "x".repeat(2 << 20);
        let refusal = "SERVER_ERROR object too large for cache\r\n";
        wire.expect(format!("set large 0 0 {}\r\n{large}\r\n", large.len()), refusal);
        let chain = "x".repeat(900_000);
        wire.expect(format!("set chain 0 0 900000\r\n{chain}\r\n"), "STORED\r\n");
        expect_lines(
            &mut watcher,
            &[
                "type=item_store key=k status=stored cmd=set ttl=60 class cfd size=3",
                "type=item_store key=k status=not_stored cmd=add ttl=0 clsid=0 cfd size=1",
                "type=item_store key=k status=stored cmd=append ttl=0 class cfd size=5",
                "type=item_store key=k status=exists cmd=cas ttl=0 clsid=0 cfd size=1",
                "type=item_store key=none status=not_found cmd=cas ttl=0 clsid=0 cfd size=1",
                "type=item_store key=k status=stored cmd=replace ttl=0 class cfd size=2",
                "type=item_store key=n status=stored cmd=add ttl=0 class cfd size=2",
                "type=item_store key=k status=stored cmd=set ttl=0 class cfd size=0",
                "type=item_store key=large status=too_large cmd=set ttl=0 clsid=0 cfd size=0",
                "type=item_store key=chain status=stored cmd=set ttl=0 class cfd size=900000",
            ],
        );
    });
}

#[test]
fn deletions_tell_what_was_there() {
    on_each_number_of_cores(|server| {
        let mut watcher = watch(server, " deletions");
        let mut wire = server.connect();
        wire.expect("set a 0 0 3\r\nabc\r\nset b 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
        wire.expect("delete a\r\ndelete a\r\nmd b\r\n", "DELETED\r\nNOT_FOUND\r\nHD\r\n");
        expect_lines(
            &mut watcher,
            &[
                "type=deleted key=a cmd=delete class size=3",
                "type=deleted key=b cmd=md class size=1",
            ],
        );
    });
}

#[test]
fn connections_are_told_from_their_beginning_to_their_end() {
    on_each_number_of_cores(|server| {
        let mut watcher = watch(server, " connevents");
        let mut wire = server.connect();
        wire.expect("mn\r\n", "MN\r\n");
        let port = wire.stream().local_addr().expect("it is connected").port();
        drop(wire);
        // Connections of the test's own preparations may be among the lines.
        let ours = format!(" rip=127.0.0.1 rport={port} transport=tcp ");
        let mut next = || loop {
            let text = String::from_utf8(watcher.read_until(b"\n")).expect("text");
            if text.contains(&ours) {
                return text;
            }
        };
        assert!(next().contains(" type=conn_new "));
        let end = next();
        assert!(end.contains(" type=conn_close ") && end.contains(" reason=normal "), "{end}");
    });
}

#[test]
fn evictions_are_told_with_the_item_that_went() {
    let server = Server::ringcached(&["-t", "1", "-m", "8"]);
    let mut watcher = watch(&server, " evictions");
    let mut wire = server.connect();
    let value = "x".repeat(10_000);
    for n in 0..1000 {
        wire.expect(format!("set key{n} 0 0 10000\r\n{value}\r\n"), "STORED\r\n");
    }
    let first = line(&mut watcher);
    let (head, tail) = first.split_once(" ttl=").expect("a time to live");
    assert_eq!(head.split("key=key").next(), Some("ts gid type=eviction "), "{first}");
    assert!(head.ends_with(" fetch=no"), "{first}");
    assert!(tail.starts_with("-1 la=") && tail.ends_with(" class size=10000"), "{first}");
}

#[test]
fn the_crawler_tells_of_its_walks() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut watcher = watch(&server, " sysevents");
    let mut wire = server.connect();
    wire.expect("set past 0 -1 1\r\nx\r\nlru_crawler crawl all\r\n", "STORED\r\nOK\r\n");
    let told = line(&mut watcher);
    assert!(told.starts_with("ts gid type=lru_crawler crawler="), "{told}");
    assert!(told.contains(" examined=") && told.contains(" reclaimed="), "{told}");
}

/// A page that one size gives up for another is told with both classes.
#[test]
fn pages_on_the_move_are_told() {
    let server = Server::ringcached(&["-t", "1", "-m", "16"]);
    let mut watcher = watch(&server, " sysevents");
    let mut wire = server.connect();
    let mut fill = |size: usize, count: usize| {
        let value = "x".repeat(size);
        for n in 0..count {
            wire.expect(format!("set k{size}-{n} 0 0 {size}\r\n{value}\r\n"), "STORED\r\n");
        }
    };
    fill(2_000, 10_000);
    fill(10_000, 1_000);
    let told = loop {
        let told = line(&mut watcher);
        if told.contains("type=slab_move") {
            break told;
        }
    };
    let (from, rest) = told
        .strip_prefix("ts gid type=slab_move src=")
        .and_then(|rest| rest.split_once(" dst="))
        .expect("memcached's form");
    let (to, state) = rest.split_once(" state=").expect("memcached's form");
    let [from, to] = [from, to].map(|class| class.parse::<u8>().expect("a class"));
    assert!(from != 0 && from != to, "{told}");
    assert!(matches!(state, "ok" | "fail"), "{told}");
}

/// memcached takes these streams and writes nothing to them unless it is a proxy.
#[test]
fn streams_without_lines_are_taken_all_the_same() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut wire = server.connect();
    for stream in ["rawcmds", "proxyreqs", "proxyevents", "proxyuser"] {
        let mut watcher = watch(&server, &format!(" {stream}"));
        wire.expect("set k 0 0 1\r\nx\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
        assert!(watcher.is_silent_for(Duration::from_millis(100)), "{stream}");
    }
}

#[test]
fn several_streams_come_in_one_order() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut watcher = watch(&server, " mutations fetchers deletions");
    let mut wire = server.connect();
    for n in 0..100 {
        wire.send(format!("set k{n} 0 0 1\r\nx\r\nget k{n}\r\ndelete k{n}\r\n"));
    }
    let mut previous = 0;
    for n in 0..100 {
        for kind in ["item_store", "item_get", "deleted"] {
            let text = String::from_utf8(watcher.read_until(b"\n")).expect("text");
            let word = |name: &str| {
                let mut words = text.trim_end().split(' ');
                words.find_map(|word| word.strip_prefix(name)).expect("the word").to_owned()
            };
            assert_eq!((word("type="), word("key=")), (kind.into(), format!("k{n}")), "{text}");
            let gid: u64 = word("gid=").parse().expect("a number");
            assert!(gid > previous, "lines are numbered in their order: {text}");
            previous = gid;
        }
    }
}

/// A watcher that does not read costs lines, which are counted, and nobody's time.
#[test]
fn a_slow_watcher_loses_lines_and_is_told_how_many() {
    let server = Server::ringcached(&["-t", "2", "-o", "watcher_logbuf_size=16"]);
    let mut watcher = watch(&server, " fetchers");
    let mut wire = server.connect();
    let gets = format!("get {}\r\n", "k".repeat(200)).repeat(1000);
    let since = Instant::now();
    while stat(&mut wire, "log_watcher_skipped") == 0 {
        wire.exchange(gets.as_bytes(), "END\r\n".repeat(1000).as_bytes());
        assert!(since.elapsed() < Duration::from_secs(60), "no line was ever skipped");
    }
    let sent = stat(&mut wire, "log_watcher_sent");
    let worker = stat(&mut wire, "log_worker_written") + stat(&mut wire, "log_worker_dropped");
    assert!(sent > 0 && worker > 0);
    // Now it reads again, and finds out.
    let mut told = false;
    while !told {
        wire.send("get again\r\n");
        wire.expect("", "END\r\n");
        let text = watcher.read_until(b"\n");
        told = text.starts_with(b"skipped=");
        assert!(since.elapsed() < Duration::from_secs(120), "the watcher is not told");
    }
    wire.assert_in_step();
}

#[test]
fn there_are_twenty_watchers_at_most_and_places_are_freed() {
    let server = Server::ringcached(&["-t", "2"]);
    let watchers: Vec<Wire> = (0..20).map(|_| watch(&server, " fetchers")).collect();
    let mut wire = server.connect();
    assert_eq!(stat(&mut wire, "log_watchers"), 20);
    let refusal = "WATCHER_TOO_MANY log watcher limit reached\r\n";
    wire.expect("watch fetchers\r\n", refusal);
    wire.assert_in_step();
    drop(watchers);
    let since = Instant::now();
    while stat(&mut wire, "log_watchers") > 0 {
        assert!(since.elapsed() < Duration::from_secs(10), "watchers that left keep their places");
    }
    drop(watch(&server, " fetchers"));
}

#[test]
fn what_is_refused() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut wire = server.connect();
    wire.expect("watch nothing\r\nmn\r\n", "ERROR\r\nMN\r\n");
    let pipelined = "MN\r\nERROR cannot pipeline other commands before watch\r\n";
    wire.expect("mn\r\nwatch fetchers\r\n", pipelined);
    // What a watcher sends afterwards is dropped.
    let mut watcher = watch(&server, " fetchers");
    watcher.stream().write_all(b"version\r\n").expect("sent");
    assert!(watcher.is_silent_for(Duration::from_millis(200)));
    let forbidden = Server::ringcached(&["-W"]);
    let refusal = "CLIENT_ERROR watch commands not allowed\r\n";
    forbidden.connect().expect("watch fetchers\r\n", refusal);
}
