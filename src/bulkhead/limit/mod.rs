//! A limit that follows the dependency: as many calls as it serves without a queue.
//!
//! A fixed limit is right for one day's dependency. When that slows down, loses a replica or gains one, the limit is
//! too high and calls queue, or too low and capacity lies idle. These algorithms learn it from round trips.
//!
//! | algorithm | looks at | settles |
//! |---|---|---|
//! | [`Vegas`] | the round trip beside the one without load | a few calls above the knee |
//! | [`Gradient2`] | the round trip beside the mean of a long time | the same, more smoothly and more slowly |
//! | [`Aimd`] | drops, and round trips beyond a timeout | below where drops begin, in a saw-tooth |
//!
//! The knee is the number of calls that the dependency serves at full speed.
//!
//! # Rounds
//!
//! Round trips vary for reasons other than a queue. A bulkhead therefore takes a step on the mean of a round of calls
//! ([`Limiter::observe`]); [`Limiter::sample`] takes one on each call, as the formulas stand. Source: `WindowedLimit`
//! of Netflix' concurrency-limits.
//!
//! A round is as many calls as the limit, at least 10: about one round trip of a full bulkhead. For Vegas and the
//! gradient it goes on until the standard error of the mean is worth a call or two in the queue and at most 4 %, or an
//! eighth of a long queue, up to 30 round trips or 1,000 calls. So calls that are alike are judged every round trip,
//! and those that vary much as often as they can be. A drop ends a round early.
//!
//! # Probes
//!
//! Vegas and the gradient compare with a round trip without load, and under an overload that lasts no call is without
//! load. Measured there, it makes a queue look normal, and the limit creeps up. So every `probe_interval` round trips
//! the limit is halved for a round whose calls all began within the half; its round trip is the new one without load,
//! and the limit goes on from where it was. It follows a dependency that became slower in the same way. An idle
//! service needs no halving. Until two probes in a row agree to a tenth they come ten times as often; they never come
//! sooner than 500 calls after the last, nor before 40 times the round trips that one took.
//!
//! Half is what BBR version 2 probes with (`BBRProbeRTTCwndGain`, draft-cardwell-iccrg-bbr-congestion-control): enough
//! below the knee to drain the queue, and half of the traffic still flows. Probes are counted, not drawn at random:
//! when the replicas of a service happen to probe together, they see the dependency without each other's queue.
//!
//! # What to expect
//!
//! Against a simulated server with a knee of 10 to 300 calls and twice the traffic that it can serve, Vegas and the
//! gradient settle within a fifth of the knee and keep 9 tenths of the best goodput (`tests/adaptive.rs`). Vegas at a
//! knee of 10, and the gradient where the work of calls varies as an exponential does, need the settings that their
//! pages name.
//!
//! From a limit of 20 to a knee of 300 they take some 1,000 round trips; where work varies that much, some thousands:
//! begin near to what you expect.
//!
//! # Examples
//!
//! ```
//! use backstop::bulkhead::limit::{AdaptiveLimit, Gradient2, Limiter, Sample};
//! use std::time::Duration;
//!
//! let mut limiter = Limiter::new(Gradient2::new().max(500), 20)?;
//! let in_flight = 20;
//! let limit = limiter.observe(Sample::new(Duration::from_millis(12), in_flight));
//! assert_eq!(limit, 20, "one call is not a round");
//! # Ok::<(), backstop::ConfigError>(())
//! ```

pub(super) mod aimd;
pub(super) mod check;
pub(super) mod gradient;
mod learned;
pub(super) mod limiter;
pub(super) mod probe;
pub(super) mod round;
pub(super) mod sample;
pub(super) mod vegas;

pub use aimd::Aimd;
pub use gradient::Gradient2;
pub use limiter::Limiter;
pub use sample::Sample;
pub use vegas::{Decrease, Vegas};

/// The algorithm of an adaptive limit.
///
/// In a file: `{ algorithm = "vegas", max = 200 }`, or `"aimd"` or `"gradient2"`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(tag = "algorithm", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AdaptiveLimit {
    /// Additive increase, multiplicative decrease.
    Aimd(Aimd),
    /// TCP Vegas.
    Vegas(Vegas),
    /// The gradient of round trips.
    Gradient2(Gradient2),
}

impl AdaptiveLimit {
    /// The lowest and the highest limit.
    pub const fn bounds(&self) -> (u32, u32) {
        match self {
            Self::Aimd(Aimd { min, max, .. })
            | Self::Vegas(Vegas { min, max, .. })
            | Self::Gradient2(Gradient2 { min, max, .. }) => (*min, *max),
        }
    }

    const fn window(&self) -> Option<u32> {
        match self {
            Self::Aimd(Aimd { window, .. })
            | Self::Vegas(Vegas { window, .. })
            | Self::Gradient2(Gradient2 { window, .. }) => *window,
        }
    }

    const fn probe_interval(&self) -> u32 {
        match self {
            Self::Aimd(_) => 0,
            Self::Vegas(Vegas { probe_interval, .. }) | Self::Gradient2(Gradient2 { probe_interval, .. }) => {
                *probe_interval
            }
        }
    }
}

/// Bounds and conversion: the same for every algorithm.
macro_rules! algorithm {
    ($algorithm:ident) => {
        crate::config::setters! { const $algorithm:
            /// The limit is never lower. Default: 1. Valid: 1 to `max`, in calls.
            ///
            /// Smaller protects a dependency in deep trouble; larger keeps some traffic whatever the round trips say.
            pub fn min(calls: u32);

            /// The limit is never higher. Default: 1,000. Valid: `min` to 500,000, in calls.
            ///
            /// Smaller bounds the harm of a limit that has learned wrongly; larger lets it find more.
            pub fn max(calls: u32);
        }

        impl From<$algorithm> for AdaptiveLimit {
            fn from(settings: $algorithm) -> Self {
                Self::$algorithm(settings)
            }
        }
    };
}

algorithm!(Aimd);
algorithm!(Vegas);
algorithm!(Gradient2);
