//! The cache's clock: whole seconds since shortly before the process began.
//!
//! It is monotonic, so a step of the wall clock moves no relative expiry time. It starts at
//! [`START_S`] and not at 0, because an expiry time of 0 means never and 1 means long ago.
//! Absolute expiry times are compared with the wall clock as it stood at the start.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::protocol::Clock;

/// What the clock reads when the process begins, in seconds.
const START_S: i64 = 2;

/// The source of [`Clock`] readings.
#[derive(Debug, Clone, Copy)]
pub struct CacheClock {
    /// Monotonic seconds at which the clock read 0.
    zero_monotonic: i64,
    /// Unix time at which the clock read 0.
    zero_unix: i64,
}

impl CacheClock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let unix = i64::try_from(unix).unwrap_or(0);
        Self { zero_monotonic: monotonic_s() - START_S, zero_unix: unix - START_S }
    }

    /// What it reads now.
    #[must_use]
    #[inline]
    pub fn read(&self) -> Clock {
        let now = monotonic_s() - self.zero_monotonic;
        Clock { now: u32::try_from(now).unwrap_or(u32::MAX), zero_unix: self.zero_unix }
    }

    /// Seconds since the process began.
    #[must_use]
    pub fn uptime_s(&self) -> u64 {
        u64::from(self.read().now) - START_S.cast_unsigned()
    }
}

/// Whole seconds of the coarse monotonic clock, which costs no system call.
#[inline]
fn monotonic_s() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(0, |time| time.tv_sec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_above_the_times_with_a_meaning_of_their_own() {
        let clock = CacheClock::start();
        let reading = clock.read();
        assert!(reading.now >= 2 && reading.now < 10);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let told = reading.zero_unix + i64::from(reading.now);
        assert!(told.abs_diff(unix as i64) <= 1);
        assert!(clock.uptime_s() < 8);
    }
}
