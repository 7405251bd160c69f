//! The way back: what returns the traffic, in which order and steps.

use super::event::{Action, Job, Step};
use super::state::{Decided, Doing, End, Recovery, Rollout, State};
use crate::rollback::plan::{Action as Command, ActionKind, Level};
use crate::rollout::soak::{Patience, Soak};
use std::time::Duration;

/// Cause of a return.
pub(super) struct Cause {
    pub(super) reason: String,
    pub(super) is_cut: bool,
    pub(super) is_superseded: bool,
}

impl Cause {
    pub(super) fn of(reason: &str) -> Self {
        Self { reason: reason.to_owned(), is_cut: false, is_superseded: false }
    }
}

impl Rollout {
    // ## each state => RollingBack
    pub(super) fn retreat(&mut self, cause: Cause, at: Duration, out: &mut Vec<Action>) {
        let Cause { reason, is_cut, is_superseded } = cause;
        let begun = match self.state {
            // A pause may hold the next one; one that failed was begun.
            State::Promoting { next } => next + usize::from(self.doing.is_some() || self.escalated.is_some()),
            State::Done(End::Promoted) => self.plan.promote.len(),
            _ => 0,
        };
        let (all, previous) = (self.plan.promote.len(), &self.plan.previous);
        let changed =
            format!(" ({begun} of {all} `promote` commands were begun: see whether {previous} is still what it was)");
        let reason = if begun > 0 { reason + &changed } else { reason };
        let end = match self.state {
            State::Checking => End::Aborted,
            _ if is_superseded => End::Superseded,
            _ => End::RolledBack,
        };
        self.cancel(out);
        // Neither keeps a rollback back: left behind, they would stop the clock of its states and answer for them.
        (self.escalated, self.held, self.paused, self.disabled) = (None, None, None, None);
        let text = format!("rolling back {} from {} %: {reason}", self.plan.artifact, self.weight);
        let level = if is_superseded || end == End::Aborted { Level::Notify } else { Level::Page };
        out.push(Action::Alert { level, text });
        let remaining = if end == End::RolledBack { self.steps(is_cut) } else { vec![Step::Weight] };
        let doubtful = if self.is_lost { remaining.clone() } else { Vec::new() };
        self.decided = Some(Decided { at, reason, is_cut, end, is_called: false, doubtful });
        self.enter(State::RollingBack { remaining }, at);
        self.retreat_on(at, out);
    }

    /// Break-glass during a return: the weight comes first now, and nothing is looked at before.
    pub(super) fn cut(&mut self, at: Duration, out: &mut Vec<Action>) {
        self.escalated = None;
        let interrupted = match &self.doing {
            Some(Doing { job: Job::Run { step, .. }, due: None, .. }) => Some(*step),
            _ => None,
        };
        self.cancel(out);
        let Some(decided) = &mut self.decided else { return };
        decided.is_cut = true;
        decided.doubtful.extend(interrupted);
        if let State::Recovering { .. } = self.state {
            return self.begin(Job::Move { weight: 0, cut: true }, out);
        }
        let State::RollingBack { remaining } = &mut self.state else { return };
        remaining.retain(|step| *step != Step::Weight);
        remaining.insert(0, Step::Weight);
        self.retreat_on(at, out);
    }

    /// The steps of a rollback, in the plan's order; the weight first with break-glass, and where any of them may have been
    /// done before.
    fn steps(&self, is_cut: bool) -> Vec<Step> {
        let plan = &self.plan;
        let kinds: Vec<_> = plan.rollback.iter().map(|action| action.kind).collect();
        let down = kinds.iter().position(|kind| *kind == ActionKind::ScaleDown).unwrap_or(kinds.len());
        let mut steps = Vec::new();
        for place in 0..=kinds.len() {
            if place == down {
                steps.extend((0..plan.preserve.len()).map(Step::Preserve));
            }
            match kinds.get(place) {
                Some(ActionKind::TrafficShift) if !steps.contains(&Step::Weight) => steps.push(Step::Weight),
                Some(ActionKind::TrafficShift) | None => {}
                Some(_) => steps.push(Step::Rollback(place)),
            }
        }
        let is_forward = plan.forward_fix_only && !is_cut;
        if is_cut || !is_forward && (self.is_lost || !steps.contains(&Step::Weight)) {
            steps.retain(|step| *step != Step::Weight);
            steps.insert(0, Step::Weight);
        }
        steps
    }

    /// Begins the next step, if nothing is in its way.
    pub(super) fn retreat_on(&mut self, at: Duration, out: &mut Vec<Action>) {
        let State::RollingBack { remaining } = &self.state else { return };
        if self.doing.is_some() || self.escalated.is_some() {
            return;
        }
        match remaining.first().copied() {
            None => self.returned(at, out),
            Some(Step::Weight) => {
                let is_cut = self.decided.as_ref().is_some_and(|decided| decided.is_cut);
                match self.floor(is_cut) {
                    Err(why) => self.escalate(why, out),
                    Ok(floor) if floor == 0 || floor < self.weight => {
                        self.begin(Job::Move { weight: floor, cut: is_cut }, out);
                    }
                    Ok(_) => {
                        let text = format!("the previous version cannot carry more yet: {} % stay", self.weight);
                        self.report("capacity", Level::Notify, text, out);
                    }
                }
            }
            Some(step) => {
                let is_again = self.decided.as_ref().is_some_and(|decided| decided.doubtful.contains(&step));
                self.begin(Job::Run { step, is_again }, out);
            }
        }
    }

    /// The least weight that leaves the previous version no more than it can carry.
    fn floor(&self, is_cut: bool) -> Result<u32, String> {
        let Some(stable) = self.stable.filter(|_| !is_cut && self.weight > 0) else { return Ok(0) };
        let broken = || {
            let (ready, total, previous) = (stable.ready, stable.total, &self.plan.previous);
            format!(
                "traffic would go from a broken version to a broken one: {ready} of {total} instances of {previous} are ready"
            )
        };
        match self.plan.instances_for_full_traffic {
            _ if stable.ready == 0 => Err(broken()),
            None if stable.ready * 2 < stable.total => Err(broken()),
            None => Ok(0),
            Some(needed) => {
                let carried = u64::from(stable.ready) * 100 / u64::from(needed.max(1));
                Ok(100_u32.saturating_sub(u32::try_from(carried).unwrap_or(100)))
            }
        }
    }

    /// A step has ended; the weight may have more to go.
    pub(super) fn retreated(&mut self, at: Duration, out: &mut Vec<Action>) {
        let weight = self.weight;
        let State::RollingBack { remaining } = &mut self.state else { return };
        if remaining.first().is_some_and(|step| *step != Step::Weight || weight == 0) {
            let done = remaining.remove(0);
            if done == Step::Weight {
                out.push(Action::Stage { weight });
            }
        }
        self.retreat_on(at, out);
    }

    // ## RollingBack => (Recovering | Done)
    fn returned(&mut self, at: Duration, out: &mut Vec<Action>) {
        let Some(Decided { end, .. }) = self.decided.clone() else { return };
        if end != End::RolledBack {
            return self.finish(end, at, out);
        }
        if self.weight > 0 {
            let (artifact, weight) = (&self.plan.artifact, self.weight);
            let why = format!(
                "{artifact} can only be fixed forward: it stays at {weight} %, contained by the plan's actions"
            );
            return self.escalate(why, out);
        }
        let (soak, look_every) = (self.plan.recovery.lasts, Duration::ZERO);
        let patience = Patience { soak, strikes: u32::MAX, time_limit: Duration::MAX, look_every };
        self.enter(State::Recovering { soak: Recovery(Soak::new(patience, 1)) }, at);
    }

    /// Calls a person when the service has not recovered in time. What is being done goes on.
    pub(super) fn call(&mut self, at: Duration, out: &mut Vec<Action>) {
        let limit = self.plan.escalation.after.min(self.plan.budget);
        let contact = self.contact().to_owned();
        let missing = if self.missing.is_empty() { String::new() } else { format!(" ({})", self.missing.join(", ")) };
        let Some(decided) = self.decided.as_mut().filter(|decided| !decided.is_called) else { return };
        if at.saturating_sub(decided.at) >= limit {
            decided.is_called = true;
            let since = if self.weight == 0 { "has no traffic any more" } else { "still has traffic" };
            let text =
                format!("the service has not recovered in time{missing}; the release {since}. {contact} decides");
            out.push(Action::Alert { level: Level::Page, text });
        }
    }

    pub(super) fn command(&self, step: Step) -> Option<&Command> {
        match step {
            Step::Rollback(place) => self.plan.rollback.get(place),
            Step::Promote(place) => self.plan.promote.get(place),
            Step::Weight | Step::Preserve(_) => None,
        }
    }

    pub(super) fn name_of(&self, step: Step) -> String {
        let kind = self.command(step).map_or("", |action| action.kind.as_str());
        match step {
            Step::Weight => "the weight".to_owned(),
            Step::Rollback(place) => format!("rollback[{place}] ({kind})"),
            Step::Preserve(place) => format!("preserve[{place}]"),
            Step::Promote(place) => format!("promote[{place}]"),
        }
    }

    /// Longest time of a move or command, attempts included.
    pub(super) fn longest_job(&self) -> Duration {
        let traffic = self.plan.traffic.as_ref().map_or(Duration::ZERO, |traffic| traffic.timeout);
        let command = |Doing { job, .. }: &Doing| match job {
            Job::Run { step, .. } => self.command(*step).map(|action| action.timeout),
            Job::Move { .. } => None,
        };
        let one = self.doing.as_ref().and_then(command).unwrap_or(traffic);
        one.saturating_mul(8).saturating_add(Duration::from_secs(60))
    }
}
