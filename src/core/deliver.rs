//! Replies on their way to the connections, in the order of the requests.

use super::group::Group;
use super::state::State;
use crate::conn::ConnId;
use std::ops::Range;

impl State {
    /// Hands each reply of a group to its connection. Replies that lie side by side and are for the
    /// same connection, as all of a pipeline's do on one shard, go in one piece.
    pub(super) fn deliver(&mut self, group: &Group<'_>) {
        let mut index = 0;
        while index < group.len() {
            let conn = group[index].conn;
            let mut text = self.places[index].text.clone();
            let mut pins = self.places[index].pins.clone();
            index += 1;
            while index < group.len() && group[index].conn == conn {
                let next = &self.places[index];
                if next.text.start != text.end || next.pins.start != pins.end {
                    break;
                }
                text.end = next.text.end;
                pins.end = next.pins.end;
                index += 1;
            }
            self.deliver_piece(conn, text, pins);
        }
        self.replies.text.clear();
        self.replies.pins.clear();
    }

    #[inline]
    fn deliver_piece(&mut self, conn: ConnId, text: Range<usize>, pins: Range<usize>) {
        let Some(client) = self.clients.get_mut(conn) else {
            return self.unpin_undelivered(pins);
        };
        let mut start = text.start;
        let mut undelivered = Vec::new();
        for (at, pinned) in &mut self.replies.pins[pins] {
            client.reply(&self.replies.text[start..*at], &mut self.blocks);
            start = *at;
            if let Some(pinned) = pinned.take() {
                undelivered.extend(client.reply_pinned(pinned, &mut self.blocks));
            }
        }
        client.reply(&self.replies.text[start..text.end], &mut self.blocks);
        self.limit_output(conn);
        if !undelivered.is_empty() {
            self.unpin(undelivered);
        }
    }

    fn unpin_undelivered(&mut self, pins: Range<usize>) {
        let pins = self.replies.pins[pins].iter_mut().filter_map(|(_, pinned)| pinned.take());
        let pins = pins.collect();
        self.unpin(pins);
    }

    /// Answers a connection outside of any group.
    pub(super) fn reply(&mut self, id: ConnId, text: &[u8]) {
        if let Some(client) = self.clients.get_mut(id) {
            client.reply(text, &mut self.blocks);
        }
        self.list(id);
    }
}
