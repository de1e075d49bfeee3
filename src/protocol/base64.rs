//! Base64, for the keys of meta commands that carry the flag `b`.
//!
//! No library is used here because the reference's decoder is a dialect: bytes outside the
//! alphabet are skipped, the rest must be a multiple of four, and whatever follows the first
//! padded group is ignored. A key that memcached accepts must name the same item here.

use super::key::KEY_BYTES_MAX;
use super::reply::Sink;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes outside the alphabet.
const FOREIGN: u8 = 0x80;

/// The six bits of each byte; padding counts as zero.
const SEXTETS: [u8; 256] = {
    let mut sextets = [FOREIGN; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        sextets[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    sextets[b'=' as usize] = 0;
    sextets
};

/// Decodes at most 250 bytes of text and returns how many bytes came out, at most 187; `None` if
/// the text is not base64 even by the reference's loose measure.
pub fn decode(text: &[u8], out: &mut [u8; KEY_BYTES_MAX]) -> Option<usize> {
    assert!(text.len() <= KEY_BYTES_MAX, "only keys are decoded");
    let known = || text.iter().filter(|byte| SEXTETS[usize::from(**byte)] != FOREIGN);
    let sextets = known().count();
    if sextets == 0 || !sextets.is_multiple_of(4) {
        return None;
    }
    let (mut length, mut group, mut in_group, mut padding) = (0, 0u32, 0, 0);
    for byte in known() {
        group = group << 6 | u32::from(SEXTETS[usize::from(*byte)]);
        in_group += 1;
        padding += usize::from(*byte == b'=');
        if in_group < 4 {
            continue;
        }
        out[length..length + 3].copy_from_slice(&group.to_be_bytes()[1..]);
        match padding {
            0 => length += 3,
            1 | 2 => return Some(length + 3 - padding),
            _ => return None,
        }
        (group, in_group) = (0, 0);
    }
    Some(length)
}

/// Appends the text of some bytes, padded.
pub fn put_encoded(out: &mut impl Sink, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let mut triple = [0; 3];
        triple[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, triple[0], triple[1], triple[2]]);
        let sextet = |index: u32| ALPHABET[(bits >> (18 - 6 * index)) as usize & 63];
        let mut text = [sextet(0), sextet(1), sextet(2), sextet(3)];
        text[group.len() + 1..].fill(b'=');
        out.put(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = [0; KEY_BYTES_MAX];
        decode(text, &mut out).map(|length| out[..length].to_vec())
    }

    #[test]
    fn vectors_of_rfc_4648() {
        let vectors = [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in vectors {
            let mut out = Vec::new();
            put_encoded(&mut out, bytes.as_bytes());
            assert_eq!(out, text.as_bytes());
            assert_eq!(decoded(text.as_bytes()), Some(bytes.into()));
        }
    }

    #[test]
    fn the_dialect_of_the_reference() {
        assert_eq!(decoded(b"Zm!9v"), Some(b"foo".into()));
        assert_eq!(decoded(b"Zg==Zm9v"), Some(b"f".into()));
        assert_eq!(decoded(b"Zm9"), None);
        assert_eq!(decoded(b"Z==="), None);
        assert_eq!(decoded(b"!!!!"), None);
        assert_eq!(decoded(b""), None);
        assert_eq!(decoded(&[b'/'; 248]).map(|key| key.len()), Some(186));
    }

    #[test]
    fn any_key_survives() {
        for length in 1..=187 {
            let key: Vec<u8> = (0..length).map(|at| (at * 73 + length) as u8).collect();
            let mut text = Vec::new();
            put_encoded(&mut text, &key);
            if text.len() <= KEY_BYTES_MAX {
                assert_eq!(decoded(&text), Some(key));
            }
        }
    }
}
