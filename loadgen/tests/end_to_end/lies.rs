//! Verification: every kind of lie is found and told from the others, and honesty is believed.

use std::fs;

use crate::fake::{self, Lie, Manner};
use crate::run::{Run, loadgen, number, words};
use crate::server::Kind;

const LOAD: &str = "--connections 4 --mix get=7,set=2,delete=1 --keys 200 --requests 20k";
/// Each key's value has a length of its own then, whoever writes it.
const SIZES: &str = "--value-size 24-900";

fn verified(servers: &str, load: &str) -> Run {
    let fixed = ["--servers", servers, "--verify", "--quiet", "--json", "-"];
    loadgen(&[&fixed[..], &words(load)].concat())
}

/// Runs with a history and returns the run and what it printed of the checker.
fn with_history(servers: &str, load: &str) -> (Run, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("history");
    let path = path.to_str().expect("a path of ours is text");
    let fixed = ["--servers", servers, "--history", path];
    (loadgen(&[&fixed[..], &words(load)].concat()), directory)
}

#[test]
fn each_lie_is_called_by_its_name() {
    verified(&fake::start(Manner::Honest), LOAD).well();
    let lies = [(Lie::Stale, "stale"), (Lie::Corrupt, "corrupt"), (Lie::Foreign, "foreign")];
    for (lie, name) in lies {
        let run = verified(&fake::start(Manner::Lying(lie)), LOAD);
        assert_eq!(run.code, Some(2), "{lie:?}: {run:?}");
        let report = run.json();
        for other in ["stale", "corrupt", "foreign"] {
            let found = number(&report, &format!("/verified/{other}"));
            assert_eq!(found > 0.0, other == name, "{lie:?}: {found} {other}");
        }
        assert!(number(&report, "/verified/genuine") > 1000.0, "{lie:?}: {report:#}");
    }
}

#[test]
fn a_deleted_value_that_comes_back_is_stale() {
    let run = verified(&fake::start(Manner::Lying(Lie::Undead)), LOAD);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(number(&run.json(), "/verified/stale") > 0.0);
}

#[test]
fn forgetting_is_counted_and_no_lie() {
    let run = verified(&fake::start(Manner::Lying(Lie::Forgotten)), LOAD).well();
    let report = run.json();
    assert!(number(&report, "/verified/missing") > 100.0, "{report:#}");
    for lie in ["stale", "corrupt", "foreign"] {
        assert_eq!(number(&report, &format!("/verified/{lie}")), 0.0);
    }
}

#[test]
fn honest_servers_are_believed_in_every_protocol() {
    for kind in Kind::ALL {
        let server = kind.start(&[]);
        for protocol in ["text", "meta", "binary"] {
            let load = format!("{LOAD} --protocol {protocol} --depth 4 --mget 1-3 {SIZES}");
            let report = verified(&server.address, &load).well().json();
            let genuine = number(&report, "/verified/genuine");
            assert!(genuine > 5000.0, "{kind:?} {protocol}: {report:#}");
        }
    }
}

#[test]
fn honest_histories_are_believed_evictions_and_all() {
    let load = "--connections 8 --threads 2 --mix get=5,set=2,cas=2,delete=1 --keys 50 \
                --requests 20k --depth 2";
    for kind in Kind::ALL {
        let server = kind.start(&[]);
        let (run, directory) = with_history(&server.address, load);
        let run = run.well();
        assert!(run.out.contains(" on 50 keys, ") && run.out.contains(", 0 lies"), "{run:?}");
        let path = directory.path().join("history");
        let again = loadgen(&["check", path.to_str().expect("text")]).well();
        assert!(again.out.contains(", 0 lies"), "{again:?}");
    }
}

#[test]
fn a_history_proves_lies_that_single_values_do_not_show() {
    let load = "--connections 8 --mix get=5,set=2,cas=3 --keys 5 --requests 10k --depth 2";
    let (run, directory) = with_history(&fake::start(Manner::Lying(Lie::BlindCas)), load);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.out.contains("lie         key "), "{run:?}");
    // The file alone proves it as well, and a line that is no event is told with its number.
    let path = directory.path().join("history");
    let name = path.to_str().expect("text");
    assert_eq!(loadgen(&["check", name]).code, Some(2));
    let text = fs::read_to_string(&path).expect("a history");
    fs::write(&path, text + "no event\n").expect("a history");
    let run = loadgen(&["check", name]);
    assert!(run.code == Some(1) && run.err.contains("no event"), "{run:?}");

    let load = "--connections 4 --mix get=3,set=1 --keys 5 --requests 10k";
    let (run, _directory) = with_history(&fake::start(Manner::Lying(Lie::Stale)), load);
    assert!(run.code == Some(2) && run.out.contains("lie         key "), "{run:?}");
}
