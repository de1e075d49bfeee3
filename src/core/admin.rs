//! Commands that are not about one key.

use super::state::State;
use crate::conn::ConnId;
use crate::protocol::Admin;
use crate::protocol::reply::line;
use crate::shard::Shard;

impl State {
    /// Answers an administrative command. All requests before it have been run.
    pub(super) fn administer(&mut self, id: ConnId, command: Admin<'_>) {
        match command {
            Admin::Version => self.reply(id, b"VERSION 1.6.45 ringcached\r\n"),
            Admin::Quit => self.finish(id),
            Admin::FlushAll { noreply, .. } => {
                self.flush_all(Ok(0));
                if !noreply {
                    self.reply(id, line::OK);
                }
            }
            _ => self.reply(id, line::ERROR),
        }
    }

    pub(super) fn flush_all(
        &mut self,
        _delay: crate::protocol::admin::Checked<i64>,
    ) -> &'static [u8] {
        let now = self.clock.now;
        for shard in &self.shared.shards {
            shard.run(&mut |shard: &mut Shard| {
                shard.set_now(now);
                shard.flush(0);
            });
        }
        line::OK
    }
}
