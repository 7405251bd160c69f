//! Draws from distributions.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Binomial, Distribution as _, Normal, Poisson};

/// The same numbers for the same seed in every release and on every machine.
pub(super) type Random = Xoshiro256PlusPlus;

/// Mean under which a Poisson count is drawn by inversion.
const SMALL: f64 = 12.0;

pub(super) fn poisson(random: &mut Random, mean: f64) -> f64 {
    if mean >= SMALL {
        return Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(random));
    }
    let at = random.random::<f64>();
    let (mut count, mut part) = (0.0, (-mean).exp());
    let mut sum = part;
    while at > sum && count < 100.0 {
        count += 1.0;
        part *= mean / count;
        sum += part;
    }
    count
}

/// Poisson counts of many intervals in a row, as the points of one process: no draw for an interval without a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Points {
    /// Distance to the next point.
    gap: f64,
}

impl Points {
    pub(super) fn new(random: &mut Random) -> Self {
        Self { gap: -uniform(random).ln() }
    }

    pub(super) fn draw(&mut self, random: &mut Random, mean: f64) -> f64 {
        if mean >= SMALL {
            return poisson(random, mean);
        }
        let mut count = 0.0;
        let mut left = mean;
        while self.gap < left {
            left -= self.gap;
            count += 1.0;
            self.gap = -uniform(random).ln();
        }
        self.gap -= left;
        count
    }
}

pub(super) fn binomial(random: &mut Random, of: f64, probability: f64) -> f64 {
    if of <= 0.0 || probability <= 0.0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let whole = of as u64;
    Binomial::new(whole, probability.min(1.0)).map_or(0.0, |binomial| binomial.sample(random) as f64)
}

/// A factor whose logarithm is normal.
pub(super) fn lognormal(random: &mut Random, sigma: f64) -> f64 {
    Normal::new(0.0, sigma).map_or(1.0, |normal| f64::exp(normal.sample(random)))
}

pub(super) fn is_drawn(random: &mut Random, probability: f64) -> bool {
    probability > 0.0 && random.random::<f64>() < probability
}

/// From above 0 to 1.
pub(super) fn uniform(random: &mut Random) -> f64 {
    1.0 - random.random::<f64>()
}
