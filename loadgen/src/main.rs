//! The `loadgen` program: a command line around the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadgen::cli::run::main()
}
