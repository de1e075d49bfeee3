//! `tune sweep` with a real server and the real load generator.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{MEMCACHED, program, stdout, tune};

/// The load generator, built if this package's tests are run alone.
fn loadgen() -> PathBuf {
    if program("loadgen").is_none() {
        let build = Command::new(env!("CARGO")).args(["build", "--package", "loadgen"]).status();
        assert!(build.is_ok_and(|status| status.success()), "loadgen cannot be built");
    }
    program("loadgen").expect("loadgen, once it is built")
}

fn sweep(args: &[&str], load: &[&str]) -> std::process::Output {
    let loadgen = loadgen();
    let server = program("ringcached").unwrap_or_else(|| MEMCACHED.into());
    let programs = [
        "sweep",
        "--loadgen",
        loadgen.to_str().expect("a path in UTF-8"),
        "--server",
        server.to_str().expect("a path in UTF-8"),
    ];
    tune(&[&programs, args, &["--patience", "60", "--"], load].concat())
}

const SHORT: [&str; 6] = ["--connections", "8", "--time", "200ms", "--keys", "1000"];

#[test]
fn a_sweep_measures_every_setting_and_draws_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plot = directory.path().join("sweep.svg");
    let plot_name = plot.to_str().expect("a path in UTF-8");
    let args =
        ["-t", "1..2", "-L", "off", "--vary", "-R 20,200", "--rounds", "3", "--plot", plot_name];
    let output = sweep(&[&args[..], &["--json"]].concat(), &SHORT);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let settings = found["settings"].as_array().expect("settings");
    let flags: Vec<String> = settings.iter().map(|setting| setting["flags"].to_string()).collect();
    assert_eq!(flags.len(), 4, "{flags:?}");
    assert_eq!(flags[3], r#"["-t","2","-R","200"]"#);
    for setting in settings {
        let samples = setting["samples"].as_array().expect("samples");
        assert_eq!(samples.len(), 3);
        for sample in samples {
            let figure = |name: &str| sample[name].as_f64().expect("a number");
            assert!(figure("rate") > 100.0 && figure("p50_us") > 0.0, "{sample}");
            assert!(figure("p50_us") <= figure("p99_us"), "{sample}");
            assert_eq!(figure("errors"), 0.0);
        }
    }
    // Whether this host is quiet enough is its own affair; the outcome must say the same thrice.
    let clear = found["recommended"].is_array();
    assert_eq!(output.status.code(), Some(i32::from(!clear)));
    assert_eq!(found["rounds_agreeing"].as_u64() == Some(3), clear);
    let drawn = fs::read_to_string(plot).expect("a plot");
    assert!(drawn.starts_with("<svg") && drawn.contains("-t 2 -R 200"));
    assert_eq!(drawn.contains("Recommended: "), clear);
}

#[test]
fn too_few_rounds_are_told() {
    let output = sweep(&["-t", "1", "-L", "off", "--rounds", "1"], &SHORT);
    assert!(stdout(&output).contains("Too few rounds to tell"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_server_that_fails_is_named_with_its_reason() {
    let output = sweep(&["-t", "1", "--vary", "-f 0.5", "--plot", "a.svg"], &SHORT);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = told.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1));
    assert!(last.contains(" -f 0.5: ended with ") && last.contains("64: "), "{told}");
    assert!(!told.contains("memory budget"), "{told}");
}

#[test]
fn a_picture_of_another_kind_is_refused_before_it_takes_time() {
    let output = sweep(&["--plot", "sweep.png"], &["--time", "1h"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("must end in .svg"), "{told}");
}

#[test]
fn a_program_that_fails_is_named_with_its_command_line() {
    let output = sweep(&["-t", "1", "-L", "off", "--rounds", "1"], &["--no-such-option"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let last = told.lines().last().unwrap_or_default();
    assert!(last.contains("loadgen --servers 127.0.0.1:") && last.contains("--no-such"), "{told}");
}
