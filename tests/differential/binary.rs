//! Scripts of binary packets: every opcode, quiet and not, with extras right and wrong.
//!
//! What closes a connection - a packet whose lengths contradict each other - comes last on it, and
//! only in scripts of short values: where memcached closes, it may lose replies that it still owes.
//! A connection either counts or reads numbers, as with text.

use crate::common::Random;
use crate::script::{Command, Piece, Script, Segment, TAG_DIGITS};
use crate::text;

const GET: u8 = 0x00;
const SET: u8 = 0x01;
const ADD: u8 = 0x02;
const REPLACE: u8 = 0x03;
const DELETE: u8 = 0x04;
const INCREMENT: u8 = 0x05;
const DECREMENT: u8 = 0x06;
const FLUSH: u8 = 0x08;
const GETQ: u8 = 0x09;
const NOOP: u8 = 0x0a;
const VERSION: u8 = 0x0b;
const GETK: u8 = 0x0c;
const GETKQ: u8 = 0x0d;
const APPEND: u8 = 0x0e;
const PREPEND: u8 = 0x0f;
const SETQ: u8 = 0x11;
const ADDQ: u8 = 0x12;
const REPLACEQ: u8 = 0x13;
const DELETEQ: u8 = 0x14;
const INCREMENTQ: u8 = 0x15;
const DECREMENTQ: u8 = 0x16;
const FLUSHQ: u8 = 0x18;
const APPENDQ: u8 = 0x19;
const PREPENDQ: u8 = 0x1a;
const TOUCH: u8 = 0x1c;
const GAT: u8 = 0x1d;
const GATQ: u8 = 0x1e;
const SASL_LIST_MECHANISMS: u8 = 0x20;
const GATK: u8 = 0x23;
const GATKQ: u8 = 0x24;

/// Opcodes that nobody answers but with "unknown": ranges, and what other servers once added.
const UNKNOWN: [u8; 9] = [0x1b, 0x25, 0x30, 0x31, 0x3c, 0x40, 0x83, 0x91, 0xff];

/// Lifetimes; each is either far off or already over.
const EXPTIMES: [u32; 5] = [0, 0, 1000, 2_592_000, 2_000_000_000];

/// The longest values, in scripts that close connections and in others; none is too large to store.
const VALUE_BYTES_MAX_CLOSING: usize = 500;
const VALUE_BYTES_MAX: usize = 900_000;

/// What a script does and leaves, as told above.
#[derive(Clone, Copy)]
struct Mood {
    counts: bool,
    closes: bool,
    today: bool,
}

impl Mood {
    fn value(self, random: &mut Random) -> Vec<u8> {
        let mut value = text::value(random);
        value.truncate(if self.closes { VALUE_BYTES_MAX_CLOSING } else { VALUE_BYTES_MAX });
        value
    }
}

/// Says that a count must not make the number that it does not find.
const NO_NUMBER: u32 = 0xffff_ffff;

/// A request before its bytes: what stands in the header follows from the parts.
#[derive(Default)]
struct Packet {
    opcode: u8,
    extras: Vec<u8>,
    key: Vec<Piece>,
    value: Vec<u8>,
    cas: Option<Piece>,
}

impl Packet {
    fn of(opcode: u8) -> Self {
        Self { opcode, ..Self::default() }
    }

    fn key(mut self, key: Vec<Piece>) -> Self {
        self.key = key;
        self
    }

    fn extras(mut self, words: &[u32]) -> Self {
        self.extras = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self
    }

    fn value(mut self, value: Vec<u8>) -> Self {
        self.value = value;
        self
    }

    fn cas(mut self, cas: Option<Piece>) -> Self {
        self.cas = cas;
        self
    }

    /// The packet with an opaque by which its reply is known.
    fn command(self, random: &mut Random) -> Command {
        let key_bytes = key_bytes(&self.key);
        let body_bytes = self.extras.len() + key_bytes + self.value.len();
        self.command_that_says(random, key_bytes, body_bytes)
    }

    /// The same with lengths of its own in the header.
    fn command_that_says(
        self,
        random: &mut Random,
        key_bytes: usize,
        body_bytes: usize,
    ) -> Command {
        let mut command = Command::text([0x80, self.opcode]);
        command.push((key_bytes as u16).to_be_bytes());
        command.push([self.extras.len() as u8, 0, 0, 0]);
        command.push((body_bytes as u32).to_be_bytes());
        command.push((random.next() as u32).to_be_bytes());
        command.extend(&[self.cas.unwrap_or_else(|| Piece::Bytes(vec![0; 8]))]);
        command.push(self.extras).extend(&self.key).push(self.value);
        command
    }
}

fn key_bytes(key: &[Piece]) -> usize {
    let len = |piece: &Piece| if let Piece::Bytes(b) = piece { b.len() } else { TAG_DIGITS };
    key.iter().map(len).sum()
}

/// The binary script of a seed, for a yardstick that is `today`'s memcached or Debian's older one.
pub(crate) fn script(seed: u64, today: bool) -> Script {
    let mut random = Random::new(seed);
    let closes = random.chance(30);
    Script { segments: (0..3).map(|_| segment(&mut random, closes, today)).collect() }
}

fn segment(random: &mut Random, closes: bool, today: bool) -> Segment {
    let mood = Mood { counts: random.chance(50), closes, today };
    let mut commands: Vec<Command> =
        (0..10 + random.below(30)).map(|_| command(random, mood)).collect();
    if closes {
        commands.push(contradiction(random));
    }
    let cuts_seed = if !closes && random.chance(40) { random.next() } else { 0 };
    Segment { commands, cuts_seed, closes }
}

fn command(random: &mut Random, mood: Mood) -> Command {
    let packet = match random.below(100) {
        0..28 => store(random, mood),
        28..36 => join(random, mood),
        36..58 => get(random, mood.counts),
        58..66 => delete(random),
        66..73 => touch(random, mood.counts),
        73..78 => number(random, mood),
        78..92 if mood.counts => count(random, mood),
        78..92 => get(random, mood.counts),
        92..93 => flush(random),
        _ => other(random),
    };
    packet.command(random)
}

fn opcode(random: &mut Random, opcodes: &[u8]) -> u8 {
    opcodes[random.below(opcodes.len())]
}

fn exptime(random: &mut Random) -> u32 {
    EXPTIMES[random.below(EXPTIMES.len())]
}

/// Most often none; else one that was shown, or one that nobody gave out.
fn cas(random: &mut Random) -> Option<Piece> {
    match random.below(10) {
        0 => Some(Piece::Bytes((1u64 << 50).to_be_bytes().to_vec())),
        1..4 => Some(Piece::CasBinary(random.below(4))),
        _ => None,
    }
}

fn store(random: &mut Random, mood: Mood) -> Packet {
    let opcode = opcode(random, &[SET, SET, SET, ADD, REPLACE, SETQ, SETQ, ADDQ, REPLACEQ]);
    let flags = [0, 0, 5, u32::MAX][random.below(4)];
    let (exptime, value, cas) = (exptime(random), mood.value(random), cas(random));
    Packet::of(opcode).extras(&[flags, exptime]).key(text::short_key(random)).value(value).cas(cas)
}

fn join(random: &mut Random, mood: Mood) -> Packet {
    let opcode = opcode(random, &[APPEND, PREPEND, APPENDQ, PREPENDQ]);
    let cas = if random.chance(20) { cas(random) } else { None };
    let mut value = mood.value(random);
    value.truncate(VALUE_BYTES_MAX_CLOSING);
    Packet::of(opcode).key(text::short_key(random)).value(value).cas(cas)
}

fn readable_key(random: &mut Random, counts: bool) -> Vec<Piece> {
    let number = !counts && random.chance(30);
    if number { text::number_key(random) } else { text::short_key(random) }
}

fn get(random: &mut Random, counts: bool) -> Packet {
    let opcode = opcode(random, &[GET, GET, GETQ, GETK, GETKQ, GETKQ]);
    Packet::of(opcode).key(readable_key(random, counts))
}

fn delete(random: &mut Random) -> Packet {
    Packet::of(opcode(random, &[DELETE, DELETE, DELETEQ]))
        .key(text::short_key(random))
        .cas(cas(random))
}

fn touch(random: &mut Random, counts: bool) -> Packet {
    let opcode = opcode(random, &[TOUCH, TOUCH, GAT, GATQ, GATK, GATKQ]);
    Packet::of(opcode).extras(&[exptime(random)]).key(readable_key(random, counts))
}

fn number(random: &mut Random, mood: Mood) -> Packet {
    let text = random.pick(&["0", "10", "99", "18446744073709551615", "abc"]);
    let value = text::readable(text, mood.today).as_bytes().to_vec();
    Packet::of(SET).extras(&[0, 0]).key(text::number_key(random)).value(value)
}

fn count(random: &mut Random, mood: Mood) -> Packet {
    let opcode = opcode(random, &[INCREMENT, INCREMENT, DECREMENT, INCREMENTQ, DECREMENTQ]);
    let delta = [0, 1, 10, u32::MAX][random.below(4)];
    // A number that 1.6.18 makes itself is followed by whatever lay in its memory, maybe more
    // digits.
    let exptime = if !mood.today || random.chance(50) { NO_NUMBER } else { 0 };
    let extras = [random.below(2) as u32, delta, 0, random.below(100) as u32, exptime];
    let cas = if random.chance(20) { cas(random) } else { None };
    Packet::of(opcode).extras(&extras).key(text::number_key(random)).cas(cas)
}

fn flush(random: &mut Random) -> Packet {
    let packet = Packet::of(opcode(random, &[FLUSH, FLUSHQ]));
    if random.chance(50) { packet.extras(&[0]) } else { packet }
}

/// Unknown opcodes come without a body: memcached loses its place behind one that has extras.
fn other(random: &mut Random) -> Packet {
    match random.below(10) {
        0..4 => Packet::of(NOOP),
        4 => Packet::of(VERSION),
        5 => Packet::of(SASL_LIST_MECHANISMS),
        _ => Packet::of(opcode(random, &UNKNOWN)),
    }
}

/// A packet that the server can only refuse by closing.
fn contradiction(random: &mut Random) -> Command {
    let key = text::short_key(random);
    let bytes = key_bytes(&key);
    match random.below(9) {
        0 => Packet::of(GET).extras(&[1]).key(key).command(random),
        1 => Packet::of(SET).extras(&[1]).key(key).value(b"value".to_vec()).command(random),
        2 => Packet::of(SET).extras(&[0, 0]).value(b"no key".to_vec()).command(random),
        3 => Packet::of(DELETE).extras(&[0]).key(key).command(random),
        4 => Packet::of(INCREMENT).extras(&[0, 1]).key(key).command(random),
        5 => Packet::of(NOOP).key(key).command(random),
        6 => {
            // memcached waits for as many bytes as the key is said to have before it looks.
            let packet = Packet::of(GET).key(key).value(vec![b'k'; 30]);
            packet.command_that_says(random, bytes + 30, bytes)
        }
        7 => Packet::of(GET).key(vec![Piece::Bytes(vec![b'k'; 251])]).command(random),
        _ => Packet::of(TOUCH).key(key).command(random),
    }
}
