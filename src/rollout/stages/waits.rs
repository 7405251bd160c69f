//! Conditions that a rollout waits for, in sentences.

use super::event::{Look, Ready, Step};
use super::state::{Doing, Rollout, State};
use crate::rollback::Decision;
use crate::rollback::plan::{Gate, Stage};
use crate::rollout::soak::Finding;
use std::time::Duration;

/// Starts of a controller in one state that are no accident any more.
const RESTARTS: u32 = 4;

/// A condition of the next stage that is not met.
pub(super) struct Unmet {
    /// For the reason of an end, where numbers of a moment would mislead.
    pub(super) kind: &'static str,
    pub(super) sentence: String,
}

impl Rollout {
    /// Everything that the next step waits for, beside [`why`](Self::why) and as far as the last look shows it; empty if only
    /// time has to pass.
    pub fn waits(&self, look: Option<&Look>, at: Duration) -> Vec<String> {
        let mut waits = match &self.state {
            State::Checking => self.start_waits(look),
            State::Soaking { .. } | State::Waiting { .. } => self.stage_waits(look, at),
            State::RollingBack { remaining } => self.capacity(remaining.first()).into_iter().collect(),
            State::Recovering { .. } => match look.map(|look| &look.recovery) {
                Some(Finding::Waiting(why) | Finding::Bad(why)) => {
                    vec![format!("the service has not recovered: {why}")]
                }
                _ => Vec::new(),
            },
            State::Moving { .. } | State::Promoting { .. } | State::Done(_) => Vec::new(),
        };
        let tried_again = |doing: &Doing| doing.failed.clone().map(|why| format!("tried again: {why}"));
        waits.extend(self.doing.as_ref().and_then(tried_again));
        waits.extend(self.often_restarted());
        waits.extend(self.differs.as_ref().map(|why| format!("the weight is not the one that was set: {why}")));
        waits
    }

    /// The sentence about a controller that crashes again and again.
    pub(super) fn often_restarted(&self) -> Option<String> {
        let (restarts, state) = (self.restarts, self.name().replace('_', " "));
        (restarts >= RESTARTS).then(|| {
            format!("the controller was started {restarts} times while {state}, and its time began anew each time")
        })
    }

    fn start_waits(&self, look: Option<&Look>) -> Vec<String> {
        let mut waits = self.unready();
        match look {
            Some(look) if look.decision == Decision::Pause => {
                waits.push(format!("the verdict is pause: {}", look.sentence));
            }
            None if self.canary.is_none() && self.stable.is_none() => waits.push("nothing is measured yet".to_owned()),
            _ => {}
        }
        waits
    }

    fn stage_waits(&self, look: Option<&Look>, at: Duration) -> Vec<String> {
        let (Some((_, of)), Some(look)) = (self.stage(), look) else { return Vec::new() };
        let is_late = self.elapsed(at) >= of.min || matches!(self.state, State::Waiting { .. });
        let unmet = self.unmet(of, look).into_iter().filter(|unmet| is_late || unmet.kind == READINESS);
        unmet.map(|unmet| unmet.sentence).collect()
    }

    /// Conditions of the next stage that a look does not meet.
    pub(super) fn unmet(&self, of: &Stage, look: &Look) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        let mut add = |kind, sentence| unmet.push(Unmet { kind, sentence });
        if let Some(Ready { ready, total }) = look.canary.filter(|canary| !canary.is_whole()) {
            add(READINESS, format!("{ready} of {total} instances of {} are ready", self.plan.artifact));
        }
        if look.samples < f64::from(of.samples) {
            add("too few canary requests", format!("{:.0} of {} canary requests", look.samples, of.samples));
        }
        if look.decision != Decision::Continue {
            add("no verdict to go on", format!("the verdict is {}: {}", look.decision.as_str(), look.sentence));
        }
        if look.watched < of.min {
            let (seen, min) = (look.watched.as_secs(), of.min.as_secs_f64());
            add(DATA, format!("data with a verdict to go on in {seen} of {min:.0} s"));
        }
        unmet
    }

    /// Causes for which no traffic is given to the release yet.
    pub(super) fn unready(&self) -> Vec<String> {
        let mut causes = Vec::new();
        if let Some(Ready { ready, total }) = self.sick_stable() {
            let previous = &self.plan.previous;
            causes.push(format!(
                "{ready} of {total} instances of {previous}, which a rollback would return to, are ready"
            ));
        }
        if let Some(Ready { ready, total }) = self.canary.filter(|canary| !canary.is_whole()) {
            causes.push(format!("{ready} of {total} instances of {} are ready", self.plan.artifact));
        }
        causes
    }

    /// Instances of the previous version, if it could not take the traffic back.
    pub(super) fn sick_stable(&self) -> Option<Ready> {
        self.stable.filter(|stable| stable.ready * 2 < stable.total)
    }

    fn capacity(&self, next: Option<&Step>) -> Option<String> {
        let is_waiting = next == Some(&Step::Weight) && self.doing.is_none() && self.escalated.is_none();
        let Ready { ready, .. } = self.stable.filter(|_| is_waiting)?;
        let needed = self.plan.instances_for_full_traffic?;
        let (weight, previous) = (self.weight, &self.plan.previous);
        Some(format!(
            "{weight} % stay until {previous} can carry more: {ready} instances are ready, and {needed} carry all of the traffic"
        ))
    }

    /// The sentence about an approval that is missing.
    pub(super) fn approval(&self) -> Option<String> {
        let gate = match self.state {
            State::Checking => self.plan.start,
            State::Waiting { .. } => self.stage()?.1.gate,
            _ => return None,
        };
        let service = &self.plan.service;
        let hint = format!("it needs an approval: backstop rollout approve {service} --reason \"..\"");
        match gate {
            _ if self.is_approved => None,
            Gate::Auto => None,
            Gate::Manual => Some(hint),
            Gate::Timed => {
                let longest = self.stage()?.1.max.as_secs();
                Some(format!("{hint}; without one it goes on after {longest} s of the stage"))
            }
        }
    }
}

pub(super) const READINESS: &str = "instances that are not ready";
pub(super) const DATA: &str = "too little time with data and a verdict to go on";

/// Kinds of what is missing for a recovery: `errors`, `latency`, `readiness`, `data`.
pub(super) fn missing(recovery: &Finding) -> Vec<String> {
    match recovery {
        Finding::Good => Vec::new(),
        Finding::Waiting(why) | Finding::Bad(why) => {
            let kind = |part: &str| part.split_once(':').map(|(kind, _)| kind.to_owned());
            why.split("; ").filter_map(kind).collect()
        }
    }
}
