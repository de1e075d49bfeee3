//! The cache's clock: whole seconds on a line that never turns back.
//!
//! Expiry counts from the start of the process, on the monotonic clock, so that a step of the wall
//! clock expires nothing. It starts at [`EPOCH_S`] because 0 means "never" in an item and 1 stands
//! for "already expired".

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The first second that the clock shows.
pub const EPOCH_S: u32 = 2;

/// Seconds since start, and what that start was on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_s: u64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self { start: Instant::now(), start_unix_s: since_1970.map_or(0, |time| time.as_secs()) }
    }

    /// Now, in the shard clock: [`EPOCH_S`] in the first second.
    pub fn now_s(&self) -> u32 {
        u32::try_from(self.uptime_s()).unwrap_or(u32::MAX).saturating_add(EPOCH_S)
    }

    /// Whole seconds since the start.
    pub fn uptime_s(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// The wall clock's time of the shard clock's zero, in Unix seconds: absolute expiry times are
    /// converted by it. It is taken once, so a later step of the wall clock moves nothing.
    pub fn zero_unix_s(&self) -> u64 {
        self.start_unix_s.saturating_sub(u64::from(EPOCH_S))
    }
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
}
