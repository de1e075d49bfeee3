//! The container profile under a launcher that does what a container runtime does: translate the
//! profile to a filter, install it, and execute the program.
//!
//! The launcher is this test binary itself, run again for one test only, with the program in its
//! environment. Executing replaces it, so that the filter covers all of the program.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{accepts, free_port, program};
use seccompiler::{BpfProgram, apply_filter, compile_from_json};
use serde_json::{Value, json};

const PROGRAM: &str = "TUNE_TEST_CONFINED_PROGRAM";
const ARGUMENTS: &str = "TUNE_TEST_CONFINED_ARGUMENTS";

fn host_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("host").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn profile() -> Value {
    serde_json::from_str(&host_file("container-seccomp.json")).expect("JSON")
}

/// Each system call that an entry of the profile names, with the entry.
fn entries(profile: &Value) -> Vec<(String, Value)> {
    let entries = profile["syscalls"].as_array().expect("entries");
    let names = |entry: &Value| {
        let names = entry["names"].as_array().expect("names").clone();
        names.into_iter().map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    entries
        .iter()
        .flat_map(|entry| names(entry).into_iter().map(move |name| (name, entry.clone())))
        .collect()
}

/// A profile knows several outcomes, a filter here two: so there is one filter that allows and
/// one for each call that fails in its own way. The kernel takes the strictest of all verdicts,
/// and of several errors the last filter's.
fn filters() -> Vec<BpfProgram> {
    let profile = profile();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules: Vec<Value> =
        entries(&profile).iter().map(|(name, entry)| rule(name, entry)).collect();
    let default = json!({ "errno": profile["defaultErrnoRet"] });
    let mut filters = vec![filter(&json!("allow"), &default, &json!(rules))];
    for (name, entry) in entries(&profile) {
        if entry["action"] == "SCMP_ACT_ERRNO" {
            let error = json!({ "errno": entry["errnoRet"] });
            filters.push(filter(&error, &json!("allow"), &json!([{ "syscall": name }])));
        }
    }
    filters
}

fn rule(name: &str, entry: &Value) -> Value {
    let Some(conditions) = entry["args"].as_array() else { return json!({ "syscall": name }) };
    let condition = |condition: &Value| {
        let (op, value) = match condition["op"].as_str() {
            Some("SCMP_CMP_EQ") => (json!("eq"), &condition["value"]),
            Some("SCMP_CMP_MASKED_EQ") => {
                (json!({ "masked_eq": condition["value"] }), &condition["valueTwo"])
            }
            other => panic!("the launcher does not know {other:?}"),
        };
        json!({ "index": condition["index"], "type": "dword", "op": op, "val": value })
    };
    json!({ "syscall": name, "args": conditions.iter().map(condition).collect::<Vec<_>>() })
}

fn filter(matched: &Value, other: &Value, rules: &Value) -> BpfProgram {
    let text = json!({ "one": {
        "match_action": matched, "mismatch_action": other, "filter": rules,
    }});
    let architecture = std::env::consts::ARCH.try_into().expect("an architecture of the crate");
    let compiled = compile_from_json(text.to_string().as_bytes(), architecture);
    compiled.expect("a filter").remove("one").expect("the filter's name")
}

/// Runs this binary again as the launcher of `program`.
fn confined(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "launcher", "--nocapture", "--quiet"]);
    command.env(PROGRAM, program).env(ARGUMENTS, args.join(" "));
    command
}

/// The launcher: nothing to do in an ordinary run of the tests.
#[test]
fn launcher() {
    let Some(program) = std::env::var_os(PROGRAM) else { return };
    let arguments = std::env::var(ARGUMENTS).expect("arguments");
    let filters = filters();
    for filter in &filters {
        apply_filter(filter).expect("a filter installed");
    }
    let error = Command::new(program).args(arguments.split_whitespace()).exec();
    panic!("not executed: {error}");
}

#[test]
fn a_ring_can_be_made_under_the_profile() {
    let mut tune = confined(env!("CARGO_BIN_EXE_tune"), &["check", "--only", "io_uring,seccomp"]);
    let output = tune.output().expect("the launcher");
    let told = common::stdout(&output);
    assert!(told.contains("io_uring       good  a ring as the server's can be made"), "{told}");
    assert!(told.contains("seccomp        good  a filter with io_uring"), "{told}");
}

#[test]
fn what_a_server_never_does_fails_under_the_profile_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().join("place");
    let made = place.to_str().expect("a path in UTF-8");
    let mut denied = 0;
    for (program, args) in [
        ("/bin/sh", &["-c", "(exec /bin/true)"][..]),
        ("/bin/ln", &["-s", "/etc/passwd", made]),
        ("/bin/mkdir", &[made]),
        ("/bin/mknod", &[made, "p"]),
        ("/usr/bin/unshare", &["-U", "/bin/true"]),
        ("/usr/bin/strace", &["/bin/true"]),
    ] {
        // What this host refuses without the profile, or does not have, proves nothing.
        let free = Command::new(program).args(args).output();
        if free.is_ok_and(|output| output.status.success()) {
            // It made a directory, or a file, or neither.
            let _ = fs::remove_dir(&place);
            let _ = fs::remove_file(&place);
            let output = confined(program, args).output().expect("the launcher");
            assert!(!output.status.success(), "{program} {args:?} works under the profile");
            assert!(place.symlink_metadata().is_err(), "{program} made something");
            denied += 1;
        }
    }
    assert!(denied >= 3, "sh, ln and mkdir at least work on any host");
}

/// Calls by which a confined process gets out, or into its neighbours: not one may be allowed.
const NEVER: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "delete_module",
    "execveat",
    "finit_module",
    "fork",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_load",
    "keyctl",
    "kill",
    "memfd_create",
    "mount",
    "move_mount",
    "open_by_handle_at",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "swapon",
    "unshare",
    "userfaultfd",
    "vfork",
];

#[test]
fn the_profile_names_nothing_twice_and_nothing_that_must_never_be() {
    let mut seen = BTreeSet::new();
    for (name, entry) in entries(&profile()) {
        assert!(!NEVER.contains(&name.as_str()), "{name} is allowed");
        assert!(entry["comment"].is_string(), "{name} has no reason");
        let arguments = entry["args"].to_string();
        assert!(seen.insert((name.clone(), arguments)), "{name} twice");
    }
}

#[test]
fn the_units_filter_is_the_profile() {
    let unit = host_file("ringcached.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter="));
    let unit: BTreeSet<String> = lines.flat_map(str::split_whitespace).map(str::to_owned).collect();
    let profile: BTreeSet<String> = entries(&profile()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(unit, profile, "the two lists must say the same");
}

/// Ends the process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_server_serves_under_the_profile() {
    let Some(server) = program("ringcached") else {
        eprintln!("skipped: cargo build --bin ringcached, or name it in RINGCACHED");
        return;
    };
    let port = free_port().to_string();
    let server = server.to_str().expect("a path in UTF-8");
    let args = ["-u", "root", "-l", "127.0.0.1", "-p", &port, "-m", "64", "-t", "2"];
    let mut command = confined(server, &args);
    let _server = Running(command.stdin(Stdio::null()).spawn().expect("the launcher"));
    let address = format!("127.0.0.1:{port}");
    assert!(accepts(&address), "the server does not start under the profile");
    let answer =
        common::exchange(&address, b"set key 0 0 5\r\nvalue\r\nget key\r\nmn\r\n", "MN\r\n");
    assert_eq!(answer, "STORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\nMN\r\n");
}
