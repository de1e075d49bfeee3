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

/// `word_hits` marks the high bit of hit bytes; only its lowest mark need be exact, since the
/// subtractions above borrow upwards.
#[inline]
fn find(
    input: &[u8],
    from: usize,
    word_hits: impl Fn(u64) -> u64,
    byte_hits: impl Fn(u8) -> bool,
) -> usize {
    let mut at = from;
    while let Some(word) = input.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let hits = word_hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let left = input.len().saturating_sub(at);
    if left == 0 {
        return input.len();
    }
    let Some(word) = input.last_chunk::<8>() else {
        return (at..input.len()).find(|at| byte_hits(input[*at])).unwrap_or(input.len());
    };
    // Shift out the bytes already seen. What is shifted in is zero, which may count as a hit: then
    // the position computed is past the end, and the minimum below makes it "not found".
    let hits = word_hits(u64::from_le_bytes(*word) >> (8 * (8 - left)));
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
}
