//! A shard with a parser before it, for tests: bytes in, bytes out, and a clock to turn.

use super::{Replies, execute, key_of, text};
use crate::protocol::key::KEY_BYTES_MAX;
use crate::protocol::parser::{Binding, Gate, Limits};
use crate::protocol::reply::line;
use crate::protocol::{Clock, Parser, Request, Step};
use crate::shard::{Access, Key, Shard, ShardConfig, hash_key};

/// One connection to one shard.
pub(super) struct Session {
    pub(super) shard: Shard,
    pub(super) clock: Clock,
    parser: Parser,
}

impl Session {
    pub(super) fn new() -> Self {
        let config = ShardConfig { memory_bytes: 8 << 20, ..ShardConfig::default() };
        let clock = Clock { now: 100, zero_unix: 1_800_000_000 };
        let mut shard = Shard::new(config).expect("memory for a small shard");
        shard.set_now(clock.now);
        let parser = Parser::new(Binding::Auto, Gate::Open, Limits::default());
        Self { shard, clock, parser }
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, seconds: u32) {
        self.clock.now += seconds;
        self.shard.set_now(self.clock.now);
    }

    /// Sends bytes and returns all replies.
    pub(super) fn send(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut replies = Replies::default();
        while !input.is_empty() {
            let consumed = match self.parser.next(input) {
                Step::Request { request, consumed } => {
                    self.answer(&request, &mut replies);
                    consumed
                }
                Step::Skip { consumed } => consumed,
                Step::Reject { refusal, consumed } => {
                    refusal.put(&mut replies.text);
                    consumed
                }
                step => panic!("{step:?} at {}", input.escape_ascii()),
            };
            input = &input[consumed..];
        }
        self.take(replies)
    }

    /// Sends lines, each with its end added, and returns the replies without the last one's.
    pub(super) fn ask(&mut self, lines: &str) -> String {
        let input = lines.replace('\n', "\r\n") + "\r\n";
        let reply = String::from_utf8(self.send(input.as_bytes())).expect("text");
        reply.strip_suffix("\r\n").unwrap_or(&reply).replace("\r\n", "\n")
    }

    fn answer(&mut self, request: &Request<'_>, replies: &mut Replies) {
        let mut scratch = [0; KEY_BYTES_MAX];
        let hash = key_of(request, &mut scratch).map_or(0, |key| hash_key(0, key.bytes()));
        match request {
            Request::Store(store) => {
                let item = Key { bytes: store.key.bytes(), hash };
                text::store(store, item, &mut self.shard, replies, self.clock);
            }
            Request::Get(get) => {
                for key in get.keys.clone() {
                    let item = Key { bytes: key.bytes(), hash: hash_key(0, key.bytes()) };
                    text::get(key, item, get.with_cas, None, &mut self.shard, replies);
                }
                replies.text.extend_from_slice(line::END);
            }
            Request::MetaNoop => replies.text.extend_from_slice(line::META_NOOP),
            request => execute(request, hash, &mut self.shard, replies, self.clock),
        }
    }

    fn take(&mut self, replies: Replies) -> Vec<u8> {
        let mut out = Vec::new();
        let mut start = 0;
        for (at, pin) in replies.pins {
            out.extend_from_slice(&replies.text[start..at]);
            start = at;
            let pin = pin.expect("nobody has taken it");
            pin.value.pieces().for_each(|piece| out.extend_from_slice(piece));
            self.shard.unpin(pin.value);
        }
        out.extend_from_slice(&replies.text[start..]);
        out
    }

    /// The CAS id of a key that is there.
    pub(super) fn cas(&mut self, key: &[u8]) -> u64 {
        let key = Key { bytes: key, hash: hash_key(0, key) };
        self.shard.get(&key, Access::Peek).expect("the key is there").cas()
    }
}
