//! Open times: fixed, growing, or from a function.

use super::snapshot::Snapshot;
use crate::clock::nanos;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Function = dyn Fn(u32, &Snapshot) -> Duration + Send + Sync;

/// Time for which a circuit stays open before it lets probes through.
///
/// | kind | wait after the k-th trip in a row |
/// |---|---|
/// | [`fixed`](OpenTime::fixed) (the default, 60 s) | the same each time |
/// | [`exponential`](OpenTime::exponential) | `initial * multiplier^(k-1)`, at most `max` |
/// | [`from_fn`](OpenTime::from_fn) | what the function says |
///
/// Trips count as "in a row" until the circuit closes. Waits beyond 584 years do not end.
///
/// # Examples
///
/// ```
/// use backstop::CircuitBreaker;
/// use backstop::circuit_breaker::OpenTime;
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::builder("payments")
///     .open_time(OpenTime::exponential(Duration::from_secs(5), 2.0, Duration::from_secs(300)))
///     .open_time_jitter(0.1)
///     .build()?;
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct OpenTime(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Fixed(Duration),
    Exponential { initial: Duration, multiplier: f64, max: Duration },
    Function(Arc<Function>),
}

impl OpenTime {
    /// The same wait after every trip. Valid: longer than 0.
    pub const fn fixed(wait: Duration) -> Self {
        Self(Kind::Fixed(wait))
    }

    /// A wait that grows with each trip in a row.
    ///
    /// Valid: `initial` longer than 0, `multiplier` from 1 to 100, `max` not shorter than `initial`.
    pub const fn exponential(initial: Duration, multiplier: f64, max: Duration) -> Self {
        Self(Kind::Exponential { initial, multiplier, max })
    }

    /// The wait that a function gives for the number of trips in a row (1 for the first) and the snapshot that
    /// tripped the circuit.
    ///
    /// It runs outside every lock and may use the breaker. Should it panic, the circuit stays open for 60 s.
    pub fn from_fn(wait: impl Fn(u32, &Snapshot) -> Duration + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Arc::new(wait)))
    }

    /// The wait after trip number `trips`; `None` if a function of the user decides.
    pub(crate) fn wait(&self, trips: u32) -> Option<Duration> {
        match &self.0 {
            Kind::Fixed(wait) => Some(*wait),
            Kind::Exponential { initial, multiplier, max } => {
                let power = i32::try_from(trips.saturating_sub(1)).unwrap_or(i32::MAX);
                let grown = initial.as_secs_f64() * multiplier.powi(power);
                Some(Duration::try_from_secs_f64(grown).unwrap_or(*max).min(*max))
            }
            Kind::Function(_) => None,
        }
    }

    pub(crate) fn function(&self) -> Option<&Arc<Function>> {
        match &self.0 {
            Kind::Function(function) => Some(function),
            _ => None,
        }
    }
}

impl Default for OpenTime {
    fn default() -> Self {
        Self::fixed(Duration::from_secs(60))
    }
}

impl From<Duration> for OpenTime {
    fn from(wait: Duration) -> Self {
        Self::fixed(wait)
    }
}

impl fmt::Debug for OpenTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(wait) => f.debug_tuple("Fixed").field(wait).finish(),
            Kind::Exponential { initial, multiplier, max } => {
                f.debug_tuple("Exponential").field(initial).field(multiplier).field(max).finish()
            }
            Kind::Function(_) => f.write_str("Function"),
        }
    }
}

/// Lengthens a wait by up to `share` of itself; `random` is a number in [0, 1).
///
/// Only ever longer: no call is admitted before the time that rejections promised.
pub(crate) fn with_jitter(wait: Duration, share: f64, random: f64) -> Duration {
    if share == 0.0 {
        return wait;
    }
    let nanos = nanos(wait);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates; the sum is positive"
    )]
    let extra = (nanos as f64 * share * random) as u64;
    Duration::from_nanos(nanos.saturating_add(extra))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_growth_stops_at_the_cap_and_never_overflows() {
        let second = Duration::from_secs(1);
        let time = OpenTime::exponential(second, 2.0, 60 * second);
        let waits: Vec<_> = [1, 2, 3, 7, 8, u32::MAX].iter().map(|k| time.wait(*k).unwrap()).collect();
        assert_eq!(waits, [second, 2 * second, 4 * second, 60 * second, 60 * second, 60 * second]);
        assert_eq!(OpenTime::exponential(second, 100.0, Duration::MAX).wait(u32::MAX), Some(Duration::MAX));
    }

    #[test]
    fn jitter_only_lengthens_and_never_overflows() {
        let wait = Duration::from_secs(100);
        assert_eq!(with_jitter(wait, 0.0, 0.9), wait);
        assert_eq!(with_jitter(wait, 0.2, 0.0), wait);
        assert_eq!(with_jitter(wait, 0.2, 0.5), Duration::from_secs(110));
        assert_eq!(with_jitter(Duration::MAX, 1.0, 0.99), Duration::from_nanos(u64::MAX));
    }
}
