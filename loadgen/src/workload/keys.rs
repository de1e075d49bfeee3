//! Keys: a number, written so that its length follows a distribution, and read back from a reply.
//!
//! A key is the prefix and the number in decimal, padded with zeros in front to the length that the
//! distribution gives *this* number. So neither lengths nor keys are stored, and the number can be
//! read out of any key.

use super::size::Sizes;

/// memcached's limit on a key, in bytes.
pub const KEY_BYTES_MAX: usize = 250;
const KEY_SALT: u64 = 0x6b6579;

/// The form of all keys.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// How many keys there are.
    pub count: u64,
    /// Put in front of each.
    pub prefix: String,
    /// Whole lengths in bytes; never shorter than prefix and number need, never above 250.
    pub bytes: Sizes,
}

impl KeySpec {
    /// Appends the key of a number.
    pub fn write(&self, out: &mut Vec<u8>, number: u64) {
        self.write_sized(out, number, self.bytes.of_index(number, KEY_SALT) as usize);
    }

    /// Appends the key of a number with a length that is known otherwise.
    pub fn write_sized(&self, out: &mut Vec<u8>, number: u64, bytes: usize) {
        let mut digits = [0; 20];
        let first = write_decimal(&mut digits, number);
        let digits = &digits[first..];
        let wanted = bytes.min(KEY_BYTES_MAX);
        let padding = wanted.saturating_sub(self.prefix.len() + digits.len());
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(&ZEROS[..padding]);
        out.extend_from_slice(digits);
    }

    /// The number of a key that [`write`](Self::write) wrote.
    pub fn read(&self, key: &[u8]) -> Option<u64> {
        let digits = key.strip_prefix(self.prefix.as_bytes())?;
        if digits.is_empty() {
            return None;
        }
        digits.iter().try_fold(0u64, |number, digit| match digit {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
            _ => None,
        })
    }
}

const ZEROS: [u8; KEY_BYTES_MAX] = [b'0'; KEY_BYTES_MAX];

/// Writes a number to the end of `digits` and returns where it starts.
pub fn write_decimal(digits: &mut [u8; 20], mut number: u64) -> usize {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: Sizes) -> KeySpec {
        KeySpec { count: 1000, prefix: "k:".into(), bytes }
    }

    #[test]
    fn a_key_is_padded_and_read_back() {
        let keys = keys(Sizes::Fixed(10));
        for number in [0, 7, 99, 12_345_678, 123_456_789, u64::MAX] {
            let mut key = Vec::new();
            keys.write(&mut key, number);
            assert!(key.len() >= 10 && key.starts_with(b"k:"));
            assert_eq!(keys.read(&key), Some(number));
        }
        let mut key = Vec::new();
        keys.write(&mut key, 42);
        assert_eq!(key, b"k:00000042");
    }

    #[test]
    fn no_key_is_longer_than_memcached_takes() {
        let mut key = Vec::new();
        keys(Sizes::Fixed(1000)).write(&mut key, 5);
        assert_eq!(key.len(), KEY_BYTES_MAX);
    }

    #[test]
    fn strange_keys_have_no_number() {
        let keys = keys(Sizes::Fixed(10));
        assert_eq!(keys.read(b"x:0001"), None);
        assert_eq!(keys.read(b"k:"), None);
        assert_eq!(keys.read(b"k:00a1"), None);
        assert_eq!(keys.read(b"k:99999999999999999999999"), None);
    }
}
