//! Memory: items, slab classes, the index, eviction, the budget.
//!
//! `-m` bounds the cache as a whole: slab pages and index together. memcached counts slab pages
//! only. What the server needs beside it, rings, buffers and connections, is a second sum that is
//! printed at start ([`Budget`](crate::config::Budget)); resident memory stays under the two.
//!
//! # An item
//!
//! ```text
//!  0        4        8             12        16   18      20     21      22
//!  | prev   | next   | time, marks | cas lo  | hi | bytes | nkey | flags | key, value
//! ```
//!
//! One bit of the flags says that the item is whole; it is set last and cleared first, which is
//! what lets a cache in a file survive a kill ([`restart`](super::restart)).
//!
//! 22 bytes without padding, against memcached's 48 and 8 for the CAS id. `prev` and `next` are the
//! LRU's links, in units of 4 bytes from the start of the shard's arena (of 8 in shards of more
//! than 8 GB, of 16 from 16 GB on, and so on, because 32 bits must reach its end). An expiry time
//! takes 4 bytes only if the item was ever given one, client flags only if they aren't 0. The
//! value's line end isn't stored. A key of 14 and a value of 64 bytes take 100, with an expiry time
//! 104.
//!
//! An item without room for an expiry time that is touched with one moves to another chunk, with
//! all that it is (CAS id, place in its list's segment, age); `-M`, where there might be no chunk,
//! leaves the room in every item, and large values have it anyway.
//!
//! Items larger than the largest chunk (512 KB) are chains of chunks. They are sent from where they
//! lie, and received into where they will lie: a connection never holds a copy, so eight readers
//! of one value of 48 MB take no memory (`tests/large.rs`). The chunks of a value that comes in are
//! taken one by one, as they are filled; where memory ends amid a value, that is refused and its
//! rest dropped. Between two of its pieces other connections have their turn
//! ([`costs`](super::costs)).
//!
//! # Slab classes
//!
//! Chunk sizes start at 16 + `-n` bytes and grow by `-f`, rounded up to 8; `-vv` lists them. Below
//! 6 KB there are two steps for one in shards of 24 MB and more. From 128 MB on there is a class
//! for every 4 bytes from 72 up to 104 and for every 8 up to 128, and then two steps for one up to
//! 3 KB: that makes 63 classes, and more there can't be. Finer steps leave less of a chunk empty: a
//! shard of 64 MB misses 4 to 8 % less in replays of Twitter's clusters 7, 24, 29 and 52. If a
//! small `-f` would make too many classes, the steps stay coarser.
//!
//! Pages of 1 MB are given to classes as they are needed. Once half of them are, a class that has
//! none is a *guest*: its items go to the next larger class with a free chunk, if that is at most
//! twice as large, and, when no page is left, to the next larger class of up to eight times its
//! size, which evicts for them; until they have taken 2 MB so, which is worth a page. Without that,
//! a shard with fewer pages than classes in use would give a whole page to a single item and drive
//! out all that was in it. Items kept of widely spread sizes (lognormal, a few bytes to 200 KB)
//! that would take 60 % of the memory, `python3 benches/bytes.py --only mixed`:
//!
//! | | stored | memcached | without guests | with guests |
//! |---|---|---|---|---|
//! | `-m 8` | 2,255 | 2,255 | 8 | 550 |
//! | `-m 16` | 4,418 | 4,418 | 28 | 3,652 |
//! | `-m 32` | 8,454 | 8,392 | 557 | 7,724 |
//! | `-m 64` | 16,949 | 16,949 | 16,949 | 16,888 |
//!
//! memcached keeps them because each class's first page does not count against `-m` there; here the
//! limit holds. So many small shards want more memory: give `-m` at least 64 MB for each core.
//!
//! When no page is left, a class evicts from its own tail, and pages move from the class whose
//! items get clearly older, a few chunks with each store, so that no class starves and no request
//! waits for a whole page. How old they get is counted over the last evictions (`shard/age.rs`);
//! the tail of the moment says too little, for an item on probation goes young and one that was
//! used goes old. A class is given a page only when it has evicted half a page since its last one,
//! only if it would not be the older one then, and only if the difference is more than twice the
//! error of such counting. The only page of a class in use stays: the next item would want it back.
//! Without these rules 400 pages moved in a replay of Twitter's cluster 7 in 16 MB, each leaving
//! chunks empty for a while, and a tenth more was missed; with them a dozen do.
//!
//! # The index
//!
//! Buckets of one cache line hold 12 items each: a tag of 8 bits and a location of 32. A lookup
//! reads the bucket and, for a matching tag, the item: two cache misses, both of which a group
//! prefetches. The table grows by linear hashing: one bucket is split with each new item while it
//! grows, so there is no moment in which all waits, and no second table. It grows at a mean load of
//! 10.8 items a bucket. Where less than a quarter more pages are left than are in use, items will
//! have to go for it: then it grows from 11.5 on, and only as far as keeps 9.6 or more in each.
//! Items that find no lane in their bucket lie in overflow lines, from which one comes home as soon
//! as a lane is free; the lines are kept full. Both together let a shard of 256 MB hold 2 to 4 %
//! more items of 80 bytes, at no cost that could be measured.
//!
//! # Memory ahead of its use
//!
//! The first touch of a fresh huge page has the kernel find 2 MB in one piece and clear it: 0.25 to
//! 0.33 ms on the machine this was measured on, and 9 ms while its memory was full of files that
//! had to make room. A core would meet such a page once in twenty thousand small items. So a thread
//! of the lowest priority touches one huge page ahead of each shard, for the arena and, from
//! shortly before it doubles, for the index ([`Supply`](crate::shard::Supply)); a shard wakes it
//! once every 2 MB. (When it did so only once the index was doubling, each doubling began with a
//! page that the core touched first: 7 ms in a trace of 10 s.) On a CPU that others want it may
//! come too late; then the core touches the memory itself. It waits for nobody in either case: the
//! addresses are opened at start, and a touch takes no lock of the process. (The kernel's own call
//! for this does: on a busy machine, a core waited 4 s for a thread that held the lock and got no
//! time.) Under `-L` the arena is provided at start, and under `-k` the kernel provides what is
//! opened at once.
//!
//! # Expiry and eviction
//!
//! An expired item is found when it is asked for, when it comes to a list's tail, or by the
//! crawler, which the control plane paces. Each class has memcached's HOT, WARM, COLD and TEMP
//! lists. A hit sets a bit in the item and moves nothing; items are moved when they get to a tail.
//!
//! New items are on probation in HOT. Once HOT takes more than its share (a quarter more than
//! `hot_lru_pct` says, which is 25 % by default) its tail goes: to WARM if it was used, else for
//! good. WARM flows into COLD, and COLD's tail starts again in WARM if it was used. So what is
//! stored and never asked for again passes through a quarter of the memory and no more. (This is
//! S3-FIFO, Yang et al., SOSP 2023, with one bit instead of two: more bits changed replays by less
//! than a hundredth. Asking for two uses on probation, as the paper does, missed 1 to 6 % more.)
//!
//! What was evicted by mistake is known by its coming back. A bucket's empty lanes hold hashes of
//! the keys that the bucket lost, where locations would be; the store of such a key finds it in the
//! very line that it writes, and goes to WARM at once. This takes no memory and no further access.
//! There are as many such lanes as a bucket has room, at the densest one for six items; half as
//! many as there are items are used at most (at least one a bucket). A longer memory is worse: in a
//! cache of 7,700 items in the 8,192 buckets of `-o hashpower=16`, nearly every key that came back
//! was known and skipped probation, and a replay of cluster 7 missed 14 % more. So an index begins
//! with 512 buckets and grows with its items.
//!
//! `lru mode segmented` or `-o lru_maintainer` has memcached's segmented LRU instead, `lru mode
//! flat` or `-o no_lru_maintainer` one list a class; `lru mode probation` is the way back.
//! `lru_segmented` is `yes` for both of the modes that have segments. `benches/hits.py` compares
//! the misses with memcached's on replays made from Twitter's table of clusters.
//!
//! # CAS ids
//!
//! 48 bits in the header, counted by each shard in steps of the number of shards: unique over all
//! cores, never 0. An id that a client sets itself (meta `E`) may have 64; such items carry it in 8
//! bytes more.
