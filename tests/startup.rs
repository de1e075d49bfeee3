//! Start-up from the outside: the real binary, real limits, real filters.
//!
//! What a start prints and which code it exits with is an interface: service managers, containers
//! and operators' scripts depend on it. Filters that forbid io_uring are installed on a thread of
//! the test, from where the child inherits them; limits are set by prlimit(1).

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

const BINARY: &str = env!("CARGO_BIN_EXE_ringcached");
const WAIT_MAX: Duration = Duration::from_secs(10);

// ---- Flags ----

#[test]
fn wrong_command_lines_are_one_line_and_64() {
    for (line, part) in [
        ("-q", "unknown flag -q"),
        ("--memory-limit=x", "-m (--memory-limit) \"x\": allowed is"),
        ("-m -5", "-m (--memory-limit) \"-5\": allowed is"),
        ("-t", "-t (--threads) needs a value: allowed is a whole number from 1"),
        ("-p 70000", "-p (--port) \"70000\""),
        ("-o bogus", "unknown suboption -o bogus"),
        ("-Z", "-Z (TLS) needs -o ssl_chain_cert=FILE"),
        ("-m 64 -I 64m", "too little for items of 64 MB"),
        ("-l nowhere.invalid", "nowhere.invalid"),
    ] {
        let output = run(&line.split(' ').collect::<Vec<_>>());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{line}: {text}");
        assert_eq!(text.lines().count(), 1, "{line}: {text}");
        assert!(text.starts_with("ringcached: ") && text.contains(part), "{line}: {text}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn help_version_and_licence_go_to_stdout() {
    for (flag, part) in [
        ("-h", "--memory-limit"),
        ("--help", "idle_timeout"),
        ("-V", "ringcached 0.1.0 (memcached 1.6.45)"),
        ("-i", "MIT"),
    ] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(stdout(&output).contains(part), "{flag}: {}", stdout(&output));
        assert!(output.stderr.is_empty(), "{flag}: {}", stderr(&output));
    }
}

#[test]
fn root_without_a_user_is_refused() {
    if !root("to be refused one must be root") {
        return;
    }
    let output = run(&["-p", "-1"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("-u root"), "{}", stderr(&output));
    let output = run(&["-p", "-1", "-u", "no-such-user-here"]);
    assert_eq!(output.status.code(), Some(67));
}

// ---- io_uring ----

#[test]
fn check_prints_what_matters() {
    let output = run(&["--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["io_uring      usable", "kernel", "CPUs allowed", "huge pages", "somaxconn"] {
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }
}

#[test]
fn a_forbidden_io_uring_is_explained_before_a_port_is_bound() {
    // The port is taken: a server that bound before it probed would say so instead.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (errno, cause) in [
        (libc::EPERM, "a seccomp filter"),
        (libc::ENOSYS, "a seccomp filter"),
        (libc::ENOMEM, "the limit of locked memory"),
        (libc::EINVAL, "Linux"),
    ] {
        let mut fastest = WAIT_MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let output = run_without_io_uring(errno, &["-p", &port, "-l", "127.0.0.1"]);
            fastest = fastest.min(start.elapsed());
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(69), "{text}");
            assert!(text.contains("io_uring_setup failed"), "{text}");
            assert!(text.contains(&format!("likely cause: {cause}")), "{text}");
            assert!(text.contains("to fix it: "), "{text}");
        }
        assert!(fastest < Duration::from_millis(100), "{fastest:?}");
    }
}

#[test]
fn check_fails_with_its_own_code() {
    let output = run_without_io_uring(libc::EPERM, &["--check"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(stdout(&output).contains("io_uring      not usable"), "{}", stdout(&output));
    assert!(stdout(&output).contains("kernel "), "the facts are printed all the same");
}

#[test]
fn a_failed_probe_is_the_daemons_exit_code_too() {
    let output = run_without_io_uring(libc::EPERM, &["-d", "-p", "-1"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
}

#[test]
fn without_locked_memory_it_starts_all_the_same() {
    // Rings are not charged to this limit since Linux 5.12.
    let output = output_of(Command::new("prlimit").arg("--memlock=0").arg(BINARY).arg("--check"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

// ---- Limits ----

#[test]
fn too_few_files_lower_the_connections() {
    let directory = Directory::new("files");
    let server =
        Server::start_by(&mut limited("--nofile=100:100"), &directory, &["-t", "1", "-c", "500"]);
    let text = server.stop();
    assert!(text.contains("warning: -c 500 lowered to 60: 100 open files"), "{text}");
}

#[test]
fn no_files_at_all_is_an_error_that_names_the_figure() {
    let mut command = limited("--nofile=20:20");
    let output = output_of(command.args(user()).args(["-t", "1", "-p", "-1"]));
    assert_eq!(output.status.code(), Some(71), "{}", stderr(&output));
    assert!(stderr(&output).contains("20 open files are allowed, 41 are the least"));
}

#[test]
fn memory_that_cannot_be_locked_is_a_warning() {
    if !root("-u nobody needs root") {
        return;
    }
    let directory = Directory::new("lock");
    directory.open_to_all();
    let server = Server::start_as_is(
        &mut limited("--memlock=1048576:1048576"),
        &directory,
        &["-u", "nobody", "-k"],
    );
    let text = server.stop();
    assert!(text.contains("warning: -k has no effect: 1024 KB may be locked"), "{text}");
}

// ---- The running process ----

#[test]
fn defaults_are_told_at_v() {
    let directory = Directory::new("defaults");
    let text = Server::start(&directory, &["-v"]).stop();
    assert!(text.contains("unlike memcached: listening on 127.0.0.1 and ::1 only"), "{text}");
    assert!(text.contains("memory budget"), "{text}");
}

#[test]
fn without_v_only_differences_and_the_budget_are_told() {
    let directory = Directory::new("quiet");
    let text = Server::start(&directory, &["-o", "modern", "-l", "127.0.0.1", "-t", "1"]).stop();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("ringcached: memory budget"), "{text}");
}

#[test]
fn the_port_file_has_the_bound_port_and_the_pid_file_goes() {
    let directory = Directory::new("own-files");
    let pid_file = directory.path("pid");
    let server = Server::start(&directory, &["-P", pid_file.to_str().unwrap()]);
    let ports = fs::read_to_string(directory.path("ports")).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port_of(&ports))).is_ok(), "{ports}");
    assert!(!directory.path("ports.lck").exists(), "it was renamed");
    // The pid file is written just after the port file that the helper waits for.
    wait_until("the pid file is there", || pid_file.exists());
    assert_eq!(pid_in(&pid_file), server.pid());
    server.stop();
    assert!(!pid_file.exists(), "removed at exit");
}

#[test]
fn sigpipe_is_ignored() {
    let directory = Directory::new("sigpipe");
    let server = Server::start(&directory, &[]);
    let ignored = u64::from_str_radix(&status(server.pid(), "SigIgn"), 16).unwrap();
    assert!(ignored & (1 << (Signal::SIGPIPE as i32 - 1)) != 0, "{ignored:x}");
    server.stop();
}

#[test]
fn privileges_are_dropped_for_good() {
    if !root("-u needs root") {
        return;
    }
    let directory = Directory::new("user");
    directory.open_to_all();
    let server =
        Server::start_as_is(&mut Command::new(BINARY), &directory, &["-u", "nobody", "-t", "1"]);
    let uids = status(server.pid(), "Uid");
    assert!(uids.split_whitespace().all(|uid| uid == "65534"), "{uids}");
    assert_eq!(status(server.pid(), "NoNewPrivs"), "1");
    assert_eq!(status(server.pid(), "CapEff"), "0000000000000000");
    assert_eq!(status(server.pid(), "Groups"), "65534", "root's groups are gone");
    server.stop();
}

#[test]
fn a_daemon_is_ready_when_its_parent_ends() {
    let directory = Directory::new("daemon");
    let pid_file = directory.path("pid");
    let mut command = Command::new(BINARY);
    command.args(user()).args(["-d", "-p", "-1", "-P"]).arg(&pid_file);
    command.env("MEMCACHED_PORT_FILENAME", directory.path("ports"));
    let output = output_of(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // No waiting here: the files and the port are there because the parent has ended.
    let pid = pid_in(&pid_file);
    let port = port_of(&fs::read_to_string(directory.path("ports")).unwrap());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let directory_now = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(directory_now, Path::new("/"));
    for stream in 0..3 {
        let file = fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(file, Path::new("/dev/null"), "stream {stream}");
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    wait_until("the pid file is removed", || !pid_file.exists());
}

#[test]
fn a_daemon_that_cannot_bind_fails_in_its_parent() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut arguments = user();
    arguments.extend(["-d", "-l", "127.0.0.1", "-p", &port]);
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(71), "{}", stderr(&output));
    assert!(!output.stderr.is_empty(), "the reason reaches the terminal");
}

#[test]
fn a_pid_file_that_cannot_be_written_is_an_error() {
    let mut arguments = user();
    arguments.extend(["-p", "-1", "-P", "/proc/no/such/place"]);
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert!(stderr(&output).contains("/proc/no/such/place"), "{}", stderr(&output));
}

// ---- Helpers ----

/// A server that runs, ended when dropped.
struct Server {
    child: Child,
}

impl Server {
    /// Starts on a free port, as root where the test runs as root, and waits until it serves.
    fn start(directory: &Directory, arguments: &[&str]) -> Self {
        Self::start_by(&mut Command::new(BINARY), directory, arguments)
    }

    fn start_by(command: &mut Command, directory: &Directory, arguments: &[&str]) -> Self {
        Self::start_as_is(command.args(user()), directory, arguments)
    }

    fn start_as_is(command: &mut Command, directory: &Directory, arguments: &[&str]) -> Self {
        let ports = directory.path("ports");
        command.args(["-p", "-1"]).args(arguments).env("MEMCACHED_PORT_FILENAME", &ports);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the server listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut text = String::new();
                let _ = child.stderr.take().unwrap().read_to_string(&mut text);
                panic!("it ended with {status}: {text}");
            }
            ports.exists()
        });
        Self { child }
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Ends it by SIGTERM, expects success, and returns what it wrote to stderr.
    fn stop(mut self) -> String {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {text}");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of the test's own, removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("startup-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o777)).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    output_of(Command::new(BINARY).args(arguments))
}

fn output_of(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// The binary under a resource limit that it cannot raise: without the capability for that, root is
/// held by a limit like anybody else.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(limit);
    if geteuid().is_root() {
        command.args(["setpriv", "--bounding-set=-sys_resource"]);
    }
    command.arg(BINARY);
    command
}

/// Runs the binary where io_uring_setup fails with `errno`.
fn run_without_io_uring(errno: i32, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(user()).args(arguments);
    // A filter holds for the thread that installs it and for its children: not for other tests.
    let filtered = thread::spawn(move || {
        apply_filter(&filter(errno)).unwrap();
        output_of(&mut command)
    });
    filtered.join().unwrap()
}

fn filter(errno: i32) -> BpfProgram {
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, Vec::new())]);
    let refuse = SeccompAction::Errno(errno as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    filter.try_into().unwrap()
}

/// The flag without which root is refused.
fn user() -> Vec<&'static str> {
    if geteuid().is_root() { vec!["-u", "root"] } else { Vec::new() }
}

fn root(why: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: {why}; run it as root");
    }
    root
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn port_of(ports: &str) -> u16 {
    let line = ports.lines().find_map(|line| line.strip_prefix("TCP INET: "));
    line.unwrap_or_else(|| panic!("no port in {ports:?}")).parse().unwrap()
}

fn pid_in(path: &Path) -> i32 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WAIT_MAX, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
