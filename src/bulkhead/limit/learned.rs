//! State of every algorithm: the limit, and the round trip that it compares with.

/// Rounds until the long mean of the gradient is one of weights instead of a plain one, as published.
pub(super) const WARM_UP: u32 = 10;

/// State learned so far.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub(super) limit: f64,
    /// The round trip without load or, of the gradient, the long one. In nanoseconds; 0: not known yet.
    pub(super) no_load: f64,
    /// Rounds in the long mean, up to [`WARM_UP`].
    pub(super) rounds: u32,
}

impl Learned {
    pub(super) fn new(limit: f64) -> Self {
        Self { limit, no_load: 0.0, rounds: 0 }
    }

    /// The limit in whole calls.
    pub(super) fn calls(&self) -> u32 {
        whole(self.limit)
    }

    /// Takes a round trip for one without load: what the long mean goes on from.
    pub(super) fn learn(&mut self, nanos: f64) {
        self.no_load = nanos;
        self.rounds = WARM_UP;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "limits are positive and at most a million"
)]
pub(super) fn whole(limit: f64) -> u32 {
    limit as u32
}
