//! Large values on their way in.
//!
//! A value that is not all there when its header is parsed, and too large to wait in the client's
//! input, is received straight into the chunks it will live in. The shard gives them out one by
//! one, as they are filled; the bytes are copied from the receive buffers without the shard's
//! token, because nobody else knows the chunks; at the end the shard takes the item in, under its
//! token again.

use std::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use super::execute::{Replies, answer_store, key_of, upload_options};
use super::group::Group;
use super::state::State;
use super::trace::Event;
use crate::conn::ConnId;
use crate::mesh::{Lent, route};
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::reply::line;
use crate::protocol::{Parser, Request, Step};
use crate::shard::{Key, Reservation, Shard, Stored, hash_key};

/// Bytes that end a value, at most.
const TAIL_BYTES_MAX: usize = 2;

/// A value that is being received.
pub(super) struct Upload {
    /// The request's header, and the parser as it stood before it: together they give the request
    /// again when its answer is due.
    header: Vec<u8>,
    parser: Parser,
    reservation: Reservation,
    /// Bytes that it holds.
    value_bytes: usize,
    shard: usize,
    tail: ArrayVec<u8, TAIL_BYTES_MAX>,
    tail_bytes: usize,
}

impl Upload {
    /// The shard that it goes into.
    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    /// Takes what belongs to the value and has room; returns how many bytes that was.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let room = self.reservation.writable();
        let taken = room.len().min(bytes.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.reservation.advance(taken);
        if self.reservation.remaining() > 0 {
            return taken;
        }
        let tail = (self.tail_bytes - self.tail.len()).min(bytes.len() - taken);
        self.tail.extend(bytes[taken..taken + tail].iter().copied());
        taken + tail
    }

    fn is_complete(&self) -> bool {
        self.reservation.remaining() == 0 && self.tail.len() == self.tail_bytes
    }

    /// Whether bytes are to come for which there is no room yet.
    fn is_full(&mut self) -> bool {
        self.reservation.remaining() > 0 && self.reservation.writable().is_empty()
    }

    /// Bytes to come.
    fn left(&self) -> usize {
        self.reservation.remaining() + self.tail_bytes - self.tail.len()
    }
}

impl State {
    /// Reserves room for a value; without room the request is refused and its bytes are dropped.
    pub(super) fn begin_upload(
        &mut self,
        id: ConnId,
        request: &Request<'_>,
        header: &[u8],
        value_bytes: usize,
        tail_bytes: usize,
    ) {
        let options = upload_options(request, self.clock);
        let mut scratch = [0; KEY_BYTES_MAX];
        let (shard, key) = self.locate(request, &mut scratch);
        let has_room = self.limit_uploads(shard, value_bytes);
        let mut outcome = Err(Stored::OutOfMemory);
        let now = self.clock.now;
        self.shared.shards[shard].run(&mut |shard: &mut Shard| {
            shard.set_now(now);
            outcome = if has_room {
                shard.reserve(&key, &options, value_bytes)
            } else {
                Err(shard.refuse(&key, &options, Stored::OutOfMemory))
            };
        });
        let Some(client) = self.clients.get_mut(id) else { return };
        match outcome {
            Ok(reservation) => {
                self.uploads.push(id);
                self.shared.upload_bytes[shard].fetch_add(value_bytes, Ordering::Relaxed);
                client.upload = Some(Box::new(Upload {
                    header: header.to_vec(),
                    parser: client.conn.parser.clone(),
                    reservation,
                    value_bytes,
                    shard,
                    tail: ArrayVec::new(),
                    tail_bytes,
                }));
            }
            Err(stored) => {
                client.conn.parser.swallow(value_bytes + tail_bytes);
                self.answer(id, request, value_bytes, stored);
            }
        }
    }

    /// Feeds the upload in progress; returns how many bytes it took.
    pub(super) fn feed_upload(&mut self, id: ConnId, bytes: &[u8], group: &mut Group<'_>) -> usize {
        let Some(client) = self.clients.get_mut(id) else { return bytes.len() };
        let Some(upload) = &mut client.upload else { return 0 };
        if upload.is_full() && !extend(&self.shared.shards[upload.shard], &mut upload.reservation) {
            self.run(group);
            self.refuse_rest_of_upload(id);
            return 0;
        }
        let taken = upload.take(bytes);
        if upload.is_complete() {
            self.run(group);
            self.end_upload(id);
        }
        taken
    }

    /// There is no memory for the rest of a value: its bytes are dropped.
    #[cold]
    fn refuse_rest_of_upload(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(upload) = client.upload.take() else { return };
        client.conn.parser.swallow(upload.left());
        self.forget_upload(id, &upload);
        let Upload { header, mut parser, reservation, value_bytes, shard, .. } = *upload;
        let mut reservation = Some(reservation);
        let mut stored = Stored::OutOfMemory;
        self.shared.shards[shard].run(&mut |shard: &mut Shard| {
            if let Some(reservation) = reservation.take() {
                stored = shard.refuse_rest(reservation);
            }
        });
        let request = request_of(&mut parser, &header);
        self.answer(id, &request, value_bytes, stored);
    }

    fn end_upload(&mut self, id: ConnId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(upload) = client.upload.take() else { return };
        self.forget_upload(id, &upload);
        let Upload { header, mut parser, reservation, value_bytes, shard, tail, .. } = *upload;
        let request = request_of(&mut parser, &header);
        let is_whole = Parser::tail(&tail);
        let mut reservation = Some(reservation);
        let mut stored = None;
        let now = self.clock.now;
        self.shared.shards[shard].run(&mut |shard: &mut Shard| {
            shard.set_now(now);
            let Some(reservation) = reservation.take() else { return };
            if is_whole {
                stored = Some(shard.commit(reservation));
            } else {
                shard.release(reservation);
            }
        });
        match stored {
            Some(stored) => self.answer(id, &request, value_bytes, stored),
            None if noreply(&request) => {}
            None => self.reply(id, line::BAD_DATA_CHUNK),
        }
    }

    fn forget_upload(&mut self, id: ConnId, upload: &Upload) {
        self.uploads.retain(|other| *other != id);
        self.shared.upload_bytes[upload.shard].fetch_sub(upload.value_bytes, Ordering::Relaxed);
    }

    /// Gives up an upload whose connection has ended.
    pub(super) fn abandon_upload(&mut self, id: ConnId, upload: Upload) {
        self.forget_upload(id, &upload);
        let mut reservation = Some(upload.reservation);
        self.shared.shards[upload.shard].run(&mut |shard: &mut Shard| {
            if let Some(reservation) = reservation.take() {
                shard.release(reservation);
            }
        });
    }

    /// A store that is over the limit. The value that it was to replace goes, where memcached drops
    /// it too; the parser drops the bytes.
    pub(super) fn refuse_oversize(&mut self, id: ConnId, request: &Request<'_>) {
        let options = upload_options(request, self.clock);
        let mut scratch = [0; KEY_BYTES_MAX];
        let (shard, key) = self.locate(request, &mut scratch);
        let now = self.clock.now;
        self.shared.shards[shard].run(&mut |shard: &mut Shard| {
            shard.set_now(now);
            shard.refuse(&key, &options, Stored::TooLarge);
        });
        self.answer(id, request, 0, Stored::TooLarge);
    }

    /// The shard that a store's key belongs to, and the key.
    fn locate<'k>(
        &self,
        request: &Request<'k>,
        scratch: &'k mut [u8; KEY_BYTES_MAX],
    ) -> (usize, Key<'k>) {
        let key = key_of(request, scratch).expect("a store has a key").bytes();
        let hash = hash_key(self.shared.hash_seed, key);
        (route(hash, self.shared.shards.len()), Key { bytes: key, hash })
    }

    fn answer(&mut self, id: ConnId, request: &Request<'_>, value_bytes: usize, stored: Stored) {
        if self.shared.admin.is_traced() {
            let mut scratch = [0; KEY_BYTES_MAX];
            let (_, key) = self.locate(request, &mut scratch);
            let options = upload_options(request, self.clock);
            let event = Event::stored(&options, stored, 0, self.clock.now);
            self.tell_event(id, key.bytes, &event);
        }
        let mut replies = Replies::default();
        answer_store(request, value_bytes, stored, &mut replies);
        self.reply(id, &replies.text);
    }
}

/// Takes the next memory for a value from its shard. False if there is none.
fn extend(shard: &Lent<Shard>, reservation: &mut Reservation) -> bool {
    let mut is_extended = false;
    shard.run(&mut |shard: &mut Shard| is_extended = shard.extend(reservation));
    is_extended
}

/// The request that an upload began with.
fn request_of<'a>(parser: &mut Parser, header: &'a [u8]) -> Request<'a> {
    match parser.next(header) {
        Step::Upload { request, .. } => request,
        _ => unreachable!("the same parser state and bytes give the same step"),
    }
}

fn noreply(request: &Request<'_>) -> bool {
    matches!(request, Request::Store(store) if store.noreply)
}
