//! The text protocol: one line a request, and a data block behind some.
//!
//! A few commands in their plainest form are most of all traffic: `get` of one key, `set`, and
//! their like. They are parsed in one pass without looking for the line's end first
//! ([`Parser::text`]); whatever is unusual about them sends them to the general way, which finds
//! the line, then the command, then the words. Both ways end in the same steps, which a test
//! compares.

pub(super) mod admin;
pub(super) mod get;
pub(super) mod mutate;
pub(super) mod scan;
pub(super) mod store;
pub(super) mod tokens;

use super::admin::Admin;
use super::key::{Key, Keys};
use super::parser::{Parser, Place, Step, reject};
use super::reply::{Refusal, line};
use super::request::{Delete, Get, Request, StoreMode};
use tokens::Tokens;

/// A line shorter than this, its end included, is no command.
const LINE_BYTES_MIN: usize = 4;
/// Spaces tolerated before the `get` of a line that is not yet whole.
const SPACES_BEFORE_GET_MAX: usize = 100;

/// The first four bytes of the commands that have a short way.
mod head {
    pub(super) const GET: u32 = u32::from_le_bytes(*b"get ");
    pub(super) const GETS: u32 = u32::from_le_bytes(*b"gets");
    pub(super) const SET: u32 = u32::from_le_bytes(*b"set ");
    pub(super) const ADD: u32 = u32::from_le_bytes(*b"add ");
    pub(super) const CAS: u32 = u32::from_le_bytes(*b"cas ");
    pub(super) const DELETE: u32 = u32::from_le_bytes(*b"dele");
    pub(super) const INCR: u32 = u32::from_le_bytes(*b"incr");
    pub(super) const DECR: u32 = u32::from_le_bytes(*b"decr");
}

impl Parser {
    /// The step at the start of a text request.
    #[inline]
    pub(super) fn text<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(head) = input.first_chunk::<4>() else { return self.line(input) };
        match u32::from_le_bytes(*head) {
            head::GET => {
                if let Some((key, consumed)) = plain_get(input) {
                    return get_one(key, false, consumed);
                }
            }
            head::SET => return store::short(self, input, Some(StoreMode::Set)),
            head::GETS if input.get(4) == Some(&b' ') => {
                if let Some((key, consumed)) = only_key(input, "gets ".len()) {
                    return get_one(key, true, consumed);
                }
            }
            head::ADD => return store::short(self, input, Some(StoreMode::Add)),
            head::CAS => return store::short(self, input, None),
            head::DELETE if input.starts_with(b"delete ") => {
                if let Some((key, consumed)) = only_key(input, "delete ".len()) {
                    // The last word decides, even where it is the key.
                    let noreply = key.bytes() == b"noreply";
                    let request = Request::Delete(Delete { key, noreply });
                    return Step::Request { request, consumed };
                }
            }
            head::INCR | head::DECR => {
                if let Some(step) = mutate::short_arithmetic(input) {
                    return step;
                }
            }
            _ => {}
        }
        if head[0] == b'm' && head[2] == b' ' {
            return self.meta_line(input);
        }
        self.line(input)
    }

    /// The general way: the whole line first, then the command.
    #[inline(never)]
    pub(super) fn line<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(end) = memchr::memchr(b'\n', input) else { return self.unfinished(input) };
        let consumed = end + 1;
        if consumed < LINE_BYTES_MIN {
            return reject(line::BAD_FORMAT, false, consumed);
        }
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        self.command(input, line, consumed)
    }

    fn command<'a>(&mut self, input: &'a [u8], line: &'a [u8], consumed: usize) -> Step<'a> {
        let name_bytes = scan::space(line, 0);
        let arguments = &line[name_bytes..];
        let store = |parser: &mut Self, mode| store::general(parser, input, line, consumed, mode);
        match &line[..name_bytes] {
            b"get" => get::keys(arguments, false, consumed),
            b"gets" => get::keys(arguments, true, consumed),
            b"gat" => get::and_touch(arguments, false, consumed),
            b"gats" => get::and_touch(arguments, true, consumed),
            b"set" => store(self, Some(StoreMode::Set)),
            b"add" => store(self, Some(StoreMode::Add)),
            b"replace" => store(self, Some(StoreMode::Replace)),
            b"append" => store(self, Some(StoreMode::Append)),
            b"prepend" => store(self, Some(StoreMode::Prepend)),
            b"cas" => store(self, None),
            b"delete" => mutate::delete(&Tokens::new(line), consumed),
            b"incr" => mutate::arithmetic(&Tokens::new(line), false, consumed),
            b"decr" => mutate::arithmetic(&Tokens::new(line), true, consumed),
            b"touch" => mutate::touch(&Tokens::new(line), consumed),
            b"quit" => admin_request(Admin::Quit, consumed),
            b"version" => admin_request(Admin::Version, consumed),
            b"stats" => admin_request(Admin::Stats(admin::stats(&Tokens::new(line))), consumed),
            b"watch" => admin_request(Admin::Watch(admin::watch(&Tokens::new(line))), consumed),
            [b'm', b'n' | b'g' | b's' | b'd' | b'a' | b'e'] => self.meta(input, line, consumed),
            _ => admin::other(&Tokens::new(line), consumed),
        }
    }

    /// No line end yet. Only a `get` may be longer than a line; its keys are handed out piece by
    /// piece, so that its length costs no memory.
    #[cold]
    fn unfinished<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if input.len() <= self.limits.line_bytes_max as usize {
            return Step::Need;
        }
        let spaces = input.iter().take_while(|byte| **byte == b' ').count();
        let text = &input[spaces..];
        let with_cas = text.starts_with(b"gets ");
        if spaces > SPACES_BEFORE_GET_MAX || !(with_cas || text.starts_with(b"get ")) {
            return Step::Close { refusal: None };
        }
        if spaces > 0 {
            // The reference collects the whole line before it says so.
            self.place = Place::RefusedLine;
            return reject(line::ERROR, false, input.len());
        }
        let name_bytes = if with_cas { 4 } else { 3 };
        get::unfinished_keys(self, input, name_bytes, with_cas, None)
    }

    /// The step in the middle of a long `get` line.
    pub(super) fn more_keys<'a>(
        &mut self,
        input: &'a [u8],
        with_cas: bool,
        touch: Option<i64>,
    ) -> Step<'a> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return get::unfinished_keys(self, input, 0, with_cas, touch);
        };
        self.place = Place::Line;
        let text = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        get::last_keys(text, with_cas, touch, end + 1)
    }
}

/// The key of a `get` of one key, as most requests are, and the bytes that it takes. Whatever else
/// the input starts with is the parser's to tell.
#[inline(always)]
pub fn plain_get(input: &[u8]) -> Option<(Key<'_>, usize)> {
    if input.starts_with(b"get ") { only_key(input, "get ".len()) } else { None }
}

/// A key that is followed by nothing but the line's end, and the bytes up to there.
#[inline(always)]
fn only_key(input: &[u8], start: usize) -> Option<(Key<'_>, usize)> {
    let end = scan::blank_or_control(input, start);
    let line_end = input.get(end..)?.first_chunk::<2>()?;
    (line_end == b"\r\n").then_some((Key::new(&input[start..end])?, end + 2))
}

#[inline(always)]
fn get_one(key: Key<'_>, with_cas: bool, consumed: usize) -> Step<'_> {
    let get = Get { keys: Keys::one(key), with_cas, touch: None, is_last: true };
    Step::Request { request: Request::Get(get), consumed }
}

/// One space and one to `digits_max` digits from `at` on: the number and where it ends. At most
/// 19 digits fit the number.
#[inline(always)]
pub(super) fn spaced_digits(input: &[u8], at: usize, digits_max: usize) -> Option<(u64, usize)> {
    let (space, digits) = input.get(at..)?.split_first()?;
    if *space != b' ' {
        return None;
    }
    if let Some(word) = digits.first_chunk::<8>()
        && let Some((value, length)) = scan::digits(u64::from_le_bytes(*word))
    {
        return Some((value, at + 1 + length));
    }
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    if length == 0 || length > digits_max {
        return None;
    }
    let value = digits[..length].iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    Some((value, at + 1 + length))
}

pub(super) fn admin_request(admin: Admin<'_>, consumed: usize) -> Step<'_> {
    Step::Request { request: Request::Admin(admin), consumed }
}

/// A silent close.
pub(super) fn close<'a>(refusal: Option<Refusal>) -> Step<'a> {
    Step::Close { refusal }
}

#[cfg(test)]
mod tests;
