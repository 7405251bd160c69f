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

/// What is left of old pairs after a new one.
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
