//! The administrative commands, as types.
//!
//! Some of these commands are refused by a switch of the server (`-F`, `-X`, `-W`, ...) before
//! their arguments are looked at. The parser does not know the switches, so such arguments come
//! as [`Checked`]: the server asks its switch first and only then takes the arguments or sends
//! the error that the parser has prepared.

/// Arguments, or the reply line to send if no switch of the server refuses the command earlier.
pub type Checked<T> = Result<T, &'static [u8]>;

/// One administrative command. The `bool` or field `noreply` means: send no reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Admin<'a> {
    /// `version`.
    Version,
    /// `quit`: send what is pending, then close.
    Quit,
    /// `stats [...]`.
    Stats(Stats<'a>),
    /// `flush_all [delay]`. With `-F`: count it, then refuse it. The delay is as written; zero or
    /// negative means now.
    FlushAll {
        /// Seconds or a Unix time.
        delay: Checked<i64>,
        /// Send no reply.
        noreply: bool,
    },
    /// `verbosity <level>`, already clamped to 0..=2.
    Verbosity {
        /// The level.
        level: u8,
        /// Send no reply.
        noreply: bool,
    },
    /// `shutdown [graceful]`. Without `-A`: refuse.
    Shutdown {
        /// True: as by SIGUSR1, false: as by SIGINT.
        graceful: Checked<bool>,
        /// Send no reply.
        noreply: bool,
    },
    /// `cache_memlimit <MB>`, 8..=1000000000.
    CacheMemlimit {
        /// The new limit.
        megabytes: u32,
        /// Send no reply.
        noreply: bool,
    },
    /// `slabs reassign <src> <dst>`; not if reassignment is disabled. -1 as source: any class.
    SlabsReassign {
        /// Class ids as written: any number.
        classes: Checked<(i32, i32)>,
        /// Send no reply.
        noreply: bool,
    },
    /// `slabs automove ...`.
    SlabsAutomove {
        /// What to change.
        setting: Automove,
        /// Send no reply.
        noreply: bool,
    },
    /// `lru tune|mode|temp_ttl ...`.
    Lru {
        /// What to change.
        setting: Lru,
        /// Send no reply.
        noreply: bool,
    },
    /// `lru_crawler ...`.
    Crawler {
        /// What to do.
        command: Crawler,
        /// Send no reply.
        noreply: bool,
    },
    /// `watch [stream ...]`. With `-W`: refuse. After replies not yet sent: refuse
    /// (`reply::line::WATCH_PIPELINED`).
    Watch(Checked<WatchStreams>),
    /// `refresh_certs`: read the certificates again; without TLS say so.
    RefreshCerts {
        /// Send no reply.
        noreply: bool,
    },
}

/// What `stats` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stats<'a> {
    /// The general list.
    General,
    /// `stats settings`.
    Settings,
    /// `stats items`.
    Items,
    /// `stats slabs`.
    Slabs,
    /// `stats sizes`.
    Sizes,
    /// `stats conns`.
    Conns,
    /// `stats cores`, which memcached doesn't have.
    Cores,
    /// `stats extstore`: an empty list, as of a server without flash.
    Extstore,
    /// `stats reset`.
    Reset,
    /// `stats detail on|off|dump`; with `-X` refuse.
    Detail(Checked<Detail>),
    /// `stats cachedump <class> <limit>`; with `-X` refuse. A limit of 0 means all.
    Cachedump(Checked<(u8, u32)>),
    /// Any other word: answer `ERROR`, unless the server knows it.
    Other(&'a [u8]),
}

/// `stats detail ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Start counting by prefix.
    On,
    /// Stop.
    Off,
    /// List the counters.
    Dump,
}

/// `slabs automove ...`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Automove {
    /// 0 off, 1 on, 2 aggressive.
    Mode(u8),
    /// Ratio of ages that triggers a move.
    Ratio(f64),
    /// Share of memory to keep free.
    FreeRatio(f64),
    /// Number of samples, 3..=1800.
    Window(u32),
}

/// `lru ...`. `Mode` and `TempTtl` answer `ERROR` while the LRU maintainer is off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lru {
    /// Shares in percent (together at most 80) and age factors above 0.
    Tune {
        /// Share of HOT.
        hot_pct: u8,
        /// Share of WARM.
        warm_pct: u8,
        /// Age factor of HOT.
        hot_factor: f64,
        /// Age factor of WARM.
        warm_factor: f64,
    },
    /// True: segmented, false: flat.
    Segmented(bool),
    /// Items with a TTL up to this many seconds go to the temporary LRU; `None` switches it off.
    TempTtl(Option<u32>),
}

/// `lru_crawler ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crawler {
    /// Start it.
    Enable,
    /// Stop it.
    Disable,
    /// Microseconds between steps, up to 1000000.
    Sleep(u32),
    /// Items per class and run, 0 for all.
    Tocrawl(u32),
    /// Crawl now. If the crawler is disabled: refuse.
    Crawl(Checked<CrawlTarget>),
    /// Dump keys with what is known of them. Refuse if the crawler is disabled, with `-X`, and
    /// after replies not yet sent.
    Metadump(Checked<CrawlTarget>),
    /// Dump keys as `mg` commands; refused as `Metadump`.
    Mgdump(Checked<CrawlTarget>),
}

/// Where a crawl goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrawlTarget {
    /// All classes.
    All,
    /// The index, bucket by bucket.
    Hash,
    /// The classes whose bits are set, 1..=63. No bit at all: answer `NOTSTARTED`.
    Classes(u64),
}

/// A set of log streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WatchStreams(pub u16);

impl WatchStreams {
    /// Raw commands; nothing is written to it, as in the reference.
    pub const RAWCMDS: Self = Self(1);
    /// Evicted items.
    pub const EVICTIONS: Self = Self(1 << 1);
    /// Reads: the default.
    pub const FETCHERS: Self = Self(1 << 2);
    /// Stores.
    pub const MUTATIONS: Self = Self(1 << 3);
    /// Events of the server itself.
    pub const SYSEVENTS: Self = Self(1 << 4);
    /// Connections opened and closed.
    pub const CONNEVENTS: Self = Self(1 << 5);
    /// Requests of a proxy; there is none here.
    pub const PROXYREQS: Self = Self(1 << 6);
    /// Events of a proxy; there is none here.
    pub const PROXYEVENTS: Self = Self(1 << 7);
    /// User messages of a proxy; there is none here.
    pub const PROXYUSER: Self = Self(1 << 8);
    /// Deletions.
    pub const DELETIONS: Self = Self(1 << 9);

    /// Whether every stream of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
