//! The key hashes of libmemcached, by the names its `--hash` option knows.
//!
//! They decide which server owns a key, so they must agree with other clients to the last bit; they
//! have no other virtue.

use md5::{Digest, Md5};

/// A hash of keys to 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// Bob Jenkins' one-at-a-time: libmemcached's default.
    OneAtATime,
    /// The first four bytes of the MD5 digest, little-endian.
    Md5,
    /// Bits 16 to 30 of CRC-32.
    Crc,
    /// FNV-1 in 64 bits, its lower half.
    Fnv1x64,
    /// FNV-1a with the lower halves of the 64-bit constants.
    Fnv1ax64,
    /// FNV-1 in 32 bits.
    Fnv1x32,
    /// FNV-1a in 32 bits.
    Fnv1ax32,
}

impl KeyHash {
    /// The hash of a name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "default" | "one-at-a-time" | "one_at_a_time" => Self::OneAtATime,
            "md5" => Self::Md5,
            "crc" => Self::Crc,
            "fnv1_64" => Self::Fnv1x64,
            "fnv1a_64" => Self::Fnv1ax64,
            "fnv1_32" => Self::Fnv1x32,
            "fnv1a_32" => Self::Fnv1ax32,
            _ => return None,
        })
    }

    /// The hash of a key.
    pub fn of(self, key: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => one_at_a_time(key),
            Self::Md5 => md5_word(&md5(key), 0),
            Self::Crc => (crc32(key) >> 16) & 0x7fff,
            Self::Fnv1x64 => fnv1_64(key) as u32,
            Self::Fnv1ax64 => fnv1a(key, FNV_64_START as u32, FNV_64_PRIME as u32),
            Self::Fnv1x32 => fnv1_32(key),
            Self::Fnv1ax32 => fnv1a(key, FNV_32_START, FNV_32_PRIME),
        }
    }
}

const FNV_32_START: u32 = 0x811c_9dc5;
const FNV_32_PRIME: u32 = 0x0100_0193;
const FNV_64_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_64_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The MD5 digest.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// Four bytes of a digest as a little-endian number: ketama's points.
pub fn md5_word(digest: &[u8; 16], index: usize) -> u32 {
    let bytes = digest[4 * index..4 * index + 4].try_into();
    u32::from_le_bytes(bytes.expect("four bytes"))
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = 0u32;
    for byte in key {
        hash = hash.wrapping_add(u32::from(*byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

fn fnv1_64(key: &[u8]) -> u64 {
    key.iter().fold(FNV_64_START, |hash, byte| hash.wrapping_mul(FNV_64_PRIME) ^ u64::from(*byte))
}

fn fnv1_32(key: &[u8]) -> u32 {
    key.iter().fold(FNV_32_START, |hash, byte| hash.wrapping_mul(FNV_32_PRIME) ^ u32::from(*byte))
}

fn fnv1a(key: &[u8], start: u32, prime: u32) -> u32 {
    key.iter().fold(start, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(prime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(one_at_a_time(b"a"), 0xca2e_9442);
        assert_eq!(one_at_a_time(b"The quick brown fox jumps over the lazy dog"), 0x519e_91f5);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b"foobar", FNV_32_START, FNV_32_PRIME), 0xbf9c_f968);
        assert_eq!(fnv1_32(b"foobar"), 0x31f0_b262);
        assert_eq!(fnv1_64(b"foobar"), 0x340d_8765_a4dd_a9c2);
        // The digest of nothing starts with d4 1d 8c d9.
        assert_eq!(md5_word(&md5(b""), 0), 0xd98c_1dd4);
    }
}
