//! Numbers as clients write them, with the reference's exact idea of what a number is.
//!
//! Two families, because the reference has two. Most arguments are tokens of digits, of bounded
//! length ([`u32_token`] and its sisters). The flags and the expiry time of the classic stores
//! are read by C's `strtoul` and `strtol`, which take leading white space and signs and stop at
//! any white space or NUL ([`c_unsigned`], [`c_signed`]).

/// Longest token of a 32-bit number; leading zeros count.
const TOKEN_BYTES_MAX_32: usize = 11;
/// Longest token of a 64-bit number.
const TOKEN_BYTES_MAX_64: usize = 22;

/// Digits only, at most 22 of them, without overflow.
pub fn u64_token(token: &[u8]) -> Option<u64> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX_64 {
        return None;
    }
    token.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Digits only, at most 11 of them, without overflow.
pub fn u32_token(token: &[u8]) -> Option<u32> {
    if token.len() > TOKEN_BYTES_MAX_32 {
        return None;
    }
    u64_token(token).and_then(|value| u32::try_from(value).ok())
}

/// An optional minus and digits, at most 11 bytes together. A lone minus is 0, as in the
/// reference.
pub fn i32_token(token: &[u8]) -> Option<i32> {
    signed_token(token).and_then(|value| i32::try_from(value).ok())
}

/// An expiry time: as [`i32_token`], but Unix times up to the year 2106 are taken as well, where
/// the reference stops in 2038.
pub fn exptime_token(token: &[u8]) -> Option<i64> {
    signed_token(token).filter(|value| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(value))
}

/// The length of a data block: not negative, and small enough that its line end still fits.
pub fn value_bytes_token(token: &[u8]) -> Option<usize> {
    const VALUE_BYTES_MAX: i32 = i32::MAX - 2;
    i32_token(token)
        .filter(|bytes| (0..=VALUE_BYTES_MAX).contains(bytes))
        .map(|bytes| bytes as usize)
}

fn signed_token(token: &[u8]) -> Option<i64> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX_32 {
        return None;
    }
    match token {
        b"-" => Some(0),
        [b'-', digits @ ..] => u64_token(digits).map(|value| -(value as i64)),
        digits => u64_token(digits).map(|value| value as i64),
    }
}

/// A finite decimal number, at most 31 bytes. The reference would also take hexadecimal,
/// infinity and NaN, of which the last passes every check of its settings.
pub fn f64_token(token: &[u8]) -> Option<f64> {
    if token.len() > 31 {
        return None;
    }
    std::str::from_utf8(token).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// As C's `strtoul` on the text that starts here; what follows the digits must be white space or
/// NUL. A negative number passes only if it wraps into the positive half, as in the reference.
pub fn c_unsigned(text: &[u8]) -> Option<u64> {
    let (negative, magnitude) = c_integer(text)?;
    let value = if negative { magnitude.wrapping_neg() } else { magnitude };
    if negative && (value as i64) < 0 { None } else { Some(value) }
}

/// As C's `strtol` on the text that starts here; what follows the digits must be white space or
/// NUL.
pub fn c_signed(text: &[u8]) -> Option<i64> {
    let (negative, magnitude) = c_integer(text)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn c_integer(text: &[u8]) -> Option<(bool, u64)> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let text = &text[text.iter().position(|byte| !blank(byte))?..];
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 || text.get(end).is_some_and(|byte| !blank(byte) && *byte != 0) {
        return None;
    }
    let magnitude = text[..end]
        .iter()
        .try_fold(0u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')))?;
    Some((negative, magnitude))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_hold_digits_only() {
        assert_eq!(u64_token(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(u64_token(b"18446744073709551616"), None);
        assert_eq!(u64_token(b"0000000000000000000005"), Some(5));
        assert_eq!(u64_token(b"00000000000000000000005"), None);
        assert_eq!(u64_token(b"+5"), None);
        assert_eq!(u64_token(b""), None);
        assert_eq!(u32_token(b"4294967295"), Some(u32::MAX));
        assert_eq!(u32_token(b"4294967296"), None);
        assert_eq!(u32_token(b"000000000007"), None);
        assert_eq!(i32_token(b"-2147483648"), Some(i32::MIN));
        assert_eq!(i32_token(b"2147483648"), None);
        assert_eq!(i32_token(b"-"), Some(0));
        assert_eq!(i32_token(b"1-"), None);
        assert_eq!(value_bytes_token(b"2147483645"), Some(2147483645));
        assert_eq!(value_bytes_token(b"2147483646"), None);
        assert_eq!(value_bytes_token(b"-1"), None);
    }

    #[test]
    fn expiry_times_reach_beyond_2038() {
        assert_eq!(exptime_token(b"2147483648"), Some(2147483648));
        assert_eq!(exptime_token(b"4294967295"), Some(4294967295));
        assert_eq!(exptime_token(b"4294967296"), None);
        assert_eq!(exptime_token(b"-1"), Some(-1));
        assert_eq!(exptime_token(b"1x"), None);
    }

    #[test]
    fn c_integers_take_what_strtol_takes() {
        assert_eq!(c_unsigned(b"12 34"), Some(12));
        assert_eq!(c_unsigned(b"+12\r\n"), Some(12));
        assert_eq!(c_unsigned(b"\t12\tx"), Some(12));
        assert_eq!(c_unsigned(b"12\0x"), Some(12));
        assert_eq!(c_unsigned(b"12x"), None);
        assert_eq!(c_unsigned(b"-1 "), None);
        assert_eq!(c_unsigned(b"-0 "), Some(0));
        assert_eq!(c_unsigned(b"-18446744073709551615 "), Some(1));
        assert_eq!(c_unsigned(b"18446744073709551616 "), None);
        assert_eq!(c_unsigned(b"x"), None);
        assert_eq!(c_unsigned(b"-"), None);
        assert_eq!(c_signed(b"-9223372036854775808 "), Some(i64::MIN));
        assert_eq!(c_signed(b"9223372036854775808 "), None);
        assert_eq!(c_signed(b"-5\n"), Some(-5));
    }

    #[test]
    fn factors_are_finite() {
        assert_eq!(f64_token(b"0.25"), Some(0.25));
        assert_eq!(f64_token(b"nan"), None);
        assert_eq!(f64_token(b"inf"), None);
        assert_eq!(f64_token(b"0.2x"), None);
    }
}
