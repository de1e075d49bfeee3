//! `stats` without a word behind it: one table, in memcached's order.
//!
//! Each entry is a name and how its value is found; an entry whose value is `None` is not listed.
//! Some names stand for parts of memcached that have no counterpart here; those show what is
//! nearest, or 0. They are listed because monitoring expects them.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::facts::Facts;
use super::listing::Listing;
use super::live::Live;
use crate::config::MEMCACHED_VERSION;
use crate::config::limits::{BLOCK_BYTES, files_reserved};
use crate::core::shared::Shared;
use crate::ring::Setup;

/// What the table's entries are found in.
struct Sources<'a> {
    shared: &'a Shared,
    live: Live,
    facts: Facts,
    usage: Usage,
}

/// A value, if the entry is to be listed.
type Shown = Option<String>;

type Entry = (&'static str, fn(&Sources<'_>) -> Shown);

/// Lists the general statistics.
pub(super) fn list(shared: &Shared, listing: &mut Listing) {
    let sources = Sources {
        shared,
        live: shared.admin.live(),
        facts: Facts::gather(shared),
        usage: getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage"),
    };
    for (name, value) in TABLES.into_iter().flatten() {
        if let Some(value) = value(&sources) {
            listing.put(name, value);
        }
    }
}

const TABLES: [&[Entry]; 4] = [PROCESS, COMMANDS, BACKGROUND, ITEMS];

const PROCESS: &[Entry] = &[
    ("pid", |_| number(std::process::id())),
    ("uptime", |s| number(s.shared.clock.uptime_s())),
    ("time", |_| number(unix_s())),
    ("version", |_| Some(MEMCACHED_VERSION.to_owned())),
    ("libevent", |_| Some("io_uring".to_owned())),
    ("pointer_size", |_| number(usize::BITS)),
    ("rusage_user", |s| seconds(s.usage.user_time())),
    ("rusage_system", |s| seconds(s.usage.system_time())),
    ("max_connections", |s| number(s.shared.config.connections_max)),
    ("curr_connections", |s| number(s.facts.connections())),
    ("total_connections", |s| number(s.facts.cores.connections_total)),
    ("rejected_connections", |s| {
        number(s.facts.cores.rejected).filter(|_| s.shared.config.maxconns_fast)
    }),
    ("connection_structures", |s| number(s.facts.connections())),
    ("response_obj_oom", |_| number(0)),
    ("response_obj_count", |s| number(s.facts.cores_ever.blocks)),
    ("response_obj_bytes", |s| number(s.facts.cores_ever.blocks * BLOCK_BYTES as u64)),
    ("read_buf_count", |s| number(receive_buffers(s))),
    ("read_buf_bytes", |s| number(receive_buffers(s) * Setup::default().buffer_bytes as usize)),
    ("read_buf_bytes_free", |_| number(0)),
    ("read_buf_oom", |s| number(s.facts.cores.buffers_missing)),
    ("reserved_fds", |s| number(files_reserved(s.shared.config.threads))),
];

const COMMANDS: &[Entry] = &[
    ("cmd_get", |s| number(s.facts.shards.classes.get_hits() + s.facts.shards.counters.get_misses)),
    ("cmd_set", |s| number(s.facts.shards.classes.set_cmds)),
    ("cmd_flush", |s| number(s.facts.cores.flushes)),
    ("cmd_touch", |s| {
        number(s.facts.shards.classes.touch_hits + s.facts.shards.counters.touch_misses)
    }),
    ("cmd_meta", |s| number(s.facts.cores.metas)),
    ("get_hits", |s| number(s.facts.shards.classes.get_hits())),
    ("get_misses", |s| number(s.facts.shards.counters.get_misses)),
    ("get_expired", |s| number(s.facts.shards.counters.get_expired)),
    ("get_flushed", |s| number(s.facts.shards.counters.get_flushed)),
    ("delete_misses", |s| number(s.facts.shards.counters.delete_misses)),
    ("delete_hits", |s| number(s.facts.shards.classes.delete_hits)),
    ("incr_misses", |s| number(s.facts.shards.counters.incr_misses)),
    ("incr_hits", |s| number(s.facts.shards.classes.incr_hits)),
    ("decr_misses", |s| number(s.facts.shards.counters.decr_misses)),
    ("decr_hits", |s| number(s.facts.shards.classes.decr_hits)),
    ("cas_misses", |s| number(s.facts.shards.counters.cas_misses)),
    ("cas_hits", |s| number(s.facts.shards.classes.cas_hits)),
    ("cas_badval", |s| number(s.facts.shards.classes.cas_badval)),
    ("touch_hits", |s| number(s.facts.shards.classes.touch_hits)),
    ("touch_misses", |s| number(s.facts.shards.counters.touch_misses)),
    ("store_too_large", |s| number(s.facts.shards.counters.store_too_large)),
    ("store_no_memory", |s| number(s.facts.shards.counters.store_no_memory)),
    ("auth_cmds", |s| number(s.facts.cores.auths)),
    ("auth_errors", |s| number(s.facts.cores.auth_errors)),
    ("idle_kicks", |s| {
        number(s.facts.cores.idle_kicks).filter(|_| s.shared.config.idle_timeout_s > 0)
    }),
    ("bytes_read", |s| number(s.facts.cores.bytes_read)),
    ("bytes_written", |s| number(s.facts.cores.bytes_written)),
    ("limit_maxbytes", |s| number(s.live.memory_bytes)),
    ("accepting_conns", |s| number(u8::from(s.shared.admin.accepting.is_on()))),
    ("listen_disabled_num", |s| number(s.shared.admin.accepting.times_off())),
    ("time_in_listen_disabled_us", |s| number(s.shared.admin.accepting.us_off())),
    ("threads", |s| number(s.shared.config.threads)),
    ("conn_yields", |_| number(0)),
];

const BACKGROUND: &[Entry] = &[
    ("hash_power_level", |s| number(index_power(&s.facts))),
    ("hash_bytes", |s| number(s.facts.shards.index_bytes)),
    ("hash_is_expanding", |s| number(u8::from(s.facts.shards.index_is_growing))),
    ("slab_reassign_rescues", |s| if_reassigning(s, s.facts.shards.counters.move_rescues)),
    ("slab_reassign_chunk_rescues", |s| {
        if_reassigning(s, s.facts.shards.counters.move_chunk_rescues)
    }),
    ("slab_reassign_inline_reclaim", |s| if_reassigning(s, s.facts.shards.counters.move_reclaims)),
    ("slab_reassign_busy_items", |s| if_reassigning(s, s.facts.shards.counters.move_busy)),
    ("slab_reassign_busy_deletes", |s| if_reassigning(s, 0_u64)),
    ("slab_reassign_busy_nomem", |s| if_reassigning(s, s.facts.shards.counters.move_evictions)),
    ("slab_reassign_last_busy_status", |s| {
        s.shared.config.slab_reassign.then(|| "none".to_owned())
    }),
    ("slab_reassign_running", |s| if_reassigning(s, s.facts.shards.page_is_moving)),
    ("slabs_moved", |s| if_reassigning(s, s.facts.shards.counters.pages_moved)),
    ("lru_crawler_running", |s| if_crawling(s, s.shared.admin.crawls.running() > 0)),
    ("lru_crawler_starts", |s| if_crawling(s, s.shared.admin.crawls.starts())),
    ("lru_maintainer_juggles", |s| if_maintaining(s, s.facts.cores.maintenance)),
    ("malloc_fails", |s| number(s.facts.shards.memory_refusals)),
    ("log_worker_dropped", |s| number(s.facts.cores.log_dropped)),
    ("log_worker_written", |s| number(s.facts.cores.log_written)),
    ("log_watcher_skipped", |s| number(s.facts.cores.log_skipped)),
    ("log_watcher_sent", |s| number(s.facts.cores.log_sent)),
    ("log_watchers", |s| number(s.shared.admin.watch.count())),
    ("ssl_new_sessions", |s| {
        if_secure(s, s.facts.cores.tls_sessions_new).filter(|_| s.shared.config.tls.session_cache)
    }),
    ("ssl_handshake_errors", |s| if_secure(s, s.facts.cores.tls_handshake_errors)),
    ("ssl_proto_errors", |s| if_secure(s, s.facts.cores.tls_record_errors)),
    ("time_since_server_cert_refresh", |s| {
        s.shared.tls.as_ref().map(|keeper| keeper.age_s().to_string())
    }),
    ("unexpected_napi_ids", |_| number(0)),
    ("round_robin_fallback", |_| number(0)),
];

const ITEMS: &[Entry] = &[
    ("bytes", |s| number(s.facts.shards.item_bytes)),
    ("curr_items", |s| number(s.facts.shards.items)),
    ("total_items", |s| number(s.facts.shards.counters.total_items)),
    ("slab_global_page_pool", |s| number(s.facts.shards.pages_pooled)),
    ("expired_unfetched", |s| number(s.facts.shards.classes.expired_unfetched)),
    ("evicted_unfetched", |s| number(s.facts.shards.classes.evicted_unfetched)),
    ("evicted_active", |s| {
        number(s.facts.shards.classes.evicted_active).filter(|_| s.live.lru.segmented)
    }),
    ("evictions", |s| number(s.facts.shards.classes.evicted)),
    ("reclaimed", |s| number(s.facts.shards.classes.reclaimed)),
    ("crawler_reclaimed", |s| number(s.facts.shards.classes.crawler_reclaimed)),
    ("crawler_items_checked", |s| number(s.facts.shards.classes.crawler_items_checked)),
    ("lrutail_reflocked", |s| number(s.facts.shards.classes.tail_pinned)),
    ("moves_to_cold", |s| if_maintaining(s, s.facts.shards.classes.moves_to_cold)),
    ("moves_to_warm", |s| if_maintaining(s, s.facts.shards.classes.moves_to_warm)),
    ("moves_within_lru", |s| if_maintaining(s, s.facts.shards.classes.moves_within_lru)),
    ("direct_reclaims", |s| if_maintaining(s, s.facts.shards.classes.direct_reclaims)),
    ("lru_bumps_dropped", |s| if_maintaining(s, 0_u64)),
];

fn number(value: impl ToString) -> Shown {
    Some(value.to_string())
}

fn if_reassigning(sources: &Sources<'_>, value: impl Into<u64>) -> Shown {
    number(value.into()).filter(|_| sources.shared.config.slab_reassign)
}

fn if_secure(sources: &Sources<'_>, value: u64) -> Shown {
    number(value).filter(|_| sources.shared.tls.is_some())
}

fn if_crawling(sources: &Sources<'_>, value: impl Into<u64>) -> Shown {
    number(value.into()).filter(|_| sources.live.crawler.enabled)
}

fn if_maintaining(sources: &Sources<'_>, value: impl Into<u64>) -> Shown {
    number(value.into()).filter(|_| sources.shared.config.lru.segmented)
}

fn seconds(time: TimeVal) -> Shown {
    Some(format!("{}.{:06}", time.tv_sec(), time.tv_usec()))
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn receive_buffers(sources: &Sources<'_>) -> usize {
    usize::from(Setup::default().buffers) * sources.shared.config.threads
}

/// The logarithm of the number of items that the indexes of all shards together are made for.
fn index_power(facts: &Facts) -> u32 {
    const ITEMS_PER_BUCKET: u64 = 8;
    (facts.shards.index_buckets * ITEMS_PER_BUCKET).max(1).ilog2()
}
