//! What a core has besides its ring, and how it runs a group.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::admin::{Log, Registry};
use super::client::{Client, Pin};
use super::counters::CoreCounters;
use super::execute::Replies;
use super::group::{Group, ReplyPlace, ShardPart};
use super::shared::Shared;
use super::upkeep::Upkeep;
use crate::config::limits::{GROUP_MAX, KEYS_BYTES_MIN, LINE_BYTES_MAX};
use crate::conn::{ConnId, InputPool, Table};
use crate::mesh::{Job, Lent};
use crate::os;
use crate::protocol::{Clock, Gate, Limits};
use crate::ring::{BlockPool, Token};
use crate::shard::{Evicted, Shard};

/// One core without its ring.
pub(super) struct State {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) clients: Table<Client>,
    pub(super) blocks: BlockPool,
    pub(super) inputs: InputPool,
    pub(super) clock: Clock,
    pub(super) gate: Gate,
    pub(super) limits: Limits,
    /// Replies of the group that is run, and where each of them lies.
    pub(super) replies: Replies,
    pub(super) places: Box<[ReplyPlace; GROUP_MAX]>,
    /// Clients whose plan has to be looked at before the turn ends.
    pub(super) listed: Vec<ConnId>,
    /// Clients that were sent something for which there was no buffer: they go first.
    pub(super) starved: Vec<ConnId>,
    /// Clients that are sending a large value, in the order in which they began.
    pub(super) uploads: Vec<ConnId>,
    /// Clients whose task can go on.
    pub(super) working: Vec<ConnId>,
    pub(super) upkeep: Upkeep,
    /// The second at which to look for idle connections.
    pub(super) idle_look_at: u32,
    /// This turn's log, and memory for what is sent of it.
    pub(super) log: Log,
    pub(super) log_to_send: Vec<u8>,
    /// Memory to open and seal records of TLS in.
    pub(super) tls_scratch: Vec<u8>,
    /// Memory for what shards have evicted, while somebody watches that.
    pub(super) evicted: Evicted,
    /// Memory for the reply to a datagram.
    pub(super) datagram_reply: Vec<u8>,
}

impl State {
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let config = &shared.config;
        let limits = Limits {
            item_bytes_max: u32::try_from(config.item_bytes_max).unwrap_or(u32::MAX),
            line_bytes_max: LINE_BYTES_MAX as u32,
            keys_bytes_min: KEYS_BYTES_MIN as u32,
        };
        let clock = reading(&shared.clock);
        let gate = match (config.sasl, &config.auth_file) {
            (true, _) => Gate::Sasl,
            (false, Some(_)) => Gate::Token,
            (false, None) => Gate::Open,
        };
        Self {
            index,
            clients: Table::with_capacity(config.connections_per_core_max()),
            blocks: BlockPool::default(),
            inputs: InputPool::default(),
            clock,
            gate,
            limits,
            replies: Replies::default(),
            places: Box::new([const { 0..0 }; GROUP_MAX]),
            listed: Vec::with_capacity(1024),
            starved: Vec::new(),
            uploads: Vec::new(),
            working: Vec::new(),
            upkeep: Upkeep::new(),
            idle_look_at: Self::first_idle_look(clock.now, config.idle_timeout_s),
            log: Log::new(config.worker_logbuf_bytes),
            log_to_send: Vec::new(),
            tls_scratch: Vec::new(),
            evicted: Evicted::default(),
            datagram_reply: Vec::new(),
            shared,
        }
    }

    #[inline]
    pub(super) fn counters(&self) -> &CoreCounters {
        &self.shared.counters[self.index]
    }

    #[inline]
    pub(super) fn registry(&self) -> &Registry {
        &self.shared.admin.registries[self.index]
    }

    pub(super) fn tell_time(&mut self) {
        self.clock = reading(&self.shared.clock);
    }

    /// The connection that a completion is for, if it is still the slot's tenant.
    #[inline]
    pub(super) fn tenant(&self, token: Token) -> Option<ConnId> {
        self.clients.tenant_of(token.slot()).filter(|id| token.is_of(id.generation))
    }

    /// Has the client's plan looked at before the turn ends.
    #[inline]
    pub(super) fn list(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.listed {
            client.listed = true;
            self.listed.push(id);
        }
    }

    /// Runs a group and delivers its replies.
    #[inline]
    pub(super) fn run(&mut self, group: &mut Group<'_>) {
        if !group.is_empty() {
            self.replies.trace.start(self.shared.admin.is_traced());
            self.execute(group);
            if self.replies.trace.is_on() {
                self.tell_trace(group);
            }
            self.deliver(group);
            group.clear();
        }
    }

    /// Runs each shard's part of a group. A shard that is in use is left for later, when its holder
    /// may be done with it, before the part is posted and waited for.
    fn execute(&mut self, group: &Group<'_>) {
        let mut in_use = ArrayVec::<usize, GROUP_MAX>::new();
        for part in group.parts() {
            self.counters().groups.add(1);
            if !self.execute_part(group, part, Lent::try_run) {
                in_use.push(part);
            }
        }
        for part in in_use {
            if !self.execute_part(group, part, Lent::run) {
                self.counters().groups_posted.add(1);
            }
        }
        self.counters().operations.add(group.len() as u64);
    }

    #[inline]
    fn execute_part(
        &mut self,
        group: &Group<'_>,
        part: usize,
        run: impl FnOnce(&Lent<Shard>, &mut dyn Job<Shard>) -> bool,
    ) -> bool {
        let (replies, places) = (&mut self.replies, &mut *self.places);
        let mut job = ShardPart { part, group, replies, places, clock: self.clock };
        run(&self.shared.shards[group.shard_of(part)], &mut job)
    }

    /// Gives pinned values back to their shards.
    pub(super) fn unpin(&mut self, pins: Vec<Pin>) {
        for Pin { shard, value } in pins {
            let mut value = Some(value);
            self.shared.shards[shard].run(&mut |shard: &mut Shard| {
                if let Some(value) = value.take() {
                    shard.unpin(value);
                }
            });
        }
    }
}

fn reading(clock: &os::clock::Clock) -> Clock {
    Clock { now: clock.now_s(), zero_unix: clock.zero_unix_s().cast_signed() }
}
