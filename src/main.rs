//! The server's binary: flags, configuration, the machine, the server, an exit code.
//!
//! The order below is the order of start-up. Private keys can be read and limits be raised only
//! before privileges are dropped; io_uring must be probed as the user that will serve; the fork of
//! `-d` must come before any thread; and nothing is bound before all of that has passed, so that a
//! server that cannot run never holds a port.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ringcached::config::{Asked, Budget, Config, Failure, Flags, Host, Note};
use ringcached::os::{affinity, daemon, facts::HostFacts, privileges, probe, rlimits, signals};
use ringcached::server;
use ringcached::tls::Keeper;

const LICENSE: &str = include_str!("../LICENSE");

fn main() -> ExitCode {
    signals::ignore_sigpipe();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.message);
            daemon::failed(failure.code);
            ExitCode::from(failure.code)
        }
    }
}

fn start() -> Result<(), Failure> {
    let flags = match Flags::parse(env::args_os())? {
        Asked::Run(flags) => flags,
        Asked::Print(text) => return print(&text),
    };
    if flags.license {
        return print(LICENSE);
    }
    if flags.check {
        return check();
    }
    let mut config = Config::new(&flags, &host())?;
    let tls = Keeper::of(&config.tls).map_err(Failure::usage)?;
    rlimits::raise(&mut config)?;
    privileges::drop_to_user(&mut config)?;
    probe::io_uring()?;
    if config.daemonize {
        daemon::detach()?;
    }
    rlimits::lock_memory(&mut config);
    tell(&config);
    server::run(config, tls)
}

/// `--check`: the facts on stdout whatever the outcome, the reason of a failure on stderr.
fn check() -> Result<(), Failure> {
    let outcome = probe::io_uring();
    let word = if outcome.is_ok() { "usable" } else { "not usable" };
    print(&format!("io_uring      {word}\n{}\n", HostFacts::read()))?;
    outcome
}

fn host() -> Host {
    Host {
        cpus: affinity::allowed(),
        port_file: path_of("MEMCACHED_PORT_FILENAME"),
        sasl_file: path_of("MEMCACHED_SASL_PWDB"),
    }
}

/// The path that a variable of the environment names.
fn path_of(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Prints what differs from what was asked for or is usual with memcached, what memory it will
/// take, and at `-v` what else is worth knowing.
fn tell(config: &Config) {
    for note in &config.notes {
        match note {
            Note::Difference(text) => say(text),
            Note::Warning(text) => say(&format!("warning: {text}")),
            Note::Verbose(text) if config.verbosity > 0 => say(text),
            Note::Verbose(_) => {}
        }
    }
    say(&Budget::new(config).to_string());
}

/// One line on stderr. A closed stderr is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "ringcached: {text}");
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::os("standard output", error))
}
