//! A condition that has to last before it fires.

/// Seconds between two looks of which nothing is known, unless looks are usually as far apart.
const HOLE: f64 = 60.0;

/// The last look, and the seconds between it and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gaps {
    seen: f64,
    usual: f64,
}

impl Gaps {
    /// Takes in a look; returns the seconds before it if they are a hole beside those before the last one.
    pub(crate) fn hole(&mut self, at: f64) -> Option<f64> {
        let (gap, usual) = (at - self.seen, self.usual);
        (self.seen, self.usual) = (at, gap);
        (gap > HOLE.max(3.0 * usual)).then_some(gap)
    }
}

/// Time for which a condition has been bad. Once fired, it stays so until a look finds it over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lasting {
    since: Option<f64>,
    gaps: Gaps,
    is_fired: bool,
}

impl Lasting {
    /// Takes in a look; `is_long` says whether so many seconds are enough to fire.
    ///
    /// Time counts from the first bad look on, and after a hole from the next one.
    pub(super) fn look(&mut self, at: f64, is_bad: bool, is_long: impl FnOnce(f64) -> bool) {
        if self.gaps.hole(at).is_some() && !self.is_fired {
            self.since = None;
        }
        self.since = is_bad.then(|| self.since.unwrap_or(at));
        self.is_fired = self.lasted().is_some_and(|lasted| self.is_fired || is_long(lasted));
    }

    /// Seconds since it has been bad; `None` if it is not.
    pub(super) fn lasted(&self) -> Option<f64> {
        self.since.map(|since| self.gaps.seen - since)
    }

    pub(super) const fn is_fired(&self) -> bool {
        self.is_fired
    }

    /// Begins anew with the next look.
    pub(super) fn restart(&mut self) {
        (self.since, self.is_fired) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(looks: &[(f64, bool)]) -> bool {
        let mut lasting = Lasting::default();
        for (at, is_bad) in looks {
            lasting.look(*at, *is_bad, |lasted| lasted >= 100.0);
        }
        lasting.is_fired()
    }

    #[test]
    fn a_hole_is_no_bad_time_and_ends_none() {
        assert!(!fired(&[(1.0, true), (200.0, true)]), "two looks");
        assert!(fired(&[(1.0, true), (50.0, true), (101.0, true)]));
        assert!(fired(&[(1.0, true), (50.0, true), (101.0, true), (900.0, true)]), "fired before the hole");
        assert!(!fired(&[(1.0, true), (50.0, true), (101.0, true), (900.0, false)]), "found to be over");
    }

    #[test]
    fn looks_that_are_always_far_apart_are_no_holes() {
        assert!(fired(&[(120.0, true), (240.0, true), (360.0, true)]));
    }
}
