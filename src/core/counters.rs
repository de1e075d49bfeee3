//! What each core counts, by one table.
//!
//! A counter is written by its core alone, so an addition is a load and a store without a lock, and
//! may be read by all. Because nobody else may write it, `stats reset` does not zero it: it takes
//! down what the sums are, and from then on the difference is shown.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one core, on cache lines of their own.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct CoreCounters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        /// Sums of the counters over cores.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct CoreSums {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl CoreSums {
            /// Adds up what the cores have counted.
            #[must_use]
            pub fn of(cores: &[CoreCounters]) -> Self {
                let mut sums = Self::default();
                for core in cores {
                    $(sums.$name = sums.$name.wrapping_add(core.$name.get());)*
                }
                sums
            }

            /// What was counted since `start`.
            #[must_use]
            pub fn since(&self, start: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(start.$name),)* }
            }
        }
    };
}

counters! {
    /// Bytes received.
    bytes_read,
    /// Bytes sent.
    bytes_written,
    /// Connections ever opened.
    connections_total,
    /// Connections closed again.
    connections_closed,
    /// Connections refused at the limit.
    rejected,
    /// Connections closed for having been idle.
    idle_kicks,
    /// `flush_all` commands.
    flushes,
    /// `me` commands, which memcached counts as `cmd_meta`.
    metas,
    /// Authentications, failed ones included.
    auths,
    /// Authentications that failed.
    auth_errors,
    /// Sessions of TLS that began with a whole handshake.
    tls_sessions_new,
    /// Handshakes that failed.
    tls_handshake_errors,
    /// Sessions that failed after their handshake.
    tls_record_errors,
    /// Loop turns, each of which enters the kernel once.
    turns,
    /// Completions that turns brought.
    completions,
    /// Operations on keys.
    operations,
    /// Groups run on a shard, and those that its token's holder ran for us.
    groups,
    /// Groups that were run by another core.
    groups_posted,
    /// Completion queue overflows.
    overflows,
    /// Receives that found no provided buffer.
    buffers_missing,
    /// Accepts that failed, for want of descriptors above all.
    accept_errors,
    /// Sends of which the socket took only a part.
    sends_in_part,
    /// Connections that the peer broke off.
    resets,
    /// Connections that were cut off because of what they made the server hold.
    greedy,
    /// Blocks of reply memory made.
    blocks,
    /// Rounds of background work.
    maintenance,
    /// Log lines taken down for watchers.
    log_written,
    /// Log lines that found no room in the core's buffer.
    log_dropped,
    /// Log lines that a watcher was too slow for.
    log_skipped,
    /// Log lines handed to watchers.
    log_sent,
}

/// A number that one thread adds to and all may read.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, on the one thread that writes.
    #[inline]
    pub fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    /// Sets, on the one thread that writes.
    #[inline]
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// The number now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_from_where_they_were_reset() {
        let cores = [CoreCounters::default(), CoreCounters::default()];
        cores[0].bytes_read.add(5);
        cores[1].bytes_read.add(7);
        let start = CoreSums::of(&cores);
        assert_eq!(start.bytes_read, 12);
        cores[1].bytes_read.add(1);
        assert_eq!(CoreSums::of(&cores).since(&start).bytes_read, 1);
    }
}
