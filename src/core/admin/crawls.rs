//! How many walks through the cache there were, for the statistics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The walks of all cores' crawlers.
#[derive(Default)]
pub(crate) struct Crawls {
    running: AtomicU64,
    starts: AtomicU64,
}

impl Crawls {
    /// A walk begins.
    pub(in crate::core) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// A walk has ended.
    pub(in crate::core) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }
}
