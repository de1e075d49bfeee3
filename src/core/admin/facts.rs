//! What is known of the server at one moment, gathered for the statistics.
//!
//! Each shard is asked under its token, one after the other, for as long as it takes to copy its
//! counters: some microseconds. So the sums are not of one instant, which no reader could tell.

use crate::core::counters::CoreSums;
use crate::core::shared::Shared;
use crate::shard::{ClassId, ClassReport, Shard, ShardReport};

/// The sums over all shards and cores.
pub(super) struct Facts {
    /// Sums over the shards.
    pub(super) shards: ShardReport,
    /// Since `stats reset`.
    pub(super) cores: CoreSums,
    /// Since the start, for what is present rather than counted.
    pub(super) cores_ever: CoreSums,
}

impl Facts {
    pub(super) fn gather(shared: &Shared) -> Self {
        let mut shards: Option<ShardReport> = None;
        for_each_shard(shared, |shard| match &mut shards {
            Some(sum) => add_report(sum, &shard.report()),
            None => shards = Some(shard.report()),
        });
        let shards = shards.expect("there is at least one shard");
        let cores_ever = CoreSums::of(&shared.counters);
        let reset_at = shared.admin.reset_at.lock().expect("no thread panics with the lock");
        Self { shards, cores: cores_ever.since(&reset_at), cores_ever }
    }

    /// Connections open now.
    pub(super) fn connections(&self) -> u64 {
        self.cores_ever.connections_total.wrapping_sub(self.cores_ever.connections_closed)
    }
}

/// Runs `job` on each shard in turn, under its token.
pub(super) fn for_each_shard(shared: &Shared, mut job: impl FnMut(&mut Shard) + Send) {
    for shard in &shared.shards {
        shard.run(&mut job);
    }
}

/// The reports of all classes, summed over the shards, smallest chunks first.
pub(super) fn class_reports(shared: &Shared) -> Vec<ClassReport> {
    let mut sums: Vec<ClassReport> = Vec::new();
    for_each_shard(shared, |shard| {
        let ids: Vec<ClassId> = shard.class_table().ids().collect();
        for (index, id) in ids.into_iter().enumerate() {
            let report = shard.class_report(id);
            match sums.get_mut(index) {
                Some(sum) => add_class(sum, &report),
                None => sums.push(report),
            }
        }
    });
    sums
}

/// Takes the statistics back to zero, but for what is present.
pub(super) fn reset(shared: &Shared) {
    for_each_shard(shared, Shard::reset_counters);
    let mut reset_at = shared.admin.reset_at.lock().expect("no thread panics with the lock");
    *reset_at = CoreSums::of(&shared.counters);
}

fn add_report(sum: &mut ShardReport, report: &ShardReport) {
    sum.counters.add(&report.counters);
    sum.classes.add(&report.classes);
    sum.items += report.items;
    sum.item_bytes += report.item_bytes;
    sum.memory_bytes_max += report.memory_bytes_max;
    sum.page_bytes += report.page_bytes;
    sum.pages_pooled += report.pages_pooled;
    sum.index_bytes += report.index_bytes;
    sum.index_buckets += report.index_buckets;
    sum.hash_power = sum.hash_power.max(report.hash_power);
    sum.index_is_growing |= report.index_is_growing;
    sum.page_is_moving |= report.page_is_moving;
    sum.memory_refusals += report.memory_refusals;
}

fn add_class(sum: &mut ClassReport, report: &ClassReport) {
    sum.pages += report.pages;
    sum.chunks_used += report.chunks_used;
    sum.chunks_free += report.chunks_free;
    sum.item_bytes += report.item_bytes;
    sum.counters.add(&report.counters);
    for (sum, items) in sum.items.iter_mut().zip(report.items) {
        *sum += items;
    }
    for (oldest, age) in sum.ages.iter_mut().zip(report.ages) {
        *oldest = age.max(*oldest);
    }
}
