//! Rules between the fields of a plan, and what is allowed but deserves a second thought.

use super::model::{Action, ActionKind, DataKind, MOVE_ATTEMPTS, Plan, TrafficKind};
use crate::config::Problems;
use crate::rollback::fields::show;
use std::time::Duration;

pub(super) fn check(plan: &Plan, problems: &mut Problems) {
    if plan.artifact == plan.previous && !plan.previous.is_empty() {
        problems.add("previous", &plan.previous, "another artifact than the one that is released");
    }
    stages(plan, problems);
    order(plan, problems);
    data(plan, problems);
    let timeouts = plan.timeouts();
    if timeouts > plan.budget {
        let parts = match &plan.traffic {
            Some(_) => format!("{MOVE_ATTEMPTS} attempts to move the traffic, rollback and preserve"),
            None => "rollback and preserve".to_owned(),
        };
        let sum = format!("{} (the timeouts of {parts} add up to {})", show(plan.budget), show(timeouts));
        problems.add("budget", sum, "at least the sum of the timeouts");
    }
    let is_fixed = |argv: &[String]| !argv.is_empty() && !argv.iter().any(|word| word.contains("{weight}"));
    if let Some(traffic) = plan.traffic.as_ref().filter(|traffic| traffic.kind == TrafficKind::Command)
        && is_fixed(&traffic.argv)
    {
        problems.add(
            "traffic.argv",
            traffic.argv.join(" "),
            "a command with {weight}, which is the stage's percentage",
        );
    }
}

fn stages(plan: &Plan, problems: &mut Problems) {
    let weights: Vec<_> = plan.stages.iter().map(|stage| stage.weight).collect();
    if weights.contains(&0) {
        return; // reported where it was read
    }
    for (at, pair) in weights.windows(2).enumerate().filter(|(_, pair)| pair[1] <= pair[0]) {
        problems.add(format!("stage[{}].weight", at + 1), pair[1], format!("above the stage before it ({})", pair[0]));
    }
    match weights.last() {
        None => problems.add("stage", "empty list", "left out, or end with a stage of weight 100"),
        Some(100) => {}
        Some(last) => problems.add(format!("stage[{}].weight", weights.len() - 1), last, "100 in the last stage"),
    }
}

fn order(plan: &Plan, problems: &mut Problems) {
    let mut is_shifted = false;
    for (at, action) in plan.rollback.iter().enumerate() {
        let field = format!("rollback[{at}].kind");
        is_shifted |= action.kind == ActionKind::TrafficShift;
        if plan.forward_fix_only && action.kind.is_return() {
            let allowed =
                "kill_switch or flag in a plan with forward_fix_only: the previous version must not take over";
            problems.add(field, action.kind, allowed);
        } else if action.kind == ActionKind::ScaleDown && !is_shifted {
            problems.add(field, action.kind, "after a traffic_shift: instances that still have traffic would fail it");
        }
        if action.argv.iter().chain(action.verify.iter().flatten()).any(|word| word.contains("{weight}")) {
            let allowed = "the weight itself: the commands of a rollback are run and pasted as they are";
            problems.add(format!("rollback[{at}]"), "\"{weight}\"", allowed);
        }
        if action.kind == ActionKind::VersionPin
            && names(action, &plan.artifact, &plan.previous)
            && !names(action, &plan.previous, &plan.artifact)
        {
            let argv = action.argv.join(" ");
            problems.add(format!("rollback[{at}].argv"), argv, "a command that pins the previous artifact");
        }
    }
    if plan.rollback.is_empty() {
        let hint = if plan.forward_fix_only {
            "required: a kill_switch or flag action, as the release cannot be rolled back"
        } else {
            "required: at least one action, or forward_fix_only = true if there is no way back"
        };
        problems.add("rollback", hint, "");
    }
}

/// Whether an action names an artifact. `1.2` is a part of `1.2.4`, and so is not named by it.
fn names(action: &Action, artifact: &str, other: &str) -> bool {
    let is_part = other.contains(artifact);
    let mut words = action.argv.iter();
    words.any(|word| if is_part { word.replace(other, "").contains(artifact) } else { word.contains(artifact) })
}

fn data(plan: &Plan, problems: &mut Problems) {
    if plan.data.is_empty() {
        problems.add("data", "required: at least one change; kind = \"none\" if no data changes", "");
    }
    for (at, change) in plan.data.iter().enumerate() {
        if change.kind == DataKind::None && plan.data.len() > 1 {
            problems.add(format!("data[{at}].kind"), change.kind, "the only entry if no data changes");
        }
        if !change.reversible && change.kind != DataKind::None && !plan.forward_fix_only {
            let allowed = "true, as the rollback returns to the previous version; if that cannot work on the changed data, \
                           set forward_fix_only = true";
            problems.add(format!("data[{at}].reversible"), false, allowed);
        }
    }
}

impl Plan {
    /// Sum of all time limits of a rollback. With `[traffic]`, its mover has the place of the traffic shift, and each of its
    /// six attempts may take its whole timeout.
    pub fn timeouts(&self) -> Duration {
        let moves = self.traffic.iter().map(|traffic| traffic.timeout.saturating_mul(MOVE_ATTEMPTS));
        let is_run = |action: &&Action| self.traffic.is_none() || action.kind != ActionKind::TrafficShift;
        let actions = self.rollback.iter().filter(is_run).map(|action| action.timeout);
        let preserve = self.preserve.iter().map(|preserve| preserve.timeout);
        moves.chain(actions).chain(preserve).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// What is allowed but may cost time in an incident, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let position = |kind| self.rollback.iter().position(|action| action.kind == kind);
        // A traffic shift of a plan with [traffic] is carried out by the load balancer's own actuator, which reads back.
        let is_blind = |action: &Action| {
            action.verify.is_none() && (action.kind != ActionKind::TrafficShift || self.traffic.is_none())
        };
        for (at, action) in self.rollback.iter().enumerate().filter(|(_, action)| is_blind(action)) {
            let then = if action.idempotent { "" } else { ", and it cannot be repeated after an interruption" };
            warnings.push(format!("rollback[{at}] ({}) has no verify: nothing confirms its effect{then}", action.kind));
        }
        for (at, action) in self.rollback.iter().enumerate() {
            if let Some(before) = self.rollback[..at].iter().position(|before| before.argv == action.argv) {
                warnings.push(format!("rollback[{at}] has the command of rollback[{before}]: it runs twice"));
            }
        }
        let shift = position(ActionKind::TrafficShift);
        let pin = position(ActionKind::VersionPin);
        if !self.forward_fix_only && shift.is_none() && pin.is_none() {
            warnings
                .push("no action returns to the previous artifact: kill switches and flags have to suffice".to_owned());
        }
        if let (Some(pin), Some(shift)) = (pin, shift)
            && pin < shift
        {
            warnings.push("version_pin is before traffic_shift: users wait for the deployment".to_owned());
        }
        if self.timeouts().saturating_add(self.recovery.lasts) > self.budget {
            let (timeouts, lasts) = (show(self.timeouts()), show(self.recovery.lasts));
            let budget = show(self.budget);
            warnings
                .push(format!("timeouts of {timeouts} leave no {lasts} to confirm recovery in the budget of {budget}"));
        }
        warnings
    }
}
