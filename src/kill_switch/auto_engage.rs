//! KPI triggers that engage a switch: the judge of a rollback, with a kill switch as what it acts on.
//!
//! A [`Policy`] says which KPIs count and how sure the judge has to be: minimum samples, warm-up, a baseline that is bad as
//! well, evidence that holds at every look. This adds what belongs to a kill switch: how often automation may engage. How far
//! it may go is in the switch's definition ([`Definition::with_max_automatic`](super::Definition::with_max_automatic)), and a person's
//! pin stops it. Automation engages, and never releases: that is for people.
//!
//! # Examples
//!
//! ```
//! use backstop::clock::Timestamp;
//! use backstop::kill_switch::auto_engage::KpiTrigger;
//! use backstop::kill_switch::{Editor, Engage, Scope, Stage, SwitchId};
//! use backstop::rollback::{Policy, Tick};
//!
//! fn look(trigger: &mut KpiTrigger, editor: &Editor, tick: Tick) -> Result<(), Box<dyn std::error::Error>> {
//!     let reaction = trigger.run(editor, tick, Timestamp::now())?;
//!     if reaction.engaged.is_some() {
//!         println!("engaged: {}", reaction.verdict.sentence);
//!     }
//!     Ok(())
//! }
//!
//! let policy = Policy::parse("[[trigger]]\nname = 'orders'\nkind = 'kpi'\nkpi = 'orders'")?;
//! let engage = Engage::new(SwitchId::new("ranking")?, Scope::all()).stage(Stage::instances(["web-1"]));
//! let trigger = KpiTrigger::new(policy, engage, "autopilot");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::control::editor::Editor;
use super::control::error::EditError;
use super::model::text::REASON_MAX;
use super::model::{Author, Breach, Change, Document, Engage, Trigger};
use crate::clock::Timestamp;
use crate::rollback::{Decision, Judge, Policy, Tick, TriggerReport, TriggerState, Verdict};
use std::collections::VecDeque;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Engages a switch once the judge says `rollback`.
#[derive(Clone, Debug)]
pub struct KpiTrigger {
    policy: Policy,
    judge: Judge,
    engage: Engage,
    author: String,
    max_engagements: usize,
    within: Duration,
    engaged: VecDeque<Timestamp>,
    since: Option<Timestamp>,
}

/// Reaction to a tick.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reaction {
    /// The judge's verdict.
    pub verdict: Verdict,
    /// The new document, if the switch was engaged.
    pub engaged: Option<Document>,
    /// Why it was not engaged though the verdict is `rollback`.
    pub held: Option<String>,
}

impl KpiTrigger {
    /// A trigger that makes this engagement in the name of this program, at most once an hour.
    pub fn new(policy: Policy, engage: Engage, author: impl Into<String>) -> Self {
        Self {
            judge: Judge::new(policy.clone()),
            policy,
            engage,
            author: author.into(),
            max_engagements: 1,
            within: HOUR,
            engaged: VecDeque::new(),
            since: None,
        }
    }

    /// Most engagements within a time. Default: 1 in an hour.
    ///
    /// More lets automation repeat what a person has just released; 0 only observes.
    #[must_use = "it returns the trigger"]
    pub fn max_engagements(mut self, engagements: usize, within: Duration) -> Self {
        (self.max_engagements, self.within) = (engagements, within);
        self
    }

    /// Judges a tick, and engages the switch if the verdict is `rollback`. The judge then begins anew.
    ///
    /// # Errors
    ///
    /// What the editor rejects: an engagement wider than the definition leaves to programs, a switch that a person pinned or
    /// that is engaged already, a store that fails. Such an engagement does not count; the next one needs new evidence.
    pub fn run(&mut self, editor: &Editor, tick: Tick, at: Timestamp) -> Result<Reaction, EditError> {
        let since = *self.since.get_or_insert(at);
        let verdict = self.judge.observe(tick);
        if verdict.decision != Decision::Rollback {
            return Ok(Reaction { verdict, engaged: None, held: None });
        }
        self.engaged.retain(|engaged| elapsed(*engaged, at) < self.within);
        // Whatever comes of it, the next engagement needs new evidence: this one may be over by then.
        self.judge = Judge::new(self.policy.clone());
        self.since = None;
        if self.engaged.len() >= self.max_engagements {
            let (made, within) = (self.engaged.len(), self.within);
            let held = format!("automation has used {made} of {} engagements within {within:?}", self.max_engagements);
            return Ok(Reaction { verdict, engaged: None, held: Some(held) });
        }
        let breach = breach(&verdict, elapsed(since, at));
        let reason: String = verdict.sentence.chars().take(REASON_MAX).collect();
        let change = Change::Engage(self.engage.clone().trigger(Trigger::Kpi(breach)));
        let document = editor.change(&change, &Author::automation(&self.author, at).because(reason))?;
        self.engaged.push_back(at);
        Ok(Reaction { verdict, engaged: Some(document), held: None })
    }
}

/// The trigger that fired, as the document records it. Its threshold is the baseline's value.
fn breach(verdict: &Verdict, window: Duration) -> Breach {
    let fired = verdict.triggers.iter().find(|report| report.state == TriggerState::Fired);
    let value = |of: fn(&TriggerReport) -> Option<f64>| fired.and_then(of).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, rounded down")]
    let samples = fired.map_or(verdict.n.canary, |report| report.samples) as u64;
    let name = fired.map_or("rollback", |report| &report.name);
    let window = window.max(Duration::from_secs(1));
    Breach::new(name, value(|report| report.canary), value(|report| report.baseline), window, samples)
}

/// Time between two moments; zero if they are the other way round.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::model::records::PinState;
    use crate::kill_switch::model::stage::{Spread, Stage};
    use crate::kill_switch::rules::error::ChangeError;
    use crate::kill_switch::store::MemoryStore;
    use crate::kill_switch::{Definition, OnUnknown, Scope, SwitchId};
    use crate::rollback::{Arm, Kpi};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn person(second: i64) -> Author {
        Author::person("ana", at(second)).because("a test")
    }

    fn id() -> SwitchId {
        SwitchId::new("ranking").unwrap()
    }

    fn editor(definition: impl FnOnce(Definition) -> Definition) -> Editor {
        let editor = Editor::new(MemoryStore::new());
        let definition = definition(Definition::new("team", "ranking", Timestamp::MAX, OnUnknown::Allow));
        editor.change(&Change::Define { switch: id(), definition }, &person(0)).unwrap();
        editor
    }

    fn for_programs(definition: Definition) -> Definition {
        definition.with_max_automatic(100.0).with_max_automatic_spread(Spread::Instances)
    }

    fn trigger() -> KpiTrigger {
        let policy = "[[trigger]]\nname = 'orders'\nkind = 'kpi'\nkpi = 'orders'\nwarm_up = '0s'";
        let engage = Engage::new(id(), Scope::all()).stage(Stage::instances(["web-1"]));
        KpiTrigger::new(Policy::parse(policy).unwrap(), engage, "autopilot")
    }

    fn tick(second: i64, canary: f64, baseline: f64) -> Tick {
        let arm = |good| {
            let mut arm = Arm::default();
            arm.kpis.insert("orders".to_owned(), Kpi { good, total: 1000.0 });
            arm
        };
        Tick::new(second as f64, arm(canary), Some(arm(baseline))).unwrap()
    }

    /// Ticks until it engages, at most as many; the second at which it did.
    fn engages(trigger: &mut KpiTrigger, editor: &Editor, seconds: std::ops::Range<i64>) -> Option<i64> {
        seconds.into_iter().find(|second| {
            let reaction = trigger.run(editor, tick(*second, 500.0, 980.0), at(*second)).unwrap();
            reaction.engaged.is_some()
        })
    }

    #[test]
    fn a_bad_kpi_engages_and_the_document_says_why() {
        let editor = editor(for_programs);
        assert!(engages(&mut trigger(), &editor, 0..10).is_some_and(|second| second < 5));
        let document = editor.document().unwrap().unwrap();
        let engagement = document.switch("ranking").unwrap().engaged.as_ref().unwrap();
        let Trigger::Kpi(breach) = &engagement.trigger else { panic!("{engagement:?}") };
        assert_eq!((&*breach.metric, breach.value, &*engagement.by), ("orders", 0.5, "autopilot"));
        assert!(engagement.reason.contains("50 %"), "{}", engagement.reason);
    }

    #[test]
    fn a_baseline_that_is_bad_too_holds_it_back() {
        let (editor, mut trigger) = (editor(for_programs), trigger());
        for second in 0..200 {
            let reaction = trigger.run(&editor, tick(second, 500.0, 500.0), at(second)).unwrap();
            assert_ne!(reaction.verdict.decision, Decision::Rollback);
        }
    }

    #[test]
    fn the_flap_limit_holds_it_back_until_its_time_has_passed() {
        let (editor, mut trigger) = (editor(for_programs), trigger());
        let first = engages(&mut trigger, &editor, 0..10).unwrap();
        editor.change(&Change::Release { switch: id() }, &person(20)).unwrap();
        assert_eq!(engages(&mut trigger, &editor, 21..60), None);
        let mut held =
            (61..70).filter_map(|second| trigger.run(&editor, tick(second, 500.0, 980.0), at(second)).unwrap().held);
        assert_eq!(held.next().unwrap(), "automation has used 1 of 1 engagements within 3600s");
        drop(held);
        let healthy = |second: i64| tick(second, 980.0, 980.0);
        for second in 70..3_700 {
            let reaction = trigger.run(&editor, healthy(second), at(second)).unwrap();
            assert!(reaction.engaged.is_none(), "it recovered long ago");
        }
        assert!(engages(&mut trigger, &editor, 3_700 + first..4_000).is_some());
    }

    #[test]
    fn what_the_document_rejects_does_not_count_and_is_tried_again() {
        let (editor, mut trigger) = (editor(for_programs), trigger());
        editor.change(&Change::Pin { switch: id(), state: PinState::Released }, &person(1)).unwrap();
        let run = |trigger: &mut KpiTrigger, second| trigger.run(&editor, tick(second, 500.0, 980.0), at(second));
        let error = (2..10).find_map(|second| run(&mut trigger, second).err()).unwrap();
        assert!(matches!(error, EditError::Change(ChangeError::Pinned { .. })), "{error}");
        editor.change(&Change::Unpin { switch: id() }, &person(11)).unwrap();
        let mut reactions = (12..30).map(|second| run(&mut trigger, second).unwrap());
        assert!(reactions.any(|reaction| reaction.engaged.is_some()), "with new evidence");
    }

    #[test]
    fn a_switch_that_is_left_to_people_is_not_engaged() {
        let (editor, mut trigger) = (editor(|as_it_is| as_it_is), trigger());
        let mut runs = (0..10).filter_map(|second| trigger.run(&editor, tick(second, 500.0, 980.0), at(second)).err());
        assert!(matches!(runs.next(), Some(EditError::Change(ChangeError::TooWide { .. }))));
    }
}
