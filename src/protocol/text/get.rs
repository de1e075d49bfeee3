//! `get`, `gets`, `gat`, `gats`: any number of keys on one line.
//!
//! A line is checked as a whole before its keys are handed out, so that a key that is too long
//! yields one error and nothing else. (The reference finds it while it answers and throws away
//! every reply not yet sent, those of earlier requests included.) Only a line longer than the
//! receive buffer is handed out in pieces; there the keys before the bad one are answered.

use super::scan;
use crate::protocol::key::{KEY_BYTES_MAX, Keys};
use crate::protocol::number;
use crate::protocol::parser::{Parser, Place, Step, reject};
use crate::protocol::reply::line;
use crate::protocol::request::{Get, Request};

/// The words behind `get` or `gets`, at least one.
pub(super) fn keys<'a>(arguments: &'a [u8], with_cas: bool, consumed: usize) -> Step<'a> {
    if first_word(arguments).is_none() {
        return reject(line::BAD_FORMAT, false, consumed);
    }
    last_keys(arguments, with_cas, None, consumed)
}

/// The words behind `gat` or `gats`: an expiry time and at least one key.
pub(super) fn and_touch<'a>(arguments: &'a [u8], with_cas: bool, consumed: usize) -> Step<'a> {
    let words = first_word(arguments)
        .map(|exptime| (&arguments[exptime.clone()], &arguments[exptime.end..]))
        .filter(|(_, keys)| first_word(keys).is_some());
    let Some((exptime, text)) = words else {
        return reject(line::BAD_FORMAT, false, consumed);
    };
    let Some(exptime) = number::exptime_token(exptime) else {
        return reject(line::INVALID_EXPTIME, false, consumed);
    };
    match Keys::new(text) {
        Some(keys) => request(keys, with_cas, Some(exptime), true, consumed),
        None => reject(line::BAD_FORMAT, false, consumed),
    }
}

/// Keys up to the end of the line, perhaps none.
pub(super) fn last_keys<'a>(
    text: &'a [u8],
    with_cas: bool,
    touch: Option<i64>,
    consumed: usize,
) -> Step<'a> {
    match Keys::new(text) {
        Some(keys) => request(keys, with_cas, touch, true, consumed),
        None => reject(line::BAD_FORMAT, false, consumed),
    }
}

/// Keys of a line that goes on. `skip` bytes before them are the command's name. The last word
/// may go on as well, so it stays.
pub(super) fn unfinished_keys<'a>(
    parser: &mut Parser,
    input: &'a [u8],
    skip: usize,
    with_cas: bool,
    touch: Option<i64>,
) -> Step<'a> {
    let text = &input[skip..];
    let end = memchr::memrchr(b' ', text).map_or(0, |space| space + 1);
    // A carriage return that ends the line is part of the word so far.
    if text.len() - end > KEY_BYTES_MAX + 1 {
        return refuse_line(parser, input.len());
    }
    if input.len() < parser.limits.keys_bytes_min as usize {
        return Step::Need;
    }
    let Some(keys) = Keys::new(&text[..end]) else {
        return refuse_line(parser, input.len());
    };
    parser.place = Place::Keys { with_cas, touch };
    request(keys, with_cas, touch, false, skip + end)
}

fn refuse_line<'a>(parser: &mut Parser, consumed: usize) -> Step<'a> {
    parser.place = Place::RefusedLine;
    reject(line::BAD_FORMAT, false, consumed)
}

fn request<'a>(
    keys: Keys<'a>,
    with_cas: bool,
    touch: Option<i64>,
    is_last: bool,
    consumed: usize,
) -> Step<'a> {
    let request = Request::Get(Get { keys, with_cas, touch, is_last });
    Step::Request { request, consumed }
}

fn first_word(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = text.iter().position(|byte| *byte != b' ')?;
    Some(start..scan::space(text, start))
}
