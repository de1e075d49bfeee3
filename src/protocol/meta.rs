//! The meta commands: `mg`, `ms`, `md`, `ma`, `me`.
//!
//! A meta command is a key and up to 18 flags, each one letter with an optional argument glued to
//! it. [`Meta`] gives the flags three ways, for the three uses that execution makes of them: a
//! set of letters to ask ([`Meta::has`]), the arguments as numbers, and the letters in the
//! client's order ([`Meta::order`]), because replies return them in that order.
//!
//! Which error a line with several mistakes gets is the reference's business: it looks at the
//! first letters of all words before anything else, then stops at the first unknown or repeated
//! letter, and otherwise reports the last bad argument. One pass is enough for lines without
//! mistakes; the first look is taken only when the pass has found one.

use super::base64;
use super::key::{KEY_BYTES_MAX, Key};
use super::number;
use super::parser::{Framing, Parser, Step, reject};
use super::reply::line;
use super::request::{Request, StoreMode};
use super::text::store::{TAIL_BYTES, with_data};
use super::text::{scan, spaced_digits};

/// Words of a meta command, its name and key included.
const WORDS_MAX: usize = 20;
/// Words whose first letters are looked at.
const WORDS_SEEN_MAX: usize = 23;
/// Digits of a value's length that need no check of their range.
const VALUE_DIGITS_MAX: usize = 9;
/// Bytes of an opaque, its letter included.
const OPAQUE_BYTES_MAX: usize = 32;

/// A parsed meta command. Its arguments have been validated, and are read from the text when
/// asked for: few are, and a request that carried them all would be slow to hand around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The key as written: raw, or base64 when the flag `b` is there; see [`Meta::key`].
    pub key_written: Key<'a>,
    /// The flags as written.
    text: &'a [u8],
    /// Which letters are there, bit `letter - b'A'`.
    letters: u64,
    opaque: &'a [u8],
    mode: u8,
}

impl<'a> Meta<'a> {
    /// Whether the flag `letter` (an ASCII letter) was given.
    #[inline]
    pub fn has(&self, letter: u8) -> bool {
        self.letters >> (letter - b'A') & 1 != 0
    }

    /// `q`: hide the nominal reply.
    #[inline]
    pub fn quiet(&self) -> bool {
        self.has(b'q')
    }

    /// `b`: the key is base64 on the wire.
    #[inline]
    pub fn key_is_base64(&self) -> bool {
        self.has(b'b')
    }

    /// The key that names the item, decoded into `scratch` if need be.
    pub fn key<'k>(&self, scratch: &'k mut [u8; KEY_BYTES_MAX]) -> Key<'k>
    where
        'a: 'k,
    {
        if !self.key_is_base64() {
            return self.key_written;
        }
        let length = base64::decode(self.key_written.bytes(), scratch);
        length.and_then(|length| Key::new(&scratch[..length])).expect("checked while parsing")
    }

    /// The flag letters in the client's order.
    pub fn order(&self) -> impl Iterator<Item = u8> + use<'a> {
        words(self.text).map(|word| word[0])
    }

    /// `O`: the opaque token with its letter, at most 32 bytes; empty if there is none.
    pub fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// `F`: client flags, 0 if absent.
    pub fn flags(&self) -> u32 {
        self.argument(b'F').and_then(number::u32_token).unwrap_or(0)
    }

    /// `C`: the CAS id to compare with.
    pub fn cas_compare(&self) -> Option<u64> {
        self.argument(b'C').and_then(number::u64_token)
    }

    /// `E`: the CAS id to give.
    pub fn cas_new(&self) -> Option<u64> {
        self.argument(b'E').and_then(number::u64_token)
    }

    /// `T`: new expiry time as written.
    pub fn exptime(&self) -> Option<i64> {
        self.argument(b'T').and_then(number::exptime_token)
    }

    /// `N`: create on a miss, with this expiry time as written.
    pub fn vivify(&self) -> Option<i64> {
        self.argument(b'N').and_then(number::exptime_token)
    }

    /// `R`: recache when less than this is left, as written.
    pub fn recache(&self) -> Option<i64> {
        self.argument(b'R').and_then(number::exptime_token)
    }

    /// `D`: what an `ma` adds or subtracts, default 1.
    pub fn delta(&self) -> u64 {
        self.argument(b'D').and_then(number::u64_token).unwrap_or(1)
    }

    /// `J`: what an `ma` creates, default 0.
    pub fn initial(&self) -> u64 {
        self.argument(b'J').and_then(number::u64_token).unwrap_or(0)
    }

    /// `M`: the byte behind it, legal for the command; 0 if absent.
    pub fn mode(&self) -> u8 {
        self.mode
    }

    /// The mode of an `ms`. With `C` a set or replace is a compare-and-swap; an append or prepend
    /// must compare [`Meta::cas_compare`] as well, and an add ignores it.
    pub fn store_mode(&self) -> StoreMode {
        let plain = match self.mode() {
            b'E' => return StoreMode::Add,
            b'A' => return StoreMode::Append,
            b'P' => return StoreMode::Prepend,
            b'R' => StoreMode::Replace,
            _ => StoreMode::Set,
        };
        self.cas_compare().map_or(plain, StoreMode::Cas)
    }

    /// Whether an `ma` subtracts.
    pub fn decrements(&self) -> bool {
        matches!(self.mode(), b'D' | b'-')
    }

    fn new(key_written: Key<'a>, text: &'a [u8]) -> Self {
        Self { key_written, text, letters: 0, opaque: &[], mode: 0 }
    }

    fn argument(&self, letter: u8) -> Option<&'a [u8]> {
        if !self.has(letter) {
            return None;
        }
        words(self.text).find(|word| word[0] == letter).map(|word| &word[1..])
    }

    /// Notes one flag. An error in the inner result is remembered while parsing goes on.
    #[inline]
    fn note(&mut self, word: &'a [u8]) -> Result<Result<(), &'static [u8]>, &'static [u8]> {
        let Some((&letter, argument)) = word.split_first() else {
            return Err(line::META_INVALID_FLAG);
        };
        if !letter.is_ascii_alphabetic() {
            return Err(line::META_INVALID_FLAG);
        }
        if self.has(letter) {
            return Err(line::META_DUPLICATE_FLAG);
        }
        self.letters |= 1 << (letter - b'A');
        let error = match letter {
            b'c' | b'f' | b'h' | b'k' | b'l' | b'q' | b's' | b't' | b'u' | b'v' | b'x' => None,
            b'I' | b'L' | b'P' => None,
            b'M' => {
                self.mode = argument.first().copied().unwrap_or(b' ');
                None
            }
            b'O' => {
                self.opaque = word;
                None
            }
            b'b' => self.base64_error(),
            b'C' | b'E' => number::u64_token(argument).is_none().then_some(line::META_BAD_TOKEN),
            b'N' | b'R' | b'T' => {
                number::exptime_token(argument).is_none().then_some(line::META_BAD_TOKEN)
            }
            b'F' => number::u32_token(argument).is_none().then_some(line::BAD_FORMAT),
            b'D' => number::u64_token(argument).is_none().then_some(line::META_BAD_DELTA),
            b'J' => number::u64_token(argument).is_none().then_some(line::META_BAD_INITIAL),
            _ => return Err(line::META_INVALID_FLAG),
        };
        Ok(error.map_or(Ok(()), Err))
    }

    fn base64_error(&self) -> Option<&'static [u8]> {
        let decoded = base64::decode(self.key_written.bytes(), &mut [0; KEY_BYTES_MAX]);
        decoded.is_none().then_some(line::META_BAD_KEY)
    }
}

impl Parser {
    /// The step for a line that starts with `m`, any byte, and a space. Lines without mistakes are
    /// parsed in one pass; the general way tells what the mistake is.
    #[inline(never)]
    pub(super) fn meta_line<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some((meta, value_bytes, consumed)) = short(input) else { return self.line(input) };
        let request = match input[1] {
            b'g' => Request::MetaGet(meta),
            b'd' => Request::MetaDelete(meta),
            b'a' if is_arithmetic_mode(meta.mode) => Request::MetaArithmetic(meta),
            b's' if is_store_mode(meta.mode) => {
                return with_data(self, input, consumed, value_bytes, false, |value| {
                    Request::MetaSet(meta, value)
                });
            }
            _ => return self.line(input),
        };
        Step::Request { request, consumed }
    }

    /// The step for a meta command. `line` comes without its end, and `consumed` with it.
    #[inline]
    pub(super) fn meta<'a>(
        &mut self,
        input: &'a [u8],
        line: &'a [u8],
        consumed: usize,
    ) -> Step<'a> {
        let (key, text) = split_word(&line[2..]);
        match line[1] {
            b'g' => done(plain(key, text).map(Request::MetaGet), consumed),
            b's' => self.meta_set(input, key, text, consumed),
            b'd' => done(plain(key, text).map(Request::MetaDelete), consumed),
            b'a' => done(arithmetic(key, text).map(Request::MetaArithmetic), consumed),
            b'e' => done(debug(key, text).map(Request::MetaDebug), consumed),
            _ => Step::Request { request: Request::MetaNoop, consumed },
        }
    }

    fn meta_set<'a>(
        &mut self,
        input: &'a [u8],
        key: &'a [u8],
        text: &'a [u8],
        consumed: usize,
    ) -> Step<'a> {
        let (value_bytes, text) = split_word(text);
        let Some(value_bytes) = number::value_bytes_token(value_bytes) else {
            return reject(line::BAD_FORMAT, false, consumed);
        };
        let meta = parse(key, text, 3).and_then(|meta| {
            if is_store_mode(meta.mode) { short_opaque(meta) } else { Err(line::META_MODE_SET) }
        });
        match meta {
            Ok(meta) => with_data(self, input, consumed, value_bytes, false, |value| {
                Request::MetaSet(meta, value)
            }),
            Err(line) => {
                if letters_legal(text, 3) {
                    self.refuse_data((value_bytes + TAIL_BYTES) as u64, Framing::Text);
                }
                reject(line, false, consumed)
            }
        }
    }
}

/// A command without mistakes at the start of `input`: with the length of its value, if it is a
/// store, and the bytes of its line. `None` for every doubt.
#[inline(always)]
fn short(input: &[u8]) -> Option<(Meta<'_>, usize, usize)> {
    let start = "mg ".len();
    let end = scan::blank_or_control(input, start);
    let mut meta = Meta::new(Key::new(&input[start..end])?, &[]);
    let (value_bytes, text_start, mut flags_left) = if input[1] == b's' {
        let (value_bytes, end) = spaced_digits(input, end, VALUE_DIGITS_MAX)?;
        (value_bytes as usize, end, WORDS_MAX - 3)
    } else {
        (0, end, WORDS_MAX - 2)
    };
    let mut at = text_start;
    loop {
        match input.get(at..)? {
            [b' ', ..] => at += 1,
            [b'\r', b'\n', ..] => break,
            _ => {
                let end = scan::blank_or_control(input, at);
                meta.note(&input[at..end]).ok()?.ok()?;
                flags_left = flags_left.checked_sub(1)?;
                at = end;
            }
        }
    }
    meta.text = &input[text_start..at];
    short_opaque(meta).ok().map(|meta| (meta, value_bytes, at + 2))
}

type Parsed<'a> = Result<Meta<'a>, &'static [u8]>;

fn done<'a>(request: Result<Request<'a>, &'static [u8]>, consumed: usize) -> Step<'a> {
    match request {
        Ok(request) => Step::Request { request, consumed },
        // `q` never hides an error.
        Err(line) => reject(line, false, consumed),
    }
}

/// A key and its flags, of which the first is the line's word number `words_before`.
fn parse<'a>(key: &'a [u8], text: &'a [u8], words_before: usize) -> Parsed<'a> {
    if key.is_empty() {
        return Err(line::BAD_FORMAT);
    }
    flags(key, text, words_before)
        .map_err(|error| if letters_legal(text, words_before) { error } else { line::BAD_FORMAT })
}

fn flags<'a>(key: &'a [u8], text: &'a [u8], words_before: usize) -> Parsed<'a> {
    let key_written = Key::new(key).ok_or(line::BAD_FORMAT)?;
    let mut meta = Meta::new(key_written, text);
    let flags_max = WORDS_MAX - words_before;
    if text.len() > 2 * flags_max && words(text).nth(flags_max).is_some() {
        return Err(line::META_TOO_MANY_FLAGS);
    }
    let mut error = None;
    for word in words(text) {
        match meta.note(word)? {
            Ok(()) => {}
            // The reference forgets to say what is wrong with `F`, so that an earlier complaint
            // stands.
            Err(complaint) if word[0] == b'F' => error = error.or(Some(complaint)),
            Err(complaint) => error = Some(complaint),
        }
    }
    error.map_or(Ok(meta), Err)
}

/// `mg`, `md`.
fn plain<'a>(key: &'a [u8], text: &'a [u8]) -> Parsed<'a> {
    parse(key, text, 2).and_then(short_opaque)
}

/// The reference notices a long opaque last, while it replies.
fn short_opaque(meta: Meta<'_>) -> Parsed<'_> {
    if meta.opaque().len() > OPAQUE_BYTES_MAX { Err(line::META_OPAQUE) } else { Ok(meta) }
}

/// `ma`: whatever is wrong with its flags, the complaint is the same.
fn arithmetic<'a>(key: &'a [u8], text: &'a [u8]) -> Parsed<'a> {
    let meta = parse(key, text, 2).map_err(|error| {
        let flags_are_wrong = !key.is_empty() && letters_legal(text, 2);
        if flags_are_wrong { line::META_ARITHMETIC_FLAG } else { error }
    })?;
    if is_arithmetic_mode(meta.mode) { short_opaque(meta) } else { Err(line::META_MODE_ARITHMETIC) }
}

fn is_store_mode(mode: u8) -> bool {
    matches!(mode, 0 | b'E' | b'A' | b'P' | b'R' | b'S')
}

fn is_arithmetic_mode(mode: u8) -> bool {
    matches!(mode, 0 | b'I' | b'+' | b'D' | b'-')
}

/// `me <key> [b]`: the reference sees `b` only when one more word follows.
fn debug<'a>(key: &'a [u8], text: &'a [u8]) -> Parsed<'a> {
    let key = Key::new(key).filter(|_| letters_legal(text, 2)).ok_or(line::BAD_FORMAT)?;
    let mut meta = Meta::new(key, &[]);
    let mut words = words(text);
    if words.next() == Some(b"b") && words.next().is_some() {
        if meta.base64_error().is_some() {
            return Err(line::BAD_FORMAT);
        }
        meta.letters = 1 << (b'b' - b'A');
    }
    Ok(meta)
}

/// Whether all words start with a letter, a digit or one of the signs between the two alphabets.
#[cold]
fn letters_legal(text: &[u8], words_before: usize) -> bool {
    words(text)
        .take(WORDS_SEEN_MAX - words_before)
        .all(|word| matches!(word[0], b'A'..=b'z' | b'0'..=b'9'))
}

/// The words of a text, none of them empty.
#[inline]
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// The first word, empty if there is none, and what follows it.
#[inline]
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    while text.get(start) == Some(&b' ') {
        start += 1;
    }
    let end = scan::space(text, start);
    (&text[start..end], &text[end..])
}

#[cfg(test)]
mod tests;
