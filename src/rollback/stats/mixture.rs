//! The evidence process: a mixture of likelihood ratios whose start times are spread over the rollout.
//!
//! Each component is a test of one ratio of the canary's rate to the baseline's. A component's mass is multiplied by the
//! likelihood ratio of each tick; new mass enters at the start and then evenly, so that a fault that begins late is not
//! held back by a long clean past. The sum of all mass is an e-process: under "the canary is no worse" it reaches
//! `1/alpha` with a probability of at most `alpha`, however often it is read (Ville 1939; Lindon & Malek, arXiv
//! 2011.03567; Howard & Ramdas, arXiv 1906.09712).

/// Number of ratios in a mixture.
pub(crate) const COMPONENTS: usize = 14;

/// Log likelihood ratios of one tick, one for each ratio.
pub(crate) type Increments = [f64; COMPONENTS];

/// Most that the evidence may grow in a second, as a logarithm: no second decides alone at an alpha under 0.08.
const GROWTH_PER_SECOND: f64 = 2.5;

/// Most mass of a ratio: far more than any threshold, and little enough for a canary that is good again to end a pause.
const MASS_MAX: f64 = 1e9;

/// Ratios of a mixture, with their logarithms, which every tick needs.
#[derive(Clone, Debug)]
pub(crate) struct Ratios {
    pub(crate) all: Increments,
    pub(crate) logs: Increments,
}

/// Ratios from 1.25 to this one, evenly spaced in their logarithm.
pub(crate) fn ratios(most: f64) -> Ratios {
    let step = (most / 1.25).ln() / (COMPONENTS - 1) as f64;
    let all: Increments = std::array::from_fn(|i| 1.25 * (step * i as f64).exp());
    Ratios { all, logs: all.map(f64::ln) }
}

impl Ratios {
    /// One over each ratio.
    pub(crate) fn inverse(&self) -> Self {
        Self { all: self.all.map(f64::recip), logs: self.logs.map(|log| -log) }
    }
}

/// Sum of the masses of all ratios, tested at every tick.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    masses: Increments,
    /// The same sum, shared by likelihoods without a limit to their growth: where every ratio grows as fast as it may, the
    /// masses no longer say which of them is likely. Costs as much as the masses, and most mixtures are not asked.
    likely: Option<Increments>,
    /// Mass that entered, at most 1.
    entered: f64,
}

impl Mixture {
    /// A mixture that begins with this much of its mass.
    pub(crate) fn new(mass: f64) -> Self {
        Self { masses: [mass / COMPONENTS as f64; COMPONENTS], likely: None, entered: mass }
    }

    /// The same, and it can be asked for its [`ratio`](Self::ratio).
    pub(crate) fn with_ratio(mass: f64) -> Self {
        let new = Self::new(mass);
        Self { likely: Some(new.masses), ..new }
    }

    /// Mass that entered.
    pub(crate) const fn entered(&self) -> f64 {
        self.entered
    }

    fn all(&mut self) -> impl Iterator<Item = &mut f64> {
        self.masses.iter_mut().chain(self.likely.iter_mut().flatten())
    }

    /// Adds mass, shared evenly by the ratios: a start of the test at this moment.
    ///
    /// Once all mass has entered, older starts make room: without that, a rollout of days would roll back by mass alone.
    pub(crate) fn add(&mut self, mass: f64) {
        let mass = mass.min(1.0);
        let keep = if self.entered + mass > 1.0 { 1.0 - mass } else { 1.0 };
        self.entered = (self.entered + mass).min(1.0);
        self.all().for_each(|each| *each = *each * keep + mass / COMPONENTS as f64);
    }

    /// Takes in a tick of this length in seconds.
    pub(crate) fn step(&mut self, increments: &Increments, seconds: f64) {
        // An increment that is not a number is no evidence.
        let increments = &increments.map(|increment| if increment.is_nan() { 0.0 } else { increment });
        // Most ticks say nothing, and `exp` is most of the work.
        if increments.iter().all(|increment| *increment == 0.0) {
            return;
        }
        // `exp` of more is infinite, and no mass times that is a number.
        let most = (GROWTH_PER_SECOND * seconds).min(700.0);
        for (mass, increment) in self.masses.iter_mut().zip(increments) {
            *mass = (*mass * increment.min(most).exp()).min(MASS_MAX);
        }
        let value = self.value();
        let Some(likely) = &mut self.likely else { return };
        let top = increments.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (likely, increment) in likely.iter_mut().zip(increments) {
            *likely *= (increment - top).exp();
        }
        let sum = likely.iter().sum::<f64>();
        if sum > f64::MIN_POSITIVE {
            *likely = likely.map(|likely| likely * value / sum);
        } else {
            *likely = self.masses;
        }
    }

    /// Scales the evidence down to at most this value.
    pub(crate) fn cap(&mut self, most: f64) {
        if self.value() > most {
            self.scale_to(most);
        }
    }

    /// Begins anew with the ratios above this one, where their evidence is more than they entered with.
    pub(crate) fn forget_above(&mut self, ratio: f64, ratios: &Ratios) {
        let least = self.entered / COMPONENTS as f64;
        for masses in [Some(&mut self.masses), self.likely.as_mut()].into_iter().flatten() {
            for (mass, _) in masses.iter_mut().zip(&ratios.all).filter(|(_, of)| **of > ratio) {
                *mass = mass.min(least);
            }
        }
    }

    /// Scales the evidence to this value.
    pub(crate) fn scale_to(&mut self, value: f64) {
        let factor = value / self.value().max(f64::MIN_POSITIVE);
        self.all().for_each(|mass| *mass *= factor);
    }

    /// The ratio that the evidence speaks for: the mean of its logarithm, weighted by mass.
    pub(crate) fn ratio(&self, ratios: &Ratios) -> f64 {
        let likely = self.likely.as_ref().unwrap_or(&self.masses);
        let sum = likely.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let logs = likely.iter().zip(ratios.logs).map(|(likely, log)| likely / sum * log);
        logs.sum::<f64>().exp()
    }

    /// The evidence, E.
    pub(crate) fn value(&self) -> f64 {
        self.masses.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_is_as_bad_as_may_be_says_that_the_ratio_is_large() {
        let ratios = ratios(180.0);
        let mut mixture = Mixture::with_ratio(0.35);
        for _ in 0..300 {
            mixture.step(&ratios.all.map(|ratio| 0.02 * (1.0 - ratio)), 1.0); // clean: small ratios are left
        }
        assert!(mixture.ratio(&ratios) < 2.0);
        for _ in 0..3 {
            mixture.add(0.001);
            mixture.step(&ratios.all.map(|ratio| 50.0 * ratio.ln()), 1.0); // every ratio is at its limit
        }
        assert!(mixture.ratio(&ratios) > 20.0, "{}", mixture.ratio(&ratios));
    }

    #[test]
    fn time_alone_is_no_evidence() {
        let mut mixture = Mixture::new(0.35);
        for _ in 0..1_000 {
            mixture.add(0.3);
            assert!(mixture.value() <= 1.0 + 1e-9);
        }
        mixture.add(f64::MAX);
        assert!(mixture.value() <= 1.0 + 1e-9);
    }

    #[test]
    fn one_second_decides_nothing_alone_and_a_longer_tick_may() {
        let mut mixture = Mixture::new(1.0);
        mixture.step(&[1e6; COMPONENTS], 1.0);
        assert!(mixture.value() < 13.0, "{}", mixture.value());
        mixture.step(&[1e6; COMPONENTS], 15.0);
        assert!(mixture.value() > 100.0 && mixture.value().is_finite());
    }

    #[test]
    fn evidence_against_leaves_new_mass_untouched() {
        let mut mixture = Mixture::new(0.35);
        for _ in 0..1_000 {
            mixture.step(&[-10.0; COMPONENTS], 1.0);
        }
        assert!(mixture.value() < 1e-100);
        mixture.add(0.1);
        assert!((mixture.value() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn large_ratios_begin_anew_and_small_ones_go_on() {
        let ratios = ratios(60.0);
        let small = |mixture: &Mixture| -> f64 {
            mixture.masses.iter().zip(&ratios.all).filter(|(_, of)| **of <= 5.0).map(|(mass, _)| mass).sum()
        };
        let mut mixture = Mixture::with_ratio(0.35);
        mixture.step(&[2.0; COMPONENTS], 1.0);
        let before = small(&mixture);
        mixture.forget_above(5.0, &ratios);
        assert!((small(&mixture) - before).abs() < 1e-12);
        assert!(mixture.value() - before < 0.35 && mixture.ratio(&ratios) < 5.0, "{mixture:?}");
    }

    #[test]
    fn no_step_is_beyond_numbers() {
        let mut mixture = Mixture::with_ratio(1.0);
        for increment in [-1e9, 1e9, 1e300, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
            mixture.step(&[increment; COMPONENTS], 1e9);
            let ratio = mixture.ratio(&ratios(180.0));
            assert!(mixture.value().is_finite() && ratio.is_finite(), "{increment}: {} {ratio}", mixture.value());
        }
    }
}
