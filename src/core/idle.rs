//! `-o idle_timeout`: connections without a request for too long are closed.
//!
//! All connections are looked at only when one of them may have been idle for long enough: the
//! time of the next look is the earliest that any could be due, and activity only moves it on.

use super::client::{Ending, Task};
use super::state::State;

impl State {
    /// The second of the next look; never, if there is no limit.
    pub(super) fn first_idle_look(now: u32, timeout_s: u32) -> u32 {
        if timeout_s == 0 { u32::MAX } else { now.saturating_add(timeout_s) }
    }

    /// Ends the connections that have been idle for too long. Watchers are never idle, and
    /// neither is a connection that is owed something.
    pub(super) fn end_idle(&mut self) {
        let (now, timeout_s) = (self.clock.now, self.shared.config.idle_timeout_s);
        let mut next = now.saturating_add(timeout_s);
        let ids: Vec<_> = self.clients.ids().collect();
        for id in ids {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let is_owed = client.has_output() || client.conn.is_sending();
            let is_busy =
                is_owed || matches!(client.task, Some(Task::Dump(_) | Task::Refresh { .. }));
            if is_busy || client.is_watching() || !client.conn.is_open() {
                continue;
            }
            let due = client.active_at.saturating_add(timeout_s);
            if due > now {
                next = next.min(due);
                continue;
            }
            client.ending = Ending::Idle;
            self.counters().idle_kicks.add(1);
            self.finish(id);
        }
        // Once a second is often enough.
        self.idle_look_at = next.max(now.saturating_add(1));
    }
}
