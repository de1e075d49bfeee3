//! A load generator for memcached-compatible servers that measures tails honestly.
//!
//! ```text
//!   command line ──> cli ──> plan ──> engine ──> outcome ──> report ──> table, JSON, logs, plots
//!                                     │    ▲
//!                        workload, arrivals, servers, value      what is asked, when, of whom
//!                        wire, net                               bytes and sockets
//!                        measure, check                          what came of it, and was it true
//! ```
//!
//! A request has a time at which it is due, drawn before the run from the seed alone. Its response
//! time counts from there, whatever kept it from being sent; its service time counts from when its
//! bytes were handed to the kernel. The modules in the order of their dependence:
//!
//! - [`value`]: values that tell which key and version they are of;
//! - [`workload`]: draws requests: commands, keys, lengths, traces;
//! - [`arrivals`]: when they are due;
//! - [`servers`]: which server owns a key;
//! - [`wire`]: writes requests and reads replies in three protocols;
//! - [`net`]: addresses, sockets, TLS and datagrams;
//! - [`check`]: whether replies can be true, one by one and as a history;
//! - [`measure`]: counts, histograms, CPU time;
//! - [`plan`]: a run as data;
//! - [`engine`]: runs a plan on threads with a ring each;
//! - [`report`]: tells the result;
//! - [`mod@bench`]: one measurement, of which [`experiment`]s are made: search, sweep, comparison;
//! - [`agent`]: several hosts under one load;
//! - [`cli`]: turns a command line into a plan and decides what becomes of it.
//!
//! What a run prints, and how to read it, is told in the [`manual`].

pub mod agent;
pub mod arrivals;
pub mod bench;
pub mod check;
pub mod cli;
pub mod engine;
pub mod experiment;
pub mod manual;
pub mod measure;
pub mod net;
pub mod plan;
pub mod report;
pub mod servers;
pub mod value;
pub mod wire;
pub mod workload;
