//! `set`, `add`, `replace`, `append`, `prepend`, `cas`: a line and a data block.
//!
//! The order of the checks decides whether the data block of a bad request is swallowed or taken
//! for commands, so it is the reference's: a length that is no number leaves the block
//! standing, because nobody knows how long it is; every later error swallows it.

use super::tokens::Tokens;
use super::{scan, spaced_digits};
use crate::protocol::key::Key;
use crate::protocol::number;
use crate::protocol::parser::{Framing, Parser, Step, reject};
use crate::protocol::reply::line;
use crate::protocol::request::{Request, Store, StoreMode};

/// Bytes of the line end behind a value.
pub(crate) const TAIL_BYTES: usize = 2;

/// A store with single spaces and plain digits in the first bytes of `input`, its command name
/// being three letters; everything else goes the general way. `mode` is `None` for `cas`.
#[inline(always)]
pub(super) fn short<'a>(parser: &mut Parser, input: &'a [u8], mode: Option<StoreMode>) -> Step<'a> {
    match short_header(input, mode) {
        Some((store, header_bytes, value_bytes)) => {
            classic(parser, input, store, header_bytes, value_bytes)
        }
        None => parser.line(input),
    }
}

#[inline(always)]
fn short_header(input: &[u8], mode: Option<StoreMode>) -> Option<(Store<'_>, usize, usize)> {
    // Numbers of so many digits fit their types, and a data block of nine digits is legal, so that
    // no range needs checking.
    const U64_DIGITS_MAX: usize = 19;
    const I64_DIGITS_MAX: usize = 18;
    const BLOCK_DIGITS_MAX: usize = 9;
    let start = "set ".len();
    let end = scan::blank_or_control(input, start);
    let key = Key::new(&input[start..end])?;
    let (flags, end) = spaced_digits(input, end, U64_DIGITS_MAX)?;
    let (exptime, end) = spaced_digits(input, end, I64_DIGITS_MAX)?;
    let (value_bytes, end) = spaced_digits(input, end, BLOCK_DIGITS_MAX)?;
    let (mode, end) = match mode {
        Some(mode) => (mode, end),
        None => {
            let (cas, end) = spaced_digits(input, end, U64_DIGITS_MAX)?;
            (StoreMode::Cas(cas), end)
        }
    };
    let rest = input.get(end..)?;
    let (noreply, end_bytes) = match rest.first_chunk::<2>()? {
        b"\r\n" => (false, 2),
        b" n" if rest.starts_with(b" noreply\r\n") => (true, " noreply\r\n".len()),
        _ => return None,
    };
    let (flags, exptime) = (flags as u32, exptime as i64);
    let store = Store { key, mode, flags, exptime, value: &[], noreply };
    Some((store, end + end_bytes, value_bytes as usize))
}

/// Any store. `mode` is `None` for `cas`, whose mode is in the line.
pub(super) fn general<'a>(
    parser: &mut Parser,
    input: &'a [u8],
    line: &'a [u8],
    header_bytes: usize,
    mode: Option<StoreMode>,
) -> Step<'a> {
    let tokens = Tokens::new(line);
    let Some(value_bytes) = tokens.get(4).and_then(number::value_bytes_token) else {
        return reject(line::BAD_FORMAT, false, header_bytes);
    };
    match arguments(&tokens, mode) {
        Some(store) => classic(parser, input, store, header_bytes, value_bytes),
        None => {
            parser.refuse_data((value_bytes + TAIL_BYTES) as u64, Framing::Text);
            reject(line::BAD_FORMAT, tokens.noreply(), header_bytes)
        }
    }
}

fn arguments<'a>(tokens: &Tokens<'a>, mode: Option<StoreMode>) -> Option<Store<'a>> {
    let key = Key::new(tokens.get(1)?)?;
    // Flags of more than 32 bits lose their high part, as in the reference. Expiry times do not:
    // cut off, a time after 2038 would be in the past.
    let flags = number::c_unsigned(tokens.from(2)?)? as u32;
    let exptime = number::c_signed(tokens.from(3)?)?;
    let mode = match mode {
        Some(mode) => mode,
        None => StoreMode::Cas(number::u64_token(tokens.get(5)?)?),
    };
    Some(Store { key, mode, flags, exptime, value: &[], noreply: tokens.noreply() })
}

#[inline(always)]
fn classic<'a>(
    parser: &mut Parser,
    input: &'a [u8],
    store: Store<'a>,
    header_bytes: usize,
    value_bytes: usize,
) -> Step<'a> {
    let noreply = store.noreply;
    let request = |value| Request::Store(Store { value, ..store });
    with_data(parser, input, header_bytes, value_bytes, noreply, request)
}

/// The step for a header that is right, by how much of its data block is there.
#[inline(always)]
pub(crate) fn with_data<'a>(
    parser: &mut Parser,
    input: &'a [u8],
    header_bytes: usize,
    value_bytes: usize,
    noreply: bool,
    request: impl FnOnce(&'a [u8]) -> Request<'a>,
) -> Step<'a> {
    if value_bytes > parser.limits.item_bytes_max as usize {
        parser.refuse_data((value_bytes + TAIL_BYTES) as u64, Framing::Text);
        return Step::Oversize { request: request(&[]), consumed: header_bytes };
    }
    let value_end = header_bytes + value_bytes;
    let consumed = value_end + TAIL_BYTES;
    let Some(tail) = input.get(value_end..consumed) else {
        let (request, tail_bytes) = (request(&[]), TAIL_BYTES);
        return Step::Upload { request, header_bytes, value_bytes, tail_bytes };
    };
    if tail != b"\r\n" {
        return reject(line::BAD_DATA_CHUNK, noreply, consumed);
    }
    Step::Request { request: request(&input[header_bytes..value_end]), consumed }
}
