//! Letting clients in.

use super::state::State;
use crate::conn::ConnId;
use crate::protocol::reply::line;

impl State {
    /// Answers a user and a password of the text protocol.
    pub(super) fn authenticate(&mut self, id: ConnId, _user: &[u8], _password: &[u8]) {
        self.reply(id, line::AUTH_FAILURE);
    }
}
