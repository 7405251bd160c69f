//! From one event to the next state.

use super::event::{Action, Event, Job, Look, Outcome, Reading, Ready, Step};
use super::quiet::{other_share, too_quiet};
use super::retreat::Cause;
use super::state::{Doing, End, Rollout, State};
use super::waits::{DATA, missing};
use crate::rollback::Decision;
use crate::rollback::plan::{Gate, Level, MOVE_ATTEMPTS};
use crate::rollout::soak::Outcome as Soaked;
use std::time::Duration;

/// Pauses before the attempts at a weight: enough for a load balancer that restarts.
const PAUSES: [Duration; MOVE_ATTEMPTS as usize - 1] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

impl Rollout {
    /// Takes an event at this time since the rollout began, which never goes back, and returns what to do.
    pub fn step(&mut self, event: &Event, at: Duration) -> Vec<Action> {
        let mut out = Vec::new();
        if self.end().is_some() && !matches!(event, Event::Asked { .. }) {
            return out;
        }
        match event {
            Event::Started { by, .. } => {
                let (artifact, service) = (&self.plan.artifact, &self.plan.service);
                let text = format!("{by} started the rollout of {artifact} for {service}");
                out.push(Action::Alert { level: Level::Info, text });
                out.push(Action::Stage { weight: 0 });
                self.begin(Job::Move { weight: 0, cut: false }, &mut out);
            }
            Event::Resumed => self.resumed(at, &mut out),
            Event::Lost { why } => self.lost(why, at, &mut out),
            Event::Looked(look) => self.looked(look, at, &mut out),
            Event::Finished { key, outcome } => self.finished(*key, outcome, at, &mut out),
            Event::Weight { reading } => self.read_back(reading, &mut out),
            Event::Asked { ask, by, reason, .. } => self.asked(ask, by, reason, at, &mut out),
            Event::Clock => {}
        }
        self.timed(at, &mut out);
        out
    }

    /// An action that was in progress may or may not have been done, and the time without a controller is no time of a
    /// stage: nothing was seen of it.
    fn resumed(&mut self, at: Duration, out: &mut Vec<Action>) {
        out.push(Action::Stage { weight: self.weight });
        if let Some(why) = self.escalated.clone() {
            out.push(Action::Alert { level: Level::Page, text: format!("{why}. {} decides", self.contact()) });
        }
        let is_long_ago = at.saturating_sub(self.entered) >= self.longest_job();
        self.begin_anew(at);
        self.restarts = self.restarts.saturating_add(1);
        if let Some(often) = self.often_restarted().filter(|_| self.restarts.is_power_of_two()) {
            let text = format!("{often}: it may never end. {} decides", self.contact());
            out.push(Action::Alert { level: Level::Page, text });
        }
        let Some(Doing { job, due, .. }) = self.doing.take() else { return };
        match self.state {
            // ## Moving => (Soaking | Checking): the decision rests on what was seen then.
            State::Moving { stage } if is_long_ago => {
                let before = stage.checked_sub(1).map_or(State::Checking, |stage| State::Soaking { stage });
                self.enter(before, at);
                return self.begin(Job::Move { weight: self.weight, cut: false }, out);
            }
            _ => {}
        }
        let job = match job {
            Job::Run { step, is_again } => Job::Run { step, is_again: is_again || due.is_none() },
            moves @ Job::Move { .. } => moves,
        };
        self.begin(job, out);
    }

    /// The release may have any share of the traffic: all of it is assumed, so that each step of the plan is taken.
    fn lost(&mut self, why: &str, at: Duration, out: &mut Vec<Action>) {
        (self.weight, self.is_lost) = (100, true);
        self.enter(State::Soaking { stage: self.plan.stages.len().saturating_sub(1) }, at);
        // Until a rollback is asked for: the assumed share must not be set.
        self.escalate(format!("the state of the rollout is lost, and the plan alone says what is done: {why}"), out);
    }

    fn looked(&mut self, look: &Look, at: Duration, out: &mut Vec<Action>) {
        (self.canary, self.stable) = (look.canary, look.stable);
        if look.decision == Decision::Rollback && self.decided.is_none() {
            return self.rollback_is_due(&look.sentence, at, out);
        }
        // ## Soaking, paused by a verdict <=> Soaking
        match look.decision {
            Decision::Pause if self.held.is_none() && self.stage().is_some() => {
                let text = format!("paused at {} %: {}", self.weight, look.sentence);
                out.push(Action::Alert { level: Level::Notify, text });
                self.held = Some((look.sentence.clone(), at));
            }
            Decision::Continue if self.held.is_some() => self.let_go(at, |rollout| rollout.held = None),
            _ => {}
        }
        match self.state.clone() {
            State::Checking => self.check(look, at, out),
            State::Soaking { stage } | State::Waiting { stage } => self.soak(stage, look, at, out),
            State::RollingBack { .. } => self.retreat_on(at, out),
            State::Recovering { mut soak } => {
                self.missing = missing(&look.recovery);
                let outcome = soak.0.look(at.saturating_sub(self.entered), &[(String::new(), look.recovery.clone())]);
                self.state = State::Recovering { soak };
                if outcome == Soaked::Passed && self.doing.is_none() && self.escalated.is_none() {
                    // ## Recovering => Done
                    self.finish(End::RolledBack, at, out);
                }
            }
            State::Moving { .. } | State::Promoting { .. } | State::Done(_) => {}
        }
    }

    fn rollback_is_due(&mut self, why: &str, at: Duration, out: &mut Vec<Action>) {
        match &mut self.disabled {
            None => self.retreat(Cause::of(why), at, out),
            Some(window) if window.is_paged => {}
            Some(window) => {
                window.is_paged = true;
                let text = format!(
                    "a rollback is due and automation is disabled: {} decides, who disabled it ({}). {why}",
                    window.owner, window.reason
                );
                out.push(Action::Alert { level: Level::Page, text });
            }
        }
    }

    /// Returns whether nothing but the release itself keeps it from more traffic.
    pub(super) fn may_advance(&self) -> bool {
        let is_free = self.doing.is_none() && self.escalated.is_none() && self.decided.is_none();
        is_free && self.paused.is_none() && self.disabled.is_none() && self.held.is_none()
    }

    // ## Checking => Moving
    fn check(&mut self, look: &Look, at: Duration, out: &mut Vec<Action>) {
        if self.sick_stable().is_some() {
            let stable = &self.plan.previous;
            let text =
                format!("the rollout does not start: {stable}, which a rollback would return to, is not healthy");
            return self.report("stable", Level::Notify, text, out);
        }
        if self.plan.start == Gate::Manual && !self.is_approved {
            let text = format!("an approval is needed before {} gets traffic", self.plan.artifact);
            return self.report("approval", Level::Notify, text, out);
        }
        let is_ready = self.canary.is_none_or(Ready::is_whole) && look.decision != Decision::Pause;
        if is_ready && self.may_advance() {
            self.advance_to(0, at, out);
        }
    }

    // ## Soaking => (Waiting | Moving | Promoting)
    fn soak(&mut self, stage: usize, look: &Look, at: Duration, out: &mut Vec<Action>) {
        let Some(of) = self.plan.stages.get(stage).cloned() else { return };
        let elapsed = self.elapsed(at);
        let has_samples = look.samples >= f64::from(of.samples);
        let unmet = self.unmet(&of, look);
        let is_decided = unmet.is_empty() && elapsed >= of.min;
        if elapsed >= of.min {
            self.missing = unmet.iter().map(|unmet| unmet.kind.to_owned()).collect();
        }
        if elapsed >= of.min && !has_samples {
            let text = too_quiet(of.weight, look.samples, of.samples, elapsed, of.max);
            self.report("quiet", Level::Notify, text, out);
        }
        if let Some(text) = other_share(of.weight, look) {
            self.report("share", Level::Notify, text, out);
        }
        if !is_decided || !self.may_advance() {
            if matches!(self.state, State::Waiting { .. }) && look.decision != Decision::Continue {
                // ## Waiting => Soaking: the wait for a person was no time in which the stage could have been decided.
                if of.gate == Gate::Manual {
                    self.entered = self.entered.saturating_add(elapsed.saturating_sub(of.min));
                }
                self.state = State::Soaking { stage };
            }
            return;
        }
        let is_open = match of.gate {
            Gate::Auto => true,
            Gate::Timed => self.is_approved || elapsed >= of.max,
            Gate::Manual => self.is_approved,
        };
        if is_open {
            self.advance_to(stage + 1, at, out);
        } else {
            self.state = State::Waiting { stage };
            let text = format!("the stage of {} % is decided and waits for an approval: {}", of.weight, look.sentence);
            self.report("approval", Level::Notify, text, out);
        }
    }

    fn advance_to(&mut self, stage: usize, at: Duration, out: &mut Vec<Action>) {
        if let Some(of) = self.plan.stages.get(stage) {
            let weight = of.weight;
            self.enter(State::Moving { stage }, at);
            self.begin(Job::Move { weight, cut: false }, out);
        } else {
            self.promote(0, at, out);
        }
    }

    // ## Promoting => (Promoting | Done)
    pub(super) fn promote(&mut self, next: usize, at: Duration, out: &mut Vec<Action>) {
        if next < self.plan.promote.len() {
            self.enter(State::Promoting { next }, at);
            self.promote_on(next, out);
        } else {
            self.finish(End::Promoted, at, out);
        }
    }

    /// Begins the next command of the promotion, unless something keeps the rollout.
    fn promote_on(&mut self, next: usize, out: &mut Vec<Action>) {
        if self.may_advance() {
            self.begin(Job::Run { step: Step::Promote(next), is_again: false }, out);
        }
    }

    fn finished(&mut self, key: u64, outcome: &Outcome, at: Duration, out: &mut Vec<Action>) {
        let Some(doing) = self.doing.take_if(|doing| doing.key == key && doing.due.is_none()) else { return };
        match (outcome, &doing.job) {
            (Outcome::Done, Job::Move { weight, .. }) => {
                self.weight = *weight;
                match self.state {
                    // ## Moving => Soaking
                    State::Moving { stage } => {
                        self.enter(State::Soaking { stage }, at);
                        out.push(Action::Stage { weight: *weight });
                    }
                    State::RollingBack { ref remaining } if remaining.first() == Some(&Step::Weight) => {
                        self.retreated(at, out);
                    }
                    State::RollingBack { .. } => self.retreat_on(at, out),
                    _ => {}
                }
            }
            (Outcome::Done, Job::Run { step: Step::Promote(done), .. }) => self.promote(done + 1, at, out),
            (Outcome::Done, Job::Run { .. }) => self.retreated(at, out),
            (Outcome::Failed { why, is_final }, _) => self.failed(doing, why, *is_final, at, out),
        }
    }

    fn failed(&mut self, doing: Doing, why: &str, is_final: bool, at: Duration, out: &mut Vec<Action>) {
        let pauses: &[Duration] = match doing.job {
            Job::Move { .. } => &PAUSES,
            Job::Run { step, .. } if self.command(step).is_some_and(|action| action.idempotent) => &PAUSES[..1],
            Job::Run { .. } => &[],
        };
        if let Some(pause) = pauses.get(doing.failures).filter(|_| !is_final) {
            let due = Some(at.saturating_add(*pause));
            self.doing = Some(Doing { failures: doing.failures + 1, failed: Some(why.to_owned()), due, ..doing });
            return;
        }
        match doing.job {
            Job::Move { weight, .. } => self.escalate(format!("the weight of {weight} % could not be set: {why}"), out),
            Job::Run { step: Step::Preserve(place), .. } => {
                let text = format!("preserve[{place}] failed, and the rollback goes on without it: {why}");
                out.push(Action::Alert { level: Level::Info, text });
                self.retreated(at, out);
            }
            Job::Run { step, .. } => {
                let name = self.name_of(step);
                self.escalate(format!("{name} failed: {why}"), out);
            }
        }
    }

    /// The weight was looked at while nothing moved it.
    fn read_back(&mut self, reading: &Reading, out: &mut Vec<Action>) {
        if self.expected().is_none() {
            return;
        }
        match reading {
            Reading::Same => (self.unread, self.differs) = (None, None),
            Reading::Unknown { why } => {
                if self.unread.is_none() {
                    let text = format!("the weight cannot be read, and {} % is assumed: {why}", self.weight);
                    out.push(Action::Alert { level: Level::Notify, text });
                }
                self.unread = Some(why.clone());
            }
            Reading::Differs { why } if self.is_hands_off() => {
                if self.differs.is_none() {
                    let text = format!(
                        "the weight is not the {} % that were set, and a person has to act: {why}",
                        self.weight
                    );
                    self.report("differs", Level::Notify, text, out);
                    self.differs = Some(why.clone());
                }
            }
            Reading::Differs { why } if self.has_drifted => {
                let text = format!("the weight was changed from outside again: {why}");
                if self.escalated.is_some() {
                    self.report("drift", Level::Page, text.clone(), out);
                }
                self.escalate(text, out);
            }
            Reading::Differs { why } => {
                (self.has_drifted, self.differs) = (true, None);
                let (weight, text) = (self.weight, format!("the weight was changed from outside: {why}"));
                out.push(Action::Alert { level: Level::Notify, text: format!("{text}; {weight} % is set again") });
                let cut = self.decided.as_ref().is_some_and(|decided| decided.is_cut);
                self.begin(Job::Move { weight, cut }, out);
            }
        }
    }

    /// Changes by time alone.
    fn timed(&mut self, at: Duration, out: &mut Vec<Action>) {
        if self.end().is_some() {
            return;
        }
        if let Some(window) = self.disabled.clone().filter(|window| window.until <= at) {
            self.let_go(at, |rollout| rollout.disabled = None);
            let text = format!("automation is enabled again: the time that {} set is over", window.owner);
            out.push(Action::Alert { level: Level::Info, text });
        }
        // More traffic waits for whatever holds the rollout.
        let is_held = self.paused.is_some() || self.disabled.is_some() || self.held.is_some();
        let weight = self.weight;
        let may_go = |job: &Job| !is_held || !matches!(job, Job::Move { weight: next, .. } if *next > weight);
        let is_due = |doing: &&mut Doing| doing.due.is_some_and(|due| due <= at) && may_go(&doing.job);
        if let Some(doing) = self.doing.as_mut().filter(is_due) {
            self.keys += 1;
            (doing.key, doing.due) = (self.keys, None);
            out.push(Action::Do { key: doing.key, job: doing.job.clone() });
        }
        self.call(at, out);
        if self.decided.is_some() || self.escalated.is_some() || self.paused.is_some() || self.disabled.is_some() {
            return;
        }
        let elapsed = self.elapsed(at);
        match &self.state {
            State::Checking if self.plan.start == Gate::Manual && !self.is_approved => {}
            State::Checking if elapsed >= self.plan.stages.first().map_or(Duration::MAX, |stage| stage.max) => {
                let causes = self.unready();
                let causes = match causes.is_empty() {
                    true if self.canary.is_none() => "nothing was measured of its instances".to_owned(),
                    true => "no look let it begin".to_owned(),
                    false => causes.join("; "),
                };
                let why = format!("{} was not ready for traffic in time: {causes}", self.plan.artifact);
                self.retreat(Cause::of(&why), at, out);
            }
            // ## Soaking => RollingBack
            State::Soaking { stage } => {
                let Some(of) = self.plan.stages.get(*stage) else { return };
                let (weight, max) = (of.weight, of.max);
                match &self.held {
                    Some((_, since)) if at.saturating_sub(*since) >= max => {
                        let text = format!("still paused at {weight} %: {} decides", self.contact());
                        self.report("held", Level::Page, text, out);
                    }
                    None if elapsed >= max => {
                        let missing = if self.missing.is_empty() { DATA.to_owned() } else { self.missing.join(", ") };
                        let why =
                            format!("the stage of {weight} % was not decided within its longest duration: {missing}");
                        self.retreat(Cause::of(&why), at, out);
                    }
                    _ => {}
                }
            }
            State::Promoting { next } if self.doing.is_none() => self.promote_on(*next, out),
            State::Moving { .. } | State::Promoting { .. } if elapsed >= self.longest_job() => {
                self.escalate("an action has not ended in its time".to_owned(), out);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, end: End, at: Duration, out: &mut Vec<Action>) {
        let (artifact, previous) = (&self.plan.artifact, &self.plan.previous);
        let text = match end {
            End::Promoted => format!("{artifact} is promoted"),
            End::RolledBack => format!("{artifact} is rolled back to {previous}, and the service has recovered"),
            End::Superseded => format!("{artifact} has no traffic: another release takes its place"),
            End::Aborted => format!("the rollout of {artifact} ended before it had traffic"),
        };
        let level = if end == End::Promoted { Level::Info } else { Level::Notify };
        out.push(Action::Alert { level, text });
        self.enter(State::Done(end), at);
        self.escalated = None;
    }
}
