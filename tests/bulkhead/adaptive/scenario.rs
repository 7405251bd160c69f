//! What a line of the scenario files says.

use backstop::bulkhead::limit::AdaptiveLimit;
use serde::Deserialize;

/// A server, its clients and what is expected of a limit between them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    /// What it teaches.
    pub(crate) title: String,
    /// Calls that are served at full speed.
    pub(crate) knee: f64,
    /// How long a call takes without load, on average.
    pub(crate) service_ms: f64,
    pub(crate) jitter: Jitter,
    /// What the server loses beyond its knee; see `server.rs`.
    pub(crate) contention: f64,
    /// Clients wait that long.
    pub(crate) deadline_ms: f64,
    /// How long each stretch lasts, in service times.
    pub(crate) round_trips: f64,
    /// The server's later lives.
    #[serde(default)]
    pub(crate) moves: Vec<Move>,
    pub(crate) initial: u32,
    pub(crate) adaptive: AdaptiveLimit,
    pub(crate) expect: Expect,
}

impl Scenario {
    /// Calls that the server answers at its capacity, in all stretches.
    pub(crate) fn calls(&self) -> f64 {
        self.round_trips * (self.knee + self.moves.iter().map(|stretch| stretch.knee).sum::<f64>())
    }
}

/// How the work of calls varies.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Jitter {
    /// Evenly, by this share of the mean up and down.
    Even(f64),
    /// Exponentially: most calls are short, a few many times longer.
    Exponential,
}

impl Jitter {
    pub(crate) fn draw(self, rng: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Even(share) => 1.0 + share * (2.0 * rng.f64() - 1.0),
            Self::Exponential => super::world::exponential(rng),
        }
    }
}

/// The server changes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    pub(crate) knee: f64,
    pub(crate) service_ms: f64,
}

/// What must hold in every stretch.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// The settled limit is that near to the knee, as a share of it, at twice the capacity.
    pub(crate) knee_within: Option<f64>,
    /// Goodput at twice the capacity is at least this share of the peak, the best of any fixed limit.
    pub(crate) goodput: Option<f64>,
    /// The settled limit is more than a fifth off the knee: what a setting that others need is there for.
    #[serde(default)]
    pub(crate) is_missed: bool,
}
