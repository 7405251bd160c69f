//! Values of a report: what a rollout did, to whom, and how long each step took.

use super::deliveries::Deliveries;
use super::draw::Lane;
use super::evidence::{Arms, Both, Evidence};
use super::history::{Done, History, Moment, Person};
use super::trigger::{Finding, Trigger};
use crate::clock::Timestamp;
use crate::rollback::plan::Plan;
use crate::rollout::redact::clean;
use serde::{Deserialize, Serialize};

/// Most segments that are listed.
const SEGMENTS_MAX: usize = 20;
/// Standard deviations beyond which more failures than expected are no chance.
const CHANCE: f64 = 3.0;

/// Report of one rollout. See the [module](super).
#[derive(Serialize)]
pub struct Report {
    pub(super) service: String,
    pub(super) number: String,
    pub(super) artifact: String,
    pub(super) previous: String,
    pub(super) owner: String,
    /// State of the rollout, as `status` shows it; empty without a journal.
    pub(super) state: String,
    pub(super) why: String,
    /// Weight that was read back last.
    pub(super) weight: u32,
    pub(super) largest_weight: u32,
    pub(super) began: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) seconds: f64,
    pub(super) is_retreat: bool,
    /// Whether it was rolled back and no cause is recorded.
    pub(super) is_open: bool,
    pub(super) causes: Vec<Cause>,
    /// Parts of the evidence that are missing or damaged.
    pub(super) missing: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Seconds from the decision to recovery, and those that the plan allows.
    pub(super) recovered_in: Option<f64>,
    pub(super) budget: Option<f64>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) impact: Option<Impact>,
    pub(super) findings: Vec<Finding>,
    pub(super) timeline: Vec<Moment>,
    pub(super) actions: Vec<Done>,
    pub(super) people: Vec<Person>,
    pub(super) deliveries: Deliveries,
    #[serde(skip)]
    pub(super) charts: Charts,
}

/// A cause, its author and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// Time of day.
    pub at: Timestamp,
    /// The person.
    pub by: String,
    /// The cause.
    pub text: String,
}

/// Values over time, for the page.
pub(super) struct Charts {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) weights: Vec<(f64, u32)>,
    pub(super) states: Lane<String>,
    pub(super) decisions: Lane<&'static str>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) arms: Arms,
}

/// A step from the fault to recovery.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Seconds since the rollout began; `None` if it is not known, or has not happened.
    pub(super) at: Option<f64>,
    /// Seconds since the step before.
    pub(super) took: Option<f64>,
    pub(super) text: String,
}

/// A share of the traffic.
#[derive(Debug, Serialize)]
pub(super) struct Traffic {
    pub(super) weight: u32,
    pub(super) from: f64,
    pub(super) seconds: f64,
}

/// Requests of the release that failed, compared with the previous version at the same time.
#[derive(Debug, Serialize)]
pub(super) struct Impact {
    /// Seconds since the rollout began: the fault, or the first request.
    pub(super) from: f64,
    /// The weight 0, or the last tick.
    pub(super) until: f64,
    pub(super) is_over: bool,
    pub(super) requests: f64,
    pub(super) failed: f64,
    /// Failures beyond the rate of the previous version.
    pub(super) beyond: f64,
    /// The rate that they are compared with, and its origin.
    pub(super) usual_rate: f64,
    pub(super) compared_with: &'static str,
    pub(super) p99: Option<f64>,
    pub(super) usual_p99: Option<f64>,
    pub(super) segments: Vec<Segment>,
    pub(super) more_segments: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) requests: f64,
    pub(super) failed: f64,
    pub(super) beyond: f64,
    /// Whether chance alone does not explain it.
    pub(super) is_affected: bool,
}

/// Parts that a report is made of.
pub(super) struct Parts<'a> {
    pub(super) number: String,
    pub(super) plan: Option<&'a Plan>,
    pub(super) history: History,
    pub(super) evidence: Evidence,
    pub(super) deliveries: Deliveries,
    pub(super) causes: Vec<Cause>,
    pub(super) missing: Vec<String>,
}

impl Report {
    /// A function of its arguments: reads no file and no clock.
    pub(super) fn of(parts: Parts<'_>) -> Self {
        let Parts { number, plan, history, evidence, deliveries, causes, mut missing } = parts;
        let text = |of: fn(&Plan) -> &String| plan.map(|plan| clean(of(plan))).unwrap_or_default();
        if history.left_out > 0 {
            missing.push(format!("{} entries in the middle of the timeline are left out", history.left_out));
        }
        let findings: Vec<Finding> = evidence.triggers.iter().filter_map(|trigger| trigger.finding.clone()).collect();
        let is_rolled_back = history.state == "rolled_back";
        let recovered = history.ended.filter(|_| is_rolled_back);
        let decided = history.decided;
        let mut traffic = Vec::new();
        for (i, (from, weight)) in history.weights.iter().enumerate() {
            let until = history.weights.get(i + 1).map_or(history.ended.unwrap_or(history.last), |next| next.0);
            traffic.push(Traffic { weight: *weight, from: *from, seconds: (until - from).max(0.0) });
        }
        Self {
            service: text(|plan| &plan.service),
            number,
            artifact: text(|plan| &plan.artifact),
            previous: text(|plan| &plan.previous),
            owner: text(|plan| &plan.owner),
            weight: history.weight,
            largest_weight: history.weights.iter().map(|(_, weight)| *weight).max().unwrap_or(0),
            began: history.began,
            ended: history.end_time,
            seconds: history.ended.unwrap_or(history.last),
            is_retreat: history.is_retreat(),
            is_open: is_rolled_back && causes.is_empty(),
            causes,
            missing,
            steps: if decided.is_some() { steps(&history, &evidence) } else { Vec::new() },
            recovered_in: recovered.zip(decided).map(|(recovered, decided)| recovered - decided),
            budget: plan.map(|plan| plan.budget.as_secs_f64()),
            traffic,
            impact: impact(&history, &evidence),
            findings,
            deliveries,
            charts: Charts {
                from: 0.0,
                to: history.last.max(evidence.to).max(1.0),
                arms: evidence.arms(),
                weights: history.weights,
                states: history.states,
                decisions: evidence.decisions,
                triggers: evidence.triggers,
            },
            timeline: history.moments,
            actions: history.jobs,
            people: history.people,
            why: if decided.is_some() { history.reason } else { history.why },
            state: history.state,
        }
    }

    /// Returns whether the release was rolled back and no cause is recorded.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }
}

/// The trigger that led to the verdict: the first that fired.
fn first_fired(evidence: &Evidence) -> Option<&Trigger> {
    let fired = evidence.triggers.iter().filter_map(|trigger| Some((trigger, trigger.finding.as_ref()?)));
    let fired = fired.filter(|(_, finding)| finding.state == "fired");
    fired.min_by(|(_, one), (_, other)| one.at.total_cmp(&other.at)).map(|(trigger, _)| trigger)
}

/// Sets the beginning of the rollout, and that of the impact from the verdicts, before ticks are read.
pub(super) fn set_beginning(history: &History, evidence: &mut Evidence) {
    evidence.began = history.began.map_or(0.0, |began| began.as_duration().as_secs_f64());
    let Some(at) = history.detected else { return };
    let first = first_fired(evidence);
    let is_errors = first.and_then(|trigger| trigger.finding.as_ref()).is_some_and(|finding| finding.kind == "errors");
    let rise = first.and_then(|trigger| trigger.rise);
    if is_errors {
        evidence.failing_until = Some(at);
    } else {
        evidence.since = rise.unwrap_or(0.0);
    }
}

/// Time at which the fault was first seen, and how.
fn fault_seen(history: &History, evidence: &Evidence) -> Option<(f64, String)> {
    let trigger = first_fired(evidence)?;
    let decided = history.detected.or(history.decided)?;
    let name = clean(&trigger.name);
    let rise = trigger.rise.map(|at| (at, format!("first rise of the evidence of {name}")));
    let onset = evidence.onset.map(|at| (at, "first failures beyond twice the usual".to_owned()));
    onset.or(rise).map(|(at, text)| (at.min(decided), text))
}

fn steps(history: &History, evidence: &Evidence) -> Vec<Step> {
    let by_verdict = history.detected.filter(|at| history.decided.is_some_and(|decided| *at <= decided));
    let seen = fault_seen(history, evidence).filter(|_| by_verdict.is_some());
    let ended = history.ended.filter(|_| history.state == "rolled_back");
    let (seen, seen_text) = match seen {
        Some((at, text)) => (Some(at), text),
        None => (None, "no evidence of a rise before".to_owned()),
    };
    let detected = if by_verdict.is_some() { "the verdict is rollback" } else { "not by a verdict" };
    let returned =
        if history.returned.is_some() { "weight 0, read back" } else { "the release was not seen without traffic" };
    let verified = if ended.is_some() { "errors, latency and readiness as before the rollout" } else { "not seen" };
    let all = [
        ("fault seen", seen, seen_text),
        ("detect", by_verdict, detected.to_owned()),
        ("decide", history.decided, history.reason.clone()),
        ("move", history.returned, returned.to_owned()),
        ("verify", ended, verified.to_owned()),
    ];
    let mut last = None;
    let step = |(name, at, text): (&'static str, Option<f64>, String)| {
        let took = at.zip(last).map(|(at, last): (f64, f64)| (at - last).max(0.0));
        last = at.or(last);
        Step { name, at, took, text }
    };
    all.into_iter().map(step).collect()
}

fn impact(history: &History, evidence: &Evidence) -> Option<Impact> {
    let (canary, baseline) = (&evidence.canary, &evidence.baseline);
    if canary.requests <= 0.0 {
        return None;
    }
    let (usual, compared_with) = match &evidence.before {
        _ if baseline.requests > 0.0 => (baseline, "the previous version at the same time"),
        Some(before) if before.requests > 0.0 => (before, "the previous version before the rollout"),
        _ => (baseline, "nothing: every failure counts"),
    };
    let usual_rate = usual.error_rate();
    let mut segments: Vec<_> = evidence
        .segments
        .iter()
        .map(|(name, both)| segment(name, both, usual_rate))
        .filter(|of| of.beyond >= 1.0)
        .collect();
    segments.sort_by(|one, other| other.beyond.total_cmp(&one.beyond));
    let beyond = if evidence.segments.is_empty() {
        canary.errors - canary.requests * usual_rate
    } else {
        // Segment by segment: another mix of traffic is no failure.
        evidence.segments.iter().map(|(name, both)| segment(name, both, usual_rate).beyond).sum()
    };
    let more_segments = segments.len().saturating_sub(SEGMENTS_MAX);
    segments.truncate(SEGMENTS_MAX);
    let first = history.weights.iter().find(|(_, weight)| *weight > 0).map_or(0.0, |(at, _)| *at);
    let until = history.returned.or(history.ended).unwrap_or(history.last);
    Some(Impact {
        from: evidence.onset.unwrap_or(evidence.since).max(first).min(until),
        until,
        is_over: history.returned.is_some() || history.ended.is_some(),
        requests: canary.requests,
        failed: canary.errors,
        beyond: beyond.max(0.0),
        usual_rate,
        compared_with,
        p99: canary.p99(),
        usual_p99: usual.p99(),
        segments,
        more_segments,
    })
}

fn segment(name: &str, Both { canary, baseline }: &Both, usual_rate: f64) -> Segment {
    let rate = if baseline.0 > 0.0 { baseline.1 / baseline.0 } else { usual_rate };
    let expected = canary.0 * rate;
    let beyond = canary.1 - expected;
    let is_affected = beyond >= 1.0 && beyond > CHANCE * expected.sqrt();
    Segment { name: clean(name), requests: canary.0, failed: canary.1, beyond, is_affected }
}
