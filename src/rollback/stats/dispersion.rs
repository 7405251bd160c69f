//! Dispersion of counts: how much more errors vary than independent ones would, because they come in bursts.
//!
//! Learned from pairs of successive blocks of time: of the events of both, each block should have its share by exposure. The
//! squared deviation over the binomial variance is the Fano factor, and a rate that changes slowly cancels out.

/// Running estimate of the Fano factor of one arm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dispersion {
    squares: f64,
    variances: f64,
    pairs: f64,
    last: Option<(f64, f64)>,
}

/// Variance's worth of belief in the prior.
const PRIOR: f64 = 4.0;

/// Weight of old pairs after a new one.
const MEMORY: f64 = 0.998;

impl Dispersion {
    /// Takes in a tick's errors and requests.
    pub(crate) fn learn(&mut self, errors: f64, requests: f64) {
        if requests <= 0.0 {
            return;
        }
        if let Some((before, of)) = self.last.take() {
            let total = errors + before;
            let share = requests / (requests + of);
            if total > 0.0 {
                let deviation = errors - total * share;
                self.squares = self.squares * MEMORY + deviation * deviation;
                self.variances = self.variances * MEMORY + total * share * (1.0 - share);
                self.pairs = self.pairs * MEMORY + 1.0;
            }
        } else {
            self.last = Some((errors, requests));
        }
    }

    /// The factor, drawn towards `prior`; at least 1.
    pub(crate) fn factor(&self, prior: f64) -> f64 {
        ((self.squares + PRIOR * prior) / (self.variances + PRIOR)).max(1.0)
    }

    /// The factor less its standard error: 1 unless the events are surely dispersed.
    pub(crate) fn sure_factor(&self) -> f64 {
        let pairs = self.pairs + PRIOR;
        (self.factor(1.0) * (1.0 - (2.0 / pairs).sqrt())).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_events_are_not_dispersed_and_bursts_are() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut single, mut bursts) = (Dispersion::default(), Dispersion::default());
        for _ in 0..2_000 {
            let events = (0..1_000).filter(|_| random.f64() < 0.01).count() as f64;
            single.learn(events, 1_000.0);
            bursts.learn(events * 5.0, 1_000.0);
        }
        assert!((0.9..1.2).contains(&single.factor(1.0)), "{}", single.factor(1.0));
        assert!((4.0..6.0).contains(&bursts.factor(1.0)), "{}", bursts.factor(1.0));
        assert!(single.sure_factor() < 1.1 && bursts.sure_factor() > 3.5);
    }

    #[test]
    fn a_rate_that_ramps_is_no_dispersion() {
        let mut ramp = Dispersion::default();
        for i in 0..1_000 {
            ramp.learn(f64::from(i / 10), 1_000.0);
        }
        assert!(ramp.factor(1.0) < 1.01, "{}", ramp.factor(1.0));
    }
}
