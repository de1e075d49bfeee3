//! The container profile under a launcher that does what a container runtime does: translate the
//! profile to a filter, install it, and execute the program.
//!
//! The launcher is this test binary itself, run again for one test only, with the program in its
//! environment. Executing replaces it, so that the filter covers all of the program.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{accepts, free_port, program};
use seccompiler::{BpfProgram, apply_filter, compile_from_json};
use serde_json::{Value, json};

const PROGRAM: &str = "TUNE_TEST_CONFINED_PROGRAM";
const ARGUMENTS: &str = "TUNE_TEST_CONFINED_ARGUMENTS";
/// A system call to deny beside the profile.
const DENIED: &str = "TUNE_TEST_CONFINED_DENIED";

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
/// one for each call that fails in its own way, which the former must then let pass. The former
/// comes last, because it does not allow to install another one.
fn filters() -> Vec<BpfProgram> {
    let profile = profile();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules: Vec<Value> =
        entries(&profile).iter().map(|(name, entry)| rule(name, entry)).collect();
    let default = json!({ "errno": profile["defaultErrnoRet"] });
    let mut filters = Vec::new();
    for (name, entry) in entries(&profile) {
        if entry["action"] == "SCMP_ACT_ERRNO" {
            let error = json!({ "errno": entry["errnoRet"] });
            filters.push(filter(&error, &json!("allow"), &json!([{ "syscall": name }])));
        }
    }
    filters.push(filter(&json!("allow"), &default, &json!(rules)));
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
    let denied = std::env::var(DENIED).ok().map(|name| {
        let rule = json!([{ "syscall": name }]);
        filter(&json!({ "errno": 1 }), &json!("allow"), &rule)
    });
    for filter in denied.into_iter().chain(filters()) {
        apply_filter(&filter).expect("a filter installed");
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
fn a_profile_without_io_uring_is_found_out() {
    let mut tune = confined(env!("CARGO_BIN_EXE_tune"), &["check", "--only", "io_uring,seccomp"]);
    let output = tune.env(DENIED, "io_uring_setup").output().expect("the launcher");
    let told = common::stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("io_uring       BAD   io_uring_setup failed: EPERM"), "{told}");
    assert!(told.contains("docker run --security-opt"), "{told}");
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

/// A session that uses each part of a server: small and large values, statistics, an error.
fn converse(address: &str) {
    let value = "x".repeat(100_000);
    let request = format!(
        "set key 0 0 5\r\nvalue\r\nset large 0 0 100000\r\n{value}\r\nget key\r\nstats\r\n\
         stats items\r\nget large\r\nflush_all\r\nbogus\r\nversion\r\nget key\r\nget k\r\n"
    );
    let answer = common::exchange(address, request.as_bytes(), "\r\nEND\r\nEND\r\n");
    assert!(answer.starts_with("STORED\r\nSTORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\nSTAT "));
    assert!(answer.contains(&value) && answer.contains("\r\nOK\r\nERROR\r\nVERSION "));
}

/// Flags that reach different system calls; `PORT`, `DIR` stand for a port and a directory.
const FLAGS: &[&str] = &[
    "-u root -l 127.0.0.1 -p PORT -m 64 -t 2 -v -k",
    "-u nobody -l 127.0.0.1,::1 -p PORT -m 64 -t 1 -P DIR/pid",
    "-u root -s DIR/socket -p 0 -m 64 -t 1 -L -r",
    "-u root -l 127.0.0.1 -p PORT -m 64 -t 1 -c 2 -o idle_timeout=1",
];

/// A server's surroundings: its flags, a directory it may write in, where it listens.
struct Stage {
    flags: String,
    directory: tempfile::TempDir,
    address: Option<String>,
}

impl Stage {
    fn new(flags: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(directory.path(), open).expect("a directory for any account");
        let port = free_port().to_string();
        let flags = flags.replace("PORT", &port);
        let flags = flags.replace("DIR", directory.path().to_str().expect("a path in UTF-8"));
        let address = flags.contains("-l ").then(|| format!("127.0.0.1:{port}"));
        Self { flags, directory, address }
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Waits for the server and talks to it.
    fn play(&self) {
        match &self.address {
            Some(address) => {
                assert!(accepts(address), "{} does not start", self.flags);
                converse(address);
                // One more than some of the flags allow, so that one is turned away.
                let many: Vec<_> = (0..3).map(|_| TcpStream::connect(address)).collect();
                assert!(many.iter().all(Result::is_ok));
                thread::sleep(Duration::from_millis(100));
            }
            None => {
                let socket = self.directory.path().join("socket");
                let end = Instant::now() + Duration::from_secs(10);
                while UnixStream::connect(&socket).is_err() {
                    assert!(Instant::now() < end, "{} does not start", self.flags);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

fn server() -> Option<String> {
    let path = program("ringcached");
    if path.is_none() {
        eprintln!("skipped: cargo build --bin ringcached, or name it in RINGCACHED");
    }
    path.map(|path| path.to_str().expect("a path in UTF-8").to_owned())
}

#[test]
fn the_server_serves_under_the_profile_with_any_flags() {
    let Some(server) = server() else { return };
    for flags in FLAGS {
        let stage = Stage::new(flags);
        let args: Vec<&str> = stage.flags.split(' ').collect();
        let mut command = confined(&server, &args);
        command.stdin(Stdio::null()).env("MEMCACHED_PORT_FILENAME", stage.file("ports"));
        let mut running = Running(command.spawn().expect("the launcher"));
        stage.play();
        let status = end(running.0.id(), &mut running.0);
        assert!(status.success(), "{flags}: {status}");
    }
}

/// Asks a process to end by SIGTERM, and waits for `child`, which ends with it.
fn end(pid: u32, child: &mut Child) -> ExitStatus {
    let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()), "no process {pid}");
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            return status;
        }
        assert!(Instant::now() < end, "process {pid} ignores SIGTERM");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Calls that the profile allows though no run here makes them, with the reason.
const UNSEEN: &[(&str, &str)] = &[
    ("clock_gettime", "the clock without the kernel's page of it"),
    ("clock_nanosleep", "a pause"),
    ("clone", "threads, after clone3 has failed under the profile"),
    ("faccessat", "access, on ARM"),
    ("fchmodat", "chmod, on ARM"),
    ("fstat", "newfstatat, in other C libraries"),
    ("getcwd", "a relative path with -P or -s"),
    ("ioctl", "the bytes unread in a socket, if there is a connection at the end"),
    ("membarrier", "the control plane's executor"),
    ("mlockall", "-k, where the limits of this host allow it"),
    ("mremap", "a large allocation that grows"),
    ("ppoll", "poll, on ARM"),
    ("renameat", "rename, on ARM"),
    ("restart_syscall", "after SIGSTOP and SIGCONT"),
    ("rt_sigreturn", "the end of a handler"),
    ("sched_yield", "a turn given up while another core holds what is needed"),
    ("tgkill", "an abort"),
    ("unlinkat", "unlink, on ARM"),
    ("writev", "the C library's last words"),
];

#[test]
fn the_profile_allows_what_the_server_calls_and_no_more() {
    let Some(server) = server() else { return };
    if Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_err() {
        eprintln!("skipped: apt-get install strace");
        return;
    }
    let mut called = BTreeSet::new();
    for flags in FLAGS {
        called.extend(trace(&server, &Stage::new(flags)));
    }
    let allowed: BTreeSet<String> = entries(&profile()).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = called.difference(&allowed).collect();
    assert!(missing.is_empty(), "called, but not in the profile: {missing:?}");
    let excused = |name: &str| UNSEEN.iter().any(|(unseen, _)| *unseen == name);
    let idle = |name: &&String| !called.contains(*name) && !excused(name);
    let idle: Vec<_> = allowed.iter().filter(idle).collect();
    assert!(idle.is_empty(), "in the profile, but neither called nor excused: {idle:?}");
}

/// The names of all system calls that a server makes from its start to its end.
fn trace(server: &str, stage: &Stage) -> BTreeSet<String> {
    let file = stage.file("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", &file, server]).args(stage.flags.split(' '));
    command.stdin(Stdio::null()).env("MEMCACHED_PORT_FILENAME", stage.file("ports"));
    let mut tracer = Running(command.spawn().expect("strace"));
    stage.play();
    let lines = fs::read_to_string(&file).expect("a trace");
    let first = lines.split_whitespace().next().expect("a line");
    let status = end(first.parse().expect("a process id"), &mut tracer.0);
    assert!(status.success(), "{}: {status}", stage.flags);
    let lines = fs::read_to_string(&file).expect("a trace");
    lines.lines().filter_map(call).map(str::to_owned).collect()
}

/// The name in a line of a trace: `123 read(3, ...`, or `123 <... read resumed>...`.
fn call(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    let (name, _) = match rest.strip_prefix("<... ") {
        Some(resumed) => resumed.split_once(' ')?,
        None => rest.split_once('(')?,
    };
    // Signals and exits are told between dashes and plus signs.
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}
