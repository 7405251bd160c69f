//! A person's commands.

use super::event::{Action, Ask, Job};
use super::retreat::Cause;
use super::state::{Doing, End, Rollout, State, Window};
use crate::rollback::plan::{Gate, Level};
use std::time::Duration;

impl Rollout {
    pub(super) fn asked(&mut self, ask: &Ask, by: &str, reason: &str, at: Duration, out: &mut Vec<Action>) {
        let answer = self.answer(ask, by, reason, at, out);
        if answer.is_ok() && !matches!(ask, Ask::Rollback { .. } | Ask::Reject | Ask::Supersede { .. }) {
            let text = format!("{by} asked to {} the rollout of {}: {reason}", ask.as_str(), self.plan.artifact);
            out.push(Action::Alert { level: Level::Info, text });
        }
        let (is_accepted, text) = match answer {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        out.push(Action::Answer { is_accepted, text });
    }

    fn answer(
        &mut self,
        ask: &Ask,
        by: &str,
        reason: &str,
        at: Duration,
        out: &mut Vec<Action>,
    ) -> Result<String, String> {
        if let Some(end) = self.end()
            && !(matches!(ask, Ask::Rollback { .. }) && end == End::Promoted)
        {
            return Err(format!("the rollout of {} has ended: {}", self.plan.artifact, end.as_str().replace('_', " ")));
        }
        match ask {
            Ask::Approve => self.approve(by, reason, at, out),
            Ask::Reject => {
                self.back(&format!("rejected by {by}: {reason}"), false, at, out);
                Ok("rejected: traffic returns to the previous version".to_owned())
            }
            Ask::Rollback { cut } => Ok(self.back(&format!("rolled back by {by}: {reason}"), *cut, at, out)),
            Ask::Pause if self.is_retreat() => Err("a rollback cannot be paused".to_owned()),
            Ask::Pause => {
                if let Some((by, reason, _)) = &self.paused {
                    return Ok(format!("it is paused already, by {by}: {reason}"));
                }
                self.paused = Some((by.to_owned(), reason.to_owned(), at));
                let next = match &self.doing {
                    Some(Doing { job: Job::Move { weight, .. }, due: None, .. }) if *weight > self.weight => {
                        format!(", when {weight} % are set")
                    }
                    _ => String::new(),
                };
                Ok(format!("paused at {} %{next}; a verdict still rolls back", self.weight))
            }
            Ask::Resume => self.resume(at, out),
            Ask::Disable { .. } if self.is_retreat() => {
                Err("it is rolling back, which a maintenance window does not stop".to_owned())
            }
            Ask::Disable { seconds } => {
                let until = at.saturating_add(Duration::from_secs(*seconds));
                let (owner, reason) = (by.to_owned(), reason.to_owned());
                let since = self.disabled.as_ref().map_or(at, |window| window.since);
                self.disabled = Some(Window { owner, reason, since, until, is_paged: false });
                Ok(format!("automation is disabled for {seconds} s: {by} is paged instead of a rollback"))
            }
            Ask::Enable if self.disabled.is_none() => Err("automation is not disabled".to_owned()),
            Ask::Enable => {
                self.let_go(at, |rollout| rollout.disabled = None);
                Ok("automation is enabled".to_owned())
            }
            Ask::Supersede { artifact } => {
                if let Some(why) = self.escalated.as_ref().filter(|_| self.is_retreat()) {
                    let (artifact, service) = (&self.plan.artifact, &self.plan.service);
                    return Err(format!(
                        "{artifact} has not been rolled back to its end: {why}. `backstop rollout resume {service}` tries again, \
                         and `backstop rollout status {service}` shows it"
                    ));
                }
                if self.is_retreat() {
                    return Ok("it is rolling back already".to_owned());
                }
                if self.plan.forward_fix_only && self.weight > 0 {
                    return Err(format!("{} can only be fixed forward: it keeps its traffic", self.plan.artifact));
                }
                let reason = format!("{by} starts {artifact}");
                self.retreat(Cause { reason, is_cut: false, is_superseded: true }, at, out);
                Ok("traffic returns to the previous version".to_owned())
            }
        }
    }

    fn approve(&mut self, by: &str, reason: &str, at: Duration, out: &mut Vec<Action>) -> Result<String, String> {
        if self.is_retreat() || matches!(self.state, State::Promoting { .. }) {
            let state = self.name().replace('_', " ");
            return Err(format!("there is nothing to approve: the rollout is {state}"));
        }
        if let (State::Moving { .. }, None, Some((_, stage))) = (&self.state, &self.held, self.stage()) {
            let weight = stage.weight;
            return Err(format!("the weight of {weight} % is being set: approve when its stage has begun"));
        }
        if matches!(self.state, State::Checking) && !self.is_approved {
            self.entered = at; // its deadline begins with the approval
        }
        let gate = self.stage().map_or(self.plan.start, |(_, stage)| stage.gate);
        let hint = self.stopped_by();
        if self.held.is_none() && gate == Gate::Auto {
            let hint = hint.unwrap_or_else(|| format!("{} goes on by itself", self.name()));
            return Err(format!("there is nothing to approve: {hint}"));
        }
        self.is_approved = true;
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        if self.held.is_some() {
            self.let_go(at, |rollout| rollout.held = None);
            out.push(Action::Override { by: by.to_owned(), reason: reason.to_owned() });
            let hint = if hint.is_empty() { ": the rollout goes on" } else { &*hint };
            return Ok(format!("approved against the verdict{hint}"));
        }
        Ok(format!("approved{hint}"))
    }

    /// What keeps the rollout from going on whatever is approved, and the command against it.
    fn stopped_by(&self) -> Option<String> {
        let service = &self.plan.service;
        let escalated = self.escalated.as_ref().map(|why| format!("{why}: `resume {service}` tries again"));
        let paused = self.paused.as_ref().map(|(by, ..)| format!("it is paused by {by}: `resume {service}` ends that"));
        let window =
            |window: &Window| format!("automation is disabled by {}: `enable {service}` ends that", window.owner);
        escalated.or(paused).or_else(|| self.disabled.as_ref().map(window))
    }

    fn back(&mut self, reason: &str, is_cut: bool, at: Duration, out: &mut Vec<Action>) -> String {
        let weight = self.weight;
        if !self.is_retreat() {
            self.retreat(Cause { reason: reason.to_owned(), is_cut, is_superseded: false }, at, out);
            return format!("rolling back from {weight} %");
        }
        if is_cut {
            self.cut(at, out);
            return format!("rolling back from {weight} % at once");
        }
        "it is rolling back already".to_owned()
    }

    fn resume(&mut self, at: Duration, out: &mut Vec<Action>) -> Result<String, String> {
        let was_paused = self.paused.is_some();
        self.let_go(at, |rollout| rollout.paused = None);
        if self.escalated.take().is_none() {
            let neither = "it is neither paused nor waiting for a person".to_owned();
            return if was_paused { Ok("resumed".to_owned()) } else { Err(neither) };
        }
        self.has_drifted = false;
        self.cancel(out);
        match self.state {
            State::Moving { stage } => {
                self.enter(State::Moving { stage }, at);
                let weight = self.plan.stages.get(stage).map_or(0, |of| of.weight);
                self.begin(Job::Move { weight, cut: false }, out);
            }
            State::RollingBack { ref remaining } => {
                // A person has looked at the command that may have been done.
                let next = remaining.first().copied();
                self.decided.iter_mut().for_each(|decided| decided.doubtful.retain(|step| Some(*step) != next));
                self.retreat_on(at, out);
            }
            State::Promoting { next } => self.promote(next, at, out),
            _ => {
                let cut = self.decided.as_ref().is_some_and(|decided| decided.is_cut);
                self.begin(Job::Move { weight: self.weight, cut }, out);
            }
        }
        Ok("tried again".to_owned())
    }
}
