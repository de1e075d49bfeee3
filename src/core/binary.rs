//! Commands of the binary protocol: which of them go into the group, and those that concern more
//! than a key.

use super::admin::Form;
use super::group::Group;
use super::state::State;
use crate::conn::ConnId;
use crate::protocol::admin::Stats;
use crate::protocol::binary::BinaryCommand;
use crate::protocol::reply::{Status, line, put_binary, put_binary_error};
use crate::protocol::{Binary, Refusal, Request};

impl State {
    /// Takes a command in. NOOP and VERSION go along with the commands before them, because a
    /// multi-get is a line of quiet gets with a NOOP at its end.
    pub(super) fn take_binary<'a>(
        &mut self,
        id: ConnId,
        request: Binary<'a>,
        group: &mut Group<'a>,
    ) {
        match request.command {
            BinaryCommand::Quit => {
                self.push_request(id, Request::Binary(request), group);
                self.run(group);
                self.finish(id);
            }
            BinaryCommand::Stat(Stats::Sizes) if self.is_of_datagram(id) => {
                // A histogram goes on after its request, which a datagram does not.
                let refusal = Refusal::Binary {
                    opcode: request.opcode,
                    opaque: request.opaque,
                    status: Status::UnknownCommand,
                };
                self.refuse(id, refusal, group);
            }
            BinaryCommand::Flush { .. }
            | BinaryCommand::Stat(_)
            | BinaryCommand::SaslList
            | BinaryCommand::SaslAuth { .. }
            | BinaryCommand::SaslStep { .. } => {
                self.run(group);
                self.administer_binary(id, &request);
            }
            _ => self.push_request(id, Request::Binary(request), group),
        }
    }

    fn administer_binary(&mut self, id: ConnId, request: &Binary<'_>) {
        let mut reply = Vec::new();
        let Binary { opcode, opaque, quiet, .. } = *request;
        match &request.command {
            BinaryCommand::Flush { delay } => match self.flush_all(Ok(*delay)) {
                line::OK if quiet => {}
                line::OK => put_binary(&mut reply, opcode, opaque, 0, b""),
                _ => put_binary_error(&mut reply, opcode, opaque, Status::AuthError),
            },
            BinaryCommand::Stat(stats) => {
                return self.statistics(id, stats, Form::Binary { opcode, opaque });
            }
            _ => self.answer_sasl(id, request, &mut reply),
        }
        self.reply(id, &reply);
    }
}
