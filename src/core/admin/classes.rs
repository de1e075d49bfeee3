//! `stats items` and `stats slabs`: the classes, each as the sum over all shards.

use super::facts::class_reports;
use super::listing::Listing;
use crate::core::shared::Shared;
use crate::shard::ClassReport;

/// When an entry of `stats items` is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// While there is a list of items that live for a short time only.
    Temporary,
    /// Unless `no_lru_maintainer` was given.
    Maintained,
    /// While the LRU has segments.
    Segmented,
}

type ItemEntry = (&'static str, When, fn(&ClassReport) -> u64);
type SlabEntry = (&'static str, fn(&ClassReport) -> u64);

const ITEMS: &[ItemEntry] = &[
    ("number", When::Always, |c| u64::from(c.item_count())),
    ("number_hot", When::Maintained, |c| u64::from(c.items[0])),
    ("number_warm", When::Maintained, |c| u64::from(c.items[1])),
    ("number_cold", When::Maintained, |c| u64::from(c.items[2])),
    ("number_temp", When::Temporary, |c| u64::from(c.items[3])),
    ("age_hot", When::Maintained, |c| u64::from(c.ages[0])),
    ("age_warm", When::Maintained, |c| u64::from(c.ages[1])),
    ("age", When::Always, |c| u64::from(c.ages[2])),
    ("mem_requested", When::Always, |c| c.item_bytes),
    ("evicted", When::Always, |c| c.counters.evicted),
    ("evicted_nonzero", When::Always, |c| c.counters.evicted_nonzero),
    ("evicted_time", When::Always, |c| u64::from(c.counters.evicted_time)),
    ("outofmemory", When::Always, |c| c.counters.out_of_memory),
    ("tailrepairs", When::Always, |_| 0),
    ("reclaimed", When::Always, |c| c.counters.reclaimed),
    ("expired_unfetched", When::Always, |c| c.counters.expired_unfetched),
    ("evicted_unfetched", When::Always, |c| c.counters.evicted_unfetched),
    ("evicted_active", When::Segmented, |c| c.counters.evicted_active),
    ("crawler_reclaimed", When::Always, |c| c.counters.crawler_reclaimed),
    ("crawler_items_checked", When::Always, |c| c.counters.crawler_items_checked),
    ("lrutail_reflocked", When::Always, |c| c.counters.tail_pinned),
    ("moves_to_cold", When::Maintained, |c| c.counters.moves_to_cold),
    ("moves_to_warm", When::Maintained, |c| c.counters.moves_to_warm),
    ("moves_within_lru", When::Maintained, |c| c.counters.moves_within_lru),
    ("direct_reclaims", When::Maintained, |c| c.counters.direct_reclaims),
    ("hits_to_hot", When::Maintained, |c| c.counters.hits[0]),
    ("hits_to_warm", When::Maintained, |c| c.counters.hits[1]),
    ("hits_to_cold", When::Maintained, |c| c.counters.hits[2]),
    ("hits_to_temp", When::Maintained, |c| c.counters.hits[3]),
];

const SLABS: &[SlabEntry] = &[
    ("chunk_size", |c| u64::from(c.chunk_bytes)),
    ("chunks_per_page", |c| u64::from(c.chunks_per_page)),
    ("total_pages", |c| u64::from(c.pages)),
    ("total_chunks", |c| u64::from(c.pages) * u64::from(c.chunks_per_page)),
    ("used_chunks", |c| u64::from(c.chunks_used)),
    ("free_chunks", |c| u64::from(c.chunks_free)),
    ("free_chunks_end", |_| 0),
    ("get_hits", |c| c.counters.get_hits()),
    ("cmd_set", |c| c.counters.set_cmds),
    ("delete_hits", |c| c.counters.delete_hits),
    ("incr_hits", |c| c.counters.incr_hits),
    ("decr_hits", |c| c.counters.decr_hits),
    ("cas_hits", |c| c.counters.cas_hits),
    ("cas_badval", |c| c.counters.cas_badval),
    ("touch_hits", |c| c.counters.touch_hits),
];

/// Lists what is in the classes that have items.
pub(super) fn list_items(shared: &Shared, listing: &mut Listing) {
    let live = shared.admin.live();
    let is_shown = |when| match when {
        When::Always => true,
        When::Temporary => live.lru.temporary_ttl.is_some(),
        When::Maintained => shared.config.lru.segmented,
        When::Segmented => live.lru.segmented,
    };
    for report in class_reports(shared).iter().filter(|report| report.item_count() > 0) {
        for (name, _, value) in ITEMS.iter().filter(|(_, when, _)| is_shown(*when)) {
            listing.put(format_args!("items:{}:{name}", report.class.0), value(report));
        }
    }
}

/// Lists the classes that have memory.
pub(super) fn list_slabs(shared: &Shared, listing: &mut Listing) {
    let reports = class_reports(shared);
    let with_memory = || reports.iter().filter(|report| report.pages > 0);
    for report in with_memory() {
        for (name, value) in SLABS {
            listing.put(format_args!("{}:{name}", report.class.0), value(report));
        }
    }
    listing.put("active_slabs", with_memory().count());
    listing.put("total_malloced", super::facts::Facts::gather(shared).shards.page_bytes);
}
