//! One core's cache: items in a slab arena, an index over them, LRU lists, expiry.
//!
//! It knows no sockets, no threads and no protocol text; a `Shard` is `Send` and is used by one
//! thread at a time, whoever holds its token.
//!
//! The public interface, as it will stand (bodies follow):
//!
//! ```text
//! hash_key(seed, key: &[u8]) -> u64
//! Shard::new(ShardConfig) -> io::Result<Shard>
//! shard.set_now(now: u32)                       shard.now() -> u32
//! shard.prefetch_bucket(hash)                   shard.prefetch_item(hash)
//! shard.get(&Key, Access) -> Option<Hit<'_>>
//! shard.get_with(&Key, &GetOptions) -> Option<Hit<'_>>      (vivify: Hit::created())
//! shard.last_miss() -> Miss                     why the last get found nothing
//! shard.store(&Key, &StoreOptions, value: &[u8]) -> Stored
//! shard.touch(&Key, exptime) -> bool
//! shard.delete(&Key) -> bool                    shard.delete_with(&Key, &DeleteOptions) -> Deleted
//! shard.arithmetic(&Key, &Arithmetic) -> Computed
//! shard.flush(at: u32)                          0 or <= now: at once; else when the clock gets there
//! shard.reserve(&Key, &StoreOptions, value_bytes) -> Result<Reservation, Stored>
//! shard.commit(Reservation) -> Stored           shard.release(Reservation)
//! Reservation: Send { writable(&mut self) -> &mut [u8], advance(n), remaining() }
//! hit.pin() -> Pinned                           shard.unpin(Pinned)
//! Pinned: Send { parts() -> iterator of &[u8], value_bytes() }
//! shard.crawl(budget) -> Crawled                shard.maintain(budget)
//! shard.set_memory_bytes(n) -> bool             shard.reassign(src, dst) -> Reassigned
//! shard.tune_lru(LruConfig)                     shard.set_automove(u8)
//! shard.stats() -> &Totals / class_stats(ClassId) -> ClassReport
//! shard.cachedump(ClassId, limit, FnMut(DumpItem))
//! shard.dump(&mut DumpCursor, budget, FnMut(DumpItem)) -> bool
//! Hit: value() -> &[u8] (head part), is_chained(), parts(), value_bytes(), client_flags(), cas(),
//!      exptime(), hit_before(), last_access() (both before this access), class(),
//!      stale(), token_sent(), key_binary(), created(),
//!      set_stale(bool), set_token_sent(bool)
//! ```

mod options;

pub use options::{
    Access, Arithmetic, Computed, DeleteOptions, Deleted, GetOptions, Key, LruConfig, Miss,
    ShardConfig, StoreMode, StoreOptions, Stored, Vivify,
};
