//! What happened to sockets, and what is to be submitted for them.
//!
//! Events change a connection's state; at the end of a turn the plan of every connection that saw
//! one is carried out. Here the state machine of [`crate::conn`] meets the ring.

use super::client::{Ending, Task};
use super::group::Group;
use super::state::State;
use crate::conn::{ConnId, Plan};
use crate::ring::{Completion, Op, Ring, Token};

impl State {
    /// The armed receive ended: end of stream, an error, no buffer, or as asked.
    pub(super) fn receive_ended(&mut self, id: ConnId, result: i32) {
        let is_starved = result == -libc::ENOBUFS;
        if is_starved {
            self.counters().buffers_missing.add(1);
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        client.conn.receive_ended();
        if is_starved && !client.listed {
            client.listed = true;
            self.starved.push(id);
        }
        match -result {
            0 => client.conn.peer_ended(),
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            _ if result > 0 => {}
            _ => self.lose(id),
        }
        self.list(id);
    }

    /// The peer is gone.
    fn lose(&mut self, id: ConnId) {
        let is_news = self.clients.get_mut(id).is_some_and(|client| client.conn.may_send());
        self.counters().resets.add(u64::from(is_news));
        self.break_off(id);
    }

    /// Ends a connection without another word. What it holds of the cache is free at once.
    pub(super) fn break_off(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.ending = Ending::Error;
        client.conn.close();
        if let Some(upload) = client.upload.take() {
            self.abandon_upload(id, *upload);
        }
        self.list(id);
    }

    /// A send ended, with as many bytes as the socket took.
    pub(super) fn sent(&mut self, ring: &mut Ring, completion: &Completion) {
        let slot = completion.token.slot();
        let Some(mut message) = ring.take_message(slot) else { return };
        let Some(id) = self.tenant(completion.token) else {
            return self.blocks.give_message(message);
        };
        let Ok(bytes) = usize::try_from(completion.result) else {
            self.blocks.give_message(message);
            if let Some(client) = self.clients.get_mut(id) {
                client.conn.sent(false);
            }
            return self.lose(id);
        };
        self.counters().bytes_written.add(bytes as u64);
        message.advance(bytes);
        let Some(client) = self.clients.get_mut(id) else { return };
        if message.left() > 0 {
            client.put_back(message);
            client.conn.sent(true);
            self.counters().sends_in_part.add(1);
            return self.list(id);
        }
        self.blocks.give_message(message);
        client.conn.sent(client.has_output());
        let pins = client.take_pins_in_flight();
        let has_task = client.task.is_some();
        let resumes = client.conn.is_paused() && !client.is_held();
        if resumes {
            client.conn.resume();
        }
        if !pins.is_empty() {
            self.unpin(pins);
        }
        if has_task {
            self.go_on_with_task(id);
        } else if resumes {
            let mut group = Group::new();
            self.feed(id, &[], &mut group);
            self.run(&mut group);
        }
        self.list(id);
    }

    /// What a task has produced is sent.
    fn go_on_with_task(&mut self, id: ConnId) {
        match self.clients.get_mut(id).and_then(|client| client.task.as_ref()) {
            Some(Task::Dump(_)) => self.working.push(id),
            Some(Task::Watch) => self.send_log(id),
            Some(Task::Refresh { .. }) | None => {}
        }
    }

    /// A shutdown ended.
    pub(super) fn shut(&mut self, completion: &Completion) {
        if let Some(id) = self.tenant(completion.token) {
            if let Some(client) = self.clients.get_mut(id) {
                client.conn.shut();
            }
            self.list(id);
        }
    }

    /// A socket is closed: its slot is free.
    pub(super) fn closed(&mut self, completion: &Completion) {
        if let Some(id) = self.tenant(completion.token) {
            self.forget(id);
        }
    }

    /// Lets a connection go that can't be sent what it is owed.
    #[cold]
    fn give_up(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.ending = Ending::Error;
        client.conn.sent(false);
        client.conn.close();
        self.list(id);
    }

    /// Ends a connection when all it is owed has been sent.
    pub(super) fn finish(&mut self, id: ConnId) {
        if let Some(client) = self.clients.get_mut(id) {
            client.conn.finish();
        }
        self.list(id);
    }

    /// Submits what the listed connections need; first of all for those that found no buffer in
    /// this turn, lest one with much to send takes them all again.
    pub(super) fn carry_out_plans(&mut self, ring: &mut Ring) {
        self.starved.append(&mut self.listed);
        std::mem::swap(&mut self.starved, &mut self.listed);
        // Carrying one out may list its client anew.
        let mut index = 0;
        while let Some(&id) = self.listed.get(index) {
            index += 1;
            let Some(client) = self.clients.get_mut(id) else { continue };
            client.listed = false;
            let plan = client.conn.plan();
            self.carry_out(ring, id, plan);
        }
        self.listed.clear();
    }

    fn carry_out(&mut self, ring: &mut Ring, id: ConnId, plan: Plan) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let fd = client.conn.fd;
        let token = |op| Token::new(op, id.index, id.generation);
        if plan.send {
            match client.take_output(&mut self.blocks, &mut self.tls_scratch) {
                Some(message) if client.awaits_end_of(&message) => {
                    ring.send(fd, message, token(Op::Send));
                }
                Some(message) => ring.send_quietly(fd, message, token(Op::Send)),
                None => self.give_up(id),
            }
        }
        if plan.receive {
            ring.receive(fd, token(Op::Receive));
        }
        if plan.cancel_receive {
            ring.cancel(token(Op::Receive), token(Op::Cancel));
        }
        if plan.shutdown {
            ring.shutdown(fd, token(Op::Shutdown));
        }
        if plan.close {
            ring.close(fd, token(Op::Close));
        }
    }
}
