//! The manual, in chapters. There is no code here.
//!
//! - [`architecture`]: what happens to a request, and where in the source;
//! - [`cores`]: shards, tokens, mailboxes, placement of connections;
//! - [`io_uring`]: how the ring is used, and what the kernel must offer;
//! - [`memory`]: items, slab classes, the index, eviction, the budget;
//! - [`protocol`]: what clients are told, authentication, UDP, differences from memcached;
//! - [`tls`]: records, handshakes, resumption, certificates, costs;
//! - [`costs`]: what a request costs as everything grows, stalls, huge pages, a hot key;
//! - [`restart`]: the cache in a file, over stops and kills;
//! - [`operations`]: starting, sizing, limits, containers, files, signals, exit codes.

pub mod architecture;
pub mod cores;
pub mod costs;
pub mod io_uring;
pub mod memory;
pub mod operations;
pub mod protocol;
pub mod restart;
pub mod tls;
