//! The judge: "circuit open in canary and closed in baseline", or "bulkhead full in canary and not in baseline",
//! several scrapes in a row.
//!
//! A pure function of the scrapes. It checks the state and the counter of openings, because a circuit may open and
//! close again between two scrapes. A bulkhead is full if its counter of rejected calls has grown since the last one.

use crate::scrape::{Look, Reading};
use std::time::Duration;

/// Calls, ended or rejected by the bulkhead, that each arm needs in the stage before a verdict.
const MINIMUM_CALLS: u64 = 50;
/// Scrapes in a row that must agree.
pub(crate) const LOOKS: u32 = 5;

/// Verdict after a scrape.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Too few calls for a verdict.
    Collecting,
    Continue,
    /// A sign in the canary and not in the baseline, but in too few scrapes yet.
    Suspect(Signs),
    Rollback(Box<Evidence>),
}

/// Signs in the canary that are absent from the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    pub(crate) is_open: bool,
    pub(crate) is_full: bool,
}

impl Signs {
    fn of(canary: &Reading, baseline: &Reading, since_last: &Reading) -> Self {
        // Half-open counts as open: the dependency has not recovered yet. If the baseline's circuit opened too, the
        // dependency is down for everyone and the canary is not the cause; likewise if the baseline's bulkhead rejected
        // calls.
        let is_open = since_last.openings > 0 || matches!(canary.state.as_str(), "open" | "half_open");
        Self {
            is_open: is_open && baseline.state == "closed" && baseline.openings == 0,
            is_full: since_last.rejected > 0 && baseline.rejected == 0,
        }
    }

    fn and(self, other: Self) -> Self {
        Self { is_open: self.is_open || other.is_open, is_full: self.is_full || other.is_full }
    }

    pub(crate) fn but_not(self, other: Self) -> Self {
        Self { is_open: self.is_open && !other.is_open, is_full: self.is_full && !other.is_full }
    }

    /// A short and a long text for each sign.
    pub(crate) fn to_texts(self) -> impl Iterator<Item = (&'static str, String)> {
        let name = crate::service::NAME;
        let full = || ("bulkhead full", format!("bulkhead \"{name}\" full in canary, not in baseline"));
        let open = || ("circuit open", format!("circuit \"{name}\" open in canary, closed in baseline"));
        self.is_full.then(full).into_iter().chain(self.is_open.then(open))
    }
}

/// Evidence for a rollback. Counts are those of the stage.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) canary: Reading,
    pub(crate) baseline: Reading,
    signs: Signs,
    /// Times of the first and the last scrape that agree.
    pub(crate) first_seen: Duration,
    pub(crate) last_seen: Duration,
}

/// Judge of one stage of a rollout.
pub(crate) struct Judge {
    /// The scrape at the start of the stage.
    begin: Look,
    /// The last scrape with enough calls.
    last: Look,
    agreeing: u32,
    /// Signs in the scrapes that agree.
    signs: Signs,
    first_seen: Duration,
}

impl Judge {
    /// Begins a stage.
    pub(crate) fn new(begin: Look) -> Self {
        Self { last: begin.clone(), begin, agreeing: 0, signs: Signs::default(), first_seen: Duration::ZERO }
    }

    /// Evaluates the next scrape.
    pub(crate) fn observe(&mut self, look: &Look) -> Verdict {
        let canary = since(&look.canary, &self.begin.canary);
        let baseline = since(&look.stable, &self.begin.stable);
        let since_last = since(&look.canary, &self.last.canary);
        if [&canary, &baseline].iter().any(|arm| arm.calls + arm.rejected < MINIMUM_CALLS) {
            return Verdict::Collecting; // the first scrape with enough calls includes these counts
        }
        self.last = look.clone();
        let signs = Signs::of(&canary, &baseline, &since_last);
        if signs == Signs::default() {
            (self.agreeing, self.signs) = (0, signs);
            return Verdict::Continue;
        }
        if self.agreeing == 0 {
            self.first_seen = look.at;
        }
        self.agreeing += 1;
        self.signs = self.signs.and(signs);
        if self.agreeing < LOOKS {
            return Verdict::Suspect(self.signs);
        }
        let signs = self.signs;
        Verdict::Rollback(Box::new(Evidence {
            canary,
            baseline,
            signs,
            first_seen: self.first_seen,
            last_seen: look.at,
        }))
    }
}

/// Counts since an earlier reading. A counter that has decreased was reset by a restart, so its value is all new.
pub(crate) fn since(now: &Reading, earlier: &Reading) -> Reading {
    let delta = |now: u64, earlier: u64| now.checked_sub(earlier).unwrap_or(now);
    Reading {
        state: now.state.clone(),
        openings: delta(now.openings, earlier.openings),
        calls: delta(now.calls, earlier.calls),
        failed: delta(now.failed, earlier.failed),
        not_permitted: delta(now.not_permitted, earlier.not_permitted),
        in_flight: now.in_flight,
        rejected: delta(now.rejected, earlier.rejected),
        page_views: delta(now.page_views, earlier.page_views),
        orders: delta(now.orders, earlier.orders),
    }
}

impl Evidence {
    /// A sentence, and the values behind it.
    pub(crate) fn to_text(&self) -> String {
        let row = |arm: &str, reading: &Reading| {
            let Reading { state, openings, calls, failed, not_permitted, rejected, .. } = reading;
            let plural = if *openings == 1 { "" } else { "s" };
            let circuit = format!("{arm:<9} {state:<9} {:<11}", format!("{openings} opening{plural}"));
            format!(
                "{circuit} {calls:>5} calls, {failed:>4} failed, {not_permitted:>5} not permitted, {rejected:>4} rejected (full)"
            )
        };
        let signs: Vec<_> = self.signs.to_texts().map(|(_, text)| text).collect();
        format!(
            "ROLLBACK: {}\n\
             seen in {LOOKS} scrapes in a row, {:.2} s to {:.2} s, with at least {MINIMUM_CALLS} calls in each arm\n\
             {}\n{}",
            signs.join(",\nand "),
            self.first_seen.as_secs_f64(),
            self.last_seen.as_secs_f64(),
            row("canary", &self.canary),
            row("baseline", &self.baseline),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(canary: (&str, u64), baseline: (&str, u64)) -> Look {
        let reading = |(state, openings): (&str, u64)| Reading {
            state: state.to_owned(),
            openings,
            calls: 100 + MINIMUM_CALLS,
            failed: 0,
            not_permitted: 0,
            in_flight: 0,
            rejected: 0,
            page_views: 0,
            orders: 0,
        };
        Look { at: Duration::ZERO, stable: reading(baseline), canary: reading(canary), reached: 0 }
    }

    fn begin() -> Judge {
        let mut begin = look(("closed", 0), ("closed", 0));
        (begin.stable.calls, begin.canary.calls) = (100, 100);
        Judge::new(begin)
    }

    #[test]
    fn scrapes_in_a_row_are_needed() {
        let mut judge = begin();
        for _ in 1..LOOKS {
            assert!(matches!(judge.observe(&look(("open", 1), ("closed", 0))), Verdict::Suspect(_)));
        }
        assert!(matches!(judge.observe(&look(("closed", 1), ("closed", 0))), Verdict::Continue));
        for _ in 1..LOOKS {
            assert!(matches!(judge.observe(&look(("open", 2), ("closed", 0))), Verdict::Suspect(_)));
        }
        assert!(matches!(judge.observe(&look(("half_open", 2), ("closed", 0))), Verdict::Rollback(_)));
    }

    #[test]
    fn an_opening_between_two_scrapes_is_seen() {
        assert!(matches!(
            begin().observe(&look(("closed", 1), ("closed", 0))),
            Verdict::Suspect(Signs { is_open: true, is_full: false })
        ));
    }

    #[test]
    fn a_baseline_that_opened_too_clears_the_canary() {
        assert!(matches!(begin().observe(&look(("open", 1), ("closed", 1))), Verdict::Continue));
    }

    fn rejected(canary: u64, baseline: u64) -> Look {
        let mut look = look(("closed", 0), ("closed", 0));
        (look.canary.rejected, look.stable.rejected) = (canary, baseline);
        look
    }

    #[test]
    fn a_bulkhead_that_keeps_rejecting_is_a_sign_by_itself() {
        let mut judge = begin();
        for looks in 1..LOOKS {
            assert!(matches!(judge.observe(&rejected(u64::from(looks), 0)), Verdict::Suspect(_)));
        }
        let Verdict::Rollback(evidence) = judge.observe(&rejected(u64::from(LOOKS), 0)) else { panic!("no rollback") };
        assert!(evidence.to_text().starts_with("ROLLBACK: bulkhead \"ratings\" full in canary, not in baseline\n"));
    }

    #[test]
    fn a_bulkhead_that_stops_rejecting_has_recovered() {
        let mut judge = begin();
        assert!(matches!(judge.observe(&rejected(9, 0)), Verdict::Suspect(_)));
        assert!(matches!(judge.observe(&rejected(9, 0)), Verdict::Continue));
    }

    #[test]
    fn a_baseline_that_rejects_too_clears_the_canary() {
        assert!(matches!(begin().observe(&rejected(9, 1)), Verdict::Continue));
    }

    #[test]
    fn a_circuit_that_opens_after_the_bulkhead_was_full_goes_on_with_it() {
        let mut judge = begin();
        judge.observe(&rejected(9, 0));
        for _ in 2..LOOKS {
            let mut open = rejected(9, 0);
            open.canary.state = "open".into();
            assert!(matches!(judge.observe(&open), Verdict::Suspect(Signs { is_open: true, is_full: true })));
        }
    }

    #[test]
    fn few_calls_give_no_verdict() {
        let mut scarce = look(("open", 1), ("closed", 0));
        scarce.stable.calls = 100 + MINIMUM_CALLS - 1;
        assert!(matches!(begin().observe(&scarce), Verdict::Collecting));
    }

    #[test]
    fn signs_from_before_the_minimum_of_calls_count_once_it_is_reached() {
        let (mut judge, mut scarce) = (begin(), rejected(9, 0));
        scarce.stable.calls = 100 + MINIMUM_CALLS - 1;
        assert!(matches!(judge.observe(&scarce), Verdict::Collecting));
        assert!(matches!(judge.observe(&rejected(9, 0)), Verdict::Suspect(Signs { is_open: false, is_full: true })));
    }
}
