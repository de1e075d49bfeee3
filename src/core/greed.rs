//! What clients may make the server hold for them, together.
//!
//! Replies that a client doesn't read and requests that wait behind them take memory, and so does
//! the front of a request whose rest doesn't come. All that the connections of a core hold so is
//! bounded by [`CONNECTION_BUSY_BYTES_PER_CORE`], which is part of the budget. From half of it on,
//! each connection is held to the least. When it is used up, those are cut off that send more
//! requests behind replies that they don't read, and those that have not read for long.
//!
//! A value that is being received holds its place in the cache from its first byte on. Those that
//! have stalled may hold an eighth of a shard, and all together half of it; beyond that the one
//! that has been silent for longest is cut off, so that others can always store.

use std::sync::atomic::Ordering;

use super::client::Client;
use super::state::State;
use crate::config::limits::{BLOCK_BYTES, CONNECTION_BUSY_BYTES_PER_CORE, OUTPUT_BYTES_MAX};
use crate::conn::ConnId;

/// The part of a shard (one part in so many) that values may hold whose clients are silent.
const STALLED_PARTS: usize = 8;
/// The part that all values on their way in may hold.
const UPLOAD_PARTS: usize = 2;
/// After so many seconds without a byte, a client has stalled.
const STALLED_S: u32 = 2;

impl State {
    /// Bytes that this core holds for its connections.
    #[inline]
    fn bytes_held(&self) -> usize {
        self.blocks.bytes_used() + self.inputs.bytes_used()
    }

    /// True while so much is held that no connection should have more than the least.
    #[inline]
    pub(super) fn is_tight(&self) -> bool {
        self.bytes_held() > CONNECTION_BUSY_BYTES_PER_CORE / 2
    }

    #[inline]
    fn is_exhausted(&self) -> bool {
        self.bytes_held() > CONNECTION_BUSY_BYTES_PER_CORE
    }

    /// Has a connection wait that is owed enough.
    #[inline]
    pub(super) fn limit_output(&mut self, id: ConnId) {
        let bytes_max = if self.is_tight() { BLOCK_BYTES } else { OUTPUT_BYTES_MAX };
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.output_bytes() > bytes_max {
            client.conn.pause();
            if self.is_exhausted() {
                self.cut_off_deaf();
            }
        }
    }

    /// Cuts off the connection that has not read for longest, if that is long.
    fn cut_off_deaf(&mut self) {
        let ids = self.clients.ids().collect();
        let is_deaf = |client: &Client| client.conn.is_paused() && client.conn.is_sending();
        match self.longest_silent(ids, is_deaf) {
            Some((id, silent_s)) if silent_s >= STALLED_S => self.cut_off(id),
            _ => {}
        }
    }

    /// Looks at a connection whose requests have to wait behind its replies.
    pub(super) fn limit_input(&mut self, id: ConnId) {
        let is_exhausted = self.is_exhausted();
        let Some(client) = self.clients.get_mut(id) else { return };
        if is_exhausted && client.input.bytes().len() > BLOCK_BYTES {
            self.cut_off(id);
        }
    }

    fn cut_off(&mut self, id: ConnId) {
        self.counters().greedy.add(1);
        self.break_off(id);
    }

    /// Makes room for a value of `bytes` on its way into a shard. False if there is none, because
    /// other cores' clients hold it.
    pub(super) fn limit_uploads(&mut self, shard: usize, bytes: usize) -> bool {
        let shard_bytes = self.shared.admin.live().memory_bytes / self.shared.shards.len();
        loop {
            let held = self.shared.upload_bytes[shard].load(Ordering::Relaxed);
            if held == 0 || held + bytes <= shard_bytes / STALLED_PARTS {
                return true;
            }
            let is_full = held + bytes > shard_bytes / UPLOAD_PARTS;
            let goes_there = |client: &Client| {
                client.upload.as_ref().is_some_and(|upload| upload.shard() == shard)
            };
            match self.longest_silent(self.uploads.clone(), goes_there) {
                Some((id, silent_s)) if is_full || silent_s >= STALLED_S => self.cut_off(id),
                _ => return !is_full,
            }
        }
    }

    /// Of the connections that are meant, the one from which no byte has come for longest, the
    /// first of them where that is the same second, and for how many seconds.
    fn longest_silent(
        &mut self,
        ids: Vec<ConnId>,
        is_meant: impl Fn(&Client) -> bool,
    ) -> Option<(ConnId, u32)> {
        let now = self.clock.now;
        let mut longest = None;
        for id in ids {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let silent_s = now.saturating_sub(client.active_at);
            if is_meant(client) && longest.is_none_or(|(_, most)| silent_s > most) {
                longest = Some((id, silent_s));
            }
        }
        longest
    }
}
