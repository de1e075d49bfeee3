//! Why the program ends without a result, and with which exit code.

use std::process::ExitCode;

/// The exit code of a wrong command line, EX_USAGE of sysexits.h: 2 is taken by lies.
pub(super) const USAGE: u8 = 64;

/// A reason to end, in words.
#[derive(Debug)]
pub enum Problem {
    /// What was typed can't be meant.
    Usage(String),
    /// It can, but it could not be done.
    Failure(String),
}

impl Problem {
    /// The words.
    pub fn text(&self) -> &str {
        match self {
            Self::Usage(text) | Self::Failure(text) => text,
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Failure(_) => ExitCode::FAILURE,
        }
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Failure(text)
    }
}
