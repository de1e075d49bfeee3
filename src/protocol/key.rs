//! Keys: 1 to 250 bytes, anything but a space or a line end in the text protocol.

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 250;

/// A key of legal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// `None` unless there are 1..=250 bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= KEY_BYTES_MAX).then_some(Self(bytes))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The keys of a retrieval, in order. Each is legal: the parser has checked the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Keys<'a> {
    type Item = Key<'a>;

    #[inline]
    fn next(&mut self) -> Option<Key<'a>> {
        let start = self.rest.iter().position(|byte| *byte != b' ')?;
        let rest = &self.rest[start..];
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(Key(&rest[..end]))
    }
}
