//! Going to the background, and telling the parent how the start went.
//!
//! `-d` forks twice around setsid, so that the server has no terminal and cannot get one. The
//! process that the user started waits at a pipe until the server is bound or has failed, and exits
//! with that outcome: a script that goes on after `ringcached -d` finds the port open. Standard
//! error stays connected until then, so that a failure is seen; afterwards, without `-v`, the
//! streams are /dev/null.
//!
//! The pipe's end is process-wide state because it must survive from the fork in `main` to wherever
//! binding happens, and because there is one such moment in a process's life.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process;
use std::sync::Mutex;

use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};

use crate::config::{Config, Failure, exit};

/// Where the waiting parent reads; `None` in the foreground and once it was told.
static PARENT: Mutex<Option<File>> = Mutex::new(None);

/// Goes to the background. Returns in the daemon only; must run before any thread or ring exists.
///
/// # Errors
/// Exit code 71 when the system has no process or pipe left.
pub fn detach() -> Result<(), Failure> {
    let failed = |error| Failure::os("-d: cannot go to the background", error);
    let (outcome, tell) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    if fork_here().map_err(failed)?.is_parent() {
        drop(tell);
        process::exit(wait_for_outcome(outcome).into());
    }
    drop(outcome);
    setsid().map_err(failed)?;
    if fork_here().map_err(failed)?.is_parent() {
        process::exit(0);
    }
    *lock() = Some(File::from(tell));
    Ok(())
}

/// Tells the waiting parent that the server serves, and leaves its directory and its terminal.
/// Without a parent that waits, in the foreground, it does nothing.
///
/// # Errors
/// Exit code 71 when /dev/null cannot be opened.
pub fn ready(config: &Config) -> Result<(), Failure> {
    let Some(mut parent) = lock().take() else {
        return Ok(());
    };
    let failed = |error: nix::Error| Failure::os("-d: cannot leave the terminal", error);
    if !config.core_dumps {
        // Core files are written to the current directory, so -r stays in it.
        chdir("/").map_err(failed)?;
    }
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| Failure::os("/dev/null", error))?;
    dup2_stdin(&null).map_err(failed)?;
    if config.verbosity == 0 {
        dup2_stdout(&null).map_err(failed)?;
        dup2_stderr(&null).map_err(failed)?;
    }
    // A parent that was killed in the meantime is no reason not to serve.
    let _ = parent.write_all(&[0]);
    Ok(())
}

/// Tells the waiting parent, if there is one, that the start failed with `code`.
pub fn failed(code: u8) {
    if let Some(mut parent) = lock().take() {
        let _ = parent.write_all(&[code]);
    }
}

/// The parent's exit code: what the daemon says, or 71 when it died without a word.
fn wait_for_outcome(outcome: OwnedFd) -> u8 {
    let mut code = [exit::OS_ERROR];
    match File::from(outcome).read(&mut code) {
        Ok(1) => code[0],
        _ => {
            eprintln!("ringcached: the background process ended before it was ready");
            exit::OS_ERROR
        }
    }
}

fn fork_here() -> nix::Result<ForkResult> {
    // SAFETY: the process has one thread (see `detach`), so the child inherits no lock that another
    // thread held.
    unsafe { fork() }
}

fn lock() -> std::sync::MutexGuard<'static, Option<File>> {
    PARENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
