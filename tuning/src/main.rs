//! `tune`: the command line over the library.
//!
//! Exit codes: 0 all is well, 1 something is bad or could not be done, 2 the command line is
//! wrong.

mod commands;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Finds what a host lacks for a cache server, how much memory a data set needs, and which
/// settings pay.
#[derive(Debug, Parser)]
#[command(name = "tune", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge every fact of this host that matters; change nothing unless told to.
    Check(commands::check::CheckArgs),
    /// Tell how much memory a data set takes, and which flags and cores to start with.
    Size(commands::size::SizeArgs),
    /// Run the server over lists of flags under a load, and recommend the smallest that is enough.
    Sweep(commands::sweep::SweepArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Check(args) => commands::check::run(&args),
        Command::Size(args) => commands::size::run(&args),
        Command::Sweep(args) => commands::sweep::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads us through `head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tune: {error}");
            ExitCode::FAILURE
        }
    }
}
