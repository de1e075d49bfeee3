//! A server under test, from its start to its end.
//!
//! Each server gets a loopback port below the range from which the kernel takes ports for outgoing
//! connections, chosen from a part that belongs to this test process: ringcached listens with
//! SO_REUSEPORT, and two of them on one port would share its connections instead of failing.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use nix::unistd::{Pid, Uid};

use super::process::Process;
use super::wire::Wire;

/// How long a server may take from its start to its first answer.
const START_WITHIN: Duration = Duration::from_secs(20);

/// How long a server may take to end after a signal; the promise is 5 s.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
    name: String,
}

/// What a server that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Server {
    /// The server of this project, with `args` behind its port and user.
    ///
    /// `RINGCACHED_TEST_BINARY` names another binary to put in its place, by which a test can be
    /// shown to hold for memcached as well.
    pub(crate) fn ringcached(args: &[&str]) -> Self {
        Self::start(&subject_binary(), &on_loopback(args))
    }

    /// The same, which also receives datagrams, on the same port.
    pub(crate) fn ringcached_on_udp(args: &[&str]) -> Self {
        Self::ringcached(&[&["-U", "{port}", "-t", "2"], args].concat())
    }

    /// The same with variables in its environment.
    pub(crate) fn ringcached_with(variables: &[(&str, &Path)], args: &[&str]) -> Self {
        Self::start_with(&subject_binary(), variables, &on_loopback(args))
    }

    /// Debian's memcached, or the one that `MEMCACHED_TEST_BINARY` names.
    pub(crate) fn memcached(args: &[&str]) -> Self {
        Self::start(&reference_binary(), &on_loopback(args))
    }

    /// Starts `binary` on a free port, which stands in for `{port}` in `args`, and waits until it
    /// answers.
    pub(crate) fn start(binary: &Path, args: &[&str]) -> Self {
        Self::start_with(binary, &[], args)
    }

    fn start_with(binary: &Path, variables: &[(&str, &Path)], args: &[&str]) -> Self {
        Self::start_at(free_port(), binary, variables, args)
    }

    /// The server of this project on the port that another one has just left.
    pub(crate) fn ringcached_at(port: u16, args: &[&str]) -> Self {
        Self::start_at(port, &subject_binary(), &[], &on_loopback(args))
    }

    fn start_at(port: u16, binary: &Path, variables: &[(&str, &Path)], args: &[&str]) -> Self {
        let log = super::scratch_path(&format!("{port}.log"));
        let mut command = command(binary, port);
        let output = fs::File::create(&log).expect("a log file can be made");
        let port_text = port.to_string();
        command.args(args.iter().map(|arg| arg.replace("{port}", &port_text)));
        command.stdin(Stdio::null());
        command.envs(variables.iter().copied());
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{} does not start ({error}): run tests/setup.sh first", binary.display())
        });
        let name = format!("{} {}", binary.display(), args.join(" "));
        let mut server = Self { child, port, log, name };
        server.wait_until_it_answers();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port and address as clients want them, `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn process(&self) -> Process {
        Process { pid: self.child.id() }
    }

    /// A new connection; fails the test if there is none to be had.
    #[track_caller]
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.port).unwrap_or_else(|error| {
            panic!("{}: no connection ({error})\n{}", self.name, self.log())
        })
    }

    /// What the server has printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the server can be signalled");
    }

    /// True while the process has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// Waits for the end that a signal or a command has asked for.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let since = Instant::now();
        while since.elapsed() < END_WITHIN {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return Ended { status, log: self.log() };
            }
            sleep(Duration::from_millis(5));
        }
        panic!("{} still runs {END_WITHIN:?} after it was told to end", self.name);
    }

    fn wait_until_it_answers(&mut self) {
        let since = Instant::now();
        while since.elapsed() < START_WITHIN {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                panic!("{} ended at its start, {status}:\n{}", self.name, self.log());
            }
            if Wire::connect(self.port).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("{} took no connection within {START_WITHIN:?}:\n{}", self.name, self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

/// `args` with the loopback address in front, if they name none: memcached would listen on all.
fn on_loopback<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut all = if args.contains(&"-l") { Vec::new() } else { vec!["-l", "127.0.0.1"] };
    all.extend_from_slice(args);
    all
}

/// The binary that the tests are about.
pub(crate) fn subject_binary() -> PathBuf {
    named_by("RINGCACHED_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_ringcached").into())
}

/// The memcached whose replies are the yardstick.
pub(crate) fn reference_binary() -> PathBuf {
    named_by("MEMCACHED_TEST_BINARY").unwrap_or_else(|| "/usr/bin/memcached".into())
}

/// Runs ringcached to its end, for flags that make it print or refuse; bounded in time.
#[track_caller]
pub(crate) fn run_to_end(args: &[&str]) -> (ExitStatus, String, String) {
    let mut child = Command::new(subject_binary())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let since = Instant::now();
    while child.try_wait().expect("the child can be asked").is_none() {
        if since.elapsed() > END_WITHIN {
            let _ = child.kill();
            panic!("ringcached {} still runs after {END_WITHIN:?}", args.join(" "));
        }
        sleep(Duration::from_millis(2));
    }
    let (mut output, mut errors) = (String::new(), String::new());
    child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("it is text");
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("it is text");
    (child.wait().expect("an exit status"), output, errors)
}

fn named_by(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// The start of every command line: memcached and ringcached alike refuse to run as root without
/// -u.
fn command(binary: &Path, port: u16) -> Command {
    let mut command = Command::new(binary);
    command.arg("-p").arg(port.to_string());
    if Uid::effective().is_root() {
        command.args(["-u", "root"]);
    }
    command
}

fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PER_PROCESS: u32 = 64;
    const PROCESSES: u32 = 300;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = FIRST + (std::process::id() % PROCESSES) * PER_PROCESS;
    for _ in 0..PER_PROCESS {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) % PER_PROCESS;
        let port = u16::try_from(base + step).expect("the ports end below 32768");
        if is_free(port) {
            return port;
        }
    }
    panic!("no port from {base} on is free");
}

/// Whether a port can be bound. Nobody listens on it meanwhile: a child that another thread has
/// just forked keeps the socket until it executes its program, and whoever waits for a server on
/// the port would take that for it.
fn is_free(port: u16) -> bool {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .expect("a socket can be had");
    setsockopt(&socket, sockopt::ReuseAddr, &true).expect("the address may be used again");
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).is_ok()
}
