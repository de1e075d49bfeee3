//! `delete`, `touch`, `incr`, `decr`: a line about one key.
//!
//! Too few words are answered even under noreply, as the reference notices them before it looks
//! for that word. Words too many are ignored: old clients send `delete <key> 0`.

use super::tokens::Tokens;
use super::{scan, spaced_digits};
use crate::protocol::key::Key;
use crate::protocol::number;
use crate::protocol::parser::{Step, reject};
use crate::protocol::reply::line;
use crate::protocol::request::{Arithmetic, Delete, Request, Touch};

/// Words of the longest `delete` that any client was ever told to send: `delete <key> 0 noreply`.
const DELETE_WORDS_MAX: usize = 4;

/// `delete <key>`. A line with more words is an error, as in memcached 1.6.18 and as
/// libmemcached's conformance test wants it; 1.6.45 ignores them.
pub(super) fn delete<'a>(tokens: &Tokens<'a>, consumed: usize) -> Step<'a> {
    if tokens.len() > DELETE_WORDS_MAX {
        return reject(line::ERROR, tokens.noreply(), consumed);
    }
    one_key(tokens, 2, consumed, |key, noreply| Ok(Request::Delete(Delete { key, noreply })))
}

/// `touch <key> <exptime>`.
pub(super) fn touch<'a>(tokens: &Tokens<'a>, consumed: usize) -> Step<'a> {
    one_key(tokens, 3, consumed, |key, noreply| {
        let exptime = tokens.get(2).and_then(number::exptime_token).ok_or(line::INVALID_EXPTIME)?;
        Ok(Request::Touch(Touch { key, exptime, noreply }))
    })
}

/// `incr <key> <delta>`, `decr <key> <delta>`.
pub(super) fn arithmetic<'a>(tokens: &Tokens<'a>, decrement: bool, consumed: usize) -> Step<'a> {
    one_key(tokens, 3, consumed, |key, noreply| {
        let delta = tokens.get(2).and_then(number::u64_token).ok_or(line::INVALID_DELTA)?;
        Ok(Request::Arithmetic(Arithmetic { key, decrement, delta, noreply }))
    })
}

/// `incr <key> <delta>\r\n`, `decr ...` in their plainest form.
#[inline]
pub(super) fn short_arithmetic(input: &[u8]) -> Option<Step<'_>> {
    const DIGITS_MAX: usize = 19;
    let start = "incr ".len();
    if *input.get(start - 1)? != b' ' {
        return None;
    }
    let end = scan::blank_or_control(input, start);
    let key = Key::new(&input[start..end])?;
    let (delta, end) = spaced_digits(input, end, DIGITS_MAX)?;
    if input.get(end..)?.first_chunk::<2>()? != b"\r\n" {
        return None;
    }
    let decrement = input[0] == b'd';
    let request = Request::Arithmetic(Arithmetic { key, decrement, delta, noreply: false });
    Some(Step::Request { request, consumed: end + 2 })
}

fn one_key<'a>(
    tokens: &Tokens<'a>,
    words_min: usize,
    consumed: usize,
    request: impl FnOnce(Key<'a>, bool) -> Result<Request<'a>, &'static [u8]>,
) -> Step<'a> {
    if tokens.len() < words_min {
        return reject(line::BAD_FORMAT, false, consumed);
    }
    let noreply = tokens.noreply();
    let key = tokens.get(1).and_then(Key::new).ok_or(line::BAD_FORMAT);
    match key.and_then(|key| request(key, noreply)) {
        Ok(request) => Step::Request { request, consumed },
        Err(line) => reject(line, noreply, consumed),
    }
}
