//! The cache's clock: whole seconds on a line that never turns back.
//!
//! Expiry counts from the start of the process, on the monotonic clock, so that a step of the wall
//! clock expires nothing. It starts at [`EPOCH_S`] because 0 means "never" in an item and 1 stands
//! for "already expired". A cache that is found again in a file brings its clock along: the wall
//! clock then tells how long it was down.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The first second that the clock shows.
pub const EPOCH_S: u32 = 2;

/// Seconds since start, and what that start was on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// What the clock showed at the start.
    start_s: u32,
    start_unix_s: u64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now(), start_s: EPOCH_S, start_unix_s: unix_s() }
    }

    /// A clock that goes on with another one, whose zero was at `zero_unix_s` and which has shown
    /// `latest_s`. If the wall clock was set back meanwhile, no time has passed.
    pub fn resume(zero_unix_s: u64, latest_s: u32) -> Self {
        let start_unix_s = unix_s();
        let since_zero = start_unix_s.saturating_sub(zero_unix_s);
        let start_s = u32::try_from(since_zero).unwrap_or(u32::MAX).max(latest_s).max(EPOCH_S);
        Self { start: Instant::now(), start_s, start_unix_s }
    }

    /// Now, in the shard clock: [`EPOCH_S`] in the first second of a new one.
    pub fn now_s(&self) -> u32 {
        u32::try_from(self.uptime_s()).unwrap_or(u32::MAX).saturating_add(self.start_s)
    }

    /// Whole seconds since the start.
    pub fn uptime_s(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// The wall clock's time of the shard clock's zero, in Unix seconds: absolute expiry times are
    /// converted by it. It is taken once, so a later step of the wall clock moves nothing.
    pub fn zero_unix_s(&self) -> u64 {
        self.start_unix_s.saturating_sub(u64::from(self.start_s))
    }
}

/// The wall clock: whole Unix seconds.
pub fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_its_epoch_and_agrees_with_the_wall_clock() {
        let clock = Clock::start();
        assert_eq!(clock.now_s(), EPOCH_S);
        assert_eq!(clock.uptime_s(), 0);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let shown = clock.zero_unix_s() + u64::from(clock.now_s());
        assert!(unix.abs_diff(shown) <= 1);
    }

    #[test]
    fn goes_on_by_the_wall_clock_and_never_back() {
        let zero = unix_s() - 1000;
        let clock = Clock::resume(zero, 900);
        assert!((1000..1002).contains(&clock.now_s()), "{clock:?}");
        assert!(clock.zero_unix_s().abs_diff(zero) <= 1);
        // The wall clock stands before what was shown last.
        let clock = Clock::resume(zero, 5000);
        assert_eq!((clock.now_s(), clock.uptime_s()), (5000, 0));
        assert_eq!(clock.zero_unix_s() + 5000, clock.start_unix_s);
    }
}
