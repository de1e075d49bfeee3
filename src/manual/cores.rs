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
//! token is taken, the core does its parts for other shards first and tries again; if it is taken
//! then, the part is posted to the shard's *mailbox* and the holder runs it before it lets go, and
//! the poster spins for ten microseconds, then sleeps until it is done. The protocol is
//! [`mesh`](crate::mesh); loom explores its interleavings.
//!
//! # Against a pure mailbox
//!
//! Measured before the server was written, with echo servers of two threads in which half of all
//! keys are the other's: CPU of the server per request and total rate.
//!
//! | how the other core's key is served | 2 conns, depth 1 | 100, depth 1 | 100, depth 16 |
//! |---|---|---|---|
//! | no hop: any core does any key | 7.2-8.4 us | 6.7-7.4 us | 0.43-0.47 us, 1.42-1.57 M/s |
//! | mailbox to the owner, which is woken | 14.4-15.7 us | 7.6-8.7 us | 0.47-0.53 us; 1.2-1.3 M/s |
//! | the same, spinning 50 us first | 18.8-19.5 us | 8.5-8.7 us | 0.65-0.69 us, 1.21-1.29 M/s |
//! | shards lent under a token | 8.3-8.7 us | 7.6-8.0 us | 0.43-0.45 us, 1.51-1.55 M/s |
//!
//! Lending wins at depth 1 with few connections, where a mailbox pays for the wake-up, and at
//! depth 16, where it costs nothing that can be seen. So it was kept.
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
//! Each core's listener is preferred for connections whose packets its CPU handles
//! (`SO_INCOMING_CPU`). On loopback that is the client's CPU: with one connection a core, serving a
//! client from the other CPU costs 24 to 27 us of CPU a request instead of 12 to 13, because each
//! request then wakes a sleeping CPU twice. Otherwise the kernel spreads by a hash of the
//! addresses, which is uneven when they are few. The core that accepts counts the connection in at
//! the core with the fewest and hands the descriptor over if that is another one. After any
//! sequence of opens the fullest core has at most one more than the emptiest. Connections are not
//! moved later: a client's keys are everywhere anyway.
