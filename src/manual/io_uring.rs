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
//! A core waits for one completion and takes all that have come by then: under load the turn itself
//! lets a batch gather. Until November 2026 a turn that had brought eight completions or more made
//! the next one wait for about as many, up to 32 and 50 us (`min_wait_usec`). Over fifty
//! connections that gained up to 2 % of the CPU per key at depth 1 and nothing at depth 16; but
//! over eight to sixteen it waited for requests that nobody would send before he had his reply. One
//! core, 90:10, depth 1, interleaved, CPU per key as a ratio to pogocache and thousand requests a
//! second:
//!
//! | connections | waiting for a batch | for a quarter as many receives | for one |
//! |---|---|---|---|
//! | 8 | 2.01; 46 | 0.83; 169 | 0.77; 158 |
//! | 16 | 1.72; 73 | 0.84; 195 | 0.80; 216 |
//! | 32 | 0.80; 224 | 0.76; 238 | 0.79; 236 |
//! | 50 | 0.77; 241 | 0.82; 227 | 0.78; 229 |
//! | 300 | 0.79; 202 | 0.78; 222 | 0.84; 211 |
//! | 16, two cores | 1.62; 104 | 1.06; 157 | 0.93; 177 |
//! | 100, two cores | 0.90; 228 | 0.84; 239 | 0.80; 252 |
//!
//! Sockets are *registered files*: an operation finds one by its slot in the ring's own table and
//! counts no reference in the table that all threads share. And a core without upkeep sleeps
//! without a time limit, which spares the kernel a timer each turn; the control plane's letter
//! wakes it once a second. With one connection a core at depth 1, interleaved with the server as it
//! was before, the two together took 8 % off the CPU per request (6.2 us after 6.6), 3.5 and 4 %
//! apart; over a hundred connections nothing or the same 8 %.
//!
//! A core sends quietly ([`send_quietly`](crate::ring::Ring::send_quietly)): a send that goes well
//! at once makes no completion, which would only end the wait for the next request, so a request
//! takes one entry into the kernel instead of two. Only messages of several sends, and those whose
//! end something waits for, are told.
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
