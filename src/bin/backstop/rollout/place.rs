//! The place of a new rollout: the lock of its service, which a rollout of another artifact has to leave first.

use super::earlier::Earlier;
use super::service::{controller, run, say};
use crate::output::Failure;
use crate::text::shown;
use backstop::clock::Clock;
use backstop::rollback::plan::Plan;
use backstop::rollout::controller::{Ended, Status, silence};
use backstop::rollout::requests::Request;
use backstop::rollout::stages::Ask;
use backstop::rollout::state_dir::{Holder, Lock, StateDir};
use std::thread;
use std::time::Duration;

/// Between two tries at the lock of a rollout that ends.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for the controller's answer: one that waits for a person refuses at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// A wait that is longer is said.
const QUIET: Duration = Duration::from_secs(1);

/// Takes the lock. A rollout of another artifact in progress loses its place first; a person's budget is the limit of that.
pub(super) fn lock(dir: &StateDir, plan: &Plan, text: &str, by: &str) -> Result<Lock, Failure> {
    let holder = Holder::new(by, &format!("rollout start {}", plan.artifact));
    let clock = Clock::system();
    let begun = clock.now();
    let (mut asked, mut is_answered, mut said) = (None, false, String::new());
    loop {
        match dir.lock(&holder)? {
            Ok(lock) => {
                let other = Earlier::unfinished(dir)?.filter(|latest| latest.text != text);
                let Some(Earlier { artifact: old, .. }) = other else { return Ok(lock) };
                // Its controller was killed: its traffic returns here.
                let mut old_controller = controller(dir, lock, by)?;
                let answer = old_controller.ask(supersede(plan, by));
                if !answer.is_accepted && old_controller.rollout().end().is_none() {
                    return Err(Failure::Refused { code: "refused", message: answer.text });
                }
                let (ended, held) = run(dir, old_controller, say);
                if !matches!(ended, Ended::Done(_)) {
                    return Err(held);
                }
                say(&format!("{old} lost its place"));
            }
            Err(other) => {
                if Earlier::unfinished(dir)?.is_some_and(|latest| latest.artifact == plan.artifact) {
                    let message = format!("a rollout of {} is in progress, held by {other}", plan.artifact);
                    return Err(Failure::Refused { code: "in_progress", message });
                }
                let request = asked.take().map_or_else(
                    || {
                        let request = supersede(plan, by);
                        request.send(dir).map(|()| request)
                    },
                    Ok,
                )?;
                if let Some(answer) = request.answer(dir, PAUSE) {
                    is_answered = true;
                    if !answer.is_accepted {
                        return Err(Failure::Refused { code: "refused", message: shown(&answer.text) });
                    }
                }
                let waiting = waited_for(dir, &other)?;
                let elapsed = clock.now().saturating_duration_since(begun);
                if waiting.is_escalated && elapsed >= PATIENCE || elapsed >= plan.budget {
                    request.withdraw(dir);
                    let hint = if is_answered { waiting.hint } else { silence(dir, elapsed) };
                    let message = format!("{} does not start: {}. {hint}", plan.artifact, waiting.text);
                    return Err(Failure::Refused { code: "in_progress", message });
                }
                if elapsed >= QUIET && said != waiting.text {
                    say(&format!("waiting for at most {:?}: {}", plan.budget, waiting.text));
                    said = waiting.text;
                }
                asked = Some(request);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// The rollout that a new one waits for.
struct Waited {
    text: String,
    hint: String,
    is_escalated: bool,
}

fn waited_for(dir: &StateDir, holder: &Holder) -> Result<Waited, Failure> {
    let status = Status::read(dir)?.unwrap_or_default();
    let Status { rollout, artifact, weight, service, .. } = &status;
    let state = status.state.replace('_', " ");
    let why = if status.why.is_empty() { String::new() } else { format!(": {}", shown(&status.why)) };
    Ok(Waited {
        text: format!("rollout {rollout} of {artifact} is {state} at {weight} %, held by {holder}{why}"),
        hint: format!(
            "`backstop rollout resume {service}` tries again what it waits for, `backstop rollout rollback {service} \
             --break-glass` takes all traffic from it, and then start this one again"
        ),
        is_escalated: status.state == "escalated",
    })
}

fn supersede(plan: &Plan, by: &str) -> Request {
    let artifact = plan.artifact.clone();
    Request::new(Ask::Supersede { artifact }, by, "a new release")
}
