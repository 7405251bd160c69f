//! The judge: ticks in, verdicts out.

use super::policy::{Acts, NoDataActs, Policy, Trigger};
use super::tick::{Arm, Tick};
use super::trigger::{Finding, Now, Watch, count};
use super::verdict::{Data, Decision, Override, Samples, TriggerState, Verdict};

/// Judges one rollout. A function of its ticks: no clock, no I/O; `observe` cannot fail.
///
/// A rollback latches until a new rollout or an [`override`](Self::override_by). A pause holds until the evidence is under
/// half of its threshold, or a person decides.
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
    /// A decision that holds, with its sentence.
    latched: Option<String>,
    overridden: Option<Override>,
    /// Ticks in a row in which both arms were the same.
    alike: u32,
    /// Ticks shorter than a second, until they are one.
    pending: Option<Tick>,
}

/// A trigger's watch, and when it had data.
#[derive(Clone, Debug)]
struct State {
    watch: Watch,
    first: Option<f64>,
    last: Option<f64>,
    /// Ticks with data, for the usual gap between them.
    ticks: f64,
    /// When a person accepted that its data is missing.
    excused: Option<f64>,
    is_ignored: bool,
    /// A person overrode it in this stage.
    is_muted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Time {
    /// Of the tick before, and of the stage's first one.
    last: Option<f64>,
    begun: f64,
    stage: Option<f64>,
    stage_begun: f64,
    now: f64,
}

/// Ticks in a row that make two arms look like one.
const ALIKE: u32 = 10;
/// Shortest tick that is judged.
const SECOND: f64 = 0.95;
/// Seconds without data that are never called stale; requests, or ticks with data, that would usually have come since.
const STALE: f64 = 10.0;
const STALE_REQUESTS: f64 = 20.0;
const STALE_TICKS: f64 = 3.0;

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
    /// Ticks of less than a second are put together first. A tick before the last one counts as one at the same time.
    pub fn observe(&mut self, tick: Tick) -> Verdict {
        let tick = match self.pending.take() {
            Some(pending) => pending.and(tick),
            None => tick,
        };
        let engaged = tick.canary.switches_engaged.clone();
        // Of the first tick, no more is known than that it is no longer than the time so far.
        let first = if tick.at > 0.0 { tick.at.min(1.0) } else { 1.0 };
        let seconds = self.time.last.map_or(first, |last| tick.at - last);
        if seconds < SECOND {
            self.time.now = tick.at.max(self.time.now);
            self.pending = Some(tick);
        } else {
            self.step(&tick, seconds);
        }
        self.verdict(engaged)
    }

    /// A person decides against a pause or a rollback. The triggers behind it are shown and do not act until the next stage;
    /// missing data may be missing for as long again.
    pub fn override_by(&mut self, by: impl Into<String>, reason: impl Into<String>) {
        let decision = self.verdict(Vec::new()).decision;
        let elapsed = self.time.now - self.time.begun;
        let findings = self.findings();
        self.latched = None;
        for (state, finding) in self.watches.iter_mut().zip(findings) {
            match finding.state {
                TriggerState::Fired | TriggerState::Borderline => state.is_muted = true,
                TriggerState::NoData => state.excused = Some(elapsed),
                _ => {}
            }
        }
        let at = self.time.now;
        self.overridden = Some(Override { by: by.into(), reason: reason.into(), at, decision });
    }

    fn step(&mut self, tick: &Tick, seconds: f64) {
        let now = self.time.advance(tick, seconds);
        let requests = |arm: &Arm| arm.segments.values().filter_map(|segment| segment.requests).sum::<f64>();
        self.samples.canary += requests(&tick.canary);
        self.samples.baseline += tick.baseline.as_ref().map_or(0.0, requests);
        let is_alike = tick.baseline.as_ref() == Some(&tick.canary) && requests(&tick.canary) > 0.0;
        self.alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        for (trigger, state) in self.policy.triggers.iter().zip(&mut self.watches) {
            state.is_muted &= !now.is_new_stage;
            state.is_ignored = now.in_stage - now.seconds < trigger.ignore_first;
            if !state.is_ignored && state.watch.observe(trigger, &now, tick) {
                state.first.get_or_insert(now.elapsed);
                state.last = Some(now.elapsed);
                state.ticks += 1.0;
            }
        }
        if self.latched.is_none() {
            let (decision, _, sentence) = self.decide(&self.findings());
            if decision == Decision::Rollback {
                self.latched = Some(sentence);
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let all = self.policy.triggers.iter().zip(&self.watches);
        all.map(|(trigger, state)| state.finding(trigger, self.time.now - self.time.begun)).collect()
    }

    fn verdict(&self, switches_engaged: Vec<String>) -> Verdict {
        let findings = self.findings();
        let (decision, data, sentence) = self.decide(&findings);
        let (decision, sentence) = match &self.latched {
            Some(sentence) => (Decision::Rollback, sentence.clone()),
            None => (decision, sentence),
        };
        let strongest = findings.iter().filter_map(|finding| finding.log_e.zip(finding.log_threshold));
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
            triggers: reports
                .map(|(trigger, finding)| finding.into_report(&trigger.name, trigger.kind.as_str()))
                .collect(),
            warnings,
            switches_engaged,
            overridden: self.overridden.clone(),
        }
    }

    /// The decision of all triggers together, whether it rests on data, and why.
    fn decide(&self, findings: &[Finding]) -> (Decision, Data, String) {
        let everything = self.policy.triggers.iter().zip(findings).zip(&self.watches);
        let all = || everything.clone().filter(|(_, state)| !state.is_muted).map(|(pair, _)| pair);
        let say = |(trigger, finding): (&Trigger, &Finding)| format!("{}: {}", trigger.name, finding.sentence);
        let is_fired = |finding: &Finding| finding.state == TriggerState::Fired;
        let is_alone = |trigger: &Trigger| !self.policy.require.contains(&trigger.name) && trigger.weight.is_none();
        let acting =
            |acts| all().find(|(trigger, finding)| trigger.acts == acts && is_alone(trigger) && is_fired(finding));
        let elapsed = self.time.now - self.time.begun;

        let missing = everything.clone().filter(|((trigger, finding), _)| {
            finding.state == TriggerState::NoData && (trigger.acts != Acts::Report || trigger.weight.is_some())
        });
        let missing: Vec<_> = missing
            .map(|(pair, state)| (pair, elapsed - state.last.unwrap_or(0.0).max(state.excused.unwrap_or(0.0))))
            .collect();
        let overdue = missing.iter().find(|(_, gap)| *gap >= self.policy.no_data_after.as_secs_f64());
        let data = match missing.first() {
            None => Data::Ok,
            Some(((trigger, _), _)) if self.has_data(&trigger.name) => Data::Stale,
            Some(_) => Data::NoData,
        };

        if let Some(pair) = acting(Acts::Rollback) {
            return (Decision::Rollback, data, say(pair));
        }
        let together =
            all().filter(|(trigger, finding)| self.policy.require.contains(&trigger.name) && is_fired(finding));
        if !self.policy.require.is_empty() && together.count() == self.policy.require.len() {
            return (Decision::Rollback, data, format!("{} fired together", self.policy.require.join(", ")));
        }
        let points: u32 =
            all().filter(|(_, finding)| is_fired(finding)).filter_map(|(trigger, _)| trigger.weight).sum();
        let score = self.policy.score.map(|score| {
            let names: Vec<_> = all()
                .filter(|(trigger, finding)| trigger.weight.is_some() && is_fired(finding))
                .map(|(trigger, _)| &*trigger.name)
                .collect();
            (score, format!("{points} points of {}: {}", score.rollback, names.join(", ")))
        });
        if let Some((score, sentence)) = &score
            && points >= score.rollback
        {
            return (Decision::Rollback, data, sentence.clone());
        }
        if let Some((pair, gap)) = overdue
            && self.policy.no_data_acts != NoDataActs::Collecting
        {
            let decision =
                if self.policy.no_data_acts == NoDataActs::Rollback { Decision::Rollback } else { Decision::Pause };
            return (decision, data, format!("{}: no data for {gap:.0} s", pair.0.name));
        }
        let borderline = all().find(|(trigger, finding)| {
            finding.state == TriggerState::Borderline && trigger.acts != Acts::Report && trigger.weight.is_none()
        });
        if let Some(pair) = acting(Acts::Pause).or(borderline) {
            return (Decision::Pause, data, say(pair));
        }
        if let Some((score, sentence)) = &score
            && points >= score.pause
        {
            return (Decision::Pause, data, sentence.clone());
        }
        if let Some((pair, _)) = missing.first() {
            return (Decision::Collecting, data, say(*pair));
        }
        let waits = all().find(|(trigger, finding)| {
            finding.state == TriggerState::Collecting && (trigger.acts != Acts::Report || trigger.weight.is_some())
        });
        if let Some(pair) = waits {
            return (Decision::Collecting, data, say(pair));
        }
        let silent: Vec<_> = all().filter(|(_, finding)| is_fired(finding)).map(say).collect();
        let requests = count(self.samples.canary);
        let sentence = match (silent.is_empty(), score) {
            (true, _) => format!("the canary is not worse, after {requests} of its requests"),
            (false, Some((_, of_score))) if points > 0 => format!("{of_score}: not enough to act"),
            (false, _) => format!("fired without acting: {}", silent.join("; ")),
        };
        (Decision::Continue, data, sentence)
    }

    fn has_data(&self, name: &str) -> bool {
        let mut all = self.policy.triggers.iter().zip(&self.watches);
        all.any(|(trigger, state)| trigger.name == name && state.last.is_some())
    }
}

impl State {
    fn new(trigger: &Trigger) -> Self {
        Self {
            watch: Watch::new(trigger),
            first: None,
            last: None,
            ticks: 0.0,
            excused: None,
            is_ignored: false,
            is_muted: false,
        }
    }

    /// What the watch says, unless there is no data.
    fn finding(&self, trigger: &Trigger, elapsed: f64) -> Finding {
        if self.is_ignored {
            let sentence = format!("ignored in the first {:.0} s of a stage", trigger.ignore_first);
            return Finding::new(TriggerState::Collecting, sentence);
        }
        let mut finding = self.watch.finding();
        if matches!(finding.state, TriggerState::Fired | TriggerState::Borderline) {
            return finding;
        }
        let missing = if trigger.required { TriggerState::NoData } else { TriggerState::NotMeasured };
        let Some((first, last)) = self.first.zip(self.last) else { return Finding { state: missing, ..finding } };
        if finding.state == TriggerState::NotMeasured {
            finding.state = missing;
        }
        let lasted = (last - first).max(1.0);
        let of_requests = if finding.samples > 0.0 { STALE_REQUESTS * lasted / finding.samples.max(1.0) } else { 0.0 };
        let of_ticks = if self.ticks > 1.0 { STALE_TICKS * lasted / (self.ticks - 1.0) } else { 0.0 };
        let gap = elapsed - last;
        if gap > STALE.max(of_requests).max(of_ticks) {
            let sentence = format!("no data for {gap:.0} s; until then, {}", finding.sentence);
            return Finding { state: TriggerState::NoData, sentence, ..finding };
        }
        finding
    }
}

impl Time {
    fn advance(&mut self, tick: &Tick, seconds: f64) -> Now {
        if self.last.is_none() {
            self.begun = tick.at - seconds;
            self.stage_begun = self.begun;
        }
        let is_new_stage = self.last.is_some() && tick.stage.is_some() && tick.stage != self.stage;
        if is_new_stage {
            self.stage_begun = self.last.unwrap_or(0.0);
        }
        self.stage = tick.stage.or(self.stage);
        self.last = Some(tick.at);
        self.now = tick.at;
        Now { seconds, elapsed: tick.at - self.begun, in_stage: tick.at - self.stage_begun, is_new_stage }
    }
}
