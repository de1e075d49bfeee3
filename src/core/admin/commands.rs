//! What changes the cache or the server. Each command returns the line that answers it.

use std::sync::atomic::Ordering;

use super::facts::for_each_shard;
use super::live::Live;
use crate::config::limits::MIB;
use crate::conn::ConnId;
use crate::core::client::Task;
use crate::core::handshakes::Refreshed;
use crate::core::state::State;
use crate::protocol::admin::{Automove, Checked, Lru, LruMode};
use crate::protocol::reply::line;
use crate::protocol::time::exptime_to_clock;
use crate::shard::{ClassId, Reassigned, Shard};

type Answer = &'static [u8];

/// Ends a command early with its answer.
macro_rules! checked {
    ($arguments:expr) => {
        match $arguments {
            Ok(arguments) => arguments,
            Err(answer) => return answer,
        }
    };
}

impl State {
    pub(in crate::core) fn flush_all(&mut self, delay: Checked<i64>) -> Answer {
        self.counters().flushes.add(1);
        if !self.shared.config.flush_enabled {
            return line::FLUSH_NOT_ALLOWED;
        }
        let delay = checked!(delay);
        let at = if delay <= 0 { 0 } else { exptime_to_clock(delay, self.clock) };
        let now = self.clock.now;
        for_each_shard(&self.shared, |shard| {
            shard.set_now(now);
            shard.flush(at);
        });
        self.shared.admin.change_live().flushed_at = if at == 0 { now } else { at };
        line::OK
    }

    pub(in crate::core) fn set_verbosity(&self, level: u8) -> Answer {
        self.shared.verbosity.store(level, Ordering::Relaxed);
        line::OK
    }

    /// With `-A`: ends the server as a signal would, and this connection at once.
    pub(super) fn shut_down(&mut self, id: ConnId, graceful: Checked<bool>) -> Answer {
        if !self.shared.config.shutdown_enabled {
            return line::SHUTDOWN_NOT_ENABLED;
        }
        // Every end is a graceful one here.
        let _graceful = checked!(graceful);
        self.shared.stop();
        self.finish(id);
        b""
    }

    /// Divides the memory over the shards anew. If one of them can't follow, all stay as they were.
    pub(super) fn limit_memory(&mut self, megabytes: u32) -> Answer {
        let Some(bytes) = (megabytes as usize).checked_mul(MIB) else {
            return line::MEMLIMIT_FAILED;
        };
        let mut live = self.shared.admin.change_live();
        let shards = self.shared.shards.len();
        let divide = |bytes: usize| {
            let mut all = true;
            for_each_shard(&self.shared, |shard| all &= shard.set_memory_bytes(bytes / shards));
            all
        };
        if !divide(bytes) {
            divide(live.memory_bytes);
            return line::MEMLIMIT_FAILED;
        }
        live.memory_bytes = bytes;
        line::OK
    }

    /// Has the certificates read again, which is not done here: a disk may be slow. The
    /// connection's requests wait until that is done.
    pub(super) fn refresh_certificates(&mut self, id: ConnId, noreply: bool) {
        if self.shared.tls.is_none() {
            if !noreply {
                self.reply(id, b"Error TLS not enabled\r\n");
            }
            return;
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        client.task = Some(Task::Refresh { noreply });
        client.conn.pause();
        self.shared.handshakes.refresh(self.index, id);
    }

    /// The certificates were read again. What is wrong with them is the answer.
    pub(in crate::core) fn refreshed(&mut self, refreshed: &Refreshed) {
        let id = refreshed.client;
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(Task::Refresh { noreply }) = client.task.take() else { return };
        match &refreshed.outcome {
            _ if noreply => {}
            Ok(()) => self.reply(id, line::OK),
            Err(why) => self.reply(id, format!("{why}\r\n").as_bytes()),
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        client.conn.resume();
        self.feed_alone(id, &[]);
        self.list(id);
    }

    pub(super) fn reassign(&self, classes: Checked<(i32, i32)>) -> Answer {
        if !self.shared.config.slab_reassign {
            return line::REASSIGN_DISABLED;
        }
        let (from, to) = checked!(classes);
        if from == to {
            return line::REASSIGN_SAME;
        }
        // 0 is memcached's pool of free pages. Here a free page is always anybody's.
        if from == 0 || to == 0 {
            return line::REASSIGN_NO_SPARE;
        }
        let Ok(to) = u8::try_from(to).map(ClassId) else { return line::REASSIGN_BAD_CLASS };
        let from = match (from, u8::try_from(from)) {
            (..0, _) => None,
            (_, Ok(from)) => Some(ClassId(from)),
            _ => return line::REASSIGN_BAD_CLASS,
        };
        let mut outcomes = Vec::new();
        for_each_shard(&self.shared, |shard| outcomes.push(shard.reassign(from, to)));
        self.shared.tell_all(crate::core::Note::Maintain);
        answer_reassigned(&outcomes, from.is_none())
    }

    pub(super) fn automove(&self, setting: Automove) -> Answer {
        let mut live = self.shared.admin.change_live();
        match setting {
            Automove::Mode(mode) => live.automove = mode,
            Automove::Ratio(ratio) => live.automove_ratio = ratio,
            // Kept to be shown: there is no flash to hold memory free for, and no samples.
            Automove::FreeRatio(ratio) => live.automove_freeratio = ratio,
            Automove::Window(window) => live.automove_window = window,
        }
        let (mode, ratio) = (live.automove, live.automove_ratio);
        for_each_shard(&self.shared, |shard| shard.set_automove(mode, ratio));
        line::OK
    }

    pub(super) fn tune_lru(&self, setting: Lru) -> Answer {
        let is_maintained = self.shared.config.lru.segmented;
        if !is_maintained && !matches!(setting, Lru::Tune { .. }) {
            return line::ERROR;
        }
        let mut live = self.shared.admin.change_live();
        apply_lru(&mut live, setting);
        let lru = live.lru_config();
        for_each_shard(&self.shared, |shard: &mut Shard| shard.tune_lru(lru));
        line::OK
    }
}

fn apply_lru(live: &mut Live, setting: Lru) {
    match setting {
        Lru::Tune { hot_pct, warm_pct, hot_factor, warm_factor } => {
            live.lru.hot_pct = hot_pct;
            live.lru.warm_pct = warm_pct;
            live.lru.hot_factor = hot_factor;
            live.lru.warm_factor = warm_factor;
        }
        Lru::Mode(mode) => {
            live.lru.segmented = mode != LruMode::Flat;
            live.lru.probation = mode == LruMode::Probation;
        }
        Lru::TempTtl(ttl) => {
            live.lru.temporary_ttl = ttl;
            live.temporary_ttl_s = ttl.unwrap_or(live.temporary_ttl_s);
        }
    }
}

/// One answer for all shards: it worked if it did on any.
fn answer_reassigned(outcomes: &[Reassigned], from_any: bool) -> Answer {
    if outcomes.contains(&Reassigned::Started) {
        return line::OK;
    }
    if outcomes.contains(&Reassigned::Busy) {
        return line::REASSIGN_BUSY;
    }
    match outcomes.first() {
        Some(Reassigned::Same) => line::REASSIGN_SAME,
        // memcached has no answer of its own for this.
        Some(Reassigned::NoSpare) if from_any => line::REASSIGN_BAD_CLASS,
        Some(Reassigned::NoSpare) => line::REASSIGN_NO_SPARE,
        _ => line::REASSIGN_BAD_CLASS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_on_any_shard_is_a_move() {
        use Reassigned::{BadClass, Busy, NoSpare, Started};
        assert_eq!(answer_reassigned(&[NoSpare, Started], false), line::OK);
        assert_eq!(answer_reassigned(&[NoSpare, Busy], false), line::REASSIGN_BUSY);
        assert_eq!(answer_reassigned(&[NoSpare, NoSpare], false), line::REASSIGN_NO_SPARE);
        assert_eq!(answer_reassigned(&[NoSpare], true), line::REASSIGN_BAD_CLASS);
        assert_eq!(answer_reassigned(&[BadClass], false), line::REASSIGN_BAD_CLASS);
    }
}
