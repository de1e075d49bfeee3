//! One run: a fresh server on a free port, the load, its figures, and the server's end.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Sample, Setting};

/// With -L a server takes all of its memory before it listens.
const START_S_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The programs, and what they are always given.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The server's binary.
    pub server: PathBuf,
    /// Flags that every setting has.
    pub server_flags: Vec<String>,
    /// The load generator's binary.
    pub loadgen: PathBuf,
    /// The workload in its words.
    pub load: Vec<String>,
    /// A load that has not ended after this is given up.
    pub patience: Duration,
}

/// A server that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    /// Runs the load against a server with this setting.
    ///
    /// # Errors
    /// If either program cannot be started, the server does not listen within its time, or the
    /// load generator fails or has not ended in time; each with the command line that did.
    pub fn run(&self, setting: &Setting) -> io::Result<Sample> {
        let (server, address) = self.start(setting)?;
        let mut loadgen = Command::new(&self.loadgen);
        loadgen.args(["--servers", &address.to_string(), "--json", "-", "--quiet"]);
        loadgen.arg("--server-pid").arg(server.0.id().to_string()).args(&self.load);
        let report = self.report_of(&mut loadgen).map_err(|error| naming(&loadgen, &error))?;
        sample(&report).ok_or_else(|| naming(&loadgen, "the JSON lacks rates or percentiles"))
    }

    fn report_of(&self, loadgen: &mut Command) -> Result<Value, String> {
        loadgen.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut load = Running(loadgen.spawn().map_err(|error| error.to_string())?);
        // Read on the side: whoever fills a pipe that nobody empties never ends.
        let (told, complaint) = (read(load.0.stdout.take()), read(load.0.stderr.take()));
        let end = Instant::now() + self.patience;
        let status = loop {
            match load.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() > end => {
                    return Err(format!("has not ended after {} s", self.patience.as_secs()));
                }
                Ok(None) => thread::sleep(LOOK_AGAIN),
                Err(error) => return Err(error.to_string()),
            }
        };
        let [told, complaint] = [told, complaint].map(|reader| reader.join().unwrap_or_default());
        if !status.success() {
            return Err(complaint.lines().last().map_or_else(|| status.to_string(), str::to_owned));
        }
        serde_json::from_str(&told).map_err(|error| format!("no JSON: {error}"))
    }

    fn start(&self, setting: &Setting) -> io::Result<(Running, SocketAddr)> {
        // Taken for a moment and given back: the chance that another takes it is borne.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(&self.server);
        command.args(["-l", "127.0.0.1", "-p", &address.port().to_string()]);
        command.args(&self.server_flags).args(setting.flags());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| naming(&command, &error.to_string()))?;
        let mut server = Running(child);
        // What it says at every start is of no use here; why it ended is.
        let words = read(server.0.stderr.take());
        let end = Instant::now() + START_S_MAX;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.0.try_wait()? {
                let words = words.join().unwrap_or_default();
                let why = words.lines().last().unwrap_or_default();
                return Err(naming(&command, &format!("ended with {status}: {why}")));
            }
            if Instant::now() > end {
                return Err(naming(&command, "does not listen"));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok((server, address))
    }
}

/// Reads all that comes, on a thread of its own.
fn read(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        // A pipe that breaks in the middle is told by the status of the program behind it.
        let _ = pipe.map(|mut pipe| pipe.read_to_string(&mut text));
        text
    })
}

fn naming(command: &Command, what: &str) -> io::Error {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    io::Error::other(format!("{}: {what}", words.join(" ")))
}

fn sample(report: &Value) -> Option<Sample> {
    let response = |percentile: &str| report["response_us"][percentile].as_f64();
    let errors = report["errors"].as_object();
    let doubts = report["client"]["doubts"].as_array();
    Some(Sample {
        rate: report["rate_achieved"].as_f64()?,
        // A server on this host always has one; its lack is no reason to lose the rest.
        cpu_us: report["server_cpu"]["us_per_request"].as_f64().unwrap_or(f64::NAN),
        p50_us: response("p50")?,
        p99_us: response("p99")?,
        p99_9_us: response("p99_9")?,
        errors: errors.map_or(0, |kinds| kinds.values().filter_map(Value::as_u64).sum()),
        doubts: doubts
            .map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_str).collect())
            .into_iter()
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_becomes_a_sample() {
        let report = json!({
            "rate_achieved": 1000.5,
            "errors": { "timeout": 2, "reset": 1 },
            "response_us": { "p50": 50, "p99": 99.5, "p99_9": 120 },
            "server_cpu": { "us_per_request": 4.5 },
            "client": { "doubts": ["late"] },
        });
        let sample = sample(&report).expect("a sample");
        assert_eq!((sample.rate, sample.cpu_us, sample.errors), (1000.5, 4.5, 3));
        assert_eq!((sample.p50_us, sample.p99_us, sample.p99_9_us), (50.0, 99.5, 120.0));
        assert_eq!(sample.doubts, ["late"]);
        assert!(super::sample(&json!({})).is_none());
    }

    #[test]
    fn a_load_that_does_not_end_is_given_up() {
        let bench = Bench {
            server: "/bin/false".into(),
            server_flags: Vec::new(),
            loadgen: "/bin/sleep".into(),
            load: Vec::new(),
            patience: Duration::from_millis(50),
        };
        let outcome = bench.report_of(Command::new("/bin/sleep").arg("60"));
        assert_eq!(outcome, Err("has not ended after 0 s".to_owned()));
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_with_its_command_line() {
        let bench = Bench {
            server: "/bin/false".into(),
            server_flags: vec!["-m".into(), "64".into()],
            loadgen: "/bin/true".into(),
            load: Vec::new(),
            patience: Duration::from_secs(1),
        };
        let setting = Setting { threads: 2, large_pages: true, extra: Vec::new() };
        let error = bench.run(&setting).expect_err("no server").to_string();
        assert!(error.starts_with("/bin/false -l 127.0.0.1 -p "), "{error}");
        assert!(error.contains("-m 64 -t 2 -L: ended with exit status: 1"), "{error}");
    }
}
