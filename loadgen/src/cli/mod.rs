//! From a command line to a plan, and from there to a report and an exit code.

pub mod aliases;
pub mod args;
pub mod build;
mod experiments;
mod problem;
pub mod run;
mod single;
pub mod units;
