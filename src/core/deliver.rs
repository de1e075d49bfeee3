//! Replies on their way to the connections, in the order of the requests.

use std::ops::Range;

use super::group::Group;
use super::state::State;
use crate::conn::ConnId;

impl State {
    /// Hands each reply of a group to its connection.
    pub(super) fn deliver(&mut self, group: &Group<'_>) {
        let mut start = 0;
        while start < group.len() {
            let conn = group[start].conn;
            let mut end = start + 1;
            while end < group.len() && group[end].conn == conn {
                end += 1;
            }
            self.deliver_to(conn, start..end);
            start = end;
        }
        self.replies.text.clear();
        if !self.replies.pins.is_empty() {
            // What nobody has taken.
            let pins = self.replies.pins.drain(..).filter_map(|(_, pin)| pin).collect();
            self.unpin(pins);
        }
    }

    /// Hands a connection the replies of operations that follow each other. Those that lie side by
    /// side, as all of a pipeline's do on one shard, go in one piece.
    #[inline]
    fn deliver_to(&mut self, conn: ConnId, operations: Range<usize>) {
        let pieces = self.places[operations].chunk_by(|one, next| one.end == next.start);
        let pieces = pieces.map(|places| match places {
            [first, .., last] => first.start as usize..last.end as usize,
            [only] => only.start as usize..only.end as usize,
            [] => 0..0,
        });
        let Some(client) = self.clients.get_mut(conn) else { return };
        let (text, pins) = (&self.replies.text, &mut self.replies.pins);
        if pins.is_empty() {
            client.reply(pieces.map(|piece| &text[piece]), &mut self.blocks);
            return self.limit_output(conn);
        }
        for Range { mut start, end } in pieces {
            // A pinned value has text of its own reply before it.
            let first = pins.partition_point(|(at, _)| *at <= start);
            for (at, pin) in pins[first..].iter_mut().take_while(|(at, _)| *at <= end) {
                client.reply([&text[start..*at]], &mut self.blocks);
                start = *at;
                *pin = pin.take().and_then(|pin| client.reply_pinned(pin, &mut self.blocks));
            }
            client.reply([&text[start..end]], &mut self.blocks);
        }
        self.limit_output(conn);
    }

    /// Answers a connection outside of any group.
    pub(super) fn reply(&mut self, id: ConnId, text: &[u8]) {
        if let Some(client) = self.clients.get_mut(id) {
            client.reply([text], &mut self.blocks);
        }
        self.list(id);
    }
}
