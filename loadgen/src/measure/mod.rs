//! What is measured: latencies, outcomes, errors, CPU time.

pub mod cpu;
pub mod tally;
