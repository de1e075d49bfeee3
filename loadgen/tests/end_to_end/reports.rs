//! What a run leaves behind: JSON with its names, logs, rows, pictures; and words when it cannot.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fake::{self, Manner};
use crate::run::{Run, Running, errors, free_port, loadgen, number, report, words};
use crate::server::Kind;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

fn run(servers: &str, line: &str) -> Run {
    loadgen(&[&["--servers", servers][..], &words(line)].concat())
}

#[test]
fn the_json_has_the_names_that_scripts_rely_on() {
    let server = Kind::Memcached.start(&[]);
    let found = report(&server.address, "--rate 2000 --time 1s --keys 500");
    for name in ["requests", "duration_s", "rate_asked", "rate_achieved", "hits", "misses"] {
        assert!(found[name].is_number(), "{name}: {found:#}");
    }
    for kind in ["timeout", "refused", "reset", "protocol", "server_error", "client_error"] {
        assert_eq!(found["errors"][kind], 0, "{kind}");
    }
    for latency in ["response_us", "service_us"] {
        let names = ["p50", "p90", "p99", "p99_9", "p99_99", "max"];
        let at = names.map(|name| number(&found, &format!("/{latency}/{name}")));
        assert!(at[0] > 0.0 && at.is_sorted(), "{latency}: {at:?}");
    }
    let gets_and_sets = number(&found, "/hits") + number(&found, "/misses");
    assert!(gets_and_sets > 1000.0 && number(&found, "/requests") == 2000.0, "{found:#}");
    let client = &found["client"];
    assert!(number(client, "/cpu/us_per_request") > 0.0 && client["sends_late"].is_number());
    assert!((0.0..=1.0).contains(&number(client, "/cpu_waited")), "{client:#}");
    assert!(client["arrivals_capped"].is_number() && client["doubts"].is_array());
    assert!(number(&found, "/server_cpu/us_per_request") > 0.0);
    assert_eq!(number(&found, "/preload/keys"), 500.0);
    assert_eq!(number(&found, "/preload/hit_rate"), 1.0);
    // A closed loop was asked for no rate.
    assert!(report(&server.address, "--requests 100 --keys 100")["rate_asked"].is_null());
}

#[test]
fn the_table_ends_with_memaslaps_line() {
    let server = Kind::Memcached.start(&[]);
    let run = run(&server.address, "--requests 1000 --keys 500").well();
    let last = run.out.lines().last().expect("a table");
    let fields = last.split_whitespace().collect::<Vec<_>>();
    let ["Run", "time:", time, "Ops:", "1000", "TPS:", tps, "Net_rate:", net] = fields[..] else {
        panic!("{last}");
    };
    assert!(time.ends_with('s') && net.ends_with("M/s") && tps.parse::<f64>().is_ok(), "{last}");
    assert!(run.out.contains("client CPU") && run.out.contains("server CPU"), "{}", run.out);
    assert!(run.err.contains("preload     500 keys at") && run.err.contains("hit rate 100.0 %"));
}

/// What is due right before the end goes out as well.
#[test]
fn an_open_loop_sends_all_that_is_due() {
    let server = Kind::Memcached.start(&[]);
    for threads in [1, 2] {
        let line = format!("--rate 20k --time 300ms --keys 500 --threads {threads} --lag 1s");
        let found = report(&server.address, &line);
        assert_eq!(number(&found, "/requests"), 6000.0, "{found:#}");
        assert_eq!(number(&found, "/client/arrivals_unsent"), 0.0);
    }
}

/// On a terminal, which `script` makes, a line is rewritten while the run goes on and gone when it
/// has ended.
#[test]
fn a_live_line_is_shown_on_a_terminal_and_nowhere_else() {
    let server = Kind::Memcached.start(&[]);
    let line = format!("--servers {} --rate 500 --time 1s -S 200ms --keys 100", server.address);
    let loadgen = env!("CARGO_BIN_EXE_loadgen");
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{loadgen} {line}"), "/dev/null"]).stdin(Stdio::null());
    let shown = terminal.output().expect("script, of bsdutils").stdout;
    let shown = String::from_utf8(shown).expect("text");
    let lines: Vec<_> = shown.split("\r\x1b[K").collect();
    let [_preload, intervals @ .., table] = &lines[..] else { panic!("{shown:?}") };
    assert!((3..=6).contains(&intervals.len()), "{shown:?}");
    for interval in intervals {
        for part in ["/s  hits 100.0 %", "  p50 ", "  p99 ", "  p99.9 ", "  errors 0  ", " s left"]
        {
            assert!(interval.contains(part), "{part}: {shown:?}");
        }
        assert!(!interval.contains('\n') && !interval.starts_with("0.0/s"), "{shown:?}");
    }
    assert!(table.starts_with("requests    500 in 1.000 s"), "{shown:?}");
    assert!(!run(&server.address, &line).err.contains("s left"));
}

/// All response times of an HDR log, added up.
fn merged(log: &[u8]) -> Histogram<u64> {
    let mut sum = Histogram::new(3).expect("a histogram");
    for entry in IntervalLogIterator::new(log) {
        let LogEntry::Interval(interval) = entry.expect("an entry") else { continue };
        if interval.tag().is_some_and(|tag| tag.as_str() == "response") {
            use base64::Engine;
            let packed = interval.encoded_histogram();
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).expect("base64");
            let one: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a histogram");
            sum.add(one).expect("the same digits");
        }
    }
    sum
}

#[test]
fn logs_rows_and_pictures_tell_the_same_run() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let line = format!(
        "--rate 2000 --time 1s -S 200ms --keys 500 --hdr {} --csv {} --plot {}",
        file("run.hdr"),
        file("run.csv"),
        file("run.svg"),
    );
    let found = report(&server.address, &line);
    let requests = number(&found, "/requests") as u64;

    let log = merged(&fs::read(file("run.hdr")).expect("a log"));
    assert_eq!(log.len(), requests);
    let p99_us = log.value_at_quantile(0.99) as f64 / 1000.0;
    let told_us = number(&found, "/response_us/p99");
    assert!((p99_us - told_us).abs() <= 0.01 * told_us, "{p99_us} and {told_us}");

    let rows = fs::read_to_string(file("run.csv")).expect("rows");
    let mut rows = rows.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    let column = head.iter().position(|name| *name == "requests").expect("a column");
    let counts: Vec<u64> = rows.map(|row| row[column].parse().expect("a count")).collect();
    assert!(counts.len() >= 5 && counts.iter().sum::<u64>() == requests, "{counts:?}");

    let drawn = fs::read_to_string(file("run.svg")).expect("a picture");
    for text in ["Latency by percentile", "over time", "99.9 %"] {
        assert!(drawn.contains(text), "{text}");
    }
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
}

#[test]
fn a_sweep_is_drawn_as_svg_and_png() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let png = directory.path().join("sweep.png");
    let line = format!("--sweep depth=1,4 --time 200ms --keys 500 --plot {}", png.display());
    let run = run(&server.address, &line);
    // A host without fonts draws no letters, and says so.
    if run.code != Some(0) {
        assert!(run.err.contains("this host has none: use --plot FILE.svg"), "{run:?}");
        return;
    }
    assert!(fs::read(png).expect("a picture").starts_with(b"\x89PNG"));
}

#[test]
fn a_search_is_drawn_with_its_condition() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("search.svg");
    let line = format!("--search p99<80ms --time 200ms --keys 500 --plot {}", path.display());
    run(&server.address, &line).well();
    let drawn = fs::read_to_string(path).expect("a picture");
    for text in ["Rates tried", "holds", "fails", "p99&lt;80ms"] {
        assert!(drawn.contains(text), "{text}");
    }
}

#[test]
fn what_cannot_be_written_is_told_and_what_can_is_written() {
    let server = Kind::Memcached.start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let csv = directory.path().join("run.csv");
    let line = format!("--requests 200 --keys 100 --json /dev/full --csv {}", csv.display());
    let full = run(&server.address, &line);
    assert!(full.code == Some(1) && full.err.contains("cannot write /dev/full: No space"));
    assert!(full.out.contains("Run time: "), "the table is told all the same: {full:?}");
    assert!(fs::read_to_string(csv).is_ok_and(|rows| rows.lines().count() > 1));
    // What can be known before the run is told before it.
    for (line, code, what) in [
        ("--json /no/such/folder/x.json", 1, "/no/such/folder"),
        ("--plot run.pdf", 64, "must end in .svg or .png"),
    ] {
        let begun = Instant::now();
        let refused = run(&server.address, &format!("--time 1h {line}"));
        assert!(refused.code == Some(code) && refused.err.contains(what), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(!Path::new("run.pdf").exists());
    }
}

#[test]
fn a_server_that_is_down_is_named() {
    let address = format!("127.0.0.1:{}", free_port());
    let run = run(&address, "--time 1s");
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains(&format!("cannot connect to {address}: Connection refused")));
}

#[test]
fn a_server_without_answers_ends_the_run_by_itself() {
    let silent = fake::start(Manner::Silent);
    let filling = run(&silent, "--timeout 300ms --connections 2");
    assert!(filling.code == Some(1) && filling.err.contains("did not answer"), "{filling:?}");
    let line = "--timeout 300ms --connections 2 --no-preload --time 2s";
    let found = report(&silent, line);
    assert_eq!(number(&found, "/requests"), 0.0);
    assert!(number(&found, "/errors/timeout") >= 2.0, "{found:#}");
    assert_eq!(number(&found, "/errors/timeout"), errors(&found) as f64, "{found:#}");
    // A number of requests that cannot be made is given up as well.
    let line = "--timeout 300ms --connections 2 --no-preload --requests 1M";
    let given_up = report(&silent, line);
    assert_eq!(given_up["client"]["gave_up"], true, "{given_up:#}");
}

#[test]
fn errors_are_told_by_their_kind() {
    let cases = [
        (Manner::Babbling, "--mix get=1", "protocol"),
        (Manner::Failing, "--mix set=1", "server_error"),
        (Manner::HangingUp, "--mix get=1 --depth 4", "reset"),
    ];
    for (manner, line, kind) in cases {
        let line = format!("{line} --no-preload --time 500ms --connections 2");
        let found = report(&fake::start(manner), &line);
        let counted = number(&found, &format!("/errors/{kind}"));
        assert!(counted > 0.0 && counted == errors(&found) as f64, "{manner:?}: {found:#}");
        let lasted = number(&found, "/duration_s");
        assert!((lasted - 0.5).abs() < 0.05, "{manner:?}: {lasted} s");
        // Whoever hangs up is called again.
        let again = number(&found, "/client/reconnects") > 0.0;
        assert_eq!(again, manner != Manner::Failing, "{manner:?}: {found:#}");
    }
}

#[test]
fn a_server_that_dies_is_counted_as_refusing() {
    let server = Kind::Memcached.start(&[]);
    let line = "--rate 1000 --time 3s --keys 100 --quiet --json -";
    let args = [&["--servers", &server.address][..], &words(line)].concat();
    let running = Running::start(&args);
    std::thread::sleep(Duration::from_millis(1500));
    drop(server);
    let found = running.end().well().json();
    assert!(number(&found, "/errors/refused") > 0.0, "{found:#}");
    assert!((number(&found, "/duration_s") - 3.0).abs() < 0.1, "{found:#}");
    let line = words("--rate 1000 --time 1s --keys 100 --strict --quiet --no-preload");
    let silent = fake::start(Manner::Babbling);
    let strict = loadgen(&[&["--servers", &silent][..], &line].concat());
    assert_eq!(strict.code, Some(3), "{strict:?}");
}

#[test]
fn a_client_that_was_the_bottleneck_says_so() {
    let server = fake::start(Manner::Paced(500));
    let line = "--rate 5000 --in-flight 4 --time 1s --keys 20 --connections 4 --strict";
    let run = run(&server, line);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.out.contains("requests waited for the cap of --in-flight"), "{run:?}");
    assert!(run.out.contains("were due and never sent"), "{run:?}");
}
