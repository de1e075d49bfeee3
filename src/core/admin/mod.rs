//! Commands that are not about one key: administration and statistics.
//!
//! They are rare, so they are written to be read: a command on the whole cache asks each shard in
//! turn under its token, statistics are tables of names and how to find their values, and what
//! administrators change lies behind locks that no request on a key ever takes.
//!
//! - [`commands`]: what changes the cache or the server;
//! - [`stats`]: which family of statistics, and its form; [`general`], [`settings`], [`classes`],
//!   [`cachedump`], [`cores`], [`registry`] (connections) and [`detail`] are the families;
//! - [`facts`]: what the shards and cores have counted, summed;
//! - [`crawler`]: commands that go on after their answer: [`dump`] and [`watch`], by [`log`];
//! - [`live`]: the settings that change; [`accepting`]: whether connections are accepted.

mod accepting;
mod cachedump;
mod classes;
mod commands;
mod cores;
mod crawler;
mod crawls;
mod detail;
mod dump;
mod facts;
mod general;
mod listing;
mod live;
mod log;
mod registry;
mod settings;
mod stats;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::counters::CoreSums;
use super::state::State;
use crate::config::{Config, CrawlerSettings};
use crate::conn::ConnId;
use crate::protocol::Admin;
use crate::protocol::admin::WatchStreams;

use accepting::Accepting;
use crawls::Crawls;
use detail::Detail;
use live::Live;
use watch::Watch;

pub(super) use dump::Dump;
pub(super) use listing::Form;
pub(super) use log::{Log, put as log_put};
pub(super) use registry::Registry;

/// The answer to `version`. Clients read the number; the name behind it says who answers.
const VERSION: &[u8] = b"VERSION 1.6.45 ringcached\r\n";

/// What administrators change and watch, one for all cores.
pub struct Administration {
    live: Mutex<Live>,
    /// What the counters were at `stats reset`.
    reset_at: Mutex<CoreSums>,
    /// Uses by prefix.
    pub(super) detail: Detail,
    /// Whether connections are accepted.
    pub(super) accepting: Accepting,
    /// The connections of each core.
    pub(super) registries: Vec<Registry>,
    /// Walks through the cache in search of dead items.
    pub(super) crawls: Crawls,
    /// Connections that receive the log.
    pub(super) watch: Watch,
    /// Somebody wants to know what operations on keys do.
    is_traced: AtomicBool,
}

impl Administration {
    /// As the server starts.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let connections = config.connections_per_core_max();
        Self {
            live: Mutex::new(Live::new(config)),
            reset_at: Mutex::default(),
            detail: Detail::new(config.threads, config.prefix_delimiter, config.detail_enabled),
            accepting: Accepting::default(),
            registries: (0..config.threads).map(|_| Registry::new(connections)).collect(),
            crawls: Crawls::default(),
            watch: Watch::default(),
            is_traced: AtomicBool::new(config.detail_enabled),
        }
    }

    /// The settings as they are now.
    pub(super) fn live(&self) -> Live {
        self.change_live().clone()
    }

    /// The crawler's settings as they are now.
    pub(super) fn crawler(&self) -> CrawlerSettings {
        self.change_live().crawler
    }

    /// Whether operations on keys leave events.
    #[inline]
    pub(super) fn is_traced(&self) -> bool {
        self.is_traced.load(Ordering::Relaxed)
    }

    /// Watchers came or went, or `stats detail` was switched.
    fn update_traced(&self) {
        let is_traced = self.detail.is_on() || self.watch.wants(ITEM_STREAMS);
        self.is_traced.store(is_traced, Ordering::Relaxed);
    }

    /// The settings, to change them.
    fn change_live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("no thread panics with the lock")
    }
}

/// The streams that tell of operations on keys.
const ITEM_STREAMS: WatchStreams =
    WatchStreams(WatchStreams::FETCHERS.0 | WatchStreams::MUTATIONS.0 | WatchStreams::DELETIONS.0);

impl State {
    /// Answers an administrative command. All requests before it have been run.
    pub(super) fn administer(&mut self, id: ConnId, command: Admin<'_>) {
        let (answer, noreply) = match command {
            Admin::Version => (VERSION, false),
            Admin::Quit => return self.finish(id),
            Admin::Stats(stats) => {
                return self.statistics(id, &stats, Form::Text);
            }
            Admin::FlushAll { delay, noreply } => (self.flush_all(delay), noreply),
            Admin::Verbosity { level, noreply } => (self.set_verbosity(level), noreply),
            Admin::Shutdown { graceful, noreply } => (self.shut_down(id, graceful), noreply),
            Admin::CacheMemlimit { megabytes, noreply } => (self.limit_memory(megabytes), noreply),
            Admin::SlabsReassign { classes, noreply } => (self.reassign(classes), noreply),
            Admin::SlabsAutomove { setting, noreply } => (self.automove(setting), noreply),
            Admin::Lru { setting, noreply } => (self.tune_lru(setting), noreply),
            Admin::Crawler { command, noreply } => match self.command_crawler(id, command) {
                Some(answer) => (answer, noreply),
                None => return,
            },
            Admin::Watch(streams) => (self.watch(id, streams), false),
            Admin::RefreshCerts { noreply } => return self.refresh_certificates(id, noreply),
        };
        if !noreply {
            self.reply(id, answer);
        }
    }
}
