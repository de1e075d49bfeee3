//! How io_uring is used, and what the kernel must offer.
//!
//! The server needs Linux 6.1 or newer; 6.12 or newer for receive buffers that are filled piece by
//! piece. What a kernel, a container or a sysctl takes away is told before any port is bound
//! (`--check`).
//!
//! # One turn
//!
//! A core's loop enters the kernel once a turn: `io_uring_enter(2)` submits all that the last turn
//! queued and waits for completions. With `IORING_SETUP_DEFER_TASKRUN` the kernel makes completions
//! only then, in the core's own time, so they come in batches and interrupt nothing. In that one
//! call, for each connection with a request: its bytes are received into a provided buffer, and the
//! replies of the turn before are sent.
//!
//! | operation | how |
//! |---|---|
//! | accept | multishot, one per listener |
//! | receive | multishot, with a ring of provided buffers; armed again every 32 KB (Linux 6.17) |
//! | send | one per connection and turn, up to 32 KB: `send` for one piece, else `sendmsg` |
//! | shutdown, close, cancel | single |
//! | wake-up by another thread | `read` of an eventfd, armed again each time |
//!
//! A turn that brought eight completions or more makes the next one wait for about as many, up to
//! 32, but at most 50 us: fewer entries and wake-ups under load, and better tails. Over fifty
//! connections it gave 8 % of the CPU per key at depth 16 and nothing that stands out of the noise
//! at depth 1; p99 fell from 997 to 871 us and from 623 to 517 us. A core with less to do waits for
//! one completion only.
//!
//! Sockets are *registered files*: an operation finds one by its slot in the ring's own table and
//! counts no reference in the table that all threads share. And a core without upkeep sleeps
//! without a time limit, which spares the kernel a timer each turn; the control plane's letter
//! wakes it once a second. With one connection a core at depth 1, interleaved with the server as it
//! was before, the two together took 8 % off the CPU per request (6.2 us after 6.6), 3.5 and 4 %
//! apart; over a hundred connections nothing or the same 8 %.
//!
//! A core that is not busy sends quietly ([`send_quietly`](crate::ring::Ring::send_quietly)): a
//! send that goes well at once makes no completion, which would only end the wait for the next
//! request, so a request takes one entry into the kernel instead of two. A busy core is told of its
//! sends: they let it return with what has come meanwhile, and without them it slept more (p99 at
//! depth 1 5 to 25 % higher, whatever number of completions it waited for).
//!
//! # Memory that the kernel holds
//!
//! Memory given to the kernel stays untouched until the operation's last completion. Receive
//! buffers belong to the ring and are recycled once a turn. A message that is being sent moves into
//! the ring and comes out with its completion. A value that is sent from the arena is pinned: the
//! shard neither evicts, moves nor rewrites it before the send is done.
//!
//! Provided buffers are *incremental* (`IOU_PBUF_RING_INC`): several receives fill one buffer of 64
//! KB side by side. Forty requests of 40 bytes then take 1,600 bytes of one buffer, which is one
//! buffer's worth of cache lines and no more, where otherwise each takes a buffer of its own.
//!
//! # The end of a connection
//!
//! `close(2)` doesn't end operations in flight on a socket. A connection therefore ends in steps
//! ([`conn`](crate::conn)): shut down, wait until every operation has completed, close. Each slot
//! of the connection table has a generation that travels in the `user_data` of each operation; a
//! completion for an earlier tenant finds nobody, and its buffer is recycled all the same.
//!
//! # What can go wrong
//!
//! The counters are listed by `stats cores`, for each core.
//!
//! | event | what happens | where it is counted |
//! |---|---|---|
//! | a multishot ends (`F_MORE` unset) | it is armed again at the end of the turn | |
//! | `ENOBUFS` | as above, after the turn's buffers were recycled | `buffers_missing` |
//! | the completion queue overflows | the kernel hands the rest over later | `overflows` |
//! | `EMFILE`, `ENFILE` at accept | armed again within a second | `accept_errors` |
//! | a send is taken in part | the rest goes first, next turn | `sends_in_part` |
//! | the peer resets | what was owed is dropped, the connection closes | `resets` |
