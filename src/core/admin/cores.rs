//! `stats cores`: what each core has to do and what it has met with. memcached has no such list.

use super::listing::Listing;
use crate::core::counters::CoreCounters;
use crate::core::shared::Shared;

type Entry = (&'static str, fn(&CoreCounters) -> u64);

const TABLE: &[Entry] = &[
    ("turns", |c| c.turns.get()),
    ("completions", |c| c.completions.get()),
    ("operations", |c| c.operations.get()),
    ("groups", |c| c.groups.get()),
    ("groups_posted", |c| c.groups_posted.get()),
    ("accept_errors", |c| c.accept_errors.get()),
    ("buffers_missing", |c| c.buffers_missing.get()),
    ("sends_in_part", |c| c.sends_in_part.get()),
    ("resets", |c| c.resets.get()),
    ("greedy", |c| c.greedy.get()),
    ("overflows", |c| c.overflows.get()),
];

/// Lists the cores, each entry under the core's number. Counters go on through `stats reset`.
pub(super) fn list(shared: &Shared, listing: &mut Listing) {
    let placed = shared.placement.lock().expect("no thread panics with the lock").clone();
    for (core, counters) in shared.counters.iter().enumerate() {
        listing.put(format_args!("{core}:cpu"), shared.config.cpus[core].0);
        listing.put(format_args!("{core}:connections"), placed[core]);
        for (name, count) in TABLE {
            listing.put(format_args!("{core}:{name}"), count(counters));
        }
    }
}
