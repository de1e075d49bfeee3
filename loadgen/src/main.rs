//! The `loadgen` program: a command line around the library.

use std::process::ExitCode;

use clap::Parser;
use loadgen::cli::{args::Args, run};

fn main() -> ExitCode {
    run::main(&Args::parse())
}
