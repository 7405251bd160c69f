//! Commands for a rollout: to its controller or, for a rollback without one, carried out here.

use super::service::{BY, existing, failed, nothing, run};
use crate::author_args::name;
use crate::output::{Failure, Report};
use crate::text::shown;
use crate::time_args::parse_length;
use backstop::rollout::controller::{Asked, Status, rollback, silence};
use backstop::rollout::requests::{Answer, Request};
use backstop::rollout::stages::Ask;
use backstop::rollout::state_dir::{Holder, StateDir};
use clap::Args;
use std::path::Path;
use std::time::Duration;

/// Longest wait for the controller's answer: it reads commands within a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct Plain {
    /// The service.
    service: String,
    /// The reason, kept in the journal and in the report.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[arg(long, value_name = "NAME", help = BY)]
    by: Option<String>,
}

impl Plain {
    fn request(&self, ask: Ask) -> Result<Request, Failure> {
        let request = Request::new(ask, name(self.by.as_deref())?, &self.reason);
        request.check().map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(request)
    }

    pub(super) fn send(&self, state: &Path, ask: Ask) -> Result<Report, Failure> {
        let dir = existing(state, &self.service)?;
        if dir.holder().is_none() {
            ended(&dir)?;
            let message = format!(
                "no controller runs for {}: `backstop rollout start` with the same plan goes on with its rollout",
                self.service
            );
            return Err(Failure::Store(message));
        }
        let request = self.request(ask)?;
        request.send(&dir)?;
        said(&dir, request.answer(&dir, PATIENCE))
    }
}

/// An error if the latest rollout has ended: no command is for it.
fn ended(dir: &StateDir) -> Result<(), Failure> {
    let Some(status) = Status::read(dir)?.filter(Status::is_over) else { return Ok(()) };
    let state = status.state.replace('_', " ");
    Err(nothing(format!("the rollout of {} has ended: {state}", status.artifact)))
}

/// The controller's answer.
fn said(dir: &StateDir, answer: Option<Answer>) -> Result<Report, Failure> {
    match answer {
        Some(answer) if answer.is_accepted => Ok(Report::of(shown(&answer.text), &answer)),
        Some(answer) => Err(Failure::Refused { code: "refused", message: shown(&answer.text) }),
        None => Err(Failure::Store(silence(dir, PATIENCE))),
    }
}

/// Returns the traffic to the previous version. Without a controller it is done here.
#[derive(Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    plain: Plain,
    /// Weight 0 at once: before the plan's other actions, and without a look at the previous version.
    #[arg(long)]
    break_glass: bool,
}

impl Rollback {
    pub(super) fn run(self, state: &Path) -> Result<Report, Failure> {
        let dir = existing(state, &self.plain.service)?;
        let request = self.plain.request(Ask::Rollback { cut: self.break_glass })?;
        let holder = Holder::new(&request.by, "rollout rollback");
        match rollback(&dir, request, &holder, PATIENCE).map_err(|error| failed(&error))? {
            Asked::Controller(answer) => said(&dir, answer),
            Asked::Nothing(text) => Err(nothing(shown(&text))),
            Asked::Here(answer, _) if !answer.is_accepted => Err(nothing(shown(&answer.text))),
            Asked::Here(answer, controller) => {
                let artifact = controller.rollout().plan().artifact.clone();
                let (ended, held) = run(&dir, *controller, |_| {});
                let text = ended.without_source(&artifact).ok_or(held)?;
                Ok(Report::of(text, &answer))
            }
        }
    }
}

/// Turns automatic decisions off for a while: a maintenance window, whose author is paged instead of a rollback.
#[derive(Args)]
pub(super) struct Disable {
    #[command(flatten)]
    plain: Plain,
    /// Length of the window, at most 7 days.
    #[arg(long = "for", value_name = "LENGTH", value_parser = parse_length)]
    length: Duration,
}

impl Disable {
    pub(super) fn run(self, state: &Path) -> Result<Report, Failure> {
        let seconds = self.length.as_secs();
        if !(1..=7 * 86_400).contains(&seconds) {
            return Err(Failure::Usage(format!("--for: {seconds} s is not allowed, must be 1s to 7d")));
        }
        self.plain.send(state, Ask::Disable { seconds })
    }
}
