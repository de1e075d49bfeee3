//! What the program uses: `Config`, every value of it checked.
//!
//! [`Flags`](super::Flags) holds what the user typed; `Config::new` turns it into this and is the
//! only way to make one from a command line, so a module that is handed a `Config` never checks a
//! value again. Nothing here is read from the machine except what [`Host`] brings in: the same
//! flags and the same host always give the same `Config`. Fields are public and plain because
//! twenty modules read a few each, and because `stats settings` prints nearly all of them.

use std::net::IpAddr;
use std::path::PathBuf;

use super::tls::{PeerCheck, TlsSettings};

/// All settings of one server process. See the field groups for the flag that sets each.
#[derive(Clone, Debug)]
pub struct Config {
    // ---- Where it listens ----
    /// `-p`. `None`: TCP is off. `Some(0)`: any free port (`-p -1`), one and the same for all
    /// addresses.
    pub tcp_port: Option<u16>,
    /// `-l`, resolved: each address to bind, with its port (0 means any free port). Empty when TCP
    /// is off.
    pub listen: Vec<ListenAddress>,
    /// What `-l` said, for `stats settings` (`inter`); `None` when it was not given.
    pub listen_text: Option<String>,
    /// `-s`: path of the Unix socket, absolute. When set, nothing listens on the network.
    pub unix_path: Option<PathBuf>,
    /// `-a`: permission bits of the Unix socket (octal as typed, 0 to 0o777).
    pub unix_mask: u32,
    /// `-b`: backlog handed to listen(2).
    pub backlog: u32,
    /// `-U`: UDP port; 0 for any free one. `None`: off.
    pub udp_port: Option<u16>,
    /// The addresses to receive datagrams on: those of `listen` with the port of `-U`, unless `-l`
    /// named a port. Empty when UDP is off.
    pub udp_listen: Vec<ListenAddress>,
    /// `-Z` and `-o ssl_*`: TLS.
    pub tls: TlsSettings,
    /// `-o sock_cookie_id`: SO_MARK of the listening sockets, 0 for none.
    pub socket_mark: u32,

    // ---- Cores ----
    /// `-t`: number of cores, at least 1.
    pub threads: usize,
    /// The CPU that each core is pinned to; exactly `threads` long. CPUs repeat when `-t` exceeds
    /// them.
    pub cpus: Vec<CpuId>,

    // ---- Memory ----
    /// `-m`: bytes of slab pages and index together, over all cores.
    pub memory_bytes: usize,
    /// `-I`: bytes of the largest item.
    pub item_bytes_max: usize,
    /// `-n`: bytes of key, value and flags that the smallest class holds.
    pub chunk_bytes_min: usize,
    /// `-f`: each class is this much larger than the one before, above 1.
    pub growth_factor: f64,
    /// `-o slab_sizes`: sizes of all chunks but the largest; empty: by `-n` and `-f`.
    pub slab_sizes: Vec<usize>,
    /// `-o slab_chunk_max`: bytes of the largest chunk of one piece; divides a slab page.
    pub slab_chunk_bytes_max: usize,
    /// False under `-M`: a full cache answers with an error instead of evicting.
    pub evict: bool,
    /// False under `-C`: items carry no CAS id.
    pub cas: bool,
    /// `-L`: take huge pages where there are any.
    pub large_pages: bool,
    /// `-k`: lock all memory.
    pub lock_memory: bool,
    /// `-o hashpower`: the index starts with room for two to this power of items, over all cores.
    pub hash_power: u8,
    /// False under `-o no_hashexpand`.
    pub index_grows: bool,
    /// Name of the key hash that `stats settings` prints.
    pub hash_algorithm: &'static str,
    /// Sizes and ages of the LRU's lists.
    pub lru: LruSettings,
    /// `-o slab_reassign`: pages can move between classes.
    pub slab_reassign: bool,
    /// `-o slab_automove`: 0 off, 1 on, 2 aggressive.
    pub slab_automove: u8,
    /// `-o slab_automove_ratio`: a page moves when the young class's age is below this part of the
    /// old one's.
    pub slab_automove_ratio: f64,
    /// `-o slab_automove_window`: shown only: ages are compared as they are.
    pub slab_automove_window: u32,
    /// The background crawler that reclaims expired items.
    pub crawler: CrawlerSettings,
    /// `-o tail_repair_time`, in seconds; shown only: no item of ours can get stuck at a tail.
    pub tail_repair_time_s: u32,
    /// `-o track_sizes`: keep the histogram of `stats sizes`.
    pub track_sizes: bool,
    /// `-e`: file that the cache lives in, absolute.
    pub memory_file: Option<PathBuf>,

    // ---- Connections ----
    /// `-c`: most client connections, over all cores.
    pub connections_max: usize,
    /// `-o maxconns_fast`: refuse with an error at the limit; else stop accepting.
    pub maxconns_fast: bool,
    /// `-o idle_timeout`: close connections idle for longer, in seconds; 0 never.
    pub idle_timeout_s: u32,
    /// `-R`; shown only: a turn of the loop ends when what was received in it is answered.
    pub requests_per_event: u32,
    /// `-o read_buf_mem_limit`, in bytes; shown only: buffers are of a fixed number.
    pub read_buffer_bytes_limit: usize,
    /// `-B`: the protocol spoken.
    pub protocol: Binding,

    // ---- What clients may do ----
    /// `-A`: the `shutdown` command works.
    pub shutdown_enabled: bool,
    /// False under `-F`: `flush_all` is refused.
    pub flush_enabled: bool,
    /// False under `-X`: cachedump, metadump and `stats detail` are refused.
    pub dump_enabled: bool,
    /// False under `-W`: `watch` is refused.
    pub watch_enabled: bool,
    /// `-S`: SASL.
    pub sasl: bool,
    /// With `-S`: file of `user:password` lines (`MEMCACHED_SASL_PWDB`), absolute.
    pub sasl_file: Option<PathBuf>,
    /// `-Y`: file of `user:password` lines for the text protocol, absolute.
    pub auth_file: Option<PathBuf>,

    // ---- Statistics and logging ----
    /// `-v` up to `-vvv`: 0 to 3.
    pub verbosity: u8,
    /// `-D`: byte that ends a key's prefix in `stats detail`.
    pub prefix_delimiter: u8,
    /// `-D` given: `stats detail` counts from the start.
    pub detail_enabled: bool,
    /// `-o watcher_logbuf_size`, in bytes.
    pub watcher_logbuf_bytes: usize,
    /// `-o worker_logbuf_size`, in bytes.
    pub worker_logbuf_bytes: usize,
    /// `-N`: number of NAPI ids; shown only.
    pub napi_ids: u32,

    // ---- The process ----
    /// `-d`: run in the background.
    pub daemonize: bool,
    /// `-P`: file that holds the process id while the server runs, absolute.
    pub pid_file: Option<PathBuf>,
    /// `-u`: user to become when started by root.
    pub user: Option<String>,
    /// `-r`: raise the core file limit.
    pub core_dumps: bool,
    /// `MEMCACHED_PORT_FILENAME`: file to write the bound ports to.
    pub port_file: Option<PathBuf>,
    /// What start-up has to tell: deviations, options without meaning here, values that were
    /// lowered.
    pub notes: Vec<Note>,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The interface's address; unspecified (`0.0.0.0`, `::`) for all of that family.
    pub host: IpAddr,
    /// TCP port; 0 for any free one.
    pub port: u16,
    /// True when the server may start without this address: `::1` of the default, one of several
    /// addresses that a name stands for.
    pub optional: bool,
    /// How its clients talk.
    pub manner: Manner,
}

/// How the clients of a listener talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The protocol: that of `-B`, unless a prefix of `-l` says otherwise.
    pub protocol: Binding,
    /// By TLS, and what is asked of the client then; `None`: in the clear.
    pub tls: Option<PeerCheck>,
}

/// A logical CPU, numbered as the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub usize);

/// The segmented LRU's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LruSettings {
    /// `-o hot_lru_pct`: share of a class that HOT may take, in percent.
    pub hot_pct: u8,
    /// `-o warm_lru_pct`: share of a class that WARM may take, in percent.
    pub warm_pct: u8,
    /// `-o hot_max_factor`: an item idle for more than this times COLD's age leaves HOT.
    pub hot_factor: f64,
    /// `-o warm_max_factor`: the same for WARM.
    pub warm_factor: f64,
    /// `-o temporary_ttl`: items that live at most this many seconds get a list of their own that
    /// is never evicted from. `None`: no such list.
    pub temporary_ttl: Option<u32>,
    /// False under `-o no_lru_maintainer`: one plain list a class.
    pub segmented: bool,
}

/// The crawler's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrawlerSettings {
    /// `-o lru_crawler`.
    pub enabled: bool,
    /// `-o lru_crawler_sleep`: pause between steps, in microseconds.
    pub sleep_us: u32,
    /// `-o lru_crawler_tocrawl`: items of a class looked at in one run; 0 for all.
    pub items_per_run: u32,
}

/// `-B`: which protocol connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Told by the first byte.
    Auto,
    /// Text only.
    Ascii,
    /// Binary only.
    Binary,
}

impl Binding {
    /// The word that `stats settings` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto-negotiate",
            Self::Ascii => "ascii",
            Self::Binary => "binary",
        }
    }
}

/// Something that start-up tells on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What a user of memcached has to know: always printed.
    Difference(String),
    /// Worth knowing: printed at `-v`.
    Verbose(String),
    /// Differs from what was asked for: always printed.
    Warning(String),
}

/// What `Config::new` must know about the machine and the process's environment.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The CPUs that the process may run on, at least one.
    pub cpus: Vec<CpuId>,
    /// Value of `MEMCACHED_PORT_FILENAME`.
    pub port_file: Option<PathBuf>,
    /// Value of `MEMCACHED_SASL_PWDB`.
    pub sasl_file: Option<PathBuf>,
}

impl Config {
    /// Bytes of `-m` that each core's shard gets.
    pub fn shard_bytes(&self) -> usize {
        self.memory_bytes / self.threads
    }

    /// Most connections that one core may hold. The balance between cores is not exact, so each has
    /// room for a tenth more than its share, and for at least one connection more.
    pub fn connections_per_core_max(&self) -> usize {
        let share = self.connections_max.div_ceil(self.threads);
        (share + share / 10 + 1).min(self.connections_max)
    }
}
