//! Settings that an administrator may change while the server runs.
//!
//! They begin as the configuration has them. One lock guards all of them: they are read when a
//! setting is changed or listed, never for a request on a key. What the engine needs of them is
//! handed to the shards when it changes.

use crate::config::limits::TEMPORARY_TTL_SHOWN_S;
use crate::config::{Config, CrawlerSettings, LruSettings};
use crate::shard::LruConfig;

/// The settings as they are now.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// `cache_memlimit`: bytes over all shards.
    pub memory_bytes: usize,
    /// `lru tune`, `lru mode` and `lru temp_ttl`.
    pub lru: LruSettings,
    /// The latest TTL that was set for temporary items, shown even while they are off.
    pub temporary_ttl_s: u32,
    /// `slabs automove`.
    pub automove: u8,
    /// `slabs automove ratio`.
    pub automove_ratio: f64,
    /// `slabs automove freeratio`; there is no flash to keep memory free for.
    pub automove_freeratio: f64,
    /// `slabs automove window`.
    pub automove_window: u32,
    /// `lru_crawler enable`, `disable`, `sleep` and `tocrawl`.
    pub crawler: CrawlerSettings,
    /// The latest `flush_all`, on the cache's clock; 0 for none.
    pub flushed_at: u32,
}

/// memcached's default of a setting that has no flag here.
const AUTOMOVE_FREERATIO_DEFAULT: f64 = 0.01;

impl Live {
    /// As the server starts.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            memory_bytes: config.memory_bytes,
            lru: config.lru,
            temporary_ttl_s: config.lru.temporary_ttl.unwrap_or(TEMPORARY_TTL_SHOWN_S),
            automove: config.slab_automove,
            automove_ratio: config.slab_automove_ratio,
            automove_freeratio: AUTOMOVE_FREERATIO_DEFAULT,
            automove_window: config.slab_automove_window,
            crawler: config.crawler,
            flushed_at: 0,
        }
    }

    /// What the shards want to know of the LRU.
    #[must_use]
    pub(crate) fn lru_config(&self) -> LruConfig {
        LruConfig {
            hot_pct: self.lru.hot_pct,
            warm_pct: self.lru.warm_pct,
            hot_factor: self.lru.hot_factor,
            warm_factor: self.lru.warm_factor,
            temporary_ttl: self.lru.temporary_ttl,
            segmented: self.lru.segmented,
            probation: self.lru.probation,
        }
    }
}
