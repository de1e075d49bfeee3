//! The text protocol: one line a request, and a data block behind some.
//!
//! Two commands are most of all traffic, `get` of one key and `set`. They are parsed in one pass
//! without looking for the line's end first ([`Parser::text`], [`store::short`]); whatever is
//! unusual about them sends them to the general way, which finds the line, then the command,
//! then the words. Both ways end in the same steps, which a test compares.

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
use super::request::{Get, Request, StoreMode};
use tokens::Tokens;

/// A line shorter than this, its end included, is no command.
const LINE_BYTES_MIN: usize = 4;
/// Spaces tolerated before the `get` of a line that is not yet whole.
const SPACES_BEFORE_GET_MAX: usize = 100;

const GET: u32 = u32::from_le_bytes(*b"get ");
const SET: u32 = u32::from_le_bytes(*b"set ");
const ADD: u32 = u32::from_le_bytes(*b"add ");

impl Parser {
    /// The step at the start of a text request.
    #[inline]
    pub(super) fn text<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(head) = input.first_chunk::<4>() else { return self.line(input) };
        match u32::from_le_bytes(*head) {
            GET => get_one(input).unwrap_or_else(|| self.line(input)),
            SET => store::short(self, input, StoreMode::Set),
            ADD => store::short(self, input, StoreMode::Add),
            _ => self.line(input),
        }
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
        get::unfinished_keys(self, input, name_bytes, with_cas)
    }

    /// The step in the middle of a long `get` line.
    pub(super) fn more_keys<'a>(&mut self, input: &'a [u8], with_cas: bool) -> Step<'a> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return get::unfinished_keys(self, input, 0, with_cas);
        };
        self.place = Place::Line;
        let text = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        get::last_keys(text, with_cas, end + 1)
    }
}

/// `get <key>\r\n`, the most frequent request of all; anything else about it is for the general
/// way.
#[inline]
fn get_one<'a>(input: &'a [u8]) -> Option<Step<'a>> {
    let start = b"get ".len();
    let end = scan::blank_or_control(input, start);
    if input.get(end..end + 2)? != b"\r\n" {
        return None;
    }
    let get = Get {
        keys: Keys::one(Key::new(&input[start..end])?),
        with_cas: false,
        touch: None,
        is_last: true,
    };
    Some(Step::Request { request: Request::Get(get), consumed: end + 2 })
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
