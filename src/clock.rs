//! Source of time for the whole crate: the system's clocks, and one that tests advance by hand.
//!
//! Decisions never read a clock: they take an [`Instant`] as an argument. That makes them reproducible in a test and
//! lets the hot path choose between an exact reading and a cheap one.
//!
//! Deadlines and windows use monotonic time only, so setting the wall clock back can neither keep a circuit open nor
//! empty a window. On Linux the monotonic clock stops while the machine is suspended: in wall time, an open circuit may
//! then last longer than its open time.
//!
//! # Examples
//!
//! ```
//! use backstop::clock::Clock;
//! use std::time::Duration;
//!
//! let (clock, time) = Clock::manual();
//! let start = clock.now();
//! time.advance(Duration::from_secs(5));
//! assert_eq!(clock.now().saturating_duration_since(start), Duration::from_secs(5));
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in monotonic time, in nanoseconds since its clock's own zero.
///
/// Arithmetic saturates: no sum overflows, and [`Instant::NEVER`] is later than every reachable deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Instant(u64);

impl Instant {
    /// A deadline that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the clock's zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This point plus `duration`, or [`Instant::NEVER`] if the sum overflows.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns whether a deadline at this point has passed; [`Instant::NEVER`] never passes.
    pub const fn is_reached(self, now: Self) -> bool {
        now.0 >= self.0 && self.0 != u64::MAX
    }
}

/// The nanoseconds of a duration, saturating after 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A mechanism's time source: the system's monotonic clock, or one that a test advances by hand.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
    #[cfg(feature = "tokio")]
    Tokio,
}

impl Clock {
    /// The system's monotonic clock. The default.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that does not advance until the returned [`ManualClock`] moves it.
    pub fn manual() -> (Self, ManualClock) {
        let nanos = Arc::new(AtomicU64::new(0));
        (Self(Source::Manual(Arc::clone(&nanos))), ManualClock(nanos))
    }

    /// tokio's clock: the system's, until a test pauses it (`start_paused`, `tokio::time::pause`).
    ///
    /// While it is paused, a call that waits behind Backstop waits in tokio's time, as everything else in the test
    /// does. Outside of the paused runtime, on a thread of your own for example, it is the system's clock.
    ///
    /// It is meant for runtimes with a time driver (`enable_time`). Without one a wait ends in time all the same, but
    /// tokio has no way to ask for its timer other than a panic, which is caught and which the panic hook prints.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::clock::Clock;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let clock = Clock::tokio();
    /// let start = clock.now();
    /// tokio::time::sleep(Duration::from_secs(3_600)).await;
    /// assert_eq!(clock.now().saturating_duration_since(start), Duration::from_secs(3_600));
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub const fn tokio() -> Self {
        Self(Source::Tokio)
    }

    /// Returns whether it is the system clock.
    #[cfg(feature = "tokio")]
    pub(crate) const fn is_system(&self) -> bool {
        matches!(self.0, Source::System)
    }

    /// The current time at the system's full precision (about 22 ns to read on Linux).
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => system::precise(),
            Source::Manual(nanos) => Instant(nanos.load(Ordering::Relaxed)),
            #[cfg(feature = "tokio")]
            Source::Tokio => tokio_now(),
        }
    }

    /// The time at the kernel's last tick: never ahead of [`Clock::now`], usually less than 10 ms behind it, and about
    /// 4 ns to read. The same as [`Clock::now`] on systems without such a clock.
    pub fn coarse(&self) -> Instant {
        match &self.0 {
            Source::System => system::coarse(),
            Source::Manual(nanos) => Instant(nanos.load(Ordering::Relaxed)),
            #[cfg(feature = "tokio")]
            Source::Tokio => tokio_now(),
        }
    }
}

#[cfg(feature = "tokio")]
#[cold]
fn tokio_now() -> Instant {
    use std::sync::OnceLock;
    use tokio::time::Instant as Tokio;

    /// A paused clock begins with its runtime, perhaps before the first reading: zero is earlier than that.
    const EARLIER: Duration = Duration::from_secs(86_400);
    static FIRST: OnceLock<Tokio> = OnceLock::new();

    let now = Tokio::now();
    let first = *FIRST.get_or_init(|| now);
    Instant(nanos((now + EARLIER).saturating_duration_since(first)))
}

/// Advances a manual [`Clock`]. Clones advance the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Advances the clock; it saturates at [`Instant::NEVER`] instead of wrapping.
    pub fn advance(&self, by: Duration) {
        let add = |now| Some(Instant(now).saturating_add(by).0);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// A wall-clock time, as in the documents of kill switches, in ticks, in plans and in recorded baselines.
#[cfg(any(feature = "kill-switch", feature = "rollback"))]
pub use jiff::Timestamp;

/// The current wall-clock time, for documents, audit and tokens.
#[cfg(feature = "kill-switch")]
pub(crate) fn timestamp() -> Timestamp {
    Timestamp::now()
}

/// The current wall-clock time, to read the dates that a peer sends. Nothing else may depend on it.
#[cfg(feature = "http")]
pub(crate) fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// The CPU time that the process has used; `None` where it is not known.
pub(crate) fn cpu_time() -> Option<Duration> {
    system::cpu_time()
}

#[cfg(target_os = "linux")]
mod system {
    use super::Instant;
    use rustix::time::{ClockId, clock_gettime};
    use std::time::Duration;

    pub(super) fn precise() -> Instant {
        read(ClockId::Monotonic)
    }

    pub(super) fn coarse() -> Instant {
        read(ClockId::MonotonicCoarse)
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
    pub(super) fn cpu_time() -> Option<Duration> {
        Some(Duration::from_nanos(read(ClockId::ProcessCPUTime).as_nanos()))
    }

    fn read(id: ClockId) -> Instant {
        let time = clock_gettime(id);
        // Time since boot is never negative; 584 years of uptime fit.
        #[expect(clippy::cast_sign_loss, reason = "time since boot is never negative")]
        Instant((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{Instant, nanos};
    use std::sync::OnceLock;

    static ZERO: OnceLock<std::time::Instant> = OnceLock::new();

    pub(super) fn precise() -> Instant {
        Instant(nanos(ZERO.get_or_init(std::time::Instant::now).elapsed()))
    }

    pub(super) fn coarse() -> Instant {
        precise()
    }

    pub(super) fn cpu_time() -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_and_never_is_never_reached() {
        let late = Instant::from_nanos(5).saturating_add(Duration::MAX);
        assert_eq!(late, Instant::NEVER);
        assert!(!late.is_reached(Instant::NEVER));
        assert!(Instant::from_nanos(5).is_reached(Instant::from_nanos(5)));
        assert_eq!(Instant::from_nanos(1).saturating_duration_since(Instant::from_nanos(9)), Duration::ZERO);
    }

    #[test]
    fn the_coarse_clock_is_never_ahead() {
        let clock = Clock::system();
        for _ in 0..1_000 {
            let coarse = clock.coarse();
            assert!(coarse <= clock.now());
        }
    }

    #[test]
    fn a_manual_clock_saturates() {
        let (clock, time) = Clock::manual();
        time.advance(Duration::MAX);
        time.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Instant::NEVER);
    }
}
