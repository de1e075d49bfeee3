//! The loop of one core.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::datagrams::Datagrams;
use super::drain::Drain;
use super::group::Group;
use super::secure::Unsealed;
use super::shared::{Letter, Note, Shared};
use super::state::State;
use crate::config::{Binding, Manner};
use crate::protocol::admin::WatchStreams;
use crate::ring::{Completion, Op, Ring, Setup, Token, Wait};

/// The sockets that a core serves, beside the connections that it accepts.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// They listen, each for clients that talk in its manner.
    pub listeners: Vec<(RawFd, Manner)>,
    /// They receive datagrams, in a protocol each.
    pub datagrams: Vec<(RawFd, Binding)>,
}

/// A core: its ring and all that the ring doesn't know.
pub struct Core {
    pub(super) ring: Ring,
    pub(super) state: State,
    pub(super) listeners: Vec<Listener>,
    datagrams: Datagrams,
    completions: Vec<Completion>,
    /// What a turn's completions brought by TLS.
    unsealed: Unsealed,
    /// False while all wait for a connection to end, with `-o no_maxconns_fast`.
    is_accepting: bool,
    /// Accepting has failed; it is tried again in a while.
    rests: bool,
    pub(super) drain: Option<Drain>,
}

pub(super) struct Listener {
    pub(super) fd: RawFd,
    pub(super) manner: Manner,
    armed: bool,
}

impl Core {
    /// Makes the core `index` on the thread that will run it.
    ///
    /// # Errors
    /// When the kernel refuses the ring.
    pub fn new(index: usize, shared: Arc<Shared>, sockets: Sockets) -> io::Result<Self> {
        let files = shared.config.connections_per_core_max();
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        let ring = Ring::new(&Setup { files, ..Setup::default() })?;
        let Sockets { listeners, datagrams } = sockets;
        let descriptors = listeners.iter().map(|(fd, _)| *fd).collect();
        shared.admin.registries[index].set_listeners(descriptors);
        let listener = |(fd, manner)| Listener { fd, manner, armed: false };
        let listeners = listeners.into_iter().map(listener).collect();
        let state = State::new(index, shared);
        let completions = Vec::with_capacity(4096);
        Ok(Self {
            ring,
            state,
            listeners,
            datagrams: Datagrams::new(datagrams),
            completions,
            unsealed: Unsealed::default(),
            is_accepting: true,
            rests: false,
            drain: None,
        })
    }

    /// Serves until told to drain and drained.
    ///
    /// # Errors
    /// When the kernel refuses to go on, which no load and no client can bring about.
    pub fn run(mut self) -> io::Result<()> {
        self.arm_listeners();
        self.arm_wake();
        self.datagrams.arm(&mut self.ring);
        while !self.is_done() {
            self.ring.enter(self.wait())?;
            self.turn();
            self.go_on_draining();
        }
        Ok(())
    }

    fn turn(&mut self) {
        self.state.tell_time();
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.drain(&mut completions);
        let mut unsealed = std::mem::take(&mut self.unsealed);
        if self.state.shared.tls.is_some() {
            unsealed.fill(&self.ring, &mut self.state, &completions);
        }
        // Their messages and blocks are used again at once, for the replies to what came.
        for completion in completions.iter().filter(|completion| completion.token.op() == Op::Send)
        {
            self.state.sent(&mut self.ring, completion);
        }
        let mut group = Group::new();
        for (index, completion) in completions.iter().enumerate() {
            match completion.token.op() {
                Op::Receive => {
                    let plain = unsealed.of(index);
                    Self::received(&self.ring, &mut self.state, completion, plain, &mut group);
                }
                Op::Shutdown => self.state.shut(completion),
                Op::Close => self.state.closed(completion),
                Op::Send | Op::Accept | Op::Wake | Op::Cancel | Op::Connect => {}
                Op::ReceiveFrom | Op::SendTo => {}
            }
        }
        self.state.run(&mut group);
        drop(group);
        self.unsealed = unsealed;
        if let Some(drain) = &mut self.drain {
            drain.received(&self.state, &completions);
        }
        for completion in &completions {
            match completion.token.op() {
                Op::Accept => self.accepted(completion),
                Op::Wake => self.woken(),
                Op::ReceiveFrom => {
                    self.datagrams.received(&mut self.ring, &mut self.state, completion);
                }
                Op::SendTo => self.datagrams.sent(&mut self.ring, completion),
                _ => {}
            }
        }
        self.state.counters().completions.add(completions.len() as u64);
        completions.clear();
        self.completions = completions;
        self.background();
        self.state.carry_out_plans(&mut self.ring);
        self.ring.recycle();
        self.state.counters().turns.add(1);
    }

    /// What comes after the requests: tasks of connections, upkeep of the shard, the log.
    #[inline]
    fn background(&mut self) {
        let state = &mut self.state;
        if !state.working.is_empty() {
            state.work();
        }
        if state.upkeep.is_due() {
            state.keep_up();
        }
        if state.clock.now >= state.idle_look_at {
            state.end_idle();
        }
        if state.shared.admin.watch.wants(WatchStreams::EVICTIONS) {
            state.log_evictions();
        }
        if state.shared.admin.watch.wants(WatchStreams::SYSEVENTS) {
            state.log_moves();
        }
        if !state.log.is_empty() {
            state.publish_log();
        }
    }

    fn received<'a>(
        ring: &'a Ring,
        state: &mut State,
        completion: &Completion,
        plain: Option<&'a [u8]>,
        group: &mut Group<'a>,
    ) {
        let Some(id) = state.tenant(completion.token) else { return };
        if let Some(received) = &completion.received {
            let bytes = ring.bytes(received);
            state.counters().bytes_read.add(bytes.len() as u64);
            state.feed(id, plain.unwrap_or(bytes), group);
            state.list(id);
        }
        if !completion.more {
            state.receive_ended(id, completion.result);
        }
    }

    fn accepted(&mut self, completion: &Completion) {
        let index = completion.token.slot() as usize;
        self.listeners[index].armed = completion.more;
        match completion.accepted() {
            Some(socket) if self.drain.is_some() => {
                self.take_late(socket, self.listeners[index].manner);
            }
            Some(socket) => {
                self.state.place(socket, self.listeners[index].manner);
            }
            None if completion.result == -libc::ECANCELED || self.drain.is_some() => {}
            None => {
                self.state.counters().accept_errors.add(1);
                // Most likely there is no descriptor left. Trying again at once would not help.
                self.rests = true;
            }
        }
        self.arm_listeners();
    }

    fn woken(&mut self) {
        self.arm_wake();
        let inbox = &self.state.shared.clone().inboxes[self.state.index];
        for letter in inbox.take() {
            match letter {
                Letter::Adopt(socket, manner) => self.adopt(socket, manner),
                Letter::Shaken(shaken) => self.state.shaken(*shaken),
                Letter::Refreshed(refreshed) => self.state.refreshed(&refreshed),
                Letter::Note(Note::Maintain) => {
                    self.state.maintain();
                    self.state.counters().overflows.set(self.ring.overflows());
                    self.rests = false;
                    self.arm_listeners();
                }
                Letter::Note(Note::Crawl { classes }) => self.state.begin_walk(classes),
                Letter::Note(Note::Log) => self.state.send_logs(),
                Letter::Note(Note::Doors) => self.look_at_doors(),
                Letter::Note(Note::Drain) => self.begin_drain(),
            }
        }
    }

    fn arm_listeners(&mut self) {
        if self.drain.is_some() || self.rests || !self.is_accepting {
            return;
        }
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if !listener.armed {
                let token = Token::new(Op::Accept, index as u32, 0);
                self.ring.accept(listener.fd, token);
                listener.armed = true;
            }
        }
    }

    fn arm_wake(&mut self) {
        let inbox = &self.state.shared.inboxes[self.state.index];
        self.ring.read_wake(inbox.descriptor(), Token::new(Op::Wake, 0, 0));
    }

    fn wait(&self) -> Wait {
        match &self.drain {
            None if !self.state.working.is_empty() => Wait::POLL,
            // Without upkeep it sleeps until something comes, the control plane's letter of each
            // second at the latest; so the kernel has no timer to set and to take back.
            None => Wait::one(self.state.upkeep.wait()),
            Some(drain) => drain.wait(),
        }
    }

    pub(super) fn disarm_listeners(&mut self) {
        for index in 0..self.listeners.len() {
            let target = Token::new(Op::Accept, index as u32, 0);
            self.ring.cancel(target, Token::new(Op::Cancel, index as u32, 0));
        }
    }

    /// Accepting has stopped at the connection limit, or goes on.
    fn look_at_doors(&mut self) {
        let is_on = self.state.shared.admin.accepting.is_on();
        if self.is_accepting && !is_on {
            self.disarm_listeners();
        }
        self.is_accepting = is_on;
        self.arm_listeners();
    }
}
