//! Scripts of classic text commands, most of them valid, many of them not.
//!
//! Few keys and many commands, so that commands meet the items that others left. What memcached
//! itself does not answer alike every time is left out: positive delays and lifetimes of seconds,
//! lines of more than 2048 bytes cut by packets, and a key too long in a get behind other commands,
//! whose pending replies memcached throws away, and quit with more behind it. tests/limits.rs and
//! tests/telnet.rs hold those cases on their own.
//!
//! Numbers have keys of their own, and a connection either counts with them or reads them: whether
//! memcached pads a number that became shorter depends on whether a reply that holds the item is
//! still on its way. Likewise a connection either sends malformed stores or values of more than a
//! line: where data is taken for a command, a long one ends the connection or not as the packets
//! fall.

use crate::common::Random;
use crate::script::{Command, Piece, Script, Segment, TAG_DIGITS};

const KEYS: usize = 7;
const NUMBER_KEYS: usize = 3;
pub(crate) const KEY_BYTES_MAX: usize = 250;

const FLAGS: &[&str] =
    &["0", "0", "0", "0", "1", "32", "65535", "4294967295", "2147483648", "+5", "4294967296"];
const FLAGS_BAD: &[&str] = &["-1", "abc", "0x10", "1.5", "18446744073709551616"];
const EXPTIMES: &[&str] =
    &["0", "0", "0", "0", "1000", "2592000", "2000000000", "2147483647", "0007000"];
const EXPTIMES_PAST: &[&str] = &["-1", "-100", "2592001", "100000000", "-2147483648"];
const EXPTIMES_BAD: &[&str] = &["abc", "1x", "0x10", "1.5", "9223372036854775808"];
const LENGTHS_BAD: &[&str] = &["-1", "abc", "1x", "2147483646", "2147483647", "-2147483648", "+"];
const STORES: &[&str] = &["set", "set", "set", "add", "replace", "append", "prepend", "cas", "set"];
const DELTAS: &[&str] =
    &["1", "1", "7", "0", "99", "1000000", "18446744073709551615", "9223372036854775808", "007"];
const DELTAS_BAD: &[&str] =
    &["-1", "abc", "1x", "18446744073709551616", "1.5", "99999999999999999999999", "0x1"];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "9",
    "10",
    "99",
    "100",
    "12345",
    "18446744073709551615",
    "18446744073709551616",
    "12 34",
    " 5",
    "+5",
    "-5",
    "12abc",
    "9 ",
    "00012",
];
#[rustfmt::skip]
const STRANGE: &[&str] = &[
    "ab\r\n", "abc\r\n", "foo bar\r\n", "GET x\r\n", "gat abc x\r\n", "gats -1x x\r\n",
    "version\r\n", "version x y\r\n", "verbosity 0\r\n", "verbosity 1 noreply\r\n",
    "verbosity x\r\n", "stats reset\r\n", "stats bogus\r\n", "stats detail\r\n",
    "stats detail bogus\r\n", "cache_memlimit\r\n", "cache_memlimit x\r\n", "cache_memlimit 1\r\n",
    "lru\r\n", "lru bogus\r\n", "slabs\r\n", "slabs bogus\r\n", "slabs reassign x y\r\n",
    "lru_crawler\r\n", "flush_all x\r\n", "delete x 0 noreply\r\n", "incr x 1x\r\n", "qui\r\n",
];
/// What memcached 1.6.18 answers in another way; `known` says how and why.
#[rustfmt::skip]
const STRANGE_TODAY: &[&str] = &[
    "\r\n", "\n", " \r\n", "a\r\n", " get x\r\n", "set\r\n", "set x\r\n", "set x 0\r\n",
    "set x 0 0\r\n", "set x 0 0 \r\n", "cas x 0 0 4\r\nabcd\r\n", "delete\r\n", "touch\r\n",
    "touch x\r\n",
    "incr\r\n", "incr x\r\n", "decr x\r\n", "verbosity\r\n", "get\r\n", "gets\r\n", "gat\r\n",
    "gat 0\r\n", "gats 0\r\n", "get \r\n", "gets  \r\n", "delete x 10\r\n", "delete noreply\r\n",
    "touch x 0 1 2 3 4 5 6\r\n", "incr x +1\r\n", "touch x -2147483649\r\n", "set x 0 0 +2\r\n",
];
/// Behind a store whose data may be longer or shorter than it says: what is cut off from this line
/// is still no command, and neither empty nor led by a space.
const FILLER: &str = "......................\r\n";

/// The text script of a seed, for a yardstick that is `today`'s memcached or Debian's older one.
pub(crate) fn script(seed: u64, today: bool) -> Script {
    let mut random = Random::new(seed);
    let segments = (0..3).map(|_| segment(&mut random, today)).collect();
    Script { segments }
}

/// What a connection does and leaves, as told above.
#[derive(Clone, Copy, Debug)]
struct Mood {
    counts: bool,
    malformed: bool,
    today: bool,
}

fn segment(random: &mut Random, today: bool) -> Segment {
    let mut commands = Vec::new();
    if !today && random.chance(15) {
        commands.push(overlong_get(random));
    }
    let mood = Mood { counts: random.chance(50), malformed: random.chance(50), today };
    commands.extend((0..10 + random.below(30)).map(|_| command(random, mood)));
    let cuts_seed = if random.chance(40) { random.next() } else { 0 };
    Segment { commands, cuts_seed, closes: false }
}

fn command(random: &mut Random, mood: Mood) -> Command {
    match random.below(100) {
        0..30 if mood.malformed && mood.today => refused_store(random),
        0..30 if mood.malformed => lying_store(random),
        0..30 => store(random),
        30..53 => retrieve(random, mood.counts),
        53..61 => delete(random),
        61..68 => touch(random),
        68..75 => number(random, mood.today),
        75..90 if mood.counts => arithmetic(random, mood.today),
        75..90 => retrieve(random, mood.counts),
        90..92 => flush(random),
        _ if mood.today && random.chance(50) => Command::text(random.pick(STRANGE_TODAY)),
        _ => Command::text(random.pick(STRANGE)),
    }
}

/// A key: one of a few, some of them strange, at times longer than allowed.
pub(crate) fn key(random: &mut Random) -> Vec<Piece> {
    let slot = if random.chance(3) { 100 } else { random.below(KEYS) };
    let (head, tail): (&[u8], Vec<u8>) = match slot {
        5 => (b"\xc3\xa9\x80\xff\t\x01\x7f", b"~!@#%^&*()".to_vec()),
        6 => (b"k", vec![b'x'; KEY_BYTES_MAX - TAG_DIGITS - 1]),
        100 => (b"k", vec![b'x'; KEY_BYTES_MAX - TAG_DIGITS]),
        slot => (b"key_", format!("_{slot}").into_bytes()),
    };
    vec![Piece::Bytes(head.to_vec()), Piece::Tag, Piece::Bytes(tail)]
}

/// The key of a number.
pub(crate) fn number_key(random: &mut Random) -> Vec<Piece> {
    let tail = format!("_n{}", random.below(NUMBER_KEYS));
    vec![Piece::Bytes(b"key_".to_vec()), Piece::Tag, Piece::Bytes(tail.into_bytes())]
}

/// A key that is not too long.
pub(crate) fn short_key(random: &mut Random) -> Vec<Piece> {
    loop {
        let key = key(random);
        if !is_overlong(&key) {
            return key;
        }
    }
}

fn is_overlong(key: &[Piece]) -> bool {
    let len = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.len(),
        _ => TAG_DIGITS,
    };
    key.iter().map(len).sum::<usize>() > KEY_BYTES_MAX
}

/// A value that is no number: mostly short, at times empty or near a limit.
pub(crate) fn value(random: &mut Random) -> Vec<u8> {
    let mut value = value_of_any_kind(random);
    if let Some(first) = value.first_mut() {
        *first = b'v';
    }
    value
}

fn value_of_any_kind(random: &mut Random) -> Vec<u8> {
    match random.below(100) {
        0..8 => Vec::new(),
        8..90 => sized(random, 300),
        90..98 => sized(random, 20_000),
        98 => {
            let len = (512 << 10) - 200 + random.below(300);
            random.bytes(len)
        }
        _ => {
            let len = (1 << 20) - 400 + random.below(600);
            random.bytes(len)
        }
    }
}

fn sized(random: &mut Random, bound: usize) -> Vec<u8> {
    let len = random.below(bound);
    random.bytes(len)
}

fn store(random: &mut Random) -> Command {
    let verb = random.pick(STORES);
    let (flags, exptime) = (random.pick(FLAGS), random.pick(EXPTIMES));
    let data = value(random);
    let mut command = Command::text(verb);
    command.push(gap(random)).extend(&short_key(random)).push(gap(random)).push(flags);
    command.push(gap(random)).push(exptime).push(gap(random)).push(data.len().to_string());
    if verb == "cas" {
        command.push(gap(random)).extend(&[Piece::CasText(random.below(4))]);
    }
    end_line(random, &mut command);
    command.push(data).push("\r\n");
    command
}

/// A store whose data is not as long as it says, or not ended as it should be.
fn lying_store(random: &mut Random) -> Command {
    let verb = random.pick(STORES);
    let data = letters(random);
    let mut command = Command::text(verb);
    command.push(gap(random)).extend(&short_key(random)).push(gap(random)).push(random.pick(FLAGS));
    let exptimes = if random.chance(20) { EXPTIMES_PAST } else { EXPTIMES };
    command.push(gap(random)).push(random.pick(exptimes)).push(gap(random));
    if random.chance(5) {
        let rest = if verb == "cas" { " 1\r\n" } else { "\r\n" };
        command.push(random.pick(LENGTHS_BAD)).push(rest).push(data).push("\r\n");
        return command;
    }
    command.push(declared_length(random, data.len()));
    if verb == "cas" {
        let ids = ["0", "1125899906842624", "18446744073709551615"];
        command.push(gap(random)).extend(&[cas_id(random, &ids)]);
    }
    end_line(random, &mut command);
    let ending =
        if random.chance(90) { "\r\n" } else { random.pick(&["\n", "", "xyzzyxyzzyxyzzy\r\n"]) };
    command.push(data).push(ending).push(FILLER);
    command
}

fn cas_id(random: &mut Random, others: &[&str]) -> Piece {
    if random.chance(80) {
        Piece::CasText(random.below(4))
    } else {
        Piece::Bytes(random.pick(others).into())
    }
}

/// A store in which any number may be none, and the key too long.
fn refused_store(random: &mut Random) -> Command {
    let verb = random.pick(STORES);
    let data = letters(random);
    let mut command = Command::text(verb);
    command.push(gap(random)).extend(&key(random));
    command.push(gap(random)).push(one_of(random, FLAGS, FLAGS_BAD, 8));
    command.push(gap(random)).push(one_of(random, EXPTIMES, EXPTIMES_BAD, 8));
    let length = declared_length(random, data.len());
    command.push(gap(random)).push(one_of(random, &[&length], LENGTHS_BAD, 5));
    if verb == "cas" {
        let ids = ["abc", "-1", "+1", "1x", "18446744073709551616"];
        command.push(gap(random)).extend(&[cas_id(random, &ids)]);
    }
    end_line(random, &mut command);
    command.push(data).push("\r\n").push(FILLER);
    command
}

/// A value that is a line of one token, should it be taken for a command.
fn letters(random: &mut Random) -> Vec<u8> {
    let letter = b'a' + random.below(26) as u8;
    vec![letter; 8 + random.below(200)]
}

/// The length as the command line says it, most often the true one.
fn declared_length(random: &mut Random, len: usize) -> String {
    match random.below(100) {
        4..8 => (len + 1 + random.below(9)).to_string(),
        8..12 => (len - 5 - random.below(3)).to_string(),
        _ => len.to_string(),
    }
}

fn retrieve(random: &mut Random, counts: bool) -> Command {
    let verb = random.pick(&["get", "get", "gets", "gets", "gat", "gats"]);
    let mut command = Command::text(verb);
    if verb.starts_with("gat") {
        command.push(gap(random)).push(one_of(random, EXPTIMES, EXPTIMES_BAD, 3));
    }
    let keys = if random.chance(3) && !verb.starts_with("gat") { 100 } else { 1 + random.below(5) };
    for _ in 0..keys {
        let numbers = !counts && random.chance(30);
        let key = if numbers { number_key(random) } else { short_key(random) };
        command.push(gap(random)).extend(&key);
    }
    command.push(random.pick(&["\r\n", "\r\n", "\r\n", "\r\n", " \r\n", "\n"]));
    command
}

/// First on its connection: what else was pending would be lost with it.
fn overlong_get(random: &mut Random) -> Command {
    let mut command = Command::text(random.pick(&["get", "gets"]));
    if random.chance(50) {
        command.push(" ").extend(&short_key(random));
    }
    command.push(" ").push(vec![b'y'; KEY_BYTES_MAX + 1 + random.below(50)]).push("\r\n");
    command
}

fn delete(random: &mut Random) -> Command {
    let mut command = Command::text("delete");
    command.push(gap(random)).extend(&key(random));
    command.push(random.pick(&["\r\n", "\r\n", " noreply\r\n", " 0\r\n", "  0 \r\n", "\n"]));
    command
}

fn touch(random: &mut Random) -> Command {
    let mut command = Command::text("touch");
    command.push(gap(random)).extend(&key(random)).push(gap(random));
    command.push(one_of(random, EXPTIMES, EXPTIMES_BAD, 10));
    end_line(random, &mut command);
    command
}

/// Stores a number, or what is nearly one, for incr and decr to find.
fn number(random: &mut Random, today: bool) -> Command {
    let text = readable(random.pick(NUMBERS), today);
    let mut command = Command::text(random.pick(&["set ", "set ", "append ", "prepend ", "add "]));
    command.extend(&number_key(random)).push(format!(" 0 0 {}\r\n{text}\r\n", text.len()));
    command
}

/// Instead of a number of 64 bits, a smaller one where 1.6.18 is the yardstick: to tell whether a
/// value of that size is negative, it looks for a minus in whatever lies behind it in memory.
pub(crate) fn readable(number: &str, today: bool) -> &str {
    let large = number.parse::<u64>().is_ok_and(|number| number > u64::MAX / 16);
    if large && !today { "1099511627776" } else { number }
}

fn arithmetic(random: &mut Random, today: bool) -> Command {
    let mut command = Command::text(random.pick(&["incr", "decr"]));
    let key = if random.chance(85) { number_key(random) } else { key(random) };
    command.push(gap(random)).extend(&key).push(gap(random));
    command.push(readable(&one_of(random, DELTAS, DELTAS_BAD, 8), today));
    end_line(random, &mut command);
    command
}

fn flush(random: &mut Random) -> Command {
    Command::text(random.pick(&[
        "flush_all\r\n",
        "flush_all 0\r\n",
        "flush_all noreply\r\n",
        "flush_all 0 noreply\r\n",
        "flush_all -1\r\n",
    ]))
}

fn one_of(random: &mut Random, good: &[&str], bad: &[&str], bad_per_cent: usize) -> String {
    if random.chance(bad_per_cent) { random.pick(bad) } else { random.pick(good) }.to_string()
}

/// Between tokens: a space, at times more.
fn gap(random: &mut Random) -> &'static str {
    if random.chance(97) { " " } else { random.pick(&["  ", "   "]) }
}

/// Ends a command line that may say noreply, or more than the command takes.
fn end_line(random: &mut Random, command: &mut Command) {
    match random.below(100) {
        0..10 => command.push(" noreply"),
        10..12 => command.push(" extra"),
        12 => command.push(" NOREPLY"),
        13..16 => command.push(" "),
        _ => command,
    };
    command.push(if random.chance(95) { "\r\n" } else { "\n" });
}
