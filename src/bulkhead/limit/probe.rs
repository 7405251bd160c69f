//! Probes of the round trip without load: their times and their calls.

use super::round::Round;

/// Calls that a probe lets pass before it counts, as a multiple of its limit. Of calls that began together the short
/// ones end first; without this their mean is too low.
const EARLY: u64 = 2;

/// Calls between two probes at the least, however low the limit is.
const CALLS_MIN: u64 = 500;

/// Calls after which a probe that is not followed gives up, as a multiple of the limit.
const PATIENCE: u64 = 20;

/// Calls between two probes, as a multiple of those that the last one took at half of the limit: the share of the
/// capacity lost is about 1 in 80.
const CALLS_PER_PROBE: u64 = 80;

/// Counts calls; from time to time it halves the limit until calls were served at the half.
///
/// ```text
///            enough calls                              a round within the half
/// counting ───────────────▶ cut: half of the limit ───────────────────────────▶ learn, counting
///                                   │ calls exceed the half: gives up
///                                   └────────────────────────────────────────▶ counting
/// ```
#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    /// Calls since the last change.
    calls: u64,
    cut: Option<Cut>,
    last: f64,
    /// Calls of the last probe, and its limit.
    last_calls: u64,
    last_limit: u32,
    is_steady: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    limit: u32,
    /// Calls within the limit that are still let pass: the first to end are the short ones.
    early: u64,
    /// Calls beyond the limit after which it gives up.
    beyond: u64,
}

/// Use of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advice {
    /// As the algorithm says.
    Step,
    /// Its round trip, in nanoseconds, is one without load.
    Learn(f64),
}

impl Probe {
    /// The half that is the limit for now.
    pub(super) fn cut(&self) -> Option<u32> {
        self.cut.map(|cut| cut.limit)
    }

    /// Returns whether a call began before the limit was halved, or right after, and says nothing.
    pub(super) fn skips(&mut self, call: &Round) -> bool {
        let Some(cut) = &mut self.cut else { return false };
        if call.is_dropped {
            return false;
        }
        if call.in_flight <= cut.limit {
            let is_early = cut.early > 0;
            cut.early = cut.early.saturating_sub(1);
            return is_early;
        }
        cut.beyond = cut.beyond.saturating_sub(1);
        if cut.beyond == 0 {
            self.stop();
        }
        true
    }

    /// Looks at a round; `limit` is the algorithm's, `interval` the round trips between probes, 0 for none.
    pub(super) fn next(&mut self, interval: u32, limit: u32, min: u32, round: &Round) -> Advice {
        // Without an answer it is no round trip: an outage must neither bring probes nor lengthen one.
        if interval == 0 || round.answered == 0 {
            return Advice::Step;
        }
        self.calls = self.calls.saturating_add(round.answered);
        if self.cut.is_none() {
            if self.calls < self.calls_between(interval, limit) {
                return Advice::Step;
            }
            self.calls = round.answered;
            let beyond = u64::from(limit).saturating_mul(PATIENCE).max(CALLS_MIN);
            let limit = (limit / 2).max(min);
            self.cut = Some(Cut { limit, early: u64::from(limit) * EARLY, beyond });
        }
        match (self.cut, round.nanos) {
            (Some(cut), Some(nanos)) if round.in_flight <= cut.limit => {
                let is_steady = (nanos - self.last).abs() <= self.last * 0.1;
                let (last_calls, last_limit) = (self.calls, cut.limit);
                *self = Self { calls: 0, cut: None, last: nanos, last_calls, last_limit, is_steady };
                Advice::Learn(nanos)
            }
            _ => Advice::Step,
        }
    }

    fn calls_between(&self, interval: u32, limit: u32) -> u64 {
        // A probe takes a number of calls or, with a low limit, of round trips: the lesser is what the next one takes.
        let half = u64::from(limit / 2);
        let probe = self.last_calls.min(self.last_calls / u64::from(self.last_limit.max(1)) * half);
        let calls = probe.saturating_mul(CALLS_PER_PROBE).max(u64::from(interval) * u64::from(limit));
        let calls = if self.is_steady { calls } else { calls / 10 };
        calls.max(CALLS_MIN)
    }

    /// Ends a probe that is under way.
    pub(super) fn stop(&mut self) {
        (self.calls, self.cut) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(nanos: f64, in_flight: u32) -> Round {
        Round { nanos: Some(nanos), error: 0.0, in_flight, is_dropped: false, calls: 1, answered: 1 }
    }

    /// Rounds that were let through until the limit was halved.
    fn until_cut(probe: &mut Probe) -> u32 {
        let mut rounds = 0;
        while probe.cut().is_none() {
            assert_eq!(probe.next(100, 40, 1, &round(9.0, 40)), Advice::Step);
            rounds += 1;
        }
        rounds
    }

    #[test]
    fn only_calls_that_began_within_the_half_are_learned_from() {
        let mut probe = Probe::default();
        until_cut(&mut probe);
        assert_eq!(probe.cut(), Some(20));
        assert!(probe.skips(&round(9.0, 21)));
        assert_eq!((0..100).take_while(|_| probe.skips(&round(5.0, 20))).count(), 40, "the first are the short ones");
        assert_eq!(probe.next(100, 40, 1, &round(5.0, 20)), Advice::Learn(5.0));
        assert_eq!(probe.cut(), None);
    }

    #[test]
    fn probes_come_seldom_once_two_of_them_agree() {
        let mut probe = Probe::default();
        let mut waits = vec![];
        for learned in [5.0, 5.2, 5.1, 9.0, 9.0] {
            waits.push(until_cut(&mut probe));
            probe.next(100, 40, 1, &round(learned, 20));
        }
        assert_eq!(waits, [500, 500, 4_000, 4_000, 500]);
    }

    #[test]
    fn an_idle_service_is_learned_from_without_halving_its_limit() {
        let mut probe = Probe::default();
        let advice: Vec<_> = (0..500).map(|_| probe.next(100, 40, 1, &round(5.0, 3))).collect();
        assert_eq!(advice[499], Advice::Learn(5.0));
        assert!(advice[..499].iter().all(|advice| *advice == Advice::Step));
    }

    #[test]
    fn a_probe_that_nobody_keeps_to_gives_up() {
        let mut probe = Probe::default();
        until_cut(&mut probe);
        let skipped = (0..10_000).take_while(|_| probe.skips(&round(9.0, 40))).count();
        assert_eq!((skipped, probe.cut()), (800, None));
    }

    #[test]
    fn the_half_is_not_below_the_minimum() {
        let mut probe = Probe::default();
        for _ in 0..500 {
            probe.next(100, 40, 30, &round(9.0, 40));
        }
        assert_eq!(probe.cut(), Some(30));
    }

    #[test]
    fn zero_never_probes() {
        let mut probe = Probe::default();
        assert!((0..100_000).all(|_| probe.next(0, 1, 1, &round(9.0, 1)) == Advice::Step));
    }
}
