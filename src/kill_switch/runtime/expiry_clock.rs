//! The time on the wall, as far as it can be trusted.
//!
//! An engagement with an expiry must not end early because the clock was set. So the time that expiry
//! goes by starts at the wall clock's and goes on with the monotonic one; a wall clock that is behind it is believed,
//! one that jumped ahead is not. A clock that is wrong at start is wrong until the program starts again.

use crate::clock::{Instant, Timestamp};
use std::time::Duration;

/// Start of the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiryClock {
    at: Timestamp,
    then: Instant,
}

impl ExpiryClock {
    pub(crate) const fn new(at: Timestamp, then: Instant) -> Self {
        Self { at, then }
    }

    /// The time that expiry goes by.
    pub(crate) fn now(&self, expiry_clock: Timestamp, now: Instant) -> Timestamp {
        let elapsed = now.saturating_duration_since(self.then).min(Duration::from_secs(1 << 40));
        expiry_clock.min(self.at.checked_add(elapsed).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_ahead_ends_nothing_early_and_one_that_is_set_back_ends_it_late() {
        let (start, day) = ("2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap(), Duration::from_secs(86_400));
        let expiry_clock = ExpiryClock::new(start, Instant::from_nanos(5));
        let later = Instant::from_nanos(5).saturating_add(Duration::from_secs(60));
        let honest = start + Duration::from_secs(60);
        assert_eq!(expiry_clock.now(honest, later), honest);
        assert_eq!(expiry_clock.now(honest + day, later), honest);
        assert_eq!(expiry_clock.now(start - day, later), start - day);
        assert_eq!(
            expiry_clock.now(Timestamp::MAX, Instant::NEVER),
            Timestamp::MAX.min(expiry_clock.now(Timestamp::MAX, Instant::NEVER))
        );
    }
}
