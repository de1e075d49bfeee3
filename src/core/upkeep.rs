//! A core's background work on its shard: the crawler's walks and pages on the move.
//!
//! It is done in small steps between the turns, at most one every `lru_crawler_sleep`, each
//! holding the shard's token for some microseconds, so requests hardly wait for it. An idle core
//! wakes for the next step and sleeps for long when there is none.
//!
//! Walks start by themselves. Each tells how much it found: a walk that finds little makes the
//! pause before the next one longer, one that finds much makes it shorter.

use std::time::{Duration, Instant};

use super::admin::log_put;
use super::state::State;
use crate::protocol::admin::WatchStreams;
use crate::shard::{CLASSES_ALL, Shard};

/// Chunks that one step looks at.
const STEP_CHUNKS: u32 = 256;
/// Seconds between the walks that start by themselves, at least and at most. memcached looks at
/// least once an hour.
const PAUSE_S: (u32, u32) = (1, 3600);
/// A walk that finds one dead item in so many was worth it.
const WORTH_ONE_IN: u32 = 100;

/// What is under way.
pub(super) struct Upkeep {
    walk: Option<Walk>,
    /// Classes that are to be walked after the walk that is under way, as bits.
    walk_again: u64,
    /// Pages may have to move.
    is_moving: bool,
    step_at: Instant,
    /// The second of the next walk that starts by itself.
    walk_at: u32,
    pause_s: u32,
}

struct Walk {
    since: Instant,
    /// The classes to be walked, as bits.
    classes: u64,
    checked: u32,
    reclaimed: u32,
    /// Items that it looks at, at most.
    items_max: u32,
    sleep: Duration,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            walk: None,
            walk_again: 0,
            is_moving: false,
            step_at: Instant::now(),
            walk_at: 0,
            pause_s: PAUSE_S.0,
        }
    }

    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.is_active() && Instant::now() >= self.step_at
    }

    /// How long until the next step, if there is one.
    #[inline]
    pub(super) fn wait(&self) -> Option<Duration> {
        self.is_active().then(|| self.step_at.saturating_duration_since(Instant::now()))
    }

    #[inline]
    fn is_active(&self) -> bool {
        self.is_moving || self.walk.is_some()
    }
}

impl State {
    /// Once a second: looks whether there is background work.
    pub(super) fn maintain(&mut self) {
        self.counters().maintenance.add(1);
        self.counters().blocks.set(self.blocks.blocks_made() as u64);
        self.upkeep.is_moving = true;
        if self.clock.now >= self.upkeep.walk_at && self.shared.admin.crawler().enabled {
            self.begin_walk(CLASSES_ALL);
        }
    }

    /// Starts a walk through some classes in search of dead items, or has it follow another.
    pub(super) fn begin_walk(&mut self, classes: u64) {
        if self.upkeep.walk.is_some() {
            self.upkeep.walk_again |= classes;
            return;
        }
        let crawler = self.shared.admin.crawler();
        let walked = self.prepare_walk(classes);
        let items_max = match crawler.items_per_run {
            0 => u32::MAX,
            items => items.saturating_mul(walked),
        };
        let sleep = Duration::from_micros(u64::from(crawler.sleep_us));
        let since = Instant::now();
        self.upkeep.walk =
            Some(Walk { since, classes, checked: 0, reclaimed: 0, items_max, sleep });
        self.upkeep.step_at = since;
        self.shared.admin.crawls.begin();
    }

    /// Has the shard ready for a walk; returns how many classes that goes through. One through all
    /// goes on where the last one was, should that not have come to the end.
    fn prepare_walk(&self, classes: u64) -> u32 {
        let mut count = 0;
        self.shared.shards[self.index].run(&mut |shard: &mut Shard| {
            let walked = shard.class_table().ids().filter(|id| classes >> id.0 & 1 == 1);
            count = walked.count() as u32;
            if classes != CLASSES_ALL {
                shard.start_crawl_over();
            }
        });
        count
    }

    /// One step of what is under way.
    pub(super) fn keep_up(&mut self) {
        let now = self.clock.now;
        let walked = self.upkeep.walk.as_ref().map(|walk| walk.classes);
        let moves = self.upkeep.is_moving;
        let mut is_moving = false;
        let mut crawled = None;
        self.shared.shards[self.index].run(&mut |shard: &mut Shard| {
            shard.set_now(now);
            is_moving = moves && shard.maintain(STEP_CHUNKS);
            crawled = walked.map(|classes| shard.crawl(STEP_CHUNKS, classes));
        });
        self.upkeep.is_moving = is_moving;
        let mut sleep = Duration::ZERO;
        let mut has_ended = false;
        if let (Some(walk), Some(crawled)) = (&mut self.upkeep.walk, crawled) {
            walk.checked = walk.checked.saturating_add(crawled.checked);
            walk.reclaimed = walk.reclaimed.saturating_add(crawled.reclaimed);
            has_ended = crawled.finished || walk.checked >= walk.items_max;
            sleep = walk.sleep;
        }
        self.upkeep.step_at = Instant::now() + sleep;
        if has_ended || !self.shared.admin.crawler().enabled {
            self.end_walk();
        }
    }

    fn end_walk(&mut self) {
        let Some(walk) = self.upkeep.walk.take() else { return };
        self.shared.admin.crawls.end();
        let upkeep = &mut self.upkeep;
        if walk.classes == CLASSES_ALL {
            upkeep.pause_s = pause_after(upkeep.pause_s, walk.checked, walk.reclaimed);
            upkeep.walk_at = self.clock.now.saturating_add(upkeep.pause_s);
        }
        let pause_s = upkeep.pause_s;
        let again = std::mem::take(&mut upkeep.walk_again);
        if walk.checked > 0 {
            self.log_walk(&walk, pause_s);
        }
        if again != 0 {
            self.begin_walk(again);
        }
    }

    fn log_walk(&mut self, walk: &Walk, pause_s: u32) {
        let (core, took_s) = (self.index, walk.since.elapsed().as_secs());
        self.log(WatchStreams::SYSEVENTS, |line| {
            let Walk { checked, reclaimed, .. } = walk;
            let text = format_args!(
                "type=lru_crawler crawler={core} lru=all low_mark=0 next_reclaims=0 since_run=0 \
                 next_run={pause_s} elapsed={took_s} examined={checked} reclaimed={reclaimed}"
            );
            log_put(line, text);
        });
    }
}

/// The pause before the next walk.
fn pause_after(pause_s: u32, checked: u32, reclaimed: u32) -> u32 {
    let was_worth_it = reclaimed > 0 && reclaimed >= checked / WORTH_ONE_IN;
    let pause_s = if was_worth_it { pause_s / 2 } else { pause_s * 2 };
    // A walk that had nothing to look at has cost nothing.
    let most = if checked == 0 { PAUSE_S.0 } else { PAUSE_S.1 };
    pause_s.clamp(PAUSE_S.0, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_that_find_little_become_rare() {
        assert_eq!(pause_after(8, 0, 0), 1);
        assert_eq!(pause_after(8, 1000, 0), 16);
        assert_eq!(pause_after(8, 1000, 9), 16);
        assert_eq!(pause_after(8, 1000, 10), 4);
        assert_eq!(pause_after(3000, 1000, 0), 3600);
        assert_eq!(pause_after(1, 10, 10), 1);
    }
}
