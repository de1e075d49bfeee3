//! Warm restart: the cache in a file, over stops and kills.
//!
//! ```text
//! ringcached -m 4096 -e /dev/shm/cache
//! ```
//!
//! With `-e FILE` the items lie in a shared mapping of the file, and a server that starts with it
//! goes on with what the last one left: values, client flags, times to live, CAS ids, the marks of
//! the meta protocol, large items, and the order of the LRU. While nobody serves, time passes by
//! the wall clock. CAS ids after a restart differ from all before. Statistics start anew, but for
//! the number of items and their bytes.
//!
//! # Stop and kill
//!
//! | the server ends by | what the next one finds |
//! |---|---|
//! | SIGTERM, SIGINT, SIGUSR1, `shutdown` | everything |
//! | SIGKILL, out of memory, a crash | everything acknowledged (1) |
//! | power loss, a crash of the machine | nothing: the file is refused |
//! | an orderly stop, then power loss | everything, if the file system keeps files |
//!
//! (1) A key that was being changed in that very instant may be missing.
//!
//! memcached keeps the cache on SIGUSR1 only. Here every stop keeps it, because a kill does as
//! well; whoever wants an empty cache deletes the file or starts without `-e`.
//!
//! **Never a wrong value.** What was replaced, deleted, flushed or had expired does not come back,
//! and no value is seen half written. There is no log, and stores compute no checksum: a process
//! that is killed leaves each thread's stores up to some instruction and none after it, so it is
//! enough that the memory is right between any two of them. `src/shard/restore.rs` names the rules
//! that make it so, one byte of each item above all, which is set last and cleared first.
//! `tests/kill.rs` kills the server over a hundred times under load and compares every key with
//! what was acknowledged.
//!
//! After a crash of the *machine* nobody knows which pages had got to the disk. The file says in
//! which boot of the machine it is in use (`boot_id`); in another boot it is refused, unless it had
//! been closed. A closed file holds the sum of each page, and each is checked.
//!
//! # Which files are refused
//!
//! A file that can't be gone on with is told in one line and emptied; the server starts with an
//! empty cache. Nothing of a refused file is used.
//!
//! - It was made with another `-t`, `-m`, `-I`, `-n`, `-f`, `-o slab_chunk_max` or `-C`, on which
//!   it depends where an item lies.
//! - It has another version or length, or is no memory file at all.
//! - Its head or a shard's book is damaged: each word of them carries a CRC.
//! - A page of a file that was closed has another sum.
//! - Items contradict each other: two with one key, a value longer than its chunk, a broken chain.
//! - The machine went down while it was in use.
//! - It is older than four years: an item's time of last use has 28 bits.
//!
//! An exit with code 73 says instead that the file can't be used at all: it can't be opened or
//! written, another server has it (a lock of the kernel's, which goes with the process), it is no
//! regular file, or the file system has not the room. The room for `-m` is taken at start
//! (`fallocate`), since a page that can't be had later would end the process.
//!
//! # Where the file should lie
//!
//! | file system | |
//! |---|---|
//! | tmpfs (`/dev/shm`) | costs nothing; goes with the machine; `huge=always` for large pages |
//! | hugetlbfs | as `-L`: `mount -t hugetlbfs -o pagesize=2M none /huge` |
//! | ext4, xfs | the kernel writes changed pages to the disk; a stop waits for the rest |
//!
//! The file is `-m` long and 2 MB more, and 2 MB for each core, which except on hugetlbfs are
//! mostly holes; there so many pages must be reserved. The index is not in the file: it is made
//! anew, and its memory is taken from `-m` as ever, for which pages of the file are given back (not
//! on hugetlbfs). `-L` concerns only the index; the pages of the items are those of the file
//! system. `cache_memlimit` can't raise the limit over `-m`. The file has mode 0600: it holds what
//! clients stored.
//!
//! # What it costs
//!
//! A restart reads all pages once, each core its own: five million items of 14 and 64 bytes take
//! 0.8 s of one core's time, the sums of an orderly stop included. A store in a server without `-e`
//! writes one byte more than it would have to, and reads no more.
