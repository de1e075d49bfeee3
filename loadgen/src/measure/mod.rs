//! What is measured: latencies, outcomes, errors, CPU time.

pub mod cpu;
pub mod process;
pub mod remote;
pub mod series;
pub mod tally;
