//! Finding the end of a word, eight bytes at a time.
//!
//! Most words of a request are short, so that a call into a vectorised search costs more than it
//! saves; a byte loop costs three instructions a byte. Between the two lies the old trick of
//! looking at eight bytes in one register. The tail of the input, where eight bytes are no longer
//! there, is covered by a load that overlaps bytes already seen.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first position from `from` on whose byte is a space or below, or the input's length.
#[inline]
pub(crate) fn blank_or_control(input: &[u8], from: usize) -> usize {
    find(input, from, |word| word.wrapping_sub(ONES * 0x21) & !word & HIGHS, |byte| byte <= b' ')
}

/// The first position from `from` on that holds a space, or the input's length.
#[inline]
pub(crate) fn space(input: &[u8], from: usize) -> usize {
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    find(input, from, |word| zero_bytes(word ^ (ONES * 0x20)), |byte| byte == b' ')
}

/// The number that the first bytes of a word write in decimal, and how many bytes it takes: one to
/// seven, or `None`. The digits are added up in pairs, then fours, then all at once.
#[inline(always)]
pub(crate) fn digits(word: u64) -> Option<(u64, usize)> {
    let values = word ^ (ONES * u64::from(b'0'));
    // A byte above 9 has a bit in its upper half, or gets one from adding 6. A carry out of such a
    // byte only reaches bytes behind it.
    let others = (values.wrapping_add(ONES * 0x06) | values) & (ONES * 0xf0);
    let length = (others.trailing_zeros() / 8) as usize;
    if length == 0 || length == 8 {
        return None;
    }
    if length == 1 {
        // Flags and expiry times are 0 more often than not.
        return Some((values & 0xff, 1));
    }
    let values = values << (64 - 8 * length);
    let pairs = (values.wrapping_mul(10) + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
    Some((value, length))
}

/// `word_hits` marks the high bit of hit bytes; only its lowest mark need be exact, since the
/// subtractions above borrow upwards.
#[inline(always)]
fn find(
    input: &[u8],
    from: usize,
    word_hits: impl Fn(u64) -> u64,
    byte_hits: impl Fn(u8) -> bool,
) -> usize {
    let Some(rest) = input.get(from..) else { return input.len() };
    let (words, tail) = rest.as_chunks::<8>();
    let mut at = from;
    for word in words {
        let hits = word_hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    if tail.is_empty() {
        return input.len();
    }
    let Some(word) = input.last_chunk::<8>() else {
        return (at..input.len()).find(|at| byte_hits(input[*at])).unwrap_or(input.len());
    };
    // Shift out the bytes already seen. What is shifted in is zero, which may count as a hit: then
    // the position computed is past the end, and the minimum below makes it "not found".
    let hits = word_hits(u64::from_le_bytes(*word) >> (8 * (8 - tail.len())));
    input.len().min(at + (hits.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_byte_loop_at_every_length_and_position() {
        let bytes = [b'a', 0x7f, 0x80, 0xff, 0x21, 0xa0, 0x20, 0x1f, 0x00, b'\r', b'\n'];
        let mut seed = 1u32;
        for length in 0..40 {
            for _ in 0..200 {
                let input: Vec<u8> = (0..length)
                    .map(|_| {
                        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                        let high = (seed >> 24) as usize;
                        if high < 220 { bytes[high % 6] } else { bytes[high % 11] }
                    })
                    .collect();
                for from in 0..=length {
                    let slow = |hit: fn(u8) -> bool| {
                        (from..length).find(|at| hit(input[*at])).unwrap_or(length)
                    };
                    assert_eq!(blank_or_control(&input, from), slow(|byte| byte <= 0x20));
                    assert_eq!(space(&input, from), slow(|byte| byte == 0x20));
                }
            }
        }
    }

    #[test]
    fn digits_of_a_word() {
        let digits = |text: &[u8; 8]| digits(u64::from_le_bytes(*text));
        assert_eq!(digits(b"0 rest of"[..8].try_into().expect("eight")), Some((0, 1)));
        assert_eq!(digits(b"1234567\r"), Some((1_234_567, 7)));
        assert_eq!(digits(b"9999999 "), Some((9_999_999, 7)));
        assert_eq!(digits(b"12345678"), None);
        assert_eq!(digits(b" 1234567"), None);
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let text = [b'4', first, second, b'5', 0xff, b'1', b'2', 0];
                let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let value = std::str::from_utf8(&text[..length]).expect("digits").parse();
                assert_eq!(digits(&text), Some((value.expect("a number"), length)));
            }
        }
    }
}
