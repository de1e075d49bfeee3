//! What a request costs as everything around it grows, and what it may have to wait for.
//!
//! Each section names the command that makes its table. All figures are CPU time of the server per
//! key, user and system, unless a column says otherwise; in brackets the lowest and the highest
//! round. They were taken on 2026-11-28 on two virtual CPUs of an Intel Xeon, Linux 6.18: read the
//! shapes, not the last digits.
//!
//! # One request
//!
//! `python3 benches/account.py`: instructions of user code for each request, for each key of the
//! multi-get. callgrind counts them while one connection asks, so they are nearly the same in every
//! run.
//!
//! | for | get, depth 1 | get, depth 16 | set, depth 16 | 50-key multi-get |
//! |---|---|---|---|---|
//! | parse | 28 | 24 | 233 | 37 |
//! | make the reply | 134 | 134 | 44 | 133 |
//! | look up or store | 168 | 196 | 686 | 196 |
//! | group, route, token | 672 | 349 | 326 | 331 |
//! | deliver and send | 507 | 42 | 46 | 21 |
//! | the loop and its ring | 850 | 56 | 54 | 23 |
//! | libraries: copying, comparing, hashing | 285 | 67 | 79 | 63 |
//! | together | 2645 | 869 | 1469 | 806 |
//!
//! With one connection a request takes one turn and one system call, which sends the reply and
//! waits for the next request ([`Ring::send_quietly`](crate::ring::Ring::send_quietly)). Under load
//! the loop's share all but vanishes. Fifty connections on one core, the client on another:
//!
//! | load | keys an entry | completions an entry | CPU us/key | user us/key | asleep |
//! |---|---|---|---|---|---|
//! | get, depth 1 | 19.4 | 38.7 | 4.32 | 0.27 | 4% |
//! | get, depth 16 | 225.0 | 28.2 | 0.37 | 0.11 | 10% |
//! | set, depth 16 | 252.4 | 32.0 | 0.35 | 0.14 | 6% |
//! | 50-key multi-get | 1348.1 | 54.3 | 0.18 | 0.08 | 1% |
//!
//! The rest is the kernel's. `benches/peers.py` shows in its "floor" rows what a server costs that
//! only echoes (misses, so that replies are as short as its own): at depth 1 3.6 us, and ringcached
//! takes no more; at depth 16 0.28, as ringcached; on two cores, which the client shares, 0.17
//! where ringcached takes 0.28. What it costs there to be a cache is less a matter of instructions
//! than of memory: with a fifth fewer of them the server's CPU fell by 3 to 4 %, and of the samples
//! in its own code (`perf`) a seventh stand right behind the prefetches of index and items, which
//! probably wait for a free line fill buffer. What was tried on the way:
//!
//! | change | gain |
//! |---|---|
//! | registered files instead of descriptors | 3.5 % with one connection a core |
//! | no time limit on waits | 4 % with one connection a core |
//! | a shard in use is left for later, own shard first | 10 % of user time on two cores, depth 16 |
//! | waiting for many completions, until [removed](super::io_uring) | 2 % at 50 connections |
//! | not writing the time of last use into items in use | none |
//! | `END` in the last key's operation, groups of 64 operations | 9 % on two cores, depth 16 |
//! | the same over 5 million items, depth 32, two cores | 18 %; one core 8 %; multi-get none |
//! | a get in 942 instructions instead of 1202 (two cores, depth 16) | 3 to 4 % at depth 16 |
//! | no completion for a send that goes well | 3 % with one connection a core |
//! | a quarter of the receive buffers, so that they stay in the cache | none |
//! | groups of 128 or 256, prefetched 32 at a time or 6 to 20 ahead of their use | none |
//!
//! # Items
//!
//! `python3 benches/growth.py --only Items`: gets over 50 connections with 16 requests under way
//! each, uniform keys.
//!
//! ```text
//!        items   -t 1: us a key                -t 2: us a key
//!       10,000   0.48 ##########               0.36 #######
//!      100,000   0.47 #########                0.40 ########
//!    1,000,000   0.52 ##########               0.41 ########
//!    5,000,000   0.48 ##########               0.42 ########
//!   20,000,000   0.54 ###########              0.49 ##########
//! ```
//!
//! Two thousand times the items cost 1.1 times as much on one core, 1.4 times on two. What grows is
//! the wait for memory: up to a million items the index, later the items too are out of the caches.
//! It grows this little because the lookups of a group wait together.
//!
//! # Connections
//!
//! `python3 benches/growth.py --only Connections`: gets and sets 90:10, one request under way on
//! each connection, 100,000 keys.
//!
//! ```text
//!  connections   -t 1: us a key                -t 2: us a key
//!            1   42.0                          4.6  #####
//!           10    6.1 ######                   5.8  ######
//!          100    4.2 ####                     3.8  ####
//!        1,000    5.2 #####                    3.6  ####
//!       10,000    6.2 ######                   6.8  #######
//! ```
//!
//! It falls first: with few connections each request wakes a sleeping CPU, and that is what most of
//! the time goes to. From some dozens on, batches share what an entry into the kernel costs. From
//! 1,000 on it rises again, because every request comes from another socket: what the kernel keeps
//! of a connection, some kilobytes, is out of the processor's caches by the time that its next
//! request comes. Of our own memory a request touches the connection's slot and no more: blocks
//! for replies come from a pool that is used last in, first out.
//!
//! # Idle connections
//!
//! The last table of `benches/growth.py`: 15,000 connections, each after one request, take 275
//! bytes each of resident memory (the bound is 512): a slot in the connection table, an entry in
//! the list for `stats conns`, a place for the message under way. They have no buffers, because
//! those come from pools when bytes come and go back when they are done with. What the kernel takes
//! for its sockets comes on top. No loop of a turn goes over all connections, so those that are
//! idle cost the active ones nothing that can be measured: at 40,000 requests a second over 50
//! connections 11.5 (11.2-12.5) us a key beside 15,000 of them, 10.8 (10.0-11.9) without; p50 135
//! and 129 us; with `-t 2` 10.2 and 14.4 us a key, 66 and 91 us.
//!
//! # Values
//!
//! `python3 benches/growth.py --only Values`: 90:10, 16 connections, 512 MB of values at most.
//!
//! ```text
//!        bytes   -t 1: us a key                -t 2: us a key
//!            1     4.2                           3.7
//!           10     4.5                           4.9
//!          100     4.5                           5.8 #
//!        1,000     5.0 #                         6.5 #
//!       10,000     7.0 #                         7.4 #
//!      100,000    35.7 ####                     29.5 ###
//!    1,000,000   320.8 ################################  260.8 ##########################
//! ```
//!
//! Flat up to 10 KB, then 0.25 to 0.35 us for each further KB, which is the kernel's copy between
//! the value and the socket's buffers. Values of 16 KB and more are sent from the arena and
//! received into it, so there is no copy of ours.
//!
//! # Beside large values
//!
//! `python3 benches/large.py --binary target/release/ringcached --binary memcached`: a get of 64
//! bytes every millisecond, measured from when it was due, alone and while two clients store and
//! fetch values of 64 MB over the same core; p99 in microseconds, medians of three rounds. "As
//! before" is the server when it took 1 MB from a connection in a turn, sent it 256 KB, and took
//! all chunks of a value at once.
//!
//! | | alone | beside | times | MB/s (one round) |
//! |---|---|---|---|---|
//! | as before | 345 | 7,174 | 20.8 | 1,950 |
//! | 64 KB in a turn, a chunk at a time | 386 | 835 | 2.2 | 2,110 |
//! | memcached 1.6.45 | 321 | 39,765 | 124 | 1,340 |
//! | 64 KB in a turn, another run | 341 | 1,205 | 3.5 | 2,140 |
//! | 32 KB in a turn, the same run | 380 | 781 | 2.1 | 2,530 |
//! | the same, a later run | 479 | 2,374 | 5.0 | |
//! | memcached 1.6.45, the later run | 813 | 58,951 | 72 | 1,579 |
//! | 32 KB in a turn, five rounds with nothing beside them | 688 | 878 | 1.3 | 2,507 |
//!
//! With 32 KB a prober's p99 stays below twice that of an idle server where nothing else wants the
//! two CPUs; it was not held in the later run, in which the host gave the machine less, nor while
//! something else was compiled beside it (4 times and more, memcached 99). What remains is time in
//! which the core copies for the others (a turn of some 50 us) and the CPU that prober and
//! streaming clients share. Two things don't show here, because the values stream for some seconds
//! before it counts: the first touch of fresh memory, which was 7 ms for each 2 MB on this virtual
//! machine and happens once, a chunk at a time; and what clients do that send or receive a megabyte
//! in one call: with those the prober waits for its own CPU, 0.7 ms with this server, 2.5 ms with
//! the one before. A bound on each receive alone (`len` of the submission) does nothing, because
//! the kernel receives up to 32 times in a row; it is the bound on all that a multishot receive
//! brings that counts.
//!
//! # No stall
//!
//! `MEMCACHED=... python3 benches/stalls.py`: what a prober waits for while the server does
//! something large. Nothing of it is done in one piece:
//!
//! | while | the longest piece under a shard's token |
//! |---|---|
//! | the index grows | one bucket is split with each new item |
//! | fresh memory is taken | none: [`memory`](super::memory) is provided beforehand |
//! | pages change classes | 256 chunks, or in proportion to a store |
//! | all is flushed | a sequence number; items end when they are met, or by the crawler |
//! | the crawler walks | 256 chunks, then 100 us for others (`lru_crawler_sleep`) |
//! | keys are dumped | 256 chunks, or 16 KB of text until that is sent |
//!
//! Three rounds (4 s, `steady` 8 s, `growing` 50 s; 2026-11-28), a prober's p99.9 in microseconds
//! alone and meanwhile, and the medians of the rounds' ratios with the lowest and the highest:
//!
//! | during | server | alone | meanwhile | times | done |
//! |---|---|---|---|---|---|
//! | growing | memcached | 2554 | 6898 | 2.78 (1.95-2.91) | 5.0 M stored |
//! | growing | ringcached | 3138 | 5104 | 1.63 (1.14-2.07) | 5.0 M stored |
//! | steady | memcached | 4579 | 10338 | 2.26 (1.65-2.91) | 0.8 M stored |
//! | steady | ringcached | 13165 | 7266 | 0.55 (0.38-1.19) | 0.8 M stored |
//! | reassigning | memcached | 4862 | 12247 | 2.42 (1.36-6.22) | 834 pages moved of 256 |
//! | reassigning | ringcached | 7762 | 8831 | 0.99 (0.57-1.59) | 1366 pages moved of 247 |
//! | flushed | memcached | 6275 | 62947 | 11.11 (8.61-11.45) | 0.4 M stored |
//! | flushed | ringcached | 11592 | 14385 | 1.08 (0.95-1.73) | 0.4 M stored |
//! | crawling | memcached | 5853 | 4202 | 0.65 (0.44-0.78) | 1.2 M reclaimed |
//! | crawling | ringcached | 12206 | 13361 | 1.17 (0.64-1.22) | 0.4 M reclaimed |
//! | dumping | memcached | 7696 | 3082 | 0.65 (0.40-0.74) | 7.8 M lines |
//! | dumping | ringcached | 7442 | 6078 | 0.61 (0.55-4.39) | 17.0 M lines |
//!
//! What a prober waits for at worst is the virtual machine's doing: 3 to 13 ms with a server that
//! does nothing else. `growing` was measured again after the index had its memory in time and cores
//! no longer waited for batches; before that it was 2.54 (2.08-3.90). Traced (`perf record -e
//! raw_syscalls:sys_enter,raw_syscalls:sys_exit` with `sched:sched_switch` and
//! `exceptions:page_fault_user`), the core had five pauses of over a millisecond in ten seconds of
//! growth; in each the kernel had given its CPU to somebody else.
//!
//! # Huge pages
//!
//! `python3 benches/pages.py`, as root: 50-key multi-gets over 5 million items on one core. The
//! kind of the pages is read from `/proc/PID/smaps`.
//!
//! | pages | MB reserved | MB transparent | MB plain | CPU us/key | of plain |
//! |---|---|---|---|---|---|
//! | reserved (`-L`) | 1054 | 0 | 8 | 0.224 (0.207-0.294) | 0.87 |
//! | transparent (default) | 0 | 528 | 11 | 0.239 (0.207-0.266) | 0.91 |
//! | plain | 0 | 0 | 538 | 0.253 (0.232-0.332) | 1.00 |
//!
//! A lookup reads an index bucket and an item anywhere in half a gigabyte. On plain pages each is a
//! miss in the TLB as well, and prefetching hides the wait for memory better than that for a page
//! walk. Reserved pages gain little over transparent ones; what they buy is certainty, because
//! transparent ones are not to be had when memory is fragmented.
//!
//! # One hot key
//!
//! `python3 benches/hotkey.py`: gets over 100 connections, one key in 100,000 taking 90 % of them.
//! Rates as multiples of what one core does with uniform keys; "alone" is what the server's cores
//! would serve if no client ran on them (cores by CPU time per key).
//!
//! | load | keys | CPU us/key | rate | alone |
//! |---|---|---|---|---|
//! | depth 1 | uniform, one core | 4.11 (3.92-4.25) | 1.00 | 1.00 |
//! | | uniform, two cores | 3.75 (3.09-4.28) | 1.12 | 2.2 |
//! | | one hot key, two cores | 3.87 (3.32-4.46) | 1.05 | 2.1 |
//! | depth 16 | uniform, one core | 0.36 (0.34-0.45) | 1.00 | 1.00 |
//! | | uniform, two cores | 0.33 (0.29-0.35) | 1.12 | 2.2 |
//! | | one hot key, two cores | 0.34 (0.28-0.35) | 1.11 | 2.2 |
//! | 50-key multi-get | uniform, one core | 0.17 (0.16-0.20) | 1.00 | 1.00 |
//! | | uniform, two cores | 0.19 (0.16-0.21) | 0.96 | 1.9 |
//! | | one hot key, two cores | 0.16 (0.14-0.20) | 1.10 | 2.2 |
//!
//! A hot key costs two cores no more than uniform keys, because nobody owns it: whichever core has
//! received a request takes the token of the key's shard and answers ([`cores`](super::cores)). The
//! token is held for the lookup only, a fraction of what the kernel does for the same request, so
//! two cores seldom want it at once; when they do, the holder does the other's group as well, with
//! the hot item in its cache. The measured rates rise so little because the client runs on the same
//! two CPUs and takes half of them; "alone" is what is left if it does not.
