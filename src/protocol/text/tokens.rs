//! The words of a line, for commands that are not on the fast path.
//!
//! The reference keeps 23 words of a line and ignores the rest; "the last word", which decides
//! about `noreply`, is the last of those 23. This table does the same.

use arrayvec::ArrayVec;

use super::scan;

/// Words kept of one line.
const TOKENS_MAX: usize = 23;

/// The words of one line.
pub(crate) struct Tokens<'a> {
    line: &'a [u8],
    spans: ArrayVec<(u32, u32), TOKENS_MAX>,
}

impl<'a> Tokens<'a> {
    /// Splits a line, given without its line end, at spaces.
    pub(crate) fn new(line: &'a [u8]) -> Self {
        let mut spans = ArrayVec::new();
        let mut at = 0;
        while at < line.len() && !spans.is_full() {
            if line[at] == b' ' {
                at += 1;
                continue;
            }
            let end = scan::space(line, at);
            spans.push((at as u32, end as u32));
            at = end;
        }
        Self { line, spans }
    }

    /// Number of words kept.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// One word.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|(start, end)| &self.line[*start as usize..*end as usize])
    }

    /// The line from the start of one word on, for numbers that C functions would read there.
    pub(crate) fn from(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|(start, _)| &self.line[*start as usize..])
    }

    /// The last word kept.
    pub(crate) fn last(&self) -> Option<&'a [u8]> {
        self.len().checked_sub(1).and_then(|index| self.get(index))
    }

    /// Whether the client wants no reply.
    pub(crate) fn noreply(&self) -> bool {
        self.last() == Some(b"noreply")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_runs_of_spaces() {
        let tokens = Tokens::new(b"  set\tk  1 22 noreply  ");
        let words: Vec<_> = (0..tokens.len()).filter_map(|index| tokens.get(index)).collect();
        assert_eq!(words, [&b"set\tk"[..], b"1", b"22", b"noreply"]);
        assert_eq!(tokens.from(2), Some(&b"22 noreply  "[..]));
        assert!(tokens.noreply());
        assert_eq!(Tokens::new(b"   ").len(), 0);
        assert_eq!(Tokens::new(b"").last(), None);
    }

    #[test]
    fn forgets_words_after_the_23rd() {
        let line = [&b"w ".repeat(23)[..], b"noreply"].concat();
        assert_eq!(Tokens::new(&line).len(), 23);
        assert!(!Tokens::new(&line).noreply());
        assert!(Tokens::new(&line[2..]).noreply());
    }
}
