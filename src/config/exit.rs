//! How the program says that it cannot go on: one line and an exit code.
//!
//! The codes are those of sysexits.h, which memcached uses too: a service manager can tell a wrong
//! command line (do not restart) from a machine that lacks something (an operator must act).

use std::fmt;

/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The user of `-u` does not exist.
pub const NO_USER: u8 = 67;
/// The machine does not offer what the program needs: io_uring.
pub const UNAVAILABLE: u8 = 69;
/// A call to the operating system failed.
pub const OS_ERROR: u8 = 71;
/// A file cannot be written: the pid file, the port file, the Unix socket, the memory file.
pub const CANT_CREATE: u8 = 73;

/// Why the program ends: what stderr shows and the code it exits with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code, one of this module's constants.
    pub code: u8,
    /// What to print after `ringcached: `. One line, except the probe's explanation.
    pub message: String,
}

impl Failure {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// A failed call: what was tried, and the system's reason.
    pub fn os(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self { code: OS_ERROR, message: format!("{what}: {error}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
