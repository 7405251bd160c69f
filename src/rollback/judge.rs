//! The judge: ticks in, verdicts out.

mod watched;

use super::policy::{Acts, NoDataActs, Policy, Trigger};
use super::tick::{Arm, Tick};
use super::trigger::{Finding, Gaps, Now, count};
use super::verdict::{Data, Decision, Override, Samples, TriggerState, Verdict};
use watched::State;

/// Judges one rollout. A function of its ticks: no clock, no I/O; `observe` cannot fail.
///
/// A rollback latches until a new rollout or an [`override`](Self::override_by). A pause holds until the evidence is under
/// half of its threshold, or a person decides; a new stage, the end of a warm-up or missing data end none.
///
/// # Examples
///
/// ```
/// use backstop::rollback::{Decision, Judge, Policy, TickReader};
///
/// let mut judge = Judge::new(Policy::default());
/// let mut ticks = TickReader::new();
/// let line = |at: u32, errors: u32| {
///     format!(
///         r#"{{"at": {at}, "canary": {{"segments": {{"default": {{"requests": 100, "server_errors": {errors}}}}}}},
///             "baseline": {{"segments": {{"default": {{"requests": 1900, "server_errors": 2}}}}}}}}"#
///     )
/// };
/// let mut decision = Decision::Collecting;
/// for at in 1..=5 {
///     if let Some(tick) = ticks.read(&line(at, 10))? {
///         decision = judge.observe(tick).decision;
///     }
/// }
/// assert_eq!(decision, Decision::Rollback);
/// # Ok::<(), backstop::rollback::TickError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    policy: Policy,
    watches: Vec<State>,
    time: Time,
    samples: Samples,
    latched: Option<Latched>,
    overridden: Option<Override>,
    /// Ticks in a row in which both arms were the same.
    alike: u32,
    /// Ticks shorter than a second, until they are one.
    pending: Option<Tick>,
}

/// A rollback that holds.
#[derive(Clone, Debug)]
struct Latched {
    sentence: String,
    /// Of every trigger at that tick.
    states: Vec<TriggerState>,
}

/// Why a decision was taken; triggers by their index.
#[derive(Clone, Copy, Debug)]
enum Reason {
    Trigger(usize),
    /// All that the policy requires together.
    Required,
    /// The score.
    Points,
    NoData(usize),
    Fine,
}

#[derive(Clone, Copy, Debug, Default)]
struct Time {
    /// Of the tick before, and of the stage's first one.
    last: Option<f64>,
    begun: f64,
    stage: Option<f64>,
    stage_begun: f64,
    now: f64,
    gaps: Gaps,
}

/// Ticks in a row that make two arms look like one.
const ALIKE: u32 = 10;
/// Shortest tick that is judged.
const SECOND: f64 = 0.95;
/// Length of ticks at the end that have none: they are at the same time as the one before.
const SHORTEST: f64 = 0.1;

impl Judge {
    /// A judge at the beginning of a rollout.
    pub fn new(policy: Policy) -> Self {
        let watches = policy.triggers.iter().map(State::new).collect();
        Self {
            policy,
            watches,
            time: Time::default(),
            samples: Samples::default(),
            latched: None,
            overridden: None,
            alike: 0,
            pending: None,
        }
    }

    /// Takes in a tick and returns the verdict at its time.
    ///
    /// Ticks of less than a second are put together first; see [`finish`](Self::finish). A tick before the last one counts as one at the same time.
    pub fn observe(&mut self, tick: Tick) -> Verdict {
        let engaged = self.take(tick);
        self.verdict(engaged)
    }

    /// Like [`observe`](Self::observe), but returns the decision alone, in a third of the time.
    pub fn decide(&mut self, tick: Tick) -> Decision {
        self.take(tick);
        if self.latched.is_some() { Decision::Rollback } else { self.decision(&self.states()).0 }
    }

    /// Takes in a tick; returns the switches that are engaged.
    fn take(&mut self, tick: Tick) -> Vec<String> {
        let mut tick = match self.pending.take() {
            Some(pending) => pending.and(tick),
            None => tick,
        };
        tick.at = self.time.last.map_or(tick.at, |last| last.max(tick.at));
        // Of the first tick, no more is known than that it is no longer than the time so far.
        let first = if tick.at > 0.0 { tick.at.min(1.0) } else { 1.0 };
        let seconds = self.time.last.map_or(first, |last| tick.at - last);
        if seconds < SECOND {
            self.time.now = tick.at.max(self.time.now);
            let engaged = tick.canary.switches_engaged.clone();
            self.pending = Some(tick);
            return engaged;
        }
        self.step(&tick, seconds);
        std::mem::take(&mut tick.canary.switches_engaged)
    }

    /// Judges the ticks that together are shorter than a second and wait for more: those at the end of a file. `None` if
    /// there are none.
    pub fn finish(&mut self) -> Option<Verdict> {
        let mut tick = self.pending.take()?;
        let seconds = self.time.last.map_or(tick.at, |last| tick.at - last);
        self.step(&tick, seconds.max(SHORTEST));
        Some(self.verdict(std::mem::take(&mut tick.canary.switches_engaged)))
    }

    /// A person decides against a pause or a rollback. The triggers behind it are shown and do not act until the next stage,
    /// unless what only paused is sure enough to roll back; missing data may be missing for as long again.
    ///
    /// In the next stage those triggers begin anew: the evidence so far counts no more. Without stages in the ticks they stay
    /// silent until a new rollout.
    pub fn override_by(&mut self, by: impl Into<String>, reason: impl Into<String>) {
        let decision = self.verdict(Vec::new()).decision;
        let (elapsed, states) = (self.elapsed(), self.states());
        // The triggers that rolled back are muted, also those that have recovered since.
        let latched = self.latched.take().map_or(Vec::new(), |latched| latched.states);
        for (i, (watch, state)) in self.watches.iter_mut().zip(states).enumerate() {
            match latched.get(i).filter(|state| **state == TriggerState::Fired).copied().unwrap_or(state) {
                sure @ (TriggerState::Fired | TriggerState::Borderline) => watch.muted = Some(sure),
                TriggerState::NoData | TriggerState::NotMeasured => watch.excused = Some(elapsed),
                _ => {}
            }
        }
        let at = self.time.now;
        self.overridden = Some(Override { by: by.into(), reason: reason.into(), at, decision });
    }

    fn step(&mut self, tick: &Tick, seconds: f64) {
        let now = self.time.advance(tick, seconds);
        self.samples.canary += tick.canary.requests();
        self.samples.baseline += tick.baseline.as_ref().map_or(0.0, Arm::requests);
        let is_alike = tick.baseline.as_ref() == Some(&tick.canary) && tick.canary.requests() > 0.0;
        self.alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        for (trigger, state) in self.policy.triggers.iter().zip(&mut self.watches) {
            if now.is_new_stage {
                state.begin_stage();
            }
            state.is_ignored = (now.in_stage - now.seconds).max(0.0) < trigger.ignore_first;
            if state.is_ignored {
                continue;
            }
            // A stage whose beginning was ignored begins with the first tick that counts.
            let is_new_stage = std::mem::take(&mut state.is_stage_new);
            let now = Now { is_new_stage, ignored: trigger.ignore_first, ..now };
            if state.watch.observe(trigger, &now, tick) {
                state.first.get_or_insert(now.elapsed);
                state.last = Some(now.elapsed);
                state.ticks += 1.0;
            }
        }
        if self.latched.is_none() {
            let states = self.states();
            let (decision, _, reason) = self.decision(&states);
            if decision == Decision::Rollback {
                self.latched = Some(Latched { sentence: self.sentence(reason, &states, &self.findings()), states });
            }
        }
    }

    fn elapsed(&self) -> f64 {
        self.time.now - self.time.begun
    }

    fn states(&self) -> Vec<TriggerState> {
        let all = self.policy.triggers.iter().zip(&self.watches);
        all.map(|(trigger, state)| state.state(trigger, self.elapsed())).collect()
    }

    fn findings(&self) -> Vec<Finding> {
        let all = self.policy.triggers.iter().zip(&self.watches);
        all.map(|(trigger, state)| state.finding(trigger, self.elapsed())).collect()
    }

    fn verdict(&self, switches_engaged: Vec<String>) -> Verdict {
        let (states, findings) = (self.states(), self.findings());
        let (decision, data, reason) = self.decision(&states);
        let (decision, sentence) = match &self.latched {
            Some(latched) => (Decision::Rollback, latched.sentence.clone()),
            None => (decision, self.sentence(reason, &states, &findings)),
        };
        let acting = self.policy.triggers.iter().zip(&findings).filter(|(trigger, _)| trigger.acts != Acts::Report);
        let strongest = acting.filter_map(|(_, finding)| finding.log_e.zip(finding.log_threshold));
        let strongest = strongest.max_by(|one, other| (one.0 - one.1).total_cmp(&(other.0 - other.1)));
        let (log_e, log_threshold) = strongest.unwrap_or((0.0, 0.0));
        let mut warnings = Vec::new();
        if self.alike >= ALIKE {
            warnings.push(format!(
                "canary and baseline were the same in every field for {} ticks: the source may read one of them twice",
                self.alike
            ));
        }
        let reports = self.policy.triggers.iter().zip(findings);
        Verdict {
            at: self.time.now,
            decision,
            code: decision.code(),
            sentence,
            stage: self.time.stage,
            data,
            n: self.samples,
            log_e,
            alpha: (-log_threshold).exp(),
            triggers: reports.map(|(trigger, finding)| finding.into_report(&trigger.name, trigger.kind_name)).collect(),
            warnings,
            switches_engaged,
            overridden: self.overridden.clone(),
        }
    }

    /// The decision of all triggers together, whether it rests on data, and why.
    fn decision(&self, states: &[TriggerState]) -> (Decision, Data, Reason) {
        let everything = self.policy.triggers.iter().zip(states).enumerate();
        let all = || everything.clone().filter(|(i, (_, state))| !self.watches[*i].is_muted(**state));
        let is_alone = |trigger: &Trigger| !self.policy.require.contains(&trigger.name) && trigger.weight.is_none();
        let acting = |acts| {
            let mut fired = all().filter(|(_, (_, state))| **state == TriggerState::Fired);
            fired.find(|(_, (trigger, _))| trigger.acts == acts && is_alone(trigger)).map(|(i, _)| i)
        };
        let counts = |trigger: &Trigger| trigger.acts != Acts::Report || trigger.weight.is_some();
        // Triggers that are not required, or only report, hold nothing back; but where none at all is measured, nothing says
        // that the canary is good.
        let is_blind = states.iter().all(|state| matches!(state, TriggerState::NoData | TriggerState::NotMeasured));
        let is_missing =
            |i: usize, trigger: &Trigger, state| state == TriggerState::NoData && counts(trigger) || is_blind && i == 0;
        let missing = || everything.clone().filter(|(i, (trigger, state))| is_missing(*i, trigger, **state));
        let overdue = missing().map(|(i, _)| i).find(|i| self.gap(*i) >= self.policy.no_data_after);
        let missing = missing().map(|(i, _)| i).next();
        let data = match missing {
            None => Data::Ok,
            Some(i) if self.watches[i].last.is_some() => Data::Stale,
            Some(_) => Data::NoData,
        };

        if let Some(i) = acting(Acts::Rollback) {
            return (Decision::Rollback, data, Reason::Trigger(i));
        }
        let together = all().filter(|(_, (trigger, state))| {
            self.policy.require.contains(&trigger.name) && **state == TriggerState::Fired
        });
        if !self.policy.require.is_empty() && together.count() == self.policy.require.len() {
            return (Decision::Rollback, data, Reason::Required);
        }
        let points = self.points(states);
        if self.policy.score.is_some_and(|score| points >= score.rollback) {
            return (Decision::Rollback, data, Reason::Points);
        }
        if let Some(i) = overdue.filter(|_| self.policy.no_data_acts == NoDataActs::Rollback) {
            return (Decision::Rollback, data, Reason::NoData(i));
        }
        let borderline = || {
            let mut borderline = all().filter(|(_, (_, state))| **state == TriggerState::Borderline);
            let acts = |trigger: &Trigger| trigger.acts != Acts::Report && is_alone(trigger);
            borderline.find(|(_, (trigger, _))| acts(trigger)).map(|(i, _)| i)
        };
        if let Some(i) = acting(Acts::Pause).or_else(borderline) {
            return (Decision::Pause, data, Reason::Trigger(i));
        }
        if self.policy.score.is_some_and(|score| points >= score.pause) {
            return (Decision::Pause, data, Reason::Points);
        }
        // A finding that paused is the reason to name, and not that its data has ended since.
        if let Some(i) = overdue.filter(|_| self.policy.no_data_acts == NoDataActs::Pause) {
            return (Decision::Pause, data, Reason::NoData(i));
        }
        let mut waits = all().filter(|(_, (trigger, state))| **state == TriggerState::Collecting && counts(trigger));
        match missing.or_else(|| waits.next().map(|(i, _)| i)) {
            Some(i) => (Decision::Collecting, data, Reason::Trigger(i)),
            None => (Decision::Continue, data, Reason::Fine),
        }
    }

    /// Seconds since there was data, or since a person accepted that there is none.
    fn gap(&self, i: usize) -> f64 {
        let State { last, excused, .. } = &self.watches[i];
        self.elapsed() - last.unwrap_or(0.0).max(excused.unwrap_or(0.0))
    }

    /// Triggers with a weight that fired.
    fn scored<'a>(&'a self, states: &'a [TriggerState]) -> impl Iterator<Item = (&'a Trigger, u32)> {
        let fired = self.policy.triggers.iter().zip(&self.watches).zip(states);
        let fired = fired.filter(|((_, watch), state)| **state == TriggerState::Fired && !watch.is_muted(**state));
        fired.filter_map(|((trigger, _), _)| Some((trigger, trigger.weight?)))
    }

    fn points(&self, states: &[TriggerState]) -> u32 {
        self.scored(states).map(|(_, weight)| weight).sum()
    }

    fn sentence(&self, reason: Reason, states: &[TriggerState], findings: &[Finding]) -> String {
        let name = |i: usize| &*self.policy.triggers[i].name;
        let score = || {
            let most = self.policy.score.map_or(0, |score| score.rollback);
            let names: Vec<_> = self.scored(states).map(|(trigger, _)| &*trigger.name).collect();
            format!("{} points of {most}: {}", self.points(states), names.join(", "))
        };
        let say = |i: usize| format!("{}: {}", name(i), findings[i].sentence);
        match reason {
            Reason::Trigger(i) => say(i),
            Reason::Required => format!("{} fired together", self.policy.require.join(", ")),
            Reason::Points => score(),
            Reason::NoData(i) => format!("{}: no data for {:.0} s", name(i), self.gap(i)),
            Reason::Fine if self.points(states) > 0 => format!("{}: not enough to act", score()),
            Reason::Fine => {
                let silent = (0..states.len()).filter(|i| states[*i] == TriggerState::Fired).map(say);
                let silent: Vec<_> = silent.collect();
                match &*silent {
                    [] => format!("the canary is not worse, after {} of its requests", count(self.samples.canary)),
                    _ => format!("fired without acting: {}", silent.join("; ")),
                }
            }
        }
    }
}

impl Time {
    fn advance(&mut self, tick: &Tick, seconds: f64) -> Now {
        if self.last.is_none() {
            self.begun = tick.at - seconds;
            self.stage_begun = self.begun;
        }
        let is_after_hole = self.gaps.hole(tick.at - self.begun).is_some();
        let is_new_stage = self.last.is_some() && tick.stage.is_some() && tick.stage != self.stage;
        if is_new_stage {
            // One that began in a hole has its time from the first tick of it on.
            self.stage_begun = if is_after_hole { tick.at } else { self.last.unwrap_or(0.0) };
        }
        self.stage = tick.stage.or(self.stage);
        self.last = Some(tick.at);
        self.now = tick.at;
        let is_full = self.stage.is_some_and(|percent| percent >= 100.0);
        Now {
            seconds,
            elapsed: tick.at - self.begun,
            in_stage: tick.at - self.stage_begun,
            ignored: 0.0,
            is_new_stage,
            is_full,
        }
    }
}
