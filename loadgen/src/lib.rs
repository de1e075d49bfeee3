//! A load generator for memcached-compatible servers that measures tails honestly.
//!
//! The modules in the order of their dependence: `value` derives values, `workload` draws requests,
//! `arrivals` says when, `wire` writes requests and reads replies, `net` has the sockets and the
//! ring, `measure` counts, `plan` is a run as data, `engine` runs it, `report` tells the result,
//! `cli` turns a command line into a plan.

pub mod agent;
pub mod arrivals;
pub mod bench;
pub mod check;
pub mod cli;
pub mod engine;
pub mod experiment;
pub mod measure;
pub mod net;
pub mod plan;
pub mod report;
pub mod servers;
pub mod value;
pub mod wire;
pub mod workload;
