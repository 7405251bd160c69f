//! Record of all verdicts for the page: values over time, and changes of state.

use backstop::rollback::{Decision, TriggerReport, TriggerState, Verdict};
use backstop::rollout::report::draw::{Lane, Series};

/// Most changes that are listed.
const CHANGES_MAX: usize = 500;

/// Everything that is drawn.
#[derive(Default)]
pub(super) struct Record {
    pub(super) ticks: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) decision: Option<Decision>,
    pub(super) sentence: String,
    pub(super) requests: (f64, f64),
    pub(super) decisions: Lane<Decision>,
    /// Requests a second in each arm.
    pub(super) rates: (Series, Series),
    pub(super) triggers: Vec<Trigger>,
    pub(super) stages: Vec<(f64, f64)>,
    pub(super) changes: Vec<Change>,
    pub(super) more_changes: usize,
    pub(super) warnings: Vec<String>,
}

pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) states: Lane<TriggerState>,
    pub(super) arms: (Series, Series),
    /// Logarithm of the evidence, and of the one at which the trigger fires.
    pub(super) evidence: Series,
    pub(super) threshold: Series,
    pub(super) sentence: String,
}

/// A change of the decision or of a trigger's state, with what was said.
pub(super) struct Change {
    pub(super) at: f64,
    /// `None`: the decision of all.
    pub(super) trigger: Option<String>,
    pub(super) state: &'static str,
    pub(super) sentence: String,
}

impl Record {
    pub(super) fn add(&mut self, verdict: &Verdict) {
        if self.ticks == 0 {
            self.from = verdict.at;
            self.triggers = verdict.triggers.iter().map(Trigger::of).collect();
        }
        let seconds = verdict.at - self.to;
        if self.ticks > 0 && seconds > 0.0 {
            let rate = |now: f64, before: f64| Some(((now - before) / seconds).max(0.0));
            self.rates.0.add(verdict.at, rate(verdict.n.canary, self.requests.0));
            self.rates.1.add(verdict.at, rate(verdict.n.baseline, self.requests.1));
        }
        self.requests = (verdict.n.canary, verdict.n.baseline);
        self.ticks += 1;
        self.to = verdict.at;
        if let Some(stage) = verdict.stage
            && self.stages.last().is_none_or(|(_, last)| (last - stage).abs() > 1e-9)
            && self.stages.len() < CHANGES_MAX
        {
            self.stages.push((verdict.at, stage));
        }
        if self.decisions.add(verdict.at, verdict.decision) {
            self.change(verdict.at, None, verdict.decision.as_str(), &verdict.sentence);
        }
        for (i, report) in verdict.triggers.iter().enumerate() {
            let Some(trigger) = self.triggers.get_mut(i) else { continue };
            trigger.arms.0.add(verdict.at, report.canary);
            trigger.arms.1.add(verdict.at, report.baseline);
            trigger.evidence.add(verdict.at, report.log_e);
            trigger.threshold.add(verdict.at, report.log_threshold);
            trigger.sentence.clone_from(&report.sentence);
            if trigger.states.add(verdict.at, report.state) {
                self.change(verdict.at, Some(&report.name), name(report.state), &report.sentence);
            }
        }
        self.decision = Some(verdict.decision);
        self.sentence.clone_from(&verdict.sentence);
        self.warnings.clone_from(&verdict.warnings);
    }

    fn change(&mut self, at: f64, trigger: Option<&str>, state: &'static str, sentence: &str) {
        if self.changes.len() >= CHANGES_MAX {
            self.more_changes += 1;
            return;
        }
        let (trigger, sentence) = (trigger.map(str::to_owned), sentence.to_owned());
        self.changes.push(Change { at, trigger, state, sentence });
    }
}

impl Trigger {
    fn of(report: &TriggerReport) -> Self {
        Self {
            name: report.name.clone(),
            kind: report.kind,
            states: Lane::default(),
            arms: <(Series, Series)>::default(),
            evidence: Series::default(),
            threshold: Series::default(),
            sentence: String::new(),
        }
    }
}

/// A state's name, for people and for the page's style.
pub(super) const fn name(state: TriggerState) -> &'static str {
    match state {
        TriggerState::Ok => "ok",
        TriggerState::Collecting => "collecting",
        TriggerState::NoData => "no data",
        TriggerState::NotMeasured => "not measured",
        TriggerState::Borderline => "borderline",
        TriggerState::Fired => "fired",
        _ => "other",
    }
}
