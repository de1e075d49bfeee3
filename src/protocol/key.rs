//! Keys: 1 to 250 bytes, anything but a space or a line end in the text protocol.
//!
//! A [`Key`] exists only with a legal length, so that nothing behind the parser needs to check it
//! again. [`Keys`] is a line's worth of them, split only as they are asked for: a multi-get may
//! name thousands, and an array of them would be a limit or an allocation.

use super::text::scan;

pub use crate::config::limits::KEY_BYTES_MAX;

/// A key of legal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// `None` unless there are 1..=250 bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len().wrapping_sub(1) < KEY_BYTES_MAX).then_some(Self(bytes))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The keys of a retrieval, in order. Each is legal: the line was checked as a whole.
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    rest: &'a [u8],
    /// What is left is one key and nothing else, so that it need not be searched for its end: the
    /// parser has just done that.
    is_one: bool,
}

impl PartialEq for Keys<'_> {
    /// The same keys, whatever the spaces between them.
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl<'a> Keys<'a> {
    /// The text of the keys that have not been asked for.
    #[must_use]
    pub fn unread(&self) -> &'a [u8] {
        self.rest
    }

    /// One key.
    #[inline]
    pub(super) fn one(key: Key<'a>) -> Self {
        Self { rest: key.0, is_one: true }
    }

    /// Keys with any number of spaces before, between and behind them; `None` if one is too long.
    pub(super) fn new(text: &'a [u8]) -> Option<Self> {
        all_legal(text).then_some(Self { rest: text, is_one: false })
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = Key<'a>;

    #[inline]
    fn next(&mut self) -> Option<Key<'a>> {
        if self.is_one {
            self.is_one = false;
            return Some(Key(std::mem::take(&mut self.rest)));
        }
        let mut start = 0;
        while *self.rest.get(start)? == b' ' {
            start += 1;
        }
        let end = scan::space(self.rest, start);
        let key = &self.rest[start..end];
        self.rest = &self.rest[end..];
        debug_assert!(key.len() <= KEY_BYTES_MAX, "the parser lets no longer key through");
        Some(Key(key))
    }
}

/// Whether no word is longer than a key. A word that is too long leaves a stretch of 251 bytes
/// without a space, so it is enough to look for the last space of such stretches.
fn all_legal(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(stretch) = rest.get(..KEY_BYTES_MAX + 1) {
        let Some(space) = memchr::memrchr(b' ', stretch) else { return false };
        rest = &rest[space + 1..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_250_bytes() {
        assert_eq!(Key::new(b""), None);
        assert!(Key::new(&[b'k'; 250]).is_some());
        assert_eq!(Key::new(&[b'k'; 251]), None);
    }

    #[test]
    fn keys_are_split_at_any_number_of_spaces() {
        let keys = Keys::new(b"  a bb\t   ccccccccccccccc  ").expect("legal");
        let words: Vec<_> = keys.map(Key::bytes).collect();
        assert_eq!(words, [&b"a"[..], b"bb\t", b"ccccccccccccccc"]);
        assert_eq!(Keys::new(b"   ").expect("legal").next(), None);
    }

    #[test]
    fn one_key_too_long_spoils_the_line_wherever_it_stands() {
        for length in [249, 250, 251, 252, 600] {
            for before in 0..260 {
                let line = [&b"x ".repeat(before)[..], &vec![b'k'; length], b" y"].concat();
                assert_eq!(Keys::new(&line).is_some(), length <= 250);
                assert_eq!(Keys::new(&line[..line.len() - 2]).is_some(), length <= 250);
            }
        }
    }
}
