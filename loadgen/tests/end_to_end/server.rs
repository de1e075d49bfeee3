//! Real servers: Debian's memcached, which `tests/setup.sh` installs, and ringcached.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{START, await_listener, free_port};

const MEMCACHED: &str = "/usr/bin/memcached";

/// A server on a free loopback port or a unix socket, ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// What `--servers` takes.
    pub(crate) address: String,
}

/// The servers that loadgen is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memcached,
    Ringcached,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Memcached, Self::Ringcached];

    fn program(self) -> PathBuf {
        match self {
            Self::Memcached => MEMCACHED.into(),
            Self::Ringcached => ringcached(),
        }
    }

    /// Starts it on a free port.
    pub(crate) fn start(self, flags: &[&str]) -> Server {
        self.start_with(flags, &[])
    }

    /// With variables in its environment.
    pub(crate) fn start_with(self, flags: &[&str], environment: &[(&str, &str)]) -> Server {
        let port = free_port().to_string();
        let mut command = self.command(&["-l", "127.0.0.1", "-p", &port]);
        command.args(flags).envs(environment.iter().copied());
        let server = Server { child: spawn(command), address: format!("127.0.0.1:{port}") };
        await_listener(&server.address);
        server
    }

    /// Starts it on a free port for datagrams as well as for streams.
    pub(crate) fn start_udp(self) -> Server {
        let port = free_port().to_string();
        let command = self.command(&["-l", "127.0.0.1", "-p", &port, "-U", &port]);
        let server = Server { child: spawn(command), address: format!("127.0.0.1:{port}") };
        await_listener(&server.address);
        server
    }

    /// Starts it on a unix socket.
    pub(crate) fn start_unix(self, path: &Path) -> Server {
        let address = path.to_str().expect("a path of ours is text").to_owned();
        let server = Server { child: spawn(self.command(&["-s", &address])), address };
        let deadline = Instant::now() + START;
        while UnixStream::connect(path).is_err() {
            assert!(Instant::now() < deadline, "{self:?} does not listen at {path:?}");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn command(self, flags: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(["-u", "root", "-m", "128", "-t", "1"]).args(flags);
        command
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Our server's binary, beside loadgen's; built if this package's tests are run alone.
fn ringcached() -> PathBuf {
    static BUILT: Once = Once::new();
    let path = Path::new(env!("CARGO_BIN_EXE_loadgen")).with_file_name("ringcached");
    BUILT.call_once(|| {
        if !path.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--package", "ringcached", "--bin", "ringcached"]);
            assert!(build.status().is_ok_and(|status| status.success()), "no ringcached");
        }
    });
    path
}

impl Server {
    /// Stops it for a while, as a long pause of its host would.
    pub(crate) fn freeze(&self, pause: Duration) {
        self.signal(Signal::SIGSTOP);
        thread::sleep(pause);
        self.signal(Signal::SIGCONT);
    }

    /// One number of its `stats`, over TCP.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.write_all(b"stats\r\nquit\r\n").expect("a request");
        let wanted = format!("STAT {name} ");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let value = lines.find_map(|line| Some(line.strip_prefix(&wanted)?.trim().to_owned()));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no stat {name}"))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, signal).expect("a signal to a child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
