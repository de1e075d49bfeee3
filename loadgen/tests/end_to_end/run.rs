//! loadgen run to its end, and what is read out of its reports.

use std::ffi::OsStr;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A run that has not ended after this hangs, and no run may.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a program gets to listen on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(30);

/// What a run of loadgen left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the run did well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// loadgen under way; killed if it is dropped before its end.
pub(crate) struct Running {
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn start(args: &[impl AsRef<OsStr>]) -> Self {
        Self::start_with(args, &[])
    }

    /// With variables in its environment.
    pub(crate) fn start_with(args: &[impl AsRef<OsStr>], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(args).env_remove("MEMCACHED_SERVERS").env_remove("LOADGEN_TOKEN");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("loadgen starts");
        // Read on the side: whoever fills a pipe that nobody empties never ends.
        let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
        Self { child, out: Some(out), err: Some(err) }
    }

    /// Waits for the end of the run, and fails if it hangs.
    pub(crate) fn end(mut self) -> Run {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("loadgen can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "loadgen hangs");
            thread::sleep(Duration::from_millis(10));
        };
        self.report(status)
    }

    fn report(&mut self, status: ExitStatus) -> Run {
        let text = |pipe: Option<JoinHandle<String>>| {
            pipe.expect("it was started").join().expect("its output is read")
        };
        Run { code: status.code(), out: text(self.out.take()), err: text(self.err.take()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs loadgen to its end.
pub(crate) fn loadgen(args: &[impl AsRef<OsStr>]) -> Run {
    Running::start(args).end()
}

/// The words of a command line, one blank between two.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Runs a command line against a server and returns the JSON it reports; it must end well.
#[track_caller]
pub(crate) fn report(servers: &str, line: &str) -> Value {
    let args = [&["--servers", servers, "--quiet", "--json", "-"][..], &words(line)].concat();
    loadgen(&args).well().json()
}

/// A number of a report, by the path of its names.
#[track_caller]
pub(crate) fn number(report: &Value, path: &str) -> f64 {
    let found = report.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number {path} in {report:#}"))
}

/// The errors of a report, all kinds together.
pub(crate) fn errors(report: &Value) -> u64 {
    let kinds = report["errors"].as_object().expect("errors by kind");
    kinds.values().filter_map(Value::as_u64).sum()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Waits until somebody accepts at `address`.
#[track_caller]
pub(crate) fn await_listener(address: &str) {
    let deadline = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(20));
    }
}
