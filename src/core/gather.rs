//! From received bytes to operations.
//!
//! Requests are parsed where they lie and borrow from there, so a group can hold requests of many
//! connections' buffers. Only a request that came in parts moves, with as little as needed of
//! what follows it, into the client's [`Input`]; its group is run before the input changes.
//!
//! Requests that are not about one key are answered at once, after what was gathered before them
//! has run: the order of a connection's replies is always the order of its requests.

use super::datagrams::may_come_by_datagram;
use super::execute::{Work, key_of};
use super::group::{Group, Operation};
use super::state::State;
use crate::config::limits::UPLOAD_BYTES_MIN;
use crate::conn::{ConnId, Input};
use crate::mesh::route;
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::reply::line;
use crate::protocol::{Get, Key, Refusal, Request, Step, plain_get};
use crate::shard::hash_key;

/// How much of what follows is copied behind a request that came in parts, at a time.
const COPY_BYTES: usize = 4096;

impl State {
    /// Takes in what a connection received.
    pub(super) fn feed<'a>(&mut self, id: ConnId, bytes: &'a [u8], group: &mut Group<'a>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.active_at != self.clock.now {
            client.active_at = self.clock.now;
            self.shared.admin.registries[self.index].touch(id, self.clock.now);
        }
        if client.input.is_empty() && !client.conn.is_paused() {
            self.feed_in_place(id, bytes, group);
        } else {
            // What this connection asked before comes first.
            self.run(group);
            self.feed_behind_input(id, bytes, group);
        }
    }

    fn feed_in_place<'a>(&mut self, id: ConnId, bytes: &'a [u8], group: &mut Group<'a>) {
        let consumed = self.parse(id, bytes, group);
        if consumed < bytes.len() {
            let Some(client) = self.clients.get_mut(id) else { return };
            if client.conn.is_open() {
                client.input.append(&bytes[consumed..], &mut self.inputs);
                self.limit_input(id);
            }
        }
    }

    /// Goes on with a request whose front waits in the input.
    fn feed_behind_input<'a>(&mut self, id: ConnId, bytes: &'a [u8], group: &mut Group<'a>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let mut input = std::mem::take(&mut client.input);
        let mut rest = bytes;
        loop {
            let kept = input.bytes().len();
            let (more, after) = rest.split_at(rest.len().min(COPY_BYTES));
            input.append(more, &mut self.inputs);
            let consumed = self.parse_input(id, &input);
            if consumed >= kept {
                // All that was kept is done with; go on in place.
                input.clear(&mut self.inputs);
                rest = &rest[consumed - kept..];
                return self.feed_in_place(id, rest, group);
            }
            input.consume(consumed);
            rest = after;
            let Some(client) = self.clients.get_mut(id) else { return };
            if !client.conn.is_open() {
                return input.clear(&mut self.inputs);
            }
            if client.conn.is_paused() || rest.is_empty() {
                input.append(rest, &mut self.inputs);
                client.input = input;
                return self.limit_input(id);
            }
        }
    }

    fn parse_input(&mut self, id: ConnId, input: &Input) -> usize {
        let mut group = Group::new();
        let consumed = self.parse(id, input.bytes(), &mut group);
        self.run(&mut group);
        consumed
    }

    /// Takes all whole requests out of `bytes`; returns how many bytes they were.
    fn parse<'a>(&mut self, id: ConnId, bytes: &'a [u8], group: &mut Group<'a>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let Some(client) = self.clients.get_mut(id) else { return at };
            if !client.conn.is_open() || client.conn.is_paused() {
                return at;
            }
            if client.upload.is_some() {
                at += self.feed_upload(id, &bytes[at..], group);
                continue;
            }
            let parser = &mut client.conn.parser;
            let step = if parser.is_at_line() && bytes[at..].starts_with(b"get ") {
                let plain_bytes = self.take_plain_gets(id, &bytes[at..], group);
                if plain_bytes > 0 {
                    at += plain_bytes;
                    continue;
                }
                let Some(client) = self.clients.get_mut(id) else { return at };
                client.conn.parser.next(&bytes[at..])
            } else {
                parser.next(&bytes[at..])
            };
            match step {
                Step::Request { request: Request::Get(get), consumed } => {
                    at = match self.take_get(id, get, group) {
                        None => at + consumed,
                        Some(unread) => unread.as_ptr() as usize - bytes.as_ptr() as usize,
                    };
                }
                Step::Request { request, consumed } => {
                    at += consumed;
                    self.take(id, request, group);
                }
                Step::Need => return at,
                Step::Skip { consumed } => at += consumed,
                Step::Reject { refusal, consumed } => {
                    at += consumed;
                    self.refuse(id, refusal, group);
                }
                Step::Upload { request, header_bytes, value_bytes, tail_bytes } => {
                    if header_bytes + value_bytes + tail_bytes < UPLOAD_BYTES_MIN {
                        return at;
                    }
                    self.run(group);
                    let header = &bytes[at..at + header_bytes];
                    self.begin_upload(id, &request, header, value_bytes, tail_bytes);
                    at += header_bytes;
                }
                Step::Oversize { request, consumed } => {
                    at += consumed;
                    self.run(group);
                    self.refuse_oversize(id, &request);
                }
                Step::Close { refusal } => {
                    if let Some(refusal) = refusal {
                        self.refuse(id, refusal, group);
                    }
                    self.run(group);
                    self.finish(id);
                }
            }
        }
        at
    }

    /// Takes retrievals of one key each, until something else comes or a group has run, after which
    /// the connection may be in another state; returns how many bytes they were.
    #[inline]
    fn take_plain_gets<'a>(&mut self, id: ConnId, bytes: &'a [u8], group: &mut Group<'a>) -> usize {
        let mut at = 0;
        while let Some((key, consumed)) = plain_get(&bytes[at..]) {
            at += consumed;
            let work = Work::Get { with_cas: false, touch: None, is_end: true };
            if self.push(id, key, work, group) {
                break;
            }
        }
        at
    }

    #[inline]
    fn take<'a>(&mut self, id: ConnId, request: Request<'a>, group: &mut Group<'a>) {
        match request {
            Request::Store(store) => {
                self.push(id, store.key, Work::Store(store), group);
            }
            Request::Delete(delete) => {
                self.push(id, delete.key, Work::Delete { noreply: delete.noreply }, group);
            }
            Request::Touch(touch) => {
                let work = Work::Touch { exptime: touch.exptime, noreply: touch.noreply };
                self.push(id, touch.key, work, group);
            }
            Request::Arithmetic(arithmetic) => {
                let work = Work::Arithmetic {
                    decrement: arithmetic.decrement,
                    delta: arithmetic.delta,
                    noreply: arithmetic.noreply,
                };
                self.push(id, arithmetic.key, work, group);
            }
            Request::Admin(command)
                if self.is_of_datagram(id) && !may_come_by_datagram(&command) =>
            {
                self.push_literal(id, line::ERROR, group);
            }
            Request::Admin(command) => {
                self.run(group);
                self.administer(id, command);
            }
            Request::MetaGet(_)
            | Request::MetaSet(..)
            | Request::MetaDelete(_)
            | Request::MetaArithmetic(_) => self.push_request(id, request, group),
            Request::MetaDebug(_) => {
                self.counters().metas.add(1);
                self.push_request(id, request, group);
            }
            Request::MetaNoop => self.push_literal(id, line::META_NOOP, group),
            Request::Binary(request) => self.take_binary(id, request, group),
            Request::Authenticate { user, password } => {
                self.run(group);
                self.authenticate(id, user, password);
            }
            Request::Get(_) => unreachable!("retrievals are taken key by key"),
        }
    }

    /// Looks up all keys of a retrieval, or as many as the connection can be answered for now: the
    /// text of the others is returned, to be parsed again when it has been sent enough.
    #[inline]
    fn take_get<'a>(
        &mut self,
        id: ConnId,
        mut get: Get<'a>,
        group: &mut Group<'a>,
    ) -> Option<&'a [u8]> {
        while let Some(key) = get.keys.next() {
            let is_end = get.is_last && get.keys.unread().is_empty();
            let work = Work::Get { with_cas: get.with_cas, touch: get.touch, is_end };
            let ran = self.push(id, key, work, group);
            if is_end {
                return None;
            }
            if ran && !get.keys.unread().is_empty() && self.is_paused(id) {
                if let Some(client) = self.clients.get_mut(id) {
                    client.conn.parser.rewind(&get);
                }
                return Some(get.keys.unread());
            }
        }
        // No key, or spaces behind the last one.
        if get.is_last {
            self.push_literal(id, line::END, group);
        }
        None
    }

    pub(super) fn is_of_datagram(&mut self, id: ConnId) -> bool {
        self.clients.get_mut(id).is_some_and(|client| client.is_of_datagram())
    }

    fn is_paused(&mut self, id: ConnId) -> bool {
        self.clients.get_mut(id).is_some_and(|client| client.conn.is_paused())
    }

    /// Adds an operation; a group that must run first does, which is told.
    #[inline]
    fn push<'a>(
        &mut self,
        conn: ConnId,
        key: Key<'a>,
        work: Work<'a>,
        group: &mut Group<'a>,
    ) -> bool {
        let hash = hash_key(self.shared.hash_seed, key.bytes());
        let shard = self.shard_of(hash);
        let runs = self.must_run(conn, group);
        if runs {
            self.run(group);
        }
        group.push(Operation { conn, shard, key, hash, work });
        runs
    }

    /// The shard that a key belongs to.
    #[inline]
    fn shard_of(&self, hash: u64) -> u8 {
        route(hash, self.shared.shards.len()) as u8
    }

    /// Whether a group has to run before it takes an operation of `conn`. While memory is tight, a
    /// connection's replies are counted one by one.
    #[inline]
    fn must_run(&self, conn: ConnId, group: &Group<'_>) -> bool {
        let is_next = || group.last().is_some_and(|last| last.conn == conn);
        group.is_full() || (self.is_tight() && is_next())
    }

    /// Adds a request of the meta or the binary protocol. One that is about no key keeps its place
    /// among the others by going along with the operation before it.
    pub(super) fn push_request<'a>(
        &mut self,
        conn: ConnId,
        request: Request<'a>,
        group: &mut Group<'a>,
    ) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let key = key_of(&request, &mut scratch);
        let hash = key.map(|key| hash_key(self.shared.hash_seed, key.bytes()));
        if self.must_run(conn, group) {
            self.run(group);
        }
        let (shard, hash) = match hash {
            Some(hash) => (self.shard_of(hash), hash),
            None => companion(group),
        };
        let work = group.keep(request);
        group.push(Operation { conn, shard, key: no_key(), hash, work });
    }

    /// Adds a reply that needs no shard, in its place among the others: it goes along with the
    /// operation before it.
    #[inline]
    pub(super) fn push_literal<'a>(
        &mut self,
        conn: ConnId,
        text: &'static [u8],
        group: &mut Group<'a>,
    ) {
        if group.is_full() {
            self.run(group);
        }
        let (shard, hash) = companion(group);
        group.push(Operation { conn, shard, key: no_key(), hash, work: Work::Literal(text) });
    }

    pub(super) fn refuse(&mut self, id: ConnId, refusal: Refusal, group: &mut Group<'_>) {
        match refusal {
            Refusal::Line(text) => self.push_literal(id, text, group),
            binary @ Refusal::Binary { .. } => {
                self.run(group);
                let mut reply = Vec::new();
                binary.put(&mut reply);
                self.reply(id, &reply);
            }
        }
    }
}

/// The shard and hash of the last operation, which one without a key goes along with.
fn companion(group: &Group<'_>) -> (u8, u64) {
    group.last().map_or((0, 0), |last| (last.shard, last.hash))
}

/// The key of an operation that looks at none.
fn no_key() -> Key<'static> {
    Key::new(b"-").expect("one byte is a legal key")
}
