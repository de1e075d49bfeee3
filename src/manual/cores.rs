//! Cores, shards and tokens.
//!
//! `-t` starts so many cores: pinned threads, each with an io_uring of its own, listeners of its
//! own, and one shard of the key space that lies in memory it is close to. A key's shard is named
//! by the upper half of its hash ([`route`](crate::mesh::route)); the hash is XXH3 with a seed
//! drawn at start, so that no client can choose keys that collide.
//!
//! # Any core serves any key
//!
//! A connection belongs to the core that took it in, its keys to all shards alike: on two cores
//! half of them are another core's, on sixteen 94 of 100. Sending each to its owner means waking
//! the owner. Measured on two virtual CPUs, ping-pong between the two:
//!
//! | how the other side is reached | round trip |
//! |---|---|
//! | a word in shared memory, both spinning | 0.07 us |
//! | `IORING_OP_MSG_RING` to a sleeping ring | 36 to 45 us |
//! | an eventfd that a sleeping ring reads | 48 to 54 us |
//!
//! So nobody is woken. A shard is touched under its *token*, and whoever needs the shard takes the
//! token, runs its group of operations, and frees it: a few hundred nanoseconds to a few
//! microseconds. A core in the kernel, where it spends most of its time, holds no token. If the
//! token is taken, the group is posted to the shard's *mailbox* and the holder runs it before it
//! lets go; the poster spins for that time. The protocol is [`mesh`](crate::mesh); loom explores
//! its interleavings.
//!
//! # Order
//!
//! Operations of one group are run shard by shard and answered in the order of the requests
//! (`core::deliver`). A connection's next group starts when this one is done, so two requests
//! of one connection on one key always run in their order. Requests of different connections
//! have no order, as everywhere.
//!
//! # Placement of connections
//!
//! The kernel spreads connections over listeners by a hash of the addresses, which is uneven when
//! they are few. The core that accepts counts the connection in at the core with the fewest and
//! hands the descriptor over if that is another one. After any sequence of opens the fullest core
//! has at most one more than the emptiest. Connections are not moved later: a client's keys are
//! everywhere anyway.
