//! The suboptions of `-o`: one table.
//!
//! A row says how a suboption is spelled, which values it takes, what it sets, and what becomes of
//! it here. Some tune machinery that this server does not have; those are accepted, so that a start
//! script goes on working, and named at `-v` with the reason. To add a suboption is to add a row.

use std::fmt::Write as _;

use super::exit::Failure;
use super::limits;
use super::settings::{CrawlerSettings, LruSettings, Note};
use super::tls::{KeyFormat, TlsSettings, TlsVersion};
use super::values;

/// What `-o` sets, starting from memcached's defaults.
#[derive(Clone, Debug)]
pub(super) struct Extended {
    pub(super) hash_power: u8,
    pub(super) index_grows: bool,
    pub(super) idle_timeout_s: u32,
    pub(super) maxconns_fast: bool,
    pub(super) slab_chunk_kb_max: Option<u32>,
    pub(super) chunked_items: bool,
    pub(super) slab_sizes: Vec<usize>,
    pub(super) slab_reassign: bool,
    pub(super) slab_automove: u8,
    pub(super) slab_automove_ratio: f64,
    pub(super) slab_automove_window: u32,
    pub(super) lru: LruSettings,
    pub(super) crawler: CrawlerSettings,
    pub(super) tail_repair_time_s: u32,
    pub(super) track_sizes: bool,
    pub(super) read_buffer_mb_limit: u32,
    pub(super) watcher_logbuf_kb: u32,
    pub(super) worker_logbuf_kb: u32,
    pub(super) tls: TlsSettings,
    pub(super) socket_mark: u32,
    pub(super) notes: Vec<Note>,
}

impl Default for Extended {
    fn default() -> Self {
        Self {
            hash_power: limits::HASH_POWER_DEFAULT,
            index_grows: true,
            idle_timeout_s: 0,
            maxconns_fast: true,
            slab_chunk_kb_max: None,
            chunked_items: true,
            slab_sizes: Vec::new(),
            slab_reassign: true,
            slab_automove: 1,
            slab_automove_ratio: 0.8,
            slab_automove_window: 10,
            lru: LruSettings {
                hot_pct: limits::LRU_HOT_PCT_DEFAULT,
                warm_pct: limits::LRU_WARM_PCT_DEFAULT,
                hot_factor: 0.2,
                warm_factor: 2.0,
                temporary_ttl: None,
                segmented: true,
                probation: true,
            },
            crawler: CrawlerSettings {
                enabled: true,
                sleep_us: limits::CRAWLER_SLEEP_US_DEFAULT,
                items_per_run: 0,
            },
            tail_repair_time_s: 0,
            track_sizes: false,
            read_buffer_mb_limit: 0,
            watcher_logbuf_kb: limits::WATCHER_LOGBUF_KB_DEFAULT,
            worker_logbuf_kb: limits::WORKER_LOGBUF_KB_DEFAULT,
            tls: TlsSettings::default(),
            socket_mark: 0,
            notes: Vec::new(),
        }
    }
}

/// One row of the table.
struct Suboption {
    name: &'static str,
    value: Value,
    fate: Fate,
    about: &'static str,
}

/// Which value a suboption takes, and what it does with it.
enum Value {
    /// None.
    Switch(fn(&mut Extended)),
    /// A whole number, both bounds included.
    Number(u32, u32, fn(&mut Extended, u32)),
    /// The same, or nothing at all, which stands for the third figure.
    NumberOr(u32, u32, u32, fn(&mut Extended, u32)),
    /// A fraction above the first bound and up to the second.
    Ratio(f64, f64, fn(&mut Extended, f64)),
    /// Sizes joined by hyphens, each larger than the one before.
    Sizes(fn(&mut Extended, Vec<usize>)),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text that is not empty.
    Text(fn(&mut Extended, &str)),
    /// Anything or nothing; not looked at.
    Any,
}

/// What becomes of a suboption here.
enum Fate {
    /// It does what it does in memcached.
    Works,
    /// It is accepted, and `-v` says why it means nothing here.
    Idle(&'static str),
    /// It is refused because the named part of memcached is no part of this server.
    Never(&'static str),
}

const fn row(name: &'static str, value: Value, fate: Fate, about: &'static str) -> Suboption {
    Suboption { name, value, fate, about }
}

use Fate::{Idle, Never, Works};
use Value::{Any, Number, NumberOr, Ratio, Sizes, Switch, Text, Word};

const EXTSTORE: Fate = Never("extstore, the flash tier");
const PROXY: Fate = Never("the Lua proxy");
const NOTHING: Value = Switch(|_| {});
const FACTOR_MOST: f64 = 1e6;

#[rustfmt::skip]
const TABLE: &[Suboption] = &[
    // Connections.
    row("maxconns_fast", Switch(|e| e.maxconns_fast = true), Works,
        "at the limit of -c refuse with an error (default)"),
    row("no_maxconns_fast", Switch(|e| e.maxconns_fast = false), Works,
        "at the limit of -c stop accepting"),
    row("idle_timeout", Number(0, u32::MAX, |e, n| e.idle_timeout_s = n), Works,
        "close connections idle for so many seconds, 0 never (0)"),
    row("read_buf_mem_limit", Number(0, 1 << 20, |e, n| e.read_buffer_mb_limit = n),
        Idle("all buffers are of a fixed number, printed at start"), "cap of buffers, in MB"),
    row("resp_obj_mem_limit", Number(0, 1 << 20, |_, _| {}),
        Idle("memcached itself no longer heeds it"), "dead"),
    row("sock_cookie_id", Number(0, u32::MAX, |e, n| e.socket_mark = n), Works,
        "mark of the sockets (SO_MARK; needs CAP_NET_ADMIN), 0 none (0)"),
    // Index and hash.
    row("hashpower",
        Number(limits::HASH_POWER_LEAST as u32, limits::HASH_POWER_MOST as u32,
            |e, n| e.hash_power = n as u8),
        Works, "the index starts with room for 2^N items (16)"),
    row("no_hashexpand", Switch(|e| e.index_grows = false), Works, "the index never grows"),
    row("hash_algorithm", Word(&["jenkins", "murmur3", "xxh3"]),
        Idle("keys are always hashed by xxh3 with a seed of the process's own"), "key hash"),
    // Slabs.
    row("slab_reassign", Switch(|e| e.slab_reassign = true), Works,
        "pages can move between classes (default)"),
    row("no_slab_reassign", Switch(|e| e.slab_reassign = false), Works, "they cannot"),
    row("slab_automove", NumberOr(0, 2, 1, |e, n| e.slab_automove = n as u8), Works,
        "pages move by themselves: 0 off, 1 on, 2 eagerly (1)"),
    row("no_slab_automove", Switch(|e| e.slab_automove = 0), Works, "same as slab_automove=0"),
    row("slab_automove_ratio", Ratio(0.0, 1.0, |e, f| e.slab_automove_ratio = f), Works,
        "a page moves when young is younger than this part of old (0.8)"),
    row("slab_automove_window", Number(3, 1800, |e, n| e.slab_automove_window = n),
        Idle("ages are compared as they are, there are no samples"), "samples of a move"),
    row("slab_automove_freeratio", Ratio(0.0, 1.0, |_, _| {}),
        Idle("it holds memory free for extstore, which is not there"), "part kept free"),
    row("slab_chunk_max",
        Number((limits::SLAB_CHUNK_BYTES_MAX_LEAST / limits::KIB) as u32,
            (limits::SLAB_PAGE_BYTES / limits::KIB) as u32,
            |e, n| e.slab_chunk_kb_max = Some(n)),
        Works, "largest chunk of one piece, in KB (512)"),
    row("no_chunked_items", Switch(|e| e.chunked_items = false), Works,
        "chunks as large as the largest item, up to a page"),
    row("slab_sizes", Sizes(|e, sizes| e.slab_sizes = sizes), Works,
        "sizes of the classes in place of -n and -f, a-b-c"),
    row("track_sizes", Switch(|e| e.track_sizes = true), Works, "keep count for stats sizes"),
    row("tail_repair_time", Number(0, u32::MAX, |e, n| e.tail_repair_time_s = n),
        Idle("no item can get stuck at the end of a list"), "seconds to a forced repair"),
    // LRU and crawler.
    row("lru_maintainer", Switch(segmented_lru), Works,
        "memcached's segmented LRU (not given: new items are on probation)"),
    row("no_lru_maintainer", Switch(|e| e.lru.segmented = false), Works, "one list a class"),
    row("hot_lru_pct", Number(1, limits::LRU_PCT_MOST as u32, |e, n| e.lru.hot_pct = n as u8),
        Works, "share of HOT, in percent (20)"),
    row("warm_lru_pct", Number(1, limits::LRU_PCT_MOST as u32, |e, n| e.lru.warm_pct = n as u8),
        Works, "share of WARM, in percent (40)"),
    row("hot_max_factor", Ratio(0.0, FACTOR_MOST, |e, f| e.lru.hot_factor = f), Works,
        "leave HOT when idle for longer than this times COLD's age (0.2)"),
    row("warm_max_factor", Ratio(0.0, FACTOR_MOST, |e, f| e.lru.warm_factor = f), Works,
        "the same for WARM (2.0)"),
    row("temporary_ttl", Number(0, u32::MAX, |e, n| e.lru.temporary_ttl = Some(n)), Works,
        "items that live at most so many seconds are never evicted (off)"),
    row("lru_crawler", Switch(|e| e.crawler.enabled = true), Works,
        "reclaim expired items in the background (default)"),
    row("no_lru_crawler", Switch(|e| e.crawler.enabled = false), Works, "do not"),
    row("lru_crawler_sleep",
        Number(0, limits::CRAWLER_SLEEP_US_MOST, |e, n| e.crawler.sleep_us = n),
        Works, "the crawler's pause between steps, in microseconds (100)"),
    row("lru_crawler_tocrawl", Number(0, u32::MAX, |e, n| e.crawler.items_per_run = n), Works,
        "items of a class looked at in one run, 0 all (0)"),
    // Logs.
    row("watcher_logbuf_size",
        Number(1, limits::LOGBUF_KB_MOST, |e, n| e.watcher_logbuf_kb = n),
        Works, "buffer of a watcher, in KB (256)"),
    row("worker_logbuf_size", Number(1, limits::LOGBUF_KB_MOST, |e, n| e.worker_logbuf_kb = n),
        Works, "log buffer of a core, in KB (64)"),
    // Sets of defaults.
    row("modern", NOTHING, Idle("its defaults are the defaults"), "nothing"),
    row("no_modern", Switch(old_defaults), Works, "the defaults of memcached 1.4"),
    // Switches of memcached's insides.
    row("inline_ascii_resp", NOTHING, Idle("memcached itself no longer heeds it"), "dead"),
    row("no_inline_ascii_resp", NOTHING, Idle("memcached itself no longer heeds it"), "dead"),
    row("drop_privileges", NOTHING, Idle("privileges are always dropped"), "nothing"),
    row("no_drop_privileges", NOTHING, Idle("no system call filter is installed"), "nothing"),
    row("relaxed_privileges", NOTHING, Idle("no system call filter is installed"), "nothing"),
    // TLS.
    row("ssl_chain_cert", Text(|e, file| e.tls.chain_file = Some(file.into())), Works,
        "certificate chain of the server, a PEM file; needed by -Z"),
    row("ssl_key", Text(|e, file| e.tls.key_file = Some(file.into())), Works,
        "its private key; needed by -Z"),
    row("ssl_keyformat", Number(1, 2, |e, n| e.tls.key_format = key_format(n)), Works,
        "format of the key: 1 PEM, 2 DER (1)"),
    row("ssl_ca_cert", Text(|e, file| e.tls.authority_file = Some(file.into())), Works,
        "authorities of the clients' certificates, a PEM file"),
    row("ssl_verify_mode", Number(0, 3, |e, n| e.tls.verify_mode = n), Works,
        "client certificates: 0 not asked, 1 checked if shown, 2 and 3 needed (0)"),
    row("ssl_ciphers", Text(|e, list| e.tls.ciphers = Some(list.to_owned())), Works,
        "list of cipher suites, in OpenSSL's grammar (all)"),
    row("ssl_min_version", Number(0, 3, set_version_min), Works,
        "lowest version: 2 is TLS 1.2, 3 is 1.3; 0 and 1 count as 2 (2)"),
    row("ssl_session_cache", Switch(|e| e.tls.session_cache = true), Works,
        "keep sessions for clients that take no tickets"),
    row("ssl_wbuf_size",
        Number(1, limits::TLS_WRITE_BUFFER_KB_MOST, |e, n| {
            e.tls.write_buffer_bytes = n as usize * limits::KIB;
        }),
        Idle("records are sealed right into the blocks that are sent"), "write buffer, in KB"),
    row("ssl_kernel_tls", Switch(|e| e.tls.kernel_tls = true),
        Idle("each core seals its own records"), "TLS in the kernel"),
    // No part of this server.
    row("ext_path", Any, EXTSTORE, ""),
    row("ext_page_size", Any, EXTSTORE, ""),
    row("ext_wbuf_size", Any, EXTSTORE, ""),
    row("ext_threads", Any, EXTSTORE, ""),
    row("ext_io_depth", Any, EXTSTORE, ""),
    row("ext_item_size", Any, EXTSTORE, ""),
    row("ext_item_age", Any, EXTSTORE, ""),
    row("ext_low_ttl", Any, EXTSTORE, ""),
    row("ext_drop_unread", Any, EXTSTORE, ""),
    row("ext_recache_rate", Any, EXTSTORE, ""),
    row("ext_compact_under", Any, EXTSTORE, ""),
    row("ext_drop_under", Any, EXTSTORE, ""),
    row("ext_max_frag", Any, EXTSTORE, ""),
    row("ext_max_sleep", Any, EXTSTORE, ""),
    row("proxy_config", Any, PROXY, ""),
    row("proxy_arg", Any, PROXY, ""),
    row("proxy_uring", Any, PROXY, ""),
    row("proxy_memprofile", Any, PROXY, ""),
];

fn segmented_lru(e: &mut Extended) {
    e.lru.segmented = true;
    e.lru.probation = false;
}

const fn key_format(number: u32) -> KeyFormat {
    if number == 1 { KeyFormat::Pem } else { KeyFormat::Der }
}

/// The versions that have fallen (RFC 8996) can't be allowed any more.
fn set_version_min(e: &mut Extended, number: u32) {
    const NAMES: [&str; 2] = ["1.0", "1.1"];
    e.tls.version_min = if number < 3 { TlsVersion::V1_2 } else { TlsVersion::V1_3 };
    if let Some(name) = NAMES.get(number as usize) {
        e.notes.push(Note::Warning(format!(
            "-o ssl_min_version={number}: TLS {name} is broken and not spoken; the lowest is 1.2"
        )));
    }
}

/// What `no_modern` stands for.
fn old_defaults(e: &mut Extended) {
    e.slab_chunk_kb_max = Some((limits::SLAB_PAGE_BYTES / limits::KIB) as u32);
    e.slab_reassign = false;
    e.slab_automove = 0;
    e.maxconns_fast = false;
    e.lru.segmented = false;
    e.crawler.enabled = false;
}

/// Reads all lists of `-o`, in order.
///
/// # Errors
/// One line that names the suboption, its value and what is allowed.
pub(super) fn read(lists: &[String]) -> Result<Extended, Failure> {
    let mut extended = Extended::default();
    for item in lists.iter().flat_map(|list| list.split(',')) {
        let item = item.trim();
        if !item.is_empty() {
            apply(item, &mut extended)?;
        }
    }
    Ok(extended)
}

fn apply(item: &str, extended: &mut Extended) -> Result<(), Failure> {
    let (name, value) = match item.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (item, None),
    };
    let Some(row) = TABLE.iter().find(|row| row.name == name) else {
        return Err(Failure::usage(format!("unknown suboption -o {name}; --help lists all")));
    };
    match row.fate {
        Works => {}
        Idle(why) => extended.notes.push(Note::Verbose(format!("-o {name} has no effect: {why}"))),
        Never(what) => {
            return Err(Failure::usage(format!("-o {name}: {what} is no part of ringcached")));
        }
    }
    set(&row.value, value, extended)
        .map_err(|allowed| Failure::usage(format!("-o \"{item}\": {allowed}")))
}

fn set(kind: &Value, given: Option<&str>, extended: &mut Extended) -> Result<(), String> {
    match (kind, given) {
        (Switch(set), None) => set(extended),
        (Switch(_), Some(_)) => return Err("it takes no value".into()),
        (NumberOr(_, _, fallback, set), None) => set(extended, *fallback),
        (Number(least, most, set) | NumberOr(least, most, _, set), Some(text)) => {
            set(extended, values::number(text, *least, *most)?);
        }
        (Ratio(above, most, set), Some(text)) => set(extended, values::ratio(text, *above, *most)?),
        (Sizes(set), text) => set(extended, values::sizes(text.unwrap_or_default())?),
        (Word(words), Some(text)) if words.contains(&text) => {}
        (Word(words), _) => return Err(format!("allowed is {}", words.join(", "))),
        (Number(least, most, _), None) => {
            return Err(format!("it needs =N, a whole number from {least} to {most}"));
        }
        (Ratio(above, most, _), None) => {
            return Err(format!("it needs =N, a number above {above} and up to {most}"));
        }
        (Text(set), Some(text)) if !text.is_empty() => set(extended, text),
        (Text(_), _) => return Err("it needs =TEXT".into()),
        (Any, _) => {}
    }
    Ok(())
}

/// The part of `--help` that lists the suboptions.
pub(super) fn help() -> String {
    let mut text = String::from("Extended options (-o):\n");
    for row in TABLE.iter().filter(|row| matches!(row.fate, Works)) {
        let spelling = match row.value {
            Switch(_) => row.name.to_owned(),
            NumberOr(..) => format!("{}[=N]", row.name),
            Text(_) => format!("{}=TEXT", row.name),
            Sizes(_) => format!("{}=A-B-...", row.name),
            _ => format!("{}=N", row.name),
        };
        let _ = writeln!(text, "  {spelling:<24} {}", row.about);
    }
    list(&mut text, "Accepted without effect", |fate| matches!(fate, Idle(_)));
    text
}

fn list(text: &mut String, title: &str, chosen: fn(&Fate) -> bool) {
    let _ = write!(text, "  {title}:");
    let mut width = 100;
    for row in TABLE.iter().filter(|row| chosen(&row.fate)) {
        if width + row.name.len() + 1 > 96 {
            text.push_str("\n   ");
            width = 3;
        }
        let _ = write!(text, " {}", row.name);
        width += row.name.len() + 1;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(list: &str) -> Result<Extended, String> {
        read(&[list.to_owned()]).map_err(|failure| failure.message)
    }

    #[test]
    fn defaults_are_memcacheds_but_for_the_first_size_of_the_index() {
        let e = Extended::default();
        assert_eq!(e.hash_power, 12);
        assert_eq!((e.maxconns_fast, e.idle_timeout_s), (true, 0));
        assert_eq!((e.lru.hot_pct, e.lru.warm_pct), (20, 40));
        assert_eq!((e.slab_automove, e.slab_automove_window), (1, 10));
    }

    #[test]
    fn values_are_set() {
        let e = read_one("hashpower=20,no_hashexpand,idle_timeout=5,slab_automove=2").unwrap();
        assert_eq!((e.hash_power, e.index_grows, e.idle_timeout_s), (20, false, 5));
        assert_eq!(e.slab_automove, 2);
        let e = read_one("slab_automove=0, slab_automove,temporary_ttl=61,,").unwrap();
        assert_eq!((e.slab_automove, e.lru.temporary_ttl), (1, Some(61)));
        assert!(e.notes.is_empty());
        let e = read_one("slab_sizes=100-200-1000,sock_cookie_id=7").unwrap();
        assert_eq!((e.slab_sizes, e.socket_mark), (vec![100, 200, 1000], 7));
    }

    #[test]
    fn the_last_one_counts() {
        assert!(!read_one("maxconns_fast,no_maxconns_fast").unwrap().maxconns_fast);
        assert!(read_one("no_modern,maxconns_fast").unwrap().maxconns_fast);
        assert!(!read_one("no_modern").unwrap().lru.segmented);
        let lru = read_one("no_lru_maintainer,lru_maintainer").unwrap().lru;
        assert!(lru.segmented && !lru.probation);
    }

    #[test]
    fn what_means_nothing_here_is_noted() {
        let e = read_one("hash_algorithm=murmur3,modern").unwrap();
        assert_eq!(e.notes.len(), 2);
        assert!(matches!(&e.notes[0], Note::Verbose(text) if text.contains("xxh3")));
    }

    #[test]
    fn refusals_are_one_line_and_say_why() {
        for (list, part) in [
            ("bogus", "unknown suboption -o bogus"),
            ("hashpower", "needs =N"),
            ("hashpower=11", "from 12 to 32"),
            ("hashpower=", "from 12 to 32"),
            ("hot_lru_pct=80", "from 1 to 79"),
            ("no_hashexpand=1", "takes no value"),
            ("hash_algorithm=md5", "jenkins, murmur3, xxh3"),
            ("ssl_key", "needs =TEXT"),
            ("ssl_key=", "needs =TEXT"),
            ("ssl_keyformat=3", "from 1 to 2"),
            ("ssl_verify_mode=4", "from 0 to 3"),
            ("ssl_min_version=4", "from 0 to 3"),
            ("slab_sizes=200-100", "rising whole numbers"),
            ("slab_sizes=8-100", "from 48 to 1048576"),
            ("slab_sizes", "rising whole numbers"),
            ("ext_path=/x:1G", "no part of ringcached"),
            ("slab_automove_ratio=0", "above 0 and up to 1"),
        ] {
            let message = read_one(list).unwrap_err();
            assert!(message.contains(part), "{list}: {message}");
            assert!(!message.contains('\n'));
        }
    }

    #[test]
    fn the_manual_names_what_has_no_effect() {
        let manual = include_str!("../manual/operations.rs");
        for row in TABLE {
            if let Idle(why) = row.fate {
                assert!(manual.contains(&format!("`{}`", row.name)), "{}: {why}", row.name);
            }
        }
    }

    #[test]
    fn no_row_is_double() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..i].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
