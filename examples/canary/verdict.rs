//! The judge: "circuit open in canary and closed in baseline", several looks in a row.
//!
//! A pure function of what it is shown. It looks at the state, and at the counter of openings too: a circuit
//! that opened and closed again between two looks has been open all the same.

use crate::scrape::{Look, Reading};
use std::time::Duration;

/// Ended calls that each arm must have had in the stage before anything is said.
const MINIMUM_CALLS: u64 = 50;
/// Looks in a row that must agree.
pub(crate) const LOOKS: u32 = 5;

/// What the judge says after a look.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Too few calls to say anything.
    Collecting,
    Continue,
    /// Open in canary, closed in baseline: this many looks in a row.
    Suspect(u32),
    Rollback(Box<Evidence>),
}

/// Why. Counts are those of the stage.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) canary: Reading,
    pub(crate) baseline: Reading,
    /// When it was seen for the first time, and for the last.
    pub(crate) first_seen: Duration,
    pub(crate) last_seen: Duration,
}

/// Judges one stage of a rollout.
pub(crate) struct Judge {
    /// The totals with which the stage began.
    begin: Look,
    last: Look,
    agreeing: u32,
    first_seen: Duration,
}

impl Judge {
    /// Begins a stage.
    pub(crate) fn new(begin: Look) -> Self {
        Self { last: begin.clone(), begin, agreeing: 0, first_seen: Duration::ZERO }
    }

    /// Takes another look.
    pub(crate) fn observe(&mut self, look: &Look) -> Verdict {
        let canary = since(&look.canary, &self.begin.canary);
        let baseline = since(&look.stable, &self.begin.stable);
        let has_opened = since(&look.canary, &self.last.canary).openings > 0;
        self.last = look.clone();
        if canary.calls < MINIMUM_CALLS || baseline.calls < MINIMUM_CALLS {
            return Verdict::Collecting;
        }
        // Half-open is not closed: the circuit has not found that it may close. An opening of the baseline's
        // own means that the dependency is down for everybody, and that is no fault of the canary's.
        let is_open = has_opened || matches!(canary.state.as_str(), "open" | "half_open");
        if !is_open || baseline.state != "closed" || baseline.openings > 0 {
            self.agreeing = 0;
            return Verdict::Continue;
        }
        if self.agreeing == 0 {
            self.first_seen = look.at;
        }
        self.agreeing += 1;
        if self.agreeing < LOOKS {
            return Verdict::Suspect(self.agreeing);
        }
        Verdict::Rollback(Box::new(Evidence { canary, baseline, first_seen: self.first_seen, last_seen: look.at }))
    }
}

/// The counts since an earlier reading. A counter that is lower than it was has been reset by a restart, and what it
/// shows has all come since.
fn since(now: &Reading, earlier: &Reading) -> Reading {
    let delta = |now: u64, earlier: u64| now.checked_sub(earlier).unwrap_or(now);
    Reading {
        state: now.state.clone(),
        openings: delta(now.openings, earlier.openings),
        calls: delta(now.calls, earlier.calls),
        failed: delta(now.failed, earlier.failed),
        not_permitted: delta(now.not_permitted, earlier.not_permitted),
    }
}

impl Evidence {
    /// For people: a sentence, and the values that it rests on.
    pub(crate) fn to_text(&self) -> String {
        let row = |arm: &str, reading: &Reading| {
            let Reading { state, openings, calls, failed, not_permitted } = reading;
            let plural = if *openings == 1 { "" } else { "s" };
            let circuit = format!("{arm:<9} {state:<9} {:<11}", format!("{openings} opening{plural}"));
            format!("{circuit} {calls:>5} calls, {failed:>4} failed, {not_permitted:>5} not permitted")
        };
        format!(
            "ROLLBACK: circuit \"{}\" open in canary, closed in baseline\n\
             seen in {LOOKS} looks in a row, {:.2} s to {:.2} s, at {MINIMUM_CALLS} calls or more in each arm\n\
             {}\n{}",
            crate::service::BREAKER,
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
        };
        Look { at: Duration::ZERO, stable: reading(baseline), canary: reading(canary), reached: 0 }
    }

    fn begin() -> Judge {
        let mut begin = look(("closed", 0), ("closed", 0));
        (begin.stable.calls, begin.canary.calls) = (100, 100);
        Judge::new(begin)
    }

    #[test]
    fn looks_in_a_row_are_needed() {
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
    fn an_opening_between_two_looks_is_seen() {
        assert!(matches!(begin().observe(&look(("closed", 1), ("closed", 0))), Verdict::Suspect(1)));
    }

    #[test]
    fn a_baseline_that_opened_too_clears_the_canary() {
        assert!(matches!(begin().observe(&look(("open", 1), ("closed", 1))), Verdict::Continue));
    }

    #[test]
    fn few_calls_say_nothing() {
        let mut scarce = look(("open", 1), ("closed", 0));
        scarce.stable.calls = 100 + MINIMUM_CALLS - 1;
        assert!(matches!(begin().observe(&scarce), Verdict::Collecting));
    }
}
