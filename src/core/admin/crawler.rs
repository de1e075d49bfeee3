//! `lru_crawler` and `watch`: commands that start something which goes on after their answer.

use super::dump::Telling;
use super::registry::Doing;
use crate::conn::ConnId;
use crate::core::client::Task;
use crate::core::shared::Note;
use crate::core::state::State;
use crate::protocol::admin::{Checked, CrawlTarget, Crawler, WatchStreams};
use crate::protocol::reply::line;
use crate::shard::CLASSES_ALL;

type Answer = &'static [u8];

impl State {
    /// The answer to an `lru_crawler` command, unless it is a dump, which answers by itself.
    pub(super) fn command_crawler(&mut self, id: ConnId, command: Crawler) -> Option<Answer> {
        let live = || self.shared.admin.change_live();
        match command {
            Crawler::Enable if live().crawler.enabled => return Some(line::CRAWLER_NOT_STARTED),
            Crawler::Enable => live().crawler.enabled = true,
            Crawler::Disable => live().crawler.enabled = false,
            Crawler::Sleep(us) => live().crawler.sleep_us = us,
            Crawler::Tocrawl(items) => live().crawler.items_per_run = items,
            Crawler::Crawl(target) => return Some(self.crawl(target)),
            Crawler::Metadump(target) => {
                self.begin_key_dump(id, Telling::Meta, target);
                return None;
            }
            Crawler::Mgdump(target) => {
                self.begin_key_dump(id, Telling::Get, target);
                return None;
            }
        }
        Some(line::OK)
    }

    /// Starts a walk on every shard. memcached refuses one while another is under way; here it
    /// follows.
    fn crawl(&self, target: Checked<CrawlTarget>) -> Answer {
        if !self.shared.admin.live().crawler.enabled {
            return line::CRAWLER_DISABLED;
        }
        let classes = match target {
            Err(answer) => return answer,
            Ok(CrawlTarget::Hash) => return line::CRAWLER_ERROR,
            Ok(CrawlTarget::Classes(0)) => return line::CRAWLER_NOTHING,
            Ok(CrawlTarget::Classes(classes)) => classes,
            Ok(CrawlTarget::All) => CLASSES_ALL,
        };
        self.shared.tell_all(Note::Crawl { classes });
        line::OK
    }

    /// Makes a connection a watcher. From then on what it sends is dropped.
    pub(super) fn watch(&mut self, id: ConnId, streams: Checked<WatchStreams>) -> Answer {
        let config = &self.shared.config;
        if !config.watch_enabled {
            return line::WATCH_NOT_ALLOWED;
        }
        let Some(client) = self.clients.get_mut(id) else { return line::WATCH_FAILED };
        if client.owes_replies() {
            return line::WATCH_PIPELINED;
        }
        let streams = match streams {
            Ok(streams) => streams,
            Err(answer) => return answer,
        };
        let admin = &self.shared.admin;
        if !admin.watch.add(self.index, id, streams, config.watcher_logbuf_bytes) {
            return line::WATCH_TOO_MANY;
        }
        client.task = Some(Task::Watch);
        client.conn.parser.swallow(usize::MAX);
        admin.update_traced();
        self.registry().set_doing(id, Doing::Watching);
        self.tell_shards_of_watchers();
        line::OK
    }

    /// Lets go of what a connection that has ended was doing.
    pub(in crate::core) fn end_task(&mut self, id: ConnId, task: &Task) {
        if matches!(task, Task::Watch) {
            self.shared.admin.watch.remove(self.index, id);
            self.tell_shards_of_watchers();
            self.shared.admin.update_traced();
        }
    }
}
