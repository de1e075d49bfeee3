//! The meta commands: `mg`, `ms`, `md`, `ma`, `me`.
//!
//! A meta command is a key and up to 18 flags, each one letter with an optional argument glued to
//! it. [`Meta`] holds the flags three ways, for the three uses that execution makes of them: a
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
use super::text::scan;
use super::text::store::{TAIL_BYTES, with_data};

/// Words of a meta command, its name and key included.
const WORDS_MAX: usize = 20;
/// Words whose first letters are looked at.
const WORDS_SEEN_MAX: usize = 23;
/// Bytes of an opaque, its letter included.
const OPAQUE_BYTES_MAX: usize = 32;

/// A parsed meta command, with all arguments validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The key as written: raw, or base64 when the flag `b` is there; see [`Meta::key`].
    pub key_written: Key<'a>,
    /// The flags as written, from the first flag to the last.
    pub text: &'a [u8],
    /// Which letters are there, bit `letter - b'A'`.
    pub letters: u64,
    /// The opaque token with its `O`, at most 32 bytes; empty if there is none.
    pub opaque: &'a [u8],
    /// `M`: the first byte behind it, already known to be legal for the command; 0 if absent.
    pub mode: u8,
    /// `F`: client flags, 0 if absent.
    pub flags: u32,
    /// `C`: the CAS id to compare with.
    pub cas_compare: Option<u64>,
    /// `E`: the CAS id to give.
    pub cas_new: Option<u64>,
    /// `T`: new expiry time as written.
    pub exptime: Option<i64>,
    /// `N`: create on a miss, with this expiry time as written.
    pub vivify: Option<i64>,
    /// `R`: recache when less than this is left, as written.
    pub recache: Option<i64>,
    /// `D`: delta, default 1.
    pub delta: u64,
    /// `J`: initial value, default 0.
    pub initial: u64,
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
        words(self.text).filter_map(|word| word.first().copied())
    }

    /// The mode of an `ms`. With `C` a set or replace is a compare-and-swap; an append or prepend
    /// must compare [`Meta::cas_compare`] as well, and an add ignores it.
    pub fn store_mode(&self) -> StoreMode {
        let plain = match self.mode {
            b'E' => return StoreMode::Add,
            b'A' => return StoreMode::Append,
            b'P' => return StoreMode::Prepend,
            b'R' => StoreMode::Replace,
            _ => StoreMode::Set,
        };
        self.cas_compare.map_or(plain, StoreMode::Cas)
    }

    /// Whether an `ma` subtracts.
    pub fn decrements(&self) -> bool {
        matches!(self.mode, b'D' | b'-')
    }

    fn new(key_written: Key<'a>, text: &'a [u8]) -> Self {
        Self {
            key_written,
            text,
            letters: 0,
            opaque: &[],
            mode: 0,
            flags: 0,
            cas_compare: None,
            cas_new: None,
            exptime: None,
            vivify: None,
            recache: None,
            delta: 1,
            initial: 0,
        }
    }

    /// Takes one flag. An error in the inner result is remembered while parsing goes on.
    fn take(&mut self, word: &'a [u8]) -> Result<Result<(), &'static [u8]>, &'static [u8]> {
        let (letter, argument) = (word[0], &word[1..]);
        if !letter.is_ascii_alphabetic() {
            return Err(line::META_INVALID_FLAG);
        }
        if self.has(letter) {
            return Err(line::META_DUPLICATE_FLAG);
        }
        self.letters |= 1 << (letter - b'A');
        let exptime = || number::exptime_token(argument).ok_or(line::META_BAD_TOKEN);
        let cas = || number::u64_token(argument).ok_or(line::META_BAD_TOKEN);
        let taken = match letter {
            b'c' | b'f' | b'h' | b'k' | b'l' | b'q' | b's' | b't' | b'u' | b'v' | b'x' => Ok(()),
            b'I' | b'L' | b'P' => Ok(()),
            b'b' => self.check_base64(),
            b'C' => cas().map(|cas| self.cas_compare = Some(cas)),
            b'D' => number::u64_token(argument)
                .map(|delta| self.delta = delta)
                .ok_or(line::META_BAD_DELTA),
            b'E' => cas().map(|cas| self.cas_new = Some(cas)),
            b'F' => {
                number::u32_token(argument).map(|flags| self.flags = flags).ok_or(line::BAD_FORMAT)
            }
            b'J' => number::u64_token(argument)
                .map(|initial| self.initial = initial)
                .ok_or(line::META_BAD_INITIAL),
            b'M' => {
                self.mode = argument.first().copied().unwrap_or(b' ');
                Ok(())
            }
            b'N' => exptime().map(|exptime| self.vivify = Some(exptime)),
            b'O' => {
                self.opaque = word;
                Ok(())
            }
            b'R' => exptime().map(|exptime| self.recache = Some(exptime)),
            b'T' => exptime().map(|exptime| self.exptime = Some(exptime)),
            _ => return Err(line::META_INVALID_FLAG),
        };
        Ok(taken)
    }

    fn check_base64(&self) -> Result<(), &'static [u8]> {
        let decoded = base64::decode(self.key_written.bytes(), &mut [0; KEY_BYTES_MAX]);
        decoded.map(|_| ()).ok_or(line::META_BAD_KEY)
    }
}

impl Parser {
    /// The step for a meta command. `line` comes without its end, and `consumed` with it.
    pub(super) fn meta<'a>(
        &mut self,
        input: &'a [u8],
        line: &'a [u8],
        consumed: usize,
    ) -> Option<Step<'a>> {
        let command = line[1];
        if command == b'n' {
            return Some(Step::Request { request: Request::MetaNoop, consumed });
        }
        let (key, text) = split_word(&line[2..]);
        let step = match command {
            b's' => self.meta_set(input, key, text, consumed),
            b'g' => done(plain(key, text).map(Request::MetaGet), consumed),
            b'd' => done(plain(key, text).map(Request::MetaDelete), consumed),
            b'a' => done(arithmetic(key, text).map(Request::MetaArithmetic), consumed),
            b'e' => done(debug(key, text).map(Request::MetaDebug), consumed),
            _ => return None,
        };
        Some(step)
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
        let meta = parse(key, text, 3).and_then(|meta| match meta.mode {
            0 | b'E' | b'A' | b'P' | b'R' | b'S' => short_opaque(meta),
            _ => Err(line::META_MODE_SET),
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
    let mut meta = Meta::new(Key::new(key).ok_or(line::BAD_FORMAT)?, text);
    let flags_max = WORDS_MAX - words_before;
    if text.len() > 2 * flags_max && words(text).nth(flags_max).is_some() {
        return Err(line::META_TOO_MANY_FLAGS);
    }
    let mut error = None;
    for word in words(text) {
        match meta.take(word)? {
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
    if meta.opaque.len() > OPAQUE_BYTES_MAX { Err(line::META_OPAQUE) } else { Ok(meta) }
}

/// `ma`: whatever is wrong with its flags, the complaint is the same.
fn arithmetic<'a>(key: &'a [u8], text: &'a [u8]) -> Parsed<'a> {
    let meta = parse(key, text, 2).map_err(|error| {
        let flags_are_wrong = !key.is_empty() && letters_legal(text, 2);
        if flags_are_wrong { line::META_ARITHMETIC_FLAG } else { error }
    })?;
    match meta.mode {
        0 | b'I' | b'+' | b'D' | b'-' => short_opaque(meta),
        _ => Err(line::META_MODE_ARITHMETIC),
    }
}

/// `me <key> [b]`: the reference sees `b` only when one more word follows.
fn debug<'a>(key: &'a [u8], text: &'a [u8]) -> Parsed<'a> {
    let key = Key::new(key).filter(|_| letters_legal(text, 2)).ok_or(line::BAD_FORMAT)?;
    let mut meta = Meta::new(key, text);
    let mut words = words(text);
    if words.next() == Some(b"b") && words.next().is_some() {
        meta.check_base64().map_err(|_| line::BAD_FORMAT)?;
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
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (word, behind) = split_word(rest);
        rest = behind;
        (!word.is_empty()).then_some(word)
    })
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
