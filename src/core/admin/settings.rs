//! `stats settings`: what the server runs with, by one table in memcached's order.
//!
//! Values that can be changed while the server runs come from [`Live`], all others from the
//! configuration.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::listing::Listing;
use super::live::Live;
use crate::config::Config;
use crate::config::limits::HASH_POWER_DEFAULT;
use crate::core::shared::Shared;

/// What the table's entries are found in.
struct Sources<'a> {
    shared: &'a Shared,
    config: &'a Config,
    live: Live,
}

type Entry = (&'static str, fn(&Sources<'_>) -> String);

/// Lists the settings.
pub(super) fn list(shared: &Shared, listing: &mut Listing) {
    let sources = Sources { shared, config: &shared.config, live: shared.admin.live() };
    for (name, value) in TABLES.into_iter().flatten() {
        listing.put(name, value(&sources));
    }
}

const TABLES: [&[Entry]; 5] = [SERVER, CACHE, BACKGROUND, TLS, REST];

const SERVER: &[Entry] = &[
    ("maxbytes", |s| text(s.live.memory_bytes)),
    ("maxconns", |s| text(s.config.connections_max)),
    ("tcpport", |s| text(tcp_port(s.config))),
    ("udpport", |s| text(s.config.udp_port.unwrap_or(0))),
    ("inter", |s| interfaces(s.config)),
    ("verbosity", |s| text(s.shared.verbosity.load(Ordering::Relaxed))),
    ("oldest", |s| text(s.live.flushed_at)),
    ("evictions", |s| text(if s.config.evict { "on" } else { "off" })),
    ("domain_socket", |s| path(s.config.unix_path.as_ref(), "NULL")),
    ("umask", |s| format!("{:o}", s.config.unix_mask)),
    ("shutdown_command", |s| yes(s.config.shutdown_enabled)),
    ("growth_factor", |s| format!("{:.2}", s.config.growth_factor)),
    ("chunk_size", |s| text(s.config.chunk_bytes_min)),
    ("num_threads", |s| text(s.config.threads)),
    ("num_threads_per_udp", |s| text(s.config.threads)),
    ("stat_key_prefix", |s| text(char::from(s.config.prefix_delimiter))),
    ("detail_enabled", |s| yes(s.shared.admin.detail.is_on())),
    ("reqs_per_event", |s| text(s.config.requests_per_event)),
    ("cas_enabled", |s| yes(s.config.cas)),
    ("tcp_backlog", |s| text(s.config.backlog)),
    ("binding_protocol", |s| text(s.config.protocol.name())),
    ("auth_enabled_sasl", |s| yes(s.config.sasl)),
    ("auth_enabled_ascii", |s| path(s.config.auth_file.as_ref(), "no")),
];

const CACHE: &[Entry] = &[
    ("item_size_max", |s| text(s.config.item_bytes_max)),
    ("maxconns_fast", |s| yes(s.config.maxconns_fast)),
    ("hashpower_init", |s| text(hash_power(s.config))),
    ("slab_reassign", |s| yes(s.config.slab_reassign)),
    ("slab_automove", |s| text(s.live.automove)),
    ("slab_automove_ratio", |s| format!("{:.2}", s.live.automove_ratio)),
    ("slab_automove_window", |s| text(s.live.automove_window)),
    ("slab_chunk_max", |s| text(s.config.slab_chunk_bytes_max)),
];

const BACKGROUND: &[Entry] = &[
    ("lru_crawler", |s| yes(s.live.crawler.enabled)),
    ("lru_crawler_sleep", |s| text(s.live.crawler.sleep_us)),
    ("lru_crawler_tocrawl", |s| text(s.live.crawler.items_per_run)),
    ("tail_repair_time", |s| text(s.config.tail_repair_time_s)),
    ("flush_enabled", |s| yes(s.config.flush_enabled)),
    ("dump_enabled", |s| yes(s.config.dump_enabled)),
    ("hash_algorithm", |s| text(s.config.hash_algorithm)),
    ("lru_maintainer_thread", |s| yes(s.config.lru.segmented)),
    ("lru_segmented", |s| yes(s.live.lru.segmented)),
    ("hot_lru_pct", |s| text(s.live.lru.hot_pct)),
    ("warm_lru_pct", |s| text(s.live.lru.warm_pct)),
    ("hot_max_factor", |s| format!("{:.2}", s.live.lru.hot_factor)),
    ("warm_max_factor", |s| format!("{:.2}", s.live.lru.warm_factor)),
    ("temp_lru", |s| yes(s.live.lru.temporary_ttl.is_some())),
    ("temporary_ttl", |s| text(s.live.temporary_ttl_s)),
    ("idle_timeout", |s| text(s.config.idle_timeout_s)),
    ("watcher_logbuf_size", |s| text(s.config.watcher_logbuf_bytes)),
    ("worker_logbuf_size", |s| text(s.config.worker_logbuf_bytes)),
    ("read_buf_mem_limit", |s| text(s.config.read_buffer_bytes_limit)),
    ("track_sizes", |s| yes(s.config.track_sizes)),
    ("inline_ascii_response", |_| yes(false)),
];

const TLS: &[Entry] = &[
    ("ssl_enabled", |s| yes(s.config.tls.enabled)),
    ("ssl_chain_cert", |s| path(s.config.tls.chain_file.as_ref(), "(null)")),
    ("ssl_key", |s| path(s.config.tls.key_file.as_ref(), "(null)")),
    ("ssl_verify_mode", |s| text(openssl_verify_mode(s.config.tls.verify_mode))),
    ("ssl_keyformat", |s| text(s.config.tls.key_format.number())),
    ("ssl_ciphers", |s| s.config.tls.ciphers.clone().unwrap_or_else(|| text("NULL"))),
    ("ssl_ca_cert", |s| path(s.config.tls.authority_file.as_ref(), "NULL")),
    ("ssl_wbuf_size", |s| text(s.config.tls.write_buffer_bytes)),
    ("ssl_session_cache", |s| yes(s.config.tls.session_cache)),
    ("ssl_kernel_tls", |s| yes(s.config.tls.kernel_tls)),
    ("ssl_min_version", |s| text(s.config.tls.version_min.name())),
];

const REST: &[Entry] = &[
    ("num_napi_ids", |s| text(s.config.napi_ids)),
    ("memory_file", |s| path(s.config.memory_file.as_ref(), "(null)")),
    ("client_flags_size", |_| text(size_of::<u32>())),
];

fn text(value: impl Display) -> String {
    value.to_string()
}

fn yes(is: bool) -> String {
    text(if is { "yes" } else { "no" })
}

fn path(path: Option<&PathBuf>, none: &str) -> String {
    path.map_or_else(|| none.to_owned(), |path| path.display().to_string())
}

/// The port that is listened on; with `-p -1` the one that the system chose is in the list of
/// connections.
fn tcp_port(config: &Config) -> u16 {
    let listened = config.listen.first().map(|address| address.port);
    listened.filter(|port| *port != 0).or(config.tcp_port).unwrap_or(0)
}

fn interfaces(config: &Config) -> String {
    if let Some(text) = &config.listen_text {
        return text.clone();
    }
    let hosts: Vec<_> = config.listen.iter().map(|address| address.host.to_string()).collect();
    if hosts.is_empty() { text("NULL") } else { hosts.join(",") }
}

/// memcached shows `ssl_verify_mode` as the flags that OpenSSL knows it by.
fn openssl_verify_mode(mode: u32) -> u32 {
    const PEER: u32 = 1;
    const FAIL_IF_NO_PEER_CERT: u32 = 2;
    const CLIENT_ONCE: u32 = 4;
    match mode {
        0 => 0,
        1 => PEER,
        2 => PEER | FAIL_IF_NO_PEER_CERT,
        _ => PEER | FAIL_IF_NO_PEER_CERT | CLIENT_ONCE,
    }
}

/// memcached shows 0 when `-o hashpower` was not given.
fn hash_power(config: &Config) -> u8 {
    if config.hash_power == HASH_POWER_DEFAULT { 0 } else { config.hash_power }
}
