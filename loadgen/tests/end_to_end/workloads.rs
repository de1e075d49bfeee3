//! Workloads by name, by file and from traces; and that a seed fixes them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::run::{errors, loadgen, number, report};
use crate::server::Kind;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;

#[test]
fn every_named_workload_runs() {
    let server = Kind::Memcached.start(&["-m", "256"]);
    let listed = loadgen(&["--list-workloads"]).well().out;
    let names: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() >= 15 && names.contains(&"etc") && names.contains(&"usr"), "{names:?}");
    for name in names {
        let load = format!("--workload {name} --keys 1k --requests 2k --depth 4");
        let found = report(&server.address, &load);
        assert_eq!((number(&found, "/requests"), errors(&found)), (2000.0, 0), "{name}: {found:#}");
        let missed = number(&found, "/misses") > 0.0;
        assert!(!missed || MAY_MISS.contains(&name), "{name}: {found:#}");
    }
}

/// Workloads that read what they delete, or a new key before its set was answered.
const MAY_MISS: [&str; 2] = ["twitter-12", "twitter-14"];

#[test]
fn a_workload_file_is_overruled_by_options_beside_it() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("mine");
    fs::write(&file, "# mine\nmix = get=1,delete=1\nkeys 500\nrequests = 1k\n").expect("a file");
    let load = format!("--workload {}", file.display());
    let found = report(&server.address, &load);
    assert!(found["commands"]["delete"].is_object() && number(&found, "/requests") == 1000.0);
    let found = report(&server.address, &format!("{load} --mix get --requests 300"));
    assert!(found["commands"]["delete"].is_null() && number(&found, "/requests") == 300.0);
    let missing = loadgen(&["--workload", "no-such-name"]);
    assert!(missing.code == Some(64) && missing.err.contains("no such name"), "{missing:?}");
}

/// What two runs from one seed must have in common.
fn drawn(found: &Value) -> Vec<Value> {
    let paths = ["/requests", "/hits", "/misses", "/bytes_sent", "/commands/set/requests"];
    paths.map(|path| found.pointer(path).cloned().expect("a number")).to_vec()
}

#[test]
fn a_seed_fixes_what_is_asked() {
    let load = |seed: u32| {
        // One connection, so that the server sees one order.
        let load = "--connections 1 --requests 5k --keys 1k --key-size 10-60 --value-size 1-500 \
                    --mix get=5,set=3,delete=2 --popularity zipf:0.8";
        let server = Kind::Memcached.start(&[]);
        drawn(&report(&server.address, &format!("{load} --seed {seed}")))
    };
    assert_eq!(load(7), load(7));
    assert_ne!(load(7), load(8));
}

#[test]
fn a_growing_key_space_and_times_to_live_reach_the_server() {
    let server = Kind::Memcached.start(&[]);
    let load = "--growth 0.5 --mix set --requests 4k --keys 1k --ttl 1h-2h:1,0:1";
    report(&server.address, load);
    let items = server.stat("curr_items");
    assert!((2700..=3300).contains(&items), "1000 and half of 4000: {items}");
    let server = Kind::Memcached.start(&[]);
    report(&server.address, "--ttl 1s --mix set --requests 2k --keys 100 --no-preload");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let found = report(&server.address, "--mix get --requests 500 --keys 100 --no-preload");
    assert_eq!(number(&found, "/hits"), 0.0, "all have expired: {found:#}");
}

const TWITTER: &str = "0,q:q:1:8WTfjZU14ee,17,213,4,set,0\n\
                       0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n\
                       1,yDqF,3q,A:1AJrrJ1nnCJKKrnGx1A,27,27,5,add,3600\n\
                       2,yDqF,3q,A:1AJrrJ1nnCJKKrnGx1A,27,0,5,gets,0\n\
                       3,none,4,0,5,get,0\n";
const META: &str = "op_time,key,key_size,op,op_count,size,cache_hits,ttl\n\
                    0,123,30,SET,1,500,0,0\n1,123,30,GET,4,500,3,0\n2,9,12,DELETE,1,0,0,0\n";

fn replayed(trace: &Path) -> Value {
    let server = Kind::Memcached.start(&[]);
    let load = format!("--trace {} --threads 2 --connections 2", trace.display());
    report(&server.address, &load)
}

#[test]
fn traces_are_replayed_packed_or_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(TWITTER.as_bytes()).expect("packed");
    let traces = [
        file("plain.csv", TWITTER.as_bytes()),
        file("packed.csv.gz", &gzip.finish().expect("packed")),
        file("packed.csv.zst", &compress_to_vec(TWITTER.as_bytes(), CompressionLevel::Fastest)),
    ];
    for trace in traces {
        let found = replayed(&trace);
        assert_eq!((number(&found, "/requests"), errors(&found)), (5.0, 0), "{trace:?}");
        assert_eq!(number(&found, "/commands/add/hits"), 1.0, "{trace:?}");
        assert_eq!((number(&found, "/hits"), number(&found, "/misses")), (2.0, 1.0), "{trace:?}");
    }
    let found = replayed(&file("meta.csv", META.as_bytes()));
    assert_eq!(number(&found, "/requests"), 6.0);
    assert_eq!((number(&found, "/hits"), number(&found, "/commands/delete/misses")), (4.0, 1.0));
    let strange = file("strange.csv", b"one\ntwo\n");
    let run = loadgen(&["--trace", strange.to_str().expect("text")]);
    assert!(run.code == Some(1) && run.err.contains("no row of Twitter's"), "{run:?}");
}
