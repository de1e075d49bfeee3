//! ringcached: a memcached-compatible cache server, one pinned core at a time.
//!
//! ```text
//!             clients                              clients
//!               |  SO_REUSEPORT                      |
//!    +----------v-----------+            +-----------v----------+         +-------------------+
//!    | core 0 (pinned)      |            | core 1 (pinned)      |         | control (glommio) |
//!    |  ring: io_uring      |            |  ring: io_uring      |         |  signals, clock   |
//!    |  conn: connections   |            |  conn: connections   | <-----> |  statistics       |
//!    |  protocol: parser    |            |  protocol: parser    |         |  crawler's pace   |
//!    +----------+-----------+            +-----------+----------+         +-------------------+
//!               |        any core runs any key       |
//!    +----------v------------------------------------v----------+
//!    | mesh: shard 0 and shard 1, each lent under its token     |
//!    +----------------------------------------------------------+
//! ```
//!
//! A core's loop takes a batch of completions from its ring, parses every whole request in place,
//! sends each key to the shard that its hash names, and answers each connection with one send.
//! The modules, in the order in which they depend on one another:
//!
//! - [`config`]: what the user asked for, every limit, the memory budget;
//! - [`os`]: affinity, limits, privileges, large pages, the io_uring probe;
//! - [`protocol`]: bytes to requests and replies to bytes; pure;
//! - [`shard`]: one shard of the cache: slab arena, index, LRU, expiry; pure but for its memory;
//! - [`mesh`]: tokens and mailboxes, by which cores lend each other their shards;
//! - [`ring`]: all that touches io_uring;
//! - [`tls`]: sessions and certificates; bytes in, bytes out;
//! - [`conn`]: connections: their slots, input, output and state;
//! - [`core`]: one core's loop, which joins all of the above;
//! - [`control`]: the glommio executor beside the cores;
//! - [`server`]: starts the cores and stops them.
//!
//! [`manual`] explains the whole in chapters.

pub mod config;
pub mod conn;
pub mod control;
pub mod core;
pub mod manual;
pub mod mesh;
pub mod os;
pub mod protocol;
pub mod ring;
pub mod server;
pub mod shard;
pub mod tls;
