//! How one value of the command line is read.
//!
//! Each parser returns either the value or a phrase that says what is allowed;
//! [`flags`](super::flags) puts flag and value in front of it, so that every refusal is one line of
//! the same form. Leading white space is skipped as memcached does: start scripts pass `"-p 11211"`
//! as one argument.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use super::limits::{GIB, KIB, MIB, SLAB_PAGE_BYTES, SLAB_SIZE_LEAST, SLAB_SIZES_MOST};
use super::settings::Binding;

/// A port as typed: `0`, `-1` and a number mean three different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `0`: the protocol is off.
    Off,
    /// `-1`: any free port.
    Any,
    /// This port.
    Fixed(u16),
}

/// Reads a port of `-p` or `-U`.
pub(super) fn port(text: &str) -> Result<Port, String> {
    match number_of::<i32>(text) {
        Some(-1) => Ok(Port::Any),
        Some(0) => Ok(Port::Off),
        Some(n) if (1..=65_535).contains(&n) => Ok(Port::Fixed(n as u16)),
        _ => Err("allowed is 1 to 65535, 0 for off, -1 for any free port".into()),
    }
}

/// Reads a whole number from `least` to `most`.
pub(super) fn number<T>(text: &str, least: T, most: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match number_of::<T>(text) {
        Some(n) if n >= least && n <= most => Ok(n),
        _ => Err(format!("allowed is a whole number from {least} to {most}")),
    }
}

/// Reads a fraction above `above` and up to `most`.
pub(super) fn ratio(text: &str, above: f64, most: f64) -> Result<f64, String> {
    match number_of::<f64>(text) {
        Some(n) if n > above && n <= most => Ok(n),
        _ => Err(format!("allowed is a number above {above} and up to {most}")),
    }
}

/// Reads sizes joined by hyphens, each larger than the one before.
pub(super) fn sizes(text: &str) -> Result<Vec<usize>, String> {
    let allowed = || {
        format!(
            "allowed are up to {SLAB_SIZES_MOST} rising whole numbers from {SLAB_SIZE_LEAST} to \
             {SLAB_PAGE_BYTES}, joined by hyphens"
        )
    };
    let sizes: Option<Vec<usize>> = text.split('-').map(number_of).collect();
    sizes
        .filter(|sizes| sizes.len() <= SLAB_SIZES_MOST && sizes.is_sorted_by(|a, b| a < b))
        .filter(|sizes| sizes.iter().all(|n| (SLAB_SIZE_LEAST..=SLAB_PAGE_BYTES).contains(n)))
        .ok_or_else(allowed)
}

/// Reads a size in bytes, with `k`, `m` or `g` as its unit if it has one.
pub(super) fn size(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let text = text.trim_start();
    let unit = match text.as_bytes().last() {
        Some(b'k' | b'K') => KIB,
        Some(b'm' | b'M') => MIB,
        Some(b'g' | b'G') => GIB,
        _ => 1,
    };
    let digits = if unit == 1 { text } else { &text[..text.len() - 1] };
    match number_of::<usize>(digits).and_then(|n| n.checked_mul(unit)) {
        Some(n) if n >= least && n <= most => Ok(n),
        _ => Err(format!(
            "allowed is {} to {}, in bytes or with k, m or g",
            size_text(least),
            size_text(most)
        )),
    }
}

/// Reads permission bits in octal.
pub(super) fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text.trim_start(), 8) {
        Ok(bits) if bits <= 0o777 => Ok(bits),
        _ => Err("allowed are permission bits in octal, 0 to 777".into()),
    }
}

/// Reads the one character of `-D`.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(*byte),
        _ => Err("allowed is one printable character".into()),
    }
}

/// Reads the protocol of `-B`.
pub(super) fn binding(text: &str) -> Result<Binding, String> {
    match text.trim_start() {
        "auto" => Ok(Binding::Auto),
        "ascii" => Ok(Binding::Ascii),
        "binary" => Ok(Binding::Binary),
        _ => Err("allowed is auto, ascii or binary".into()),
    }
}

/// Reads a text that must not be empty.
pub(super) fn text(text: &str) -> Result<String, String> {
    match text.trim_start() {
        "" => Err("it must not be empty".into()),
        text => Ok(text.to_owned()),
    }
}

/// Skips white space in front of a path; a path that is no UTF-8 is taken as it is.
pub(super) fn path(path: PathBuf) -> PathBuf {
    match path.to_str() {
        Some(text) => PathBuf::from(text.trim_start()),
        None => path,
    }
}

/// A size as people write it: in the largest unit that leaves a whole number.
pub fn size_text(bytes: usize) -> String {
    match bytes {
        n if n >= GIB && n.is_multiple_of(GIB) => format!("{} GB", n / GIB),
        n if n >= MIB && n.is_multiple_of(MIB) => format!("{} MB", n / MIB),
        n if n >= KIB && n.is_multiple_of(KIB) => format!("{} KB", n / KIB),
        n => format!("{n} bytes"),
    }
}

fn number_of<T: FromStr>(text: &str) -> Option<T> {
    text.trim_start().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_off_any_and_fixed() {
        assert_eq!(port("0"), Ok(Port::Off));
        assert_eq!(port("-1"), Ok(Port::Any));
        assert_eq!(port(" 11211"), Ok(Port::Fixed(11211)));
        assert_eq!(port("65535"), Ok(Port::Fixed(65535)));
        for bad in ["65536", "-2", "", "x", "80x", "1.5"] {
            assert!(port(bad).is_err(), "{bad:?} is no port");
        }
    }

    #[test]
    fn sizes_with_units() {
        assert_eq!(size("1k", KIB, GIB), Ok(KIB));
        assert_eq!(size(" 2M", KIB, GIB), Ok(2 * MIB));
        assert_eq!(size("1g", KIB, GIB), Ok(GIB));
        assert_eq!(size("1024", KIB, GIB), Ok(1024));
        for bad in ["1023", "1025m", "2g", "k", "", "1kb", "-1k", "99999999999999999999g"] {
            assert!(size(bad, KIB, GIB).is_err(), "{bad:?} is out of bounds");
        }
        // The multiplication itself must not wrap into the allowed range.
        assert!(size("18014398509481985k", KIB, GIB).is_err());
    }

    #[test]
    fn fractions_are_bounded_and_never_nan() {
        assert_eq!(ratio("1.25", 1.0, 1024.0), Ok(1.25));
        for bad in ["1", "1.0", "NaN", "inf", "-inf", "", "1,25"] {
            assert!(ratio(bad, 1.0, 1024.0).is_err(), "{bad:?} is no factor");
        }
    }

    #[test]
    fn masks_are_octal() {
        assert_eq!(octal("700"), Ok(0o700));
        assert_eq!(octal("0755"), Ok(0o755));
        assert!(octal("1000").is_err());
        assert!(octal("8").is_err());
    }

    #[test]
    fn sizes_print_in_their_largest_whole_unit() {
        assert_eq!(size_text(GIB), "1 GB");
        assert_eq!(size_text(1536 * MIB), "1536 MB");
        assert_eq!(size_text(KIB + 1), "1025 bytes");
    }
}
