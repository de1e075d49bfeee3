//! What the program asks of the operating system besides sockets: all of it before the cores start.
//!
//! Start-up goes one way: raise limits, drop privileges, probe io_uring, go to the background, lock
//! memory, bind (the server's part), announce. Each step has a file here; each returns a
//! [`Failure`](crate::config::Failure) that says what was tried and the system's reason. The order
//! matters: limits can be raised only while privileged, the probe must run as the user that will
//! serve, and a fork must come before any thread or ring.

pub mod affinity;
pub mod announce;
pub mod clock;
pub mod daemon;
pub mod facts;
pub mod memory_file;
pub mod pages;
pub mod priority;
pub mod privileges;
pub mod probe;
pub mod rlimits;
pub mod signals;
pub mod sockets;
