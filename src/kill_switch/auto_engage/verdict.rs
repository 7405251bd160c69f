//! Verdict on a window: an engagement, or the guards that hold it back.

use crate::clock::Timestamp;
use crate::kill_switch::model::text::REASON_MAX;
use crate::kill_switch::model::{Author, Breach, Change, Engage, Trigger};
use std::time::Duration;

/// Something that can hold an automatic engagement back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Guard {
    /// The windows come in order and do not overlap.
    Order,
    /// Every value is a number, and none is negative.
    Reading,
    /// The capability has been on for long enough.
    WarmUp,
    /// There is enough evidence.
    Samples,
    /// The canary is past the threshold.
    Threshold,
    /// The baseline is not as bad.
    Baseline,
    /// It was so in enough windows in a row.
    Windows,
    /// There were not too many automatic engagements lately.
    Flapping,
    /// No more would be turned off than automation may.
    Scope,
}

impl Guard {
    /// The name, as a label or a JSON field has it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Result of one guard for a window.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardResult {
    /// The guard.
    pub guard: Guard,
    /// The KPI it is about; `None` for the whole window.
    pub kpi: Option<String>,
    /// Whether it holds the engagement back.
    pub holds: bool,
    /// The reason, in one sentence.
    pub sentence: String,
}

/// Verdict on a window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Engage: no guard holds it back.
    #[non_exhaustive]
    Engage {
        /// The KPI that it is for; the first one if several are bad.
        kpi: String,
        /// The metric that the KPI is made of.
        metric: String,
        /// The canary's value in the last window.
        value: f64,
        /// The threshold.
        threshold: f64,
        /// Length of the window.
        window: Duration,
        /// The canary's samples in the last window, rounded down.
        samples: u64,
        /// All of it in one sentence.
        sentence: String,
    },
    /// Wait: at least one guard holds every KPI back.
    #[non_exhaustive]
    Wait {
        /// What the guards say: those of the window and, for each KPI in the order of the settings, its own. A guard
        /// is left out that has nothing to look at because one before it holds.
        guards: Vec<GuardResult>,
    },
}

impl Verdict {
    /// What the program `name` does about it: this engagement, set off by the KPI, and whoever asks why reads the
    /// sentence. `None` if it waits.
    ///
    /// It still has to be allowed to: the document refuses what is wider than the definition leaves to programs, what a
    /// person pinned, and what is engaged already.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::clock::Timestamp;
    /// use backstop::kill_switch::auto_engage::{KpiTrigger, BlastRadius, Reading, Window};
    /// use backstop::kill_switch::{Engage, KillSwitches, Scope, Stage, SwitchId};
    ///
    /// fn look(switches: &KillSwitches, automatic: &mut KpiTrigger, errors: Reading) -> Result<(), Box<dyn
    /// std::error::Error>> {
    ///     let scope = Scope::new().percent(10.0);
    ///     let engage = Engage::new(SwitchId::new("recommendations")?, scope).stage(Stage::instances(["web-1"]));
    ///     // The bounds are held against the reach of this very engagement.
    ///     let window = Window::new(Timestamp::now(), BlastRadius::of(&engage)).canary("errors", errors);
    ///     if let Some((change, by)) = automatic.observe(&window).engage(engage, "autopilot", Timestamp::now()) {
    ///         // What was not engaged does not count among the engagements that there may be.
    ///         switches.change(&change, &by).inspect_err(|_| automatic.refused())?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn engage(&self, engage: Engage, name: &str, at: Timestamp) -> Option<(Change, Author)> {
        let Self::Engage { metric, value, threshold, window, samples, sentence, .. } = self else { return None };
        let breach = Breach::new(metric, *value, *threshold, *window, *samples);
        let reason: String = sentence.chars().take(REASON_MAX).collect();
        Some((Change::Engage(engage.trigger(Trigger::Kpi(breach))), Author::automation(name, at).because(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::model::document::Document;
    use crate::kill_switch::model::id::SwitchId;
    use crate::kill_switch::model::records::PinState;
    use crate::kill_switch::model::scope::Scope;
    use crate::kill_switch::model::stage::Spread;
    use crate::kill_switch::model::switch::{Definition, OnUnknown};
    use crate::kill_switch::rules::apply::apply;
    use crate::kill_switch::rules::error::ChangeError;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn id() -> SwitchId {
        SwitchId::new("recs").unwrap()
    }

    fn verdict(sentence: &str) -> Verdict {
        let (kpi, metric, sentence) = ("errors".to_owned(), "http_error_rate".to_owned(), sentence.to_owned());
        let window = Duration::from_secs(60);
        Verdict::Engage { kpi, metric, value: 0.25, threshold: 0.05, window, samples: 900, sentence }
    }

    fn by(second: i64) -> Author {
        Author::person("ana", at(second)).because("a test")
    }

    fn document(definition: impl FnOnce(Definition) -> Definition) -> Document {
        let document = Document::new("shop", &by(0)).unwrap();
        let definition = definition(Definition::new("team", "recommendations", Timestamp::MAX, OnUnknown::Allow));
        apply(&document, &Change::Define { switch: id(), definition }, &by(1)).unwrap()
    }

    fn engaged(document: &Document, percent: f64) -> Result<Document, ChangeError> {
        let engage = Engage::new(id(), Scope::new().percent(percent));
        let (change, by) = verdict("errors were past 0.05").engage(engage, "autopilot", at(9)).unwrap();
        apply(document, &change, &by)
    }

    #[test]
    fn a_program_engages_as_far_as_the_definition_lets_it_and_says_which_kpi_it_was() {
        let document =
            document(|definition| definition.with_max_automatic(10.0).with_max_automatic_spread(Spread::Everywhere));
        let next = engaged(&document, 10.0).unwrap();
        let engagement = next.switch("recs").unwrap().engaged.as_ref().unwrap();
        let Trigger::Kpi(breach) = &engagement.trigger else { panic!("{engagement:?}") };
        let said = (&*breach.metric, breach.value, breach.threshold, breach.window_seconds, breach.samples);
        assert_eq!(said, ("http_error_rate", 0.25, 0.05, 60, 900));
        assert_eq!((&*engagement.by, &*engagement.reason), ("autopilot", "errors were past 0.05"));
        assert!(matches!(engaged(&document, 10.1), Err(ChangeError::TooWide { .. })));
        assert!(matches!(engaged(&next, 1.0), Err(ChangeError::AlreadyEngaged { .. })));
    }

    #[test]
    fn a_switch_that_is_left_to_people_or_pinned_by_one_is_not_engaged() {
        assert!(matches!(engaged(&document(|as_it_is| as_it_is), 0.1), Err(ChangeError::TooWide { .. })));
        let document =
            document(|definition| definition.with_max_automatic(10.0).with_max_automatic_spread(Spread::Everywhere));
        let pin = Change::Pin { switch: id(), state: PinState::Released };
        let pinned = apply(&document, &pin, &by(2)).unwrap();
        assert!(matches!(engaged(&pinned, 1.0), Err(ChangeError::Pinned { .. })));
    }

    #[test]
    fn a_long_sentence_is_no_reason_to_wait_and_waiting_is_no_change() {
        let document =
            document(|definition| definition.with_max_automatic(10.0).with_max_automatic_spread(Spread::Everywhere));
        let engage = || Engage::new(id(), Scope::new().percent(1.0));
        let (change, by) = verdict(&"ü".repeat(2_000)).engage(engage(), "autopilot", at(9)).unwrap();
        assert!(apply(&document, &change, &by).is_ok());
        assert!(Verdict::Wait { guards: Vec::new() }.engage(engage(), "autopilot", at(9)).is_none());
    }
}
