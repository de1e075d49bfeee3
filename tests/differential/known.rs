//! What memcached 1.6.18, Debian's, answers in another way than 1.6.45, whose behaviour ringcached
//! has.
//!
//! The random streams leave these requests out where Debian's is the yardstick. Here each stands
//! with its reason and with both replies, and both are asked, so that the list can neither grow
//! stale nor hide a difference of ringcached's own making. The last part lists where ringcached
//! departs from both.

use std::time::Duration;

use crate::common::wire::{BARRIER, BARRIER_REPLY};
use crate::common::{Server, assert_same_bytes, show_line};
use crate::compare::Pair;

/// A request that the versions answer differently. `{K}` stands for a key of 251 bytes.
struct Known {
    why: &'static str,
    request: &'static str,
    debian: &'static str,
    today: &'static str,
}

const BAD: &str = "CLIENT_ERROR bad command line format\r\n";
const USAGE: &str = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";

macro_rules! known {
    ($($why:literal: $request:literal => $debian:expr, $today:expr;)*) => {
        &[$(Known { why: $why, request: $request, debian: $debian, today: $today }),*]
    };
}

const KNOWN: &[Known] = known! {
    "a refused store takes its data with it": "set k abc 0 4\r\nabcd\r\n"
        => "CLIENT_ERROR bad command line format\r\nERROR\r\n", BAD;
    "a refused store takes its data with it": "set k -1 0 4\r\nabcd\r\n"
        => "CLIENT_ERROR bad command line format\r\nERROR\r\n", BAD;
    "a refused store takes its data with it": "set k 0 1x 4\r\nabcd\r\n"
        => "CLIENT_ERROR bad command line format\r\nERROR\r\n", BAD;
    "a refused store takes its data with it": "set {K} 0 0 4\r\nabcd\r\n"
        => "CLIENT_ERROR bad command line format\r\nERROR\r\n", BAD;
    "a refused store takes its data with it": "cas k 0 0 4 abc\r\nabcd\r\n"
        => "CLIENT_ERROR bad command line format\r\nERROR\r\n", BAD;
    "noreply hides the refusal, too, and the data is taken": "set k -1 0 4 noreply\r\nabcd\r\n"
        => "ERROR\r\n", "";
    "a length that is none is refused even with noreply": "set k 0 0 -1 noreply\r\nabcd\r\n"
        => "ERROR\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n";
    "a length is not cut to 32 bits": "set k 0 0 4294967298\r\nab\r\n"
        => "STORED\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n";
    "a length has no sign": "set k 0 0 +4\r\nabcd\r\n"
        => "STORED\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n";
    "a cas id has no sign": "set c 0 0 1\r\na\r\ncas c 0 0 1 +1\r\nb\r\n"
        => "STORED\r\nEXISTS\r\n", "STORED\r\nCLIENT_ERROR bad command line format\r\n";
    "a delta has no sign": "set n 0 0 2\r\n10\r\nincr n +1\r\n"
        => "STORED\r\n11\r\n", "STORED\r\nCLIENT_ERROR invalid numeric delta argument\r\n";
    "too few tokens are named as such": "get\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "gets \r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "gat\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "gat 0\r\n" => "END\r\n", BAD;
    "too few tokens are named as such": "set x 0 0\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "cas x 0 0 4\r\nabcd\r\n" => "ERROR\r\nERROR\r\n", BAD;
    "too few tokens are named as such": "touch x\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "incr x\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "delete\r\n" => "ERROR\r\n", BAD;
    "too few tokens are named as such": "verbosity\r\n" => "ERROR\r\n", BAD;
    "a line of fewer than four bytes is no command": "\r\n" => "ERROR\r\n", BAD;
    "a line of fewer than four bytes is no command": "\n" => "ERROR\r\n", BAD;
    "a line of fewer than four bytes is no command": "a\r\n" => "ERROR\r\n", BAD;
    "a line of fewer than four bytes is no command": "mn\n" => "MN\r\n", BAD;
    "spaces before a command are no longer skipped": " version\r\n"
        => "VERSION 1.6.18\r\n", "ERROR\r\n";
    "tokens too many are ignored": "incr q 1 extra noreply\r\n" => "ERROR\r\n", "";
    "tokens too many are ignored": "touch q 0 1 2 3 4 5\r\n" => "ERROR\r\n", "NOT_FOUND\r\n";
    "tokens too many are ignored": "flush_all 0 0 0\r\n" => "ERROR\r\n", "OK\r\n";
    "tokens too many are ignored": "verbosity 0 1 2\r\n" => "ERROR\r\n", "OK\r\n";
    "delete takes any second argument, of old a time": "delete q 10\r\n"
        => USAGE, "NOT_FOUND\r\n";
    "delete takes any second argument, of old a time": "delete q x\r\n"
        => USAGE, "NOT_FOUND\r\n";
    "noreply is whatever comes last, be it the key": "delete noreply\r\n" => "NOT_FOUND\r\n", "";
    "a time beyond 32 bits is refused": "touch q 4294967296\r\n"
        => "NOT_FOUND\r\n", "CLIENT_ERROR invalid exptime argument\r\n";
    "a time beyond 32 bits is refused": "touch q -2147483649\r\n"
        => "NOT_FOUND\r\n", "CLIENT_ERROR invalid exptime argument\r\n";
    "a time has no plus sign, but for stores": "touch q +7000\r\n"
        => "NOT_FOUND\r\n", "CLIENT_ERROR invalid exptime argument\r\n";
    "NUL is a byte of the key like others": "set k\0x 0 0 4\r\nabcd\r\n"
        => "ERROR\r\nERROR\r\n", "STORED\r\n";
    "shutdown is refused by the server, not the client": "shutdown\r\n"
        => "ERROR: shutdown not enabled\r\n", "SERVER_ERROR: shutdown not enabled\r\n";
    "the window of the page mover became a setting": "slabs automove window 10\r\n"
        => BAD, "OK\r\n";
    "the window of the page mover became a setting": "slabs automove window 1\r\n"
        => BAD, "CLIENT_ERROR automove window too low or too high\r\n";
};

const KNOWN_META: &[Known] = known! {
    "the second kind of dump is newer": "lru_crawler mgdump x\r\n"
        => "ERROR\r\n", "BADCLASS invalid class id\r\n";
    "a quiet ma is quiet when it makes its number, too": "ma auto N0 q\r\nma auto2 N0 J7 q v\r\n"
        => "HD\r\nVA 1\r\n7\r\n", "";
    "append and prepend make an item": "ms viv 2 MA N0\r\nab\r\nms viv 2 MP N0\r\ncd\r\n"
        => "NS\r\nNS\r\n", "HD\r\nHD\r\n";
    "a meta command without a key is named as such": "mg\r\n" => "ERROR\r\n", BAD;
    "a meta command without a key is named as such": "ma\r\n" => "ERROR\r\n", BAD;
    "a mode has more letters than it needs": "ms mode 2 MEE\r\nab\r\n"
        => "CLIENT_ERROR incorrect length for M token\r\n", "HD\r\n";
    "a mode has no letter": "ms mode 2 M\r\nab\r\n"
        => "CLIENT_ERROR incorrect length for M token\r\n",
           "CLIENT_ERROR invalid mode for ms M token\r\n";
    "a mode has no letter": "ma mode M\r\n"
        => "CLIENT_ERROR invalid or duplicate flag\r\n",
           "CLIENT_ERROR invalid mode for ma M token\r\n";
    "a flag is a letter or a digit": "mg x !\r\n" => "CLIENT_ERROR invalid flag\r\n", BAD;
    "md says what is wrong with its flags": "md x Cx\r\n"
        => "CLIENT_ERROR invalid or duplicate flag\r\n",
           "CLIENT_ERROR bad token in command line format\r\n";
    "md says what is wrong with its flags": "md x q q\r\n"
        => "CLIENT_ERROR invalid or duplicate flag\r\n", "CLIENT_ERROR duplicate flag\r\n";
    "a meta delta has no sign": "ma none D+1\r\n"
        => "NF\r\n", "CLIENT_ERROR invalid or duplicate flag\r\n";
    "a meta time beyond 32 bits is refused": "mg x T4294967296\r\n"
        => "EN\r\n", "CLIENT_ERROR bad token in command line format\r\n";
    "a meta length is not cut to 32 bits": "ms x 4294967298\r\nab\r\n"
        => "HD\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n";
};

/// Where ringcached departs from both versions, for safety or because a client demands it.
const DEPARTURES: &[Known] = known! {
    "more words than any client sends are refused, as memccapable demands": "delete a b c d e\r\n"
        => "ERROR\r\n", "ERROR\r\n";
    "a new lifetime holds, too, where the number grows": "ms g 1\r\n9\r\nma g T-1\r\nma g\r\n"
        => "HD\r\nHD\r\nHD\r\n", "HD\r\nHD\r\nNF\r\n";
    "a key in base64 is shown so, whoever made its item": "mg aGV5 b N0 k\r\nmg aGV5 b k\r\n"
        => "HD khey W\r\nHD khey Z\r\n", "HD kaGV5 b W\r\nHD kaGV5 b Z\r\n";
};

/// Asks both servers every text request of the list.
pub(crate) fn check_text(pair: &Pair) {
    check(pair, KNOWN);
}

/// Asks both servers every meta request of the list.
pub(crate) fn check_meta(pair: &Pair) {
    check(pair, KNOWN_META);
}

/// Asks both servers every request of the list of departures.
pub(crate) fn check_departures(pair: &Pair) {
    check(pair, DEPARTURES);
}

fn check(pair: &Pair, list: &[Known]) {
    for known in list {
        let request = known.request.replace("{K}", &"K".repeat(251));
        let what = format!("{}: {}", known.why, show_line(request.as_bytes()));
        let expected = if pair.today { known.today } else { known.debian };
        expect(&pair.reference, &format!("memcached, {what}"), &request, expected);
        expect(&pair.subject, &format!("ringcached, {what}"), &request, known.today);
    }
}

fn expect(server: &Server, what: &str, request: &str, reply: &str) {
    let all = format!("{request}{BARRIER}");
    let quiet = Duration::from_millis(500);
    let (found, _) = server.connect().converse(
        &[all.as_bytes()],
        Duration::ZERO,
        BARRIER_REPLY.as_bytes(),
        quiet,
    );
    let expected = format!("{reply}{BARRIER_REPLY}");
    assert_same_bytes(what, expected.as_bytes(), &found);
}
