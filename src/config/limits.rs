//! Every limit of the program as a named constant, in one place.
//!
//! A limit that is derived is computed here, and what must hold between two limits is a `const`
//! assertion with one line of reason, so that a change which breaks another part does not compile.
//! Modules that must not know each other (protocol, shard, mesh, ring) may all read this file: it
//! holds plain values and depends on nothing.

/// Bytes in a kibibyte; memcached's `k`.
pub const KIB: usize = 1 << 10;
/// Bytes in a mebibyte; memcached's `m`, and the unit of `-m`.
pub const MIB: usize = 1 << 20;
/// Bytes in a gibibyte; memcached's `g`.
pub const GIB: usize = 1 << 30;

// ---- Keys, items and slab classes ----

/// Longest key, in bytes. Clients count on exactly this figure, so it is no flag.
pub const KEY_BYTES_MAX: usize = 250;

/// Bytes of one slab page: the unit in which memory moves between classes.
pub const SLAB_PAGE_BYTES: usize = MIB;

/// Smallest `-I`.
pub const ITEM_BYTES_MAX_LEAST: usize = KIB;
/// Largest `-I`.
pub const ITEM_BYTES_MAX_MOST: usize = GIB;
/// `-I` when it is not given.
pub const ITEM_BYTES_MAX_DEFAULT: usize = MIB;

/// `-n` when it is not given: room for key, value and flags in the smallest class.
pub const CHUNK_BYTES_MIN_DEFAULT: usize = 48;
/// Largest `-n`.
pub const CHUNK_BYTES_MIN_MOST: usize = SLAB_PAGE_BYTES / 2;

/// Largest chunk of one piece unless `-o slab_chunk_max` says otherwise.
pub const SLAB_CHUNK_BYTES_MAX_DEFAULT: usize = SLAB_PAGE_BYTES / 2;
/// Smallest `-o slab_chunk_max`.
pub const SLAB_CHUNK_BYTES_MAX_LEAST: usize = KIB;
/// Smallest size that `-o slab_sizes` may name: a header and a short key.
pub const SLAB_SIZE_LEAST: usize = 48;
/// Most sizes that it may name; one more class has the largest chunks.
pub const SLAB_SIZES_MOST: usize = 62;

/// `-f` when it is not given.
pub const GROWTH_FACTOR_DEFAULT: f64 = 1.25;
/// Largest `-f`: beyond a doubling thousandfold there is only one class, so more would be a slip.
pub const GROWTH_FACTOR_MOST: f64 = 1024.0;

/// `-m` when it is not given.
pub const MEMORY_BYTES_DEFAULT: usize = 64 * MIB;
/// Largest `-m` in MB: what an address of 47 bits can reach.
pub const MEMORY_MB_MOST: u64 = (1 << 47) / MIB as u64;
/// Least memory that a shard can work with. Two pages: one to fill while the other one is emptied.
pub const SHARD_BYTES_MIN: usize = 2 * SLAB_PAGE_BYTES;
/// Most memory that a shard can manage: a page of 2 MB describes all of its pages.
pub const SHARD_BYTES_MAX: usize = 120 * GIB;
/// The largest item may take at most this part of a shard (one part in two), as memcached rules for
/// `-m`.
pub const SHARD_PARTS_PER_ITEM: usize = 2;

const _: () = assert!(SLAB_PAGE_BYTES.is_power_of_two(), "page arithmetic shifts");
const _: () = assert!(
    SLAB_PAGE_BYTES.is_multiple_of(SLAB_CHUNK_BYTES_MAX_DEFAULT),
    "largest chunks fill a page without a rest"
);
const _: () = assert!(
    ITEM_BYTES_MAX_DEFAULT.is_multiple_of(SLAB_CHUNK_BYTES_MAX_DEFAULT),
    "the largest item is a whole number of chunks"
);
const _: () =
    assert!(KEY_BYTES_MAX <= u8::MAX as usize, "an item's header holds the length in a byte");
const _: () = assert!(KEY_BYTES_MAX < ITEM_BYTES_MAX_LEAST, "any key fits the smallest item limit");
const _: () = assert!(
    SHARD_BYTES_MIN >= ITEM_BYTES_MAX_DEFAULT * SHARD_PARTS_PER_ITEM,
    "the default item fits the least shard"
);
const _: () = assert!(
    MEMORY_BYTES_DEFAULT >= SHARD_BYTES_MIN * 8,
    "the defaults give at least eight cores their share"
);

// ---- Index ----

/// Smallest `-o hashpower`: the table starts with two to this power of slots, over all shards.
pub const HASH_POWER_LEAST: u8 = 12;
/// Largest `-o hashpower`.
pub const HASH_POWER_MOST: u8 = 32;
/// `-o hashpower` when it is not given. memcached's is 16; here the table grows without a pause,
/// and one that is larger than its items need remembers evicted keys for too long.
pub const HASH_POWER_DEFAULT: u8 = 12;

// ---- LRU ----

/// Largest share, in percent, of either HOT or WARM.
pub const LRU_PCT_MOST: u8 = 79;
/// Largest share, in percent, of HOT and WARM together: COLD needs the rest to evict from.
pub const LRU_PCT_SUM_MOST: u8 = 80;
/// Default share of HOT, in percent.
pub const LRU_HOT_PCT_DEFAULT: u8 = 20;
/// Default share of WARM, in percent.
pub const LRU_WARM_PCT_DEFAULT: u8 = 40;
/// The `temporary_ttl` that `stats settings` shows while that list is off, in seconds.
pub const TEMPORARY_TTL_SHOWN_S: u32 = 61;

const _: () = assert!(LRU_HOT_PCT_DEFAULT + LRU_WARM_PCT_DEFAULT <= LRU_PCT_SUM_MOST);
const _: () = assert!(LRU_PCT_MOST < LRU_PCT_SUM_MOST, "neither list may take all of it");

// ---- Cores, connections, sockets ----

/// Most cores (`-t`): a shard's number is a byte, and so is their count.
pub const THREADS_MAX: usize = u8::MAX as usize;
/// Above this many cores a start-up line asks whether that was meant, as memcached does.
pub const THREADS_USUAL_MAX: usize = 64;

/// TCP port when `-p` is not given.
pub const TCP_PORT_DEFAULT: u16 = 11211;
/// `-c` when it is not given.
pub const CONNECTIONS_DEFAULT: usize = 1024;
/// Largest `-c`: a slot's index must leave room for its generation in a completion's user data.
pub const CONNECTIONS_MAX: usize = 1 << 20;
/// `-b` when it is not given.
pub const BACKLOG_DEFAULT: u32 = 1024;
/// Largest `-b`; the kernel caps it again at net.core.somaxconn.
pub const BACKLOG_MAX: u32 = 65_535;
/// `-R` when it is not given.
pub const REQUESTS_PER_EVENT_DEFAULT: u32 = 20;
/// Largest `-R`.
pub const REQUESTS_PER_EVENT_MAX: u32 = 1_000_000;
/// Permission bits of the Unix socket when `-a` is not given.
pub const UNIX_MASK_DEFAULT: u32 = 0o700;
/// Longest path of a Unix socket, in bytes: `sun_path` without its closing zero.
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// Descriptors kept free of client connections for the process itself: standard streams, the
/// control plane's own rings, the pid file, log and admin sockets.
pub const FILES_RESERVED_PROCESS: usize = 32;
/// Descriptors that each core needs besides its connections: its ring, its listeners on two address
/// families, its event descriptor, and a spare one to accept and refuse with.
pub const FILES_RESERVED_CORE: usize = 8;

/// Seconds that a drain may take before what is left is closed.
pub const DRAIN_S_MAX: u64 = 4;

const _: () = assert!(CONNECTIONS_MAX.is_power_of_two(), "a slot's index is a bit field");
const _: () = assert!(CONNECTIONS_DEFAULT <= CONNECTIONS_MAX);
const _: () = assert!(BACKLOG_DEFAULT <= BACKLOG_MAX);

/// Descriptors that a process of `threads` cores keeps for itself.
pub const fn files_reserved(threads: usize) -> usize {
    FILES_RESERVED_PROCESS + threads * FILES_RESERVED_CORE
}

// ---- Rings and buffers ----

/// Submission entries of each core's ring.
pub const RING_SUBMISSIONS: u32 = 1024;
/// Completion entries of each core's ring: several times the submissions, because one multishot
/// operation completes many times.
pub const RING_COMPLETIONS: u32 = 8 * RING_SUBMISSIONS;
/// Bytes of one provided receive buffer; many small receives share one.
pub const RECEIVE_BUFFER_BYTES: usize = 64 * KIB;
/// Provided receive buffers of each core. They are emptied within the loop turn that they fill in,
/// so their number follows what one turn can receive, not the number of connections.
pub const RECEIVE_BUFFERS: u16 = 16;

/// Bytes that one connection is received from in one turn; the rest waits for the next.
pub const RECEIVE_BYTES_PER_TURN: usize = 32 * KIB;
/// Bytes that one connection is sent in one turn.
pub const SEND_BYTES_PER_TURN: usize = 32 * KIB;

const _: () = assert!(RING_SUBMISSIONS.is_power_of_two() && RING_COMPLETIONS.is_power_of_two());
const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two(), "the kernel masks the ring's tail");
const _: () = assert!(RECEIVE_BUFFERS <= 1 << 15, "the kernel takes at most 2^15 in a group");

// ---- TLS ----

/// Largest `-o ssl_wbuf_size`, in KB.
pub const TLS_WRITE_BUFFER_KB_MOST: u32 = 1 << 20;
/// Bytes that a record takes beyond its plain text, with those of a change of keys before it.
pub const TLS_RECORD_EXTRA_BYTES: usize = 64;
/// Plain text in one record: as much as makes the record fill a block.
pub const TLS_RECORD_PLAIN_BYTES: usize = BLOCK_BYTES - TLS_RECORD_EXTRA_BYTES;
/// Plain text that is sealed for one connection in one turn; the rest waits for the next.
pub const TLS_SEALED_BYTES_PER_TURN: usize = 2 * TLS_RECORD_PLAIN_BYTES;
/// Sessions kept by `-o ssl_session_cache` for each way of checking clients.
pub const TLS_SESSIONS_KEPT: usize = 4096;

const _: () = assert!(
    TLS_SEALED_BYTES_PER_TURN <= SEND_BYTES_PER_TURN,
    "what is sealed in a turn is sent in it"
);
const _: () = assert!(TLS_RECORD_PLAIN_BYTES <= 1 << 14, "what TLS allows in a record");

// ---- Logging and background work ----

/// Buffer of one watcher, in KB, unless `-o watcher_logbuf_size` says otherwise.
pub const WATCHER_LOGBUF_KB_DEFAULT: u32 = 256;
/// Log buffer of one core, in KB, unless `-o worker_logbuf_size` says otherwise.
pub const WORKER_LOGBUF_KB_DEFAULT: u32 = 64;
/// Largest `-o watcher_logbuf_size` and `worker_logbuf_size`, in KB.
pub const LOGBUF_KB_MOST: u32 = 1 << 20;
/// Longest pause of the crawler between two steps, in microseconds.
pub const CRAWLER_SLEEP_US_MOST: u32 = 1_000_000;
/// The crawler's pause unless `-o lru_crawler_sleep` says otherwise, in microseconds.
pub const CRAWLER_SLEEP_US_DEFAULT: u32 = 100;

/// Bytes of one block of reply text.
pub const BLOCK_BYTES: usize = 16 * KIB;
/// Bytes that may wait to be sent to one connection before its requests wait instead.
pub const OUTPUT_BYTES_MAX: usize = MIB;
/// A value that is not yet all there waits in the connection up to this size; a larger one is
/// received straight into the arena.
pub const UPLOAD_BYTES_MIN: usize = 8 * KIB;
/// Values from this size on are sent from the arena without a copy.
pub const PINNED_BYTES_MIN: usize = 16 * KIB;
/// Longest reply by UDP, in bytes; a longer one is refused. Room for the largest value of the
/// default `-I` and then some.
pub const DATAGRAM_REPLY_BYTES_MAX: usize = 2 * MIB;
/// Longest line that is no retrieval, in bytes.
pub const LINE_BYTES_MAX: usize = 2 * KIB;
/// From so many bytes on, the keys of an unfinished retrieval line are served.
pub const KEYS_BYTES_MIN: usize = 8 * KIB;
/// Key operations that are run as one group: hashed, prefetched and executed together.
pub const GROUP_MAX: usize = 64;

/// Allowance for what one core's connections hold beyond idle: partial requests and replies that
/// were not taken yet. Most hold nothing at any moment; one alone holds at most
/// [`OUTPUT_BYTES_MAX`] of replies.
pub const CONNECTION_BUSY_BYTES_PER_CORE: usize = 16 * MIB;
