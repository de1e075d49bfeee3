//! Values that tell where they come from: derived from the key's number and a version, never
//! stored.
//!
//! A value starts with the key's number, the version and a check over both, eight bytes each,
//! little-endian, cut where the value ends; the rest is a slice of a table of printable letters
//! that starts at a place the check names. So a reader who knows only the key can tell a right
//! value from another key's, from an older version and from damaged bytes, with no memory of what
//! was written. A value below 24 bytes says less: at 8 it still names its key, at 16 its version.

/// Letters in the filler table; a power of two, so that a mask picks the place.
const TABLE_BYTES: usize = 1 << 16;
/// Key number, version and check.
const HEAD_BYTES: usize = 24;
const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-";

/// What a value turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are right; the version is known when 16 bytes or more were there.
    Genuine {
        /// Which one it is.
        version: Option<u64>,
    },
    /// A whole value of another key.
    Foreign {
        /// The number of that key.
        key: u64,
    },
    /// No value that was ever written: bytes changed, cut or joined.
    Corrupt,
}

/// Writes and checks values.
pub struct Values {
    table: Box<[u8]>,
}

impl Default for Values {
    fn default() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let letters = (0..TABLE_BYTES * 2).map(|_| {
            state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            ALPHABET[(state >> 58) as usize]
        });
        // Twice the table, so that a slice of up to the table's length never wraps.
        let mut table: Box<[u8]> = letters.collect();
        let (first, second) = table.split_at_mut(TABLE_BYTES);
        second.copy_from_slice(first);
        Self { table }
    }
}

impl Values {
    /// Appends the value of `key` at `version`, `bytes` long.
    pub fn write(&self, out: &mut Vec<u8>, key: u64, version: u64, bytes: usize) {
        let check = check(key, version);
        let head = head(key, version, check);
        out.extend_from_slice(&head[..bytes.min(HEAD_BYTES)]);
        let mut left = bytes.saturating_sub(HEAD_BYTES);
        let start = check as usize % TABLE_BYTES;
        while left > 0 {
            let part = left.min(TABLE_BYTES);
            out.extend_from_slice(&self.table[start..start + part]);
            left -= part;
        }
    }

    /// Judges bytes that a server returned for `key`.
    pub fn check(&self, key: u64, value: &[u8]) -> Verdict {
        let Some((head_bytes, filler)) = value.split_at_checked(HEAD_BYTES) else {
            return check_short(key, value);
        };
        let (found, version, claimed) =
            (word(head_bytes, 0), word(head_bytes, 8), word(head_bytes, 16));
        if claimed != check(found, version) || !self.is_filler(filler, claimed) {
            return Verdict::Corrupt;
        }
        if found == key {
            Verdict::Genuine { version: Some(version) }
        } else {
            Verdict::Foreign { key: found }
        }
    }

    fn is_filler(&self, filler: &[u8], check: u64) -> bool {
        let start = check as usize % TABLE_BYTES;
        filler.chunks(TABLE_BYTES).all(|part| part == &self.table[start..start + part.len()])
    }
}

/// A short value names its key in the first eight bytes and perhaps its version in the next eight.
fn check_short(key: u64, value: &[u8]) -> Verdict {
    let expected = key.to_le_bytes();
    let named = value.len().min(8);
    if value[..named] != expected[..named] {
        return Verdict::Corrupt;
    }
    let version = (value.len() >= 16).then(|| word(value, 8));
    if let Some(version) = version {
        let check = check(key, version).to_le_bytes();
        if value[16..] != check[..value.len() - 16] {
            return Verdict::Corrupt;
        }
    }
    Verdict::Genuine { version }
}

fn head(key: u64, version: u64, check: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&key.to_le_bytes());
    head[8..16].copy_from_slice(&version.to_le_bytes());
    head[16..].copy_from_slice(&check.to_le_bytes());
    head
}

fn check(key: u64, version: u64) -> u64 {
    mix(mix(key.wrapping_add(0x517c_c1b7_2722_0a95)) ^ version)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection whose output bits all depend
/// on all input bits.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: u64, version: u64, bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        Values::default().write(&mut out, key, version, bytes);
        assert_eq!(out.len(), bytes);
        out
    }

    #[test]
    fn every_length_is_recognised() {
        let values = Values::default();
        for bytes in (0..200).chain([TABLE_BYTES, TABLE_BYTES + 24, 3 * TABLE_BYTES + 7]) {
            let known = (bytes >= 16).then_some(9);
            let found = values.check(7, &value(7, 9, bytes));
            assert_eq!(found, Verdict::Genuine { version: known }, "{bytes} bytes");
        }
    }

    #[test]
    fn any_changed_byte_is_seen() {
        let values = Values::default();
        for bytes in [24, 25, 64, 300] {
            let right = value(1234, 5, bytes);
            for at in 0..bytes {
                let mut wrong = right.clone();
                wrong[at] ^= 0x20;
                assert_eq!(values.check(1234, &wrong), Verdict::Corrupt, "byte {at} of {bytes}");
            }
        }
    }

    #[test]
    fn another_keys_value_is_foreign() {
        let values = Values::default();
        assert_eq!(values.check(1, &value(2, 5, 64)), Verdict::Foreign { key: 2 });
        assert_eq!(values.check(1, &value(2, 5, 8)), Verdict::Corrupt);
    }

    #[test]
    fn a_joined_or_cut_value_is_corrupt() {
        let values = Values::default();
        let mut joined = value(1, 1, 40);
        joined.extend(value(1, 2, 40));
        assert_eq!(values.check(1, &joined), Verdict::Corrupt);
        let mut torn = value(1, 1, 100);
        torn.splice(50.., value(1, 2, 100)[50..].iter().copied());
        assert_eq!(values.check(1, &torn), Verdict::Corrupt);
    }
}
