//! One core: its ring, its connections, and the loop that serves them.
//!
//! ```text
//!  enter the kernel: submit, wait, take the completions
//!     |
//!     v
//!  gather    each completion's bytes -> requests -> operations on one key, up to a group
//!     |
//!     v
//!  run       each shard's part of the group under its token: hash, prefetch, execute
//!     |
//!     v
//!  deliver   replies in the order of the requests, to each connection's message
//!     |
//!     v
//!  plan      one send per connection that has output; receives, shutdowns, closes
//! ```
//!
//! The files follow the story: [`turn`] is the loop, [`drain`] its end, [`gather`] turns bytes into
//! operations, [`group`] runs them, [`execute`] holds what each operation does, [`client`] is a
//! connection with its buffers, [`shared`] is what all cores see, [`admin`] answers what is not
//! about a key, [`auth`] lets clients in, [`greed`] bounds what they may have held for them,
//! [`secure`] and [`handshakes`] are for those who come by TLS.

mod admin;
mod auth;
mod binary;
mod client;
mod counters;
mod datagrams;
mod deliver;
mod drain;
mod execute;
mod gather;
mod greed;
mod group;
mod handshakes;
mod idle;
mod outbox;
mod place;
mod plans;
mod secure;
mod seen;
mod shared;
mod state;
mod trace;
mod turn;
mod upkeep;
mod upload;

pub use admin::Administration;
pub use auth::Guard;
pub use counters::{CoreCounters, CoreSums};
pub use handshakes::{Handshakes, help_with_handshakes};
pub use seen::Seen;
pub use shared::{Inbox, Note, Shared};
pub use turn::{Core, Sockets};
