//! Expiry times: from what clients write to the cache's clock.

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
pub fn exptime_to_clock(raw: i64, clock: Clock) -> u32 {
    match raw {
        0 => 0,
        ..0 => EXPIRED,
        1..=RELATIVE_SECONDS_MAX => clock.now.saturating_add(raw as u32),
        _ if raw <= clock.zero_unix => EXPIRED,
        _ => u32::try_from(raw - clock.zero_unix).unwrap_or(u32::MAX),
    }
}
