//! Scripts of meta commands: every flag in every order, on keys in plain and in base64.
//!
//! As with text, a connection either counts or reads numbers, and either sends malformed commands
//! or long values. Times are far apart from each other and from the span of a test, so that what
//! depends on them does not depend on the second in which a server got a command.

use crate::common::Random;
use crate::script::{Command, Piece, Script, Segment};
use crate::text;

const GET_FLAGS: &[&str] =
    &["v", "v", "f", "c", "s", "k", "t", "h", "l", "q", "u", "O", "T", "N", "R"];
const SET_FLAGS: &[&str] = &["F", "T", "C", "M", "I", "q", "O", "k", "c"];
const DELETE_FLAGS: &[&str] = &["q", "T", "C", "I", "O", "k"];
const COUNT_FLAGS: &[&str] = &["N", "J", "D", "M", "q", "C", "t", "c", "v", "O", "k"];

/// Flags that came after 1.6.18, by command.
const GET_FLAGS_TODAY: &[&str] = &["C", "E"];
const SET_FLAGS_TODAY: &[&str] = &["E", "s", "N"];
const DELETE_FLAGS_TODAY: &[&str] = &["E", "x"];
const COUNT_FLAGS_TODAY: &[&str] = &["E"];

const TTLS: &[&str] = &["0", "0", "1000", "100000", "2592000", "-1"];
const SET_MODES: &[&str] = &["S", "S", "E", "A", "P", "R"];
const COUNT_MODES: &[&str] = &["I", "I", "D", "+", "-"];
const CLIENT_FLAGS: &[&str] = &["0", "1", "30", "4294967295"];

/// What is refused, or nearly so, without changing anything.
#[rustfmt::skip]
const STRANGE: &[&str] = &[
    "mg x v v\r\n", "mg x Z9\r\n", "mg x Tabc\r\n", "mg x N1x\r\n", "mg x R\r\n", "mg x T\r\n",
    "ma x Dabc\r\n", "ma x Jx\r\n", "ma x MX\r\n", "mgx x\r\n", "mz x\r\n", "mg x 1\r\n",
    "mg aGVsbG8= b k v\r\n", "mg a b v\r\n", "mg x P1 L2 v\r\n", "me nothing\r\n", "me\r\n",
    "mg none k O1\r\n", "mg none q k\r\n", "md none q\r\n", "md none q k O1\r\n", "mg a=== b\r\n",
    "mg none O01234567890123456789012345678901\r\n", "ms x abc\r\n", "ms x -1\r\n",
    "ms x 4 Tabc\r\nabcd\r\n", "ms x 4 MX\r\nabcd\r\n", "ms x 4 q q\r\nabcd\r\n", "ma none\r\n",
    "ms x 4 Fabc\r\nabcd\r\n", "ms x 4\r\nabcdefgh\r\n", "ms x 4 b\r\nabcd\r\n", "mg  x  v \r\n",
    "ms x 4 O01234567890123456789012345678901\r\nabcd\r\n", "ms none 4 MR q\r\nabcd\r\n",
];
/// What memcached 1.6.18 answers in another way; `known` says how and why.
#[rustfmt::skip]
const STRANGE_TODAY: &[&str] = &[
    "ms\r\n", "mg\r\n", "md\r\n", "ma\r\n", "mg x !\r\n", "mg x \x7f\r\n", "md x Cx\r\n",
    "md x q q\r\n", "ma x MII\r\n", "ma x M\r\n", "ma x D+1\r\n", "ms x 4 MEE\r\nabcd\r\n",
    "ms x 4 M\r\nabcd\r\n", "mg x T4294967296\r\n", "ms x 4294967300\r\nabcd\r\n", "me none b\r\n",
];

/// The meta script of a seed, for a yardstick that is `today`'s memcached or Debian's older one.
pub(crate) fn script(seed: u64, today: bool) -> Script {
    let mut random = Random::new(seed);
    let segments = (0..3).map(|_| segment(&mut random, today)).collect();
    Script { segments }
}

fn segment(random: &mut Random, today: bool) -> Segment {
    let counts = random.chance(50);
    let count = 10 + random.below(30);
    let commands = (0..count).map(|_| command(random, counts, today)).collect();
    let cuts_seed = if random.chance(40) { random.next() } else { 0 };
    Segment { commands, cuts_seed, closes: false }
}

fn command(random: &mut Random, counts: bool, today: bool) -> Command {
    match random.below(100) {
        0..28 => set(random, today),
        28..55 => get(random, counts, today),
        55..67 => delete(random, today),
        67..73 => number(random, today),
        73..90 if counts => count(random, today),
        73..90 => get(random, counts, today),
        90..93 => classic(random),
        93..94 if !counts => debug(random),
        _ if today && random.chance(30) => Command::text(random.pick(STRANGE_TODAY)),
        _ => Command::text(random.pick(STRANGE)),
    }
}

/// A key as it stands on the line, and whether it is in base64.
fn key(random: &mut Random, numbers: bool) -> (Vec<Piece>, bool) {
    if numbers {
        return (text::number_key(random), false);
    }
    if random.chance(25) {
        let tail = random.pick(&["AAEC", "IC0t", "_w=="]).replace('_', "/");
        let head = Piece::Bytes(b"a2V5".to_vec());
        return (vec![head, Piece::TagBase64, Piece::Bytes(tail.into_bytes())], true);
    }
    (text::short_key(random), false)
}

fn get(random: &mut Random, counts: bool, today: bool) -> Command {
    let numbers = !counts && random.chance(30);
    let (key, base64) = key(random, numbers);
    let mut command = Command::text("mg ");
    command.extend(&key);
    flags(random, &mut command, base64, GET_FLAGS, if today { GET_FLAGS_TODAY } else { &[] });
    command.push("\r\n");
    command
}

fn set(random: &mut Random, today: bool) -> Command {
    let (key, base64) = key(random, false);
    let value = text::value(random);
    let mut command = Command::text("ms ");
    command.extend(&key).push(format!(" {}", value.len()));
    flags(random, &mut command, base64, SET_FLAGS, if today { SET_FLAGS_TODAY } else { &[] });
    command.push("\r\n").push(value).push("\r\n");
    command
}

fn delete(random: &mut Random, today: bool) -> Command {
    let (key, base64) = key(random, false);
    let mut command = Command::text("md ");
    command.extend(&key);
    let newer = if today { DELETE_FLAGS_TODAY } else { &[] };
    flags(random, &mut command, base64, DELETE_FLAGS, newer);
    command.push("\r\n");
    command
}

fn count(random: &mut Random, today: bool) -> Command {
    let (key, base64) = key(random, true);
    let mut command = Command::text("ma ");
    command.extend(&key);
    flags(random, &mut command, base64, COUNT_FLAGS, if today { COUNT_FLAGS_TODAY } else { &[] });
    command.push("\r\n");
    command
}

/// Gives ma something to count with.
fn number(random: &mut Random, today: bool) -> Command {
    let text = random.pick(&["0", "10", "99", "18446744073709551615", "7 ", "abc"]);
    let text = text::readable(text, today);
    let mut command = Command::text("ms ");
    command.extend(&text::number_key(random));
    command.push(format!(" {} T0\r\n{text}\r\n", text.len()));
    command
}

/// The two protocols share their items.
fn classic(random: &mut Random) -> Command {
    let mut command = Command::text(random.pick(&["get ", "gets ", "delete ", "touch "]));
    let touches = matches!(&command.pieces[0], Piece::Bytes(verb) if verb == b"touch ");
    command.extend(&text::short_key(random)).push(if touches { " 1000\r\n" } else { "\r\n" });
    command
}

fn debug(random: &mut Random) -> Command {
    let mut command = Command::text("me ");
    command.extend(&text::short_key(random)).push("\r\n");
    command
}

/// Writes some of `known` and `newer`, in any order, each once, with the arguments they take.
fn flags(random: &mut Random, command: &mut Command, base64: bool, known: &[&str], newer: &[&str]) {
    let mut chosen: Vec<&str> = Vec::new();
    for _ in 0..random.below(7) {
        let is_newer = !newer.is_empty() && random.chance(25);
        let flag = random.pick(if is_newer { newer } else { known });
        if !chosen.contains(&flag) {
            chosen.push(flag);
        }
    }
    // 1.6.18 answers a quiet ma that makes its number; see `known`.
    if newer.is_empty() && chosen.contains(&"N") && known.contains(&"J") {
        chosen.retain(|flag| *flag != "q");
    }
    // memcached forgets that a key was in base64 when it makes the item anew by itself, and shows
    // its bytes as they are, whatever they do to the line. ringcached does not.
    if base64 {
        chosen.retain(|flag| !matches!(*flag, "N" | "x" | "M"));
    }
    let at = if chosen.is_empty() { 0 } else { random.below(chosen.len()) };
    if base64 {
        chosen.insert(at, "b");
    }
    let sets = known.contains(&"F");
    // Which of two ids is the lower is told only between ids of one key: ringcached's cores count
    // on their own. So what asks for it names ids below and above all.
    let orders = sets && chosen.contains(&"I");
    for flag in chosen {
        command.push(" ").push(flag);
        if orders && flag == "C" {
            command.push(random.pick(&["1", "1125899906842624"]));
        } else {
            argument(random, command, flag, sets);
        }
    }
}

fn argument(random: &mut Random, command: &mut Command, flag: &str, sets: bool) {
    match flag {
        "T" | "N" => command.push(random.pick(TTLS)),
        "R" => command.push(random.pick(&["30", "5000", "-1", "0"])),
        "F" => command.push(random.pick(CLIENT_FLAGS)),
        "C" if random.chance(15) => command.push(random.pick(&["0", "1125899906842624"])),
        "C" => command.extend(&[Piece::CasText(random.below(4))]),
        // Ids given by clients are unlike those that servers give, and unlike each other.
        "E" => command.push(format!("{}", (1u64 << 52) + random.next() % (1 << 40))),
        "M" => command.push(random.pick(if sets { SET_MODES } else { COUNT_MODES })),
        "J" | "D" => command.push(random.pick(&["0", "1", "10", "1099511627776"])),
        "O" => command.push(random.pick(&["1", "opaque", "0123456789012345678901234567890"])),
        _ => command,
    };
}
