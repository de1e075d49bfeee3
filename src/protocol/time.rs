//! Expiry times: from what clients write to the cache's clock.
//!
//! The cache counts seconds since a moment shortly before its start, in 32 bits, and 0 means
//! never. Clients write seconds from now up to 30 days, a Unix time above that, and anything
//! negative for "already expired". Sums are made in 64 bits and saturate, so that neither 2038
//! nor a hostile number makes an item expire early: the clock's own end is 136 years away.

/// The cache's clock at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Seconds on the cache's clock.
    pub now: u32,
    /// Unix time, in seconds, at which that clock read 0.
    pub zero_unix: i64,
}

/// Longest relative expiry time, in seconds: 30 days. Anything above is a Unix time.
pub const RELATIVE_SECONDS_MAX: i64 = 60 * 60 * 24 * 30;
/// An expiry time that is always in the past.
pub const EXPIRED: u32 = 1;

/// The moment on the cache's clock at which an item with this expiry time expires; 0 is never.
#[inline]
pub fn exptime_to_clock(raw: i64, clock: Clock) -> u32 {
    match raw {
        0 => 0,
        ..0 => EXPIRED,
        1..=RELATIVE_SECONDS_MAX => clock.now.saturating_add(raw as u32),
        _ if raw <= clock.zero_unix => EXPIRED,
        _ => u32::try_from(raw - clock.zero_unix).unwrap_or(u32::MAX),
    }
}

/// The moment on the cache's clock up to which (inclusive) a `flush_all` with this delay
/// invalidates what was stored, once the moment after it is reached: at once for a delay of 0 or
/// less, else one second before the moment that the delay names.
pub fn flush_to_clock(raw: i64, clock: Clock) -> u32 {
    let moment = if raw > 0 { exptime_to_clock(raw, clock) } else { clock.now };
    moment.saturating_sub(1)
}

/// The Unix time of a moment on the cache's clock, for dumps; -1 for never.
pub fn clock_to_unix(exptime: u32, clock: Clock) -> i64 {
    if exptime == 0 { -1 } else { clock.zero_unix + i64::from(exptime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock { now: 100, zero_unix: 1_800_000_000 };

    #[test]
    fn expiry_times() {
        let cases = [
            (0, 0),
            (1, 101),
            (2_592_000, 2_592_100),
            (2_592_001, EXPIRED),
            (1_800_000_000, EXPIRED),
            (1_800_000_050, 50),
            (1_800_000_150, 150),
            (2_147_483_648, 347_483_648),
            (4_294_967_295, 2_494_967_295),
            (i64::MAX, u32::MAX),
            (-1, EXPIRED),
            (i64::MIN, EXPIRED),
        ];
        for (raw, expected) in cases {
            assert_eq!(exptime_to_clock(raw, CLOCK), expected, "{raw}");
        }
        let late = Clock { now: u32::MAX - 5, ..CLOCK };
        assert_eq!(exptime_to_clock(60, late), u32::MAX);
    }

    #[test]
    fn flushes_and_dumps() {
        assert_eq!(flush_to_clock(0, CLOCK), 99);
        assert_eq!(flush_to_clock(-3, CLOCK), 99);
        assert_eq!(flush_to_clock(10, CLOCK), 109);
        assert_eq!(flush_to_clock(5_000_000, CLOCK), 0);
        assert_eq!(clock_to_unix(0, CLOCK), -1);
        assert_eq!(clock_to_unix(150, CLOCK), 1_800_000_150);
    }
}
