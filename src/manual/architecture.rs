//! What happens to a request, and where in the source.
//!
//! ```text
//!   bytes --> ring --> conn --> protocol --> core::gather --> core::group --> mesh --> shard
//!                                                                                        |
//!   bytes <-- ring <-- conn <------------ core::deliver <--------- core::execute <-------+
//! ```
//!
//! 1. `core::turn` enters the kernel and takes a batch of completions. Each receive is a slice of a
//!    buffer that the kernel filled ([`ring`](crate::ring)).
//! 2. `core::gather` has the connection's [`Parser`](crate::protocol::Parser) take whole requests
//!    out of the slice. Nothing is copied: a request borrows its key and value. A request that came
//!    in parts waits in the client's [`Input`](crate::conn::Input).
//! 3. Each key is hashed and becomes an operation of the *group*: up to 32 of them,
//!    from one pipeline, one multi-get or thirty connections.
//! 4. `core::group` runs the group, shard by shard, each under its token ([`mesh`](crate::mesh)):
//!    it prefetches all index buckets, then all items, then executes. `core::execute` holds what
//!    each command does to the [`shard`](crate::shard) and what it answers.
//! 5. `core::deliver` appends the replies, in the order of the requests, to each connection's
//!    [`Message`](crate::ring::Message). Values of 16 KB and more aren't copied: they are pinned
//!    and sent from the arena.
//! 6. At the end of the turn `core::plans` asks each connection that saw an event for its
//!    [`Plan`](crate::conn::Plan) and submits it: one send with all that is ready, a receive to be
//!    armed again, a shutdown.
//!
//! # What depends on what
//!
//! `protocol`, `shard`, `mesh`, `ring` and `tls` don't know each other. `conn` knows `protocol`;
//! `core` joins them; `server` starts cores and `control` beside them; nothing points back.
//! `tests/tidy.rs` holds this.
//!
//! # What is allocated when
//!
//! The arena, the index and the rings are taken at start, or grow in large steps up to `-m`. Blocks
//! of reply text and input memory come from pools that grow to the most ever needed at once. The
//! path of a request allocates nothing once the pools are warm. Administrative commands may, and by
//! TLS rustls takes memory for each record, which it gives back at once.
//!
//! # Limits against greed
//!
//! | what a client may do | what bounds it |
//! |---|---|
//! | send and not read | 1 MB of replies may wait, 16 KB when a core's clients hold 8 MB |
//! | ask for thousands of large values in one line | the same: the retrieval waits in its middle |
//! | do so on thousands of connections | at 16 MB a core, who does not read is cut off |
//! | begin large values and not end them | an eighth of a shard; then the longest silent one goes |
//! | send a line without end | 2 KB, unless it is a retrieval, whose keys are served as they come |
//! | send without pause | 32 to 64 KB are received in a turn; before Linux 6.17, 1 MB |
//! | the same, from many | whoever found no receive buffer is served first in the next turn |
//! | open connections | `-c`, over all cores |
