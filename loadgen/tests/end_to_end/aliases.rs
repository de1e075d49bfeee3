//! Command lines for memslap and memaslap, as manuals and tutorials print them.

use std::fs;

use crate::run::{Run, loadgen, words};
use crate::server::Kind;

/// Runs a tutorial's line and returns what it printed; its last line must be memaslap's.
#[track_caller]
fn tutorial(line: &str) -> Run {
    let run = loadgen(&words(line)).well();
    let last = run.out.lines().last().unwrap_or_default();
    assert!(last.starts_with("Run time: ") && last.contains(" TPS: "), "{line}: {run:?}");
    run
}

/// The number behind `Ops:`.
fn operations(run: &Run) -> u64 {
    let mut words = run.out.split_whitespace().skip_while(|word| *word != "Ops:").skip(1);
    words.next().and_then(|number| number.parse().ok()).expect("a number of operations")
}

#[test]
fn memslaps_lines_run() {
    let server = Kind::Memcached.start(&[]);
    let to = format!("--servers={}", server.address);
    let run = tutorial(&format!("{to} --concurrency=5 --execute-number=100 --test=set --flush"));
    assert_eq!(operations(&run), 500);
    let run = tutorial(&format!("{to} --concurrency=3 --execute-number=50 --test=get --binary"));
    assert_eq!(operations(&run), 150);
    assert!(run.out.contains("reads       150 hits, 0 misses"), "{run:?}");
    let run = tutorial(&format!("{to} --concurrency=2 --execute-number=40 --test=mget"));
    assert_eq!(operations(&run), 2);
    assert!(run.out.contains("80 hits, 0 misses"), "two gets of all 40 keys: {run:?}");
    tutorial(&format!("{to} --execute-number=100 --noreply --tcp-nodelay --non-blocking"));
    tutorial(&format!("-s {} -c 2 -e 100 -t get -F -N -b -v", server.address));
}

#[test]
fn memslaps_datagrams_run() {
    let server = Kind::Memcached.start_udp();
    // A get of very many keys is more than a datagram, for libmemcached as well.
    for test in ["set", "get"] {
        let line = format!("--udp --concurrency=2 --execute-number=40 --test={test}");
        tutorial(&format!("--servers={} {line}", server.address));
    }
}

#[test]
fn memaslaps_lines_run() {
    let server = Kind::Memcached.start(&[]);
    let to = format!("-s {}", server.address);
    let run = tutorial(&format!("{to} -T 2 -c 8 -x 1000 -X 128 -w 1k"));
    assert_eq!(operations(&run), 1000);
    tutorial(&format!("{to} -T 2 -c 8 -t 1s -S 500ms -d 10 -o 0.5 -w 1k -R"));
    tutorial(&format!("{to} -c 8 -t 1s -v 0.2 -e 0.1 -b -w 1k"));
    tutorial(&format!("{to} -c 4 -n 2 -t 1s -B -P 1k -w 1k"));
    let long = "--threads=2 --concurrency=8 --execute_number=1000 --fixed_size=64 --win_size=1k \
                --division=5 --verify=0.5 --exp_verify=0.1 --overwrite=0.9 --stat_freq=1s \
                --reconnect --binary --tps=20k";
    assert_eq!(operations(&tutorial(&format!("--servers={} {long}", server.address))), 1000);
}

#[test]
fn memaslaps_configuration_file_is_read() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("memaslap.cnf");
    let text = "# key lengths\nkey\n32 32 1\nvalue\n200 300 0.5\n1024 1024 0.5\ncmd\n0 1\n1 0\n";
    fs::write(&path, text).expect("a file");
    let line = format!("-s {} -F {} -x 500 -w 1k -c 4", server.address, path.display());
    let run = tutorial(&line);
    assert!(!run.out.contains("reads"), "it only sets: {run:?}");
}

#[test]
fn replicated_writes_reach_several_servers() {
    let servers = Kind::ALL.map(|kind| kind.start(&[]));
    let list = format!("{},{}", servers[0].address, servers[1].address);
    tutorial(&format!("-s {list} -p 2 -c 4 -x 400 -w 1k"));
    assert_eq!(servers[0].stat("curr_items"), servers[1].stat("curr_items"));
}
