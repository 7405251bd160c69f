//! `engage` with a look at each stage before the next.

use super::author_args::Who;
use super::backend::{Backend, Steps, waiting};
use super::committed::Purpose;
use super::connection::Place;
use super::fleet::{self, Program};
use super::output::{Failure, Report};
use super::text::state_of;
use super::time_args::parse_length;
use backstop::kill_switch::{Change, Document, Engage, Stage, SwitchId};
use backstop::rollout::staged::{StagedEngage, StagedError};
use clap::Args;
use std::time::Duration;

/// Time for which checks must pass, and the time a stage may take until they do.
const SOAK: Duration = Duration::from_secs(10);
const WELL_WITHIN: Duration = Duration::from_secs(60);

/// Checks between the stages.
#[derive(Args)]
#[command(next_help_heading = "Checks of each stage")]
pub(super) struct Looks {
    /// URL of a page that must answer without an error. Repeatable.
    #[arg(long, value_name = "URL")]
    check: Vec<String>,
    /// Admin address of a program that must be in the state of the stage. Repeatable.
    #[arg(long, value_name = "URL")]
    instance: Vec<String>,
    /// Time for which all checks must pass before the next stage. Default: 10s.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    soak: Option<Duration>,
    /// Time within which the checks of a stage must pass. Default: 60s.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    well_within: Option<Duration>,
}

impl Looks {
    pub(super) fn are_asked_for(&self) -> bool {
        !(self.check.is_empty() && self.instance.is_empty() && self.soak.is_none() && self.well_within.is_none())
    }

    pub(super) fn run(
        self,
        place: &Place,
        backend: &Backend,
        engage: Engage,
        id: &SwitchId,
        who: &Who,
    ) -> Result<Report, Failure> {
        let before = backend.required()?;
        let programs = fleet::programs(&self.instance, place.token_file(), id)?;
        let mut checks = self.check.iter().map(|url| fleet::page(url)).collect::<Result<Vec<_>, _>>()?;
        checks.extend(programs.iter().map(Program::check));
        let earlier =
            before.switch(id.as_str()).and_then(|switch| switch.engaged.as_ref()).map(|_| before.generation());
        let undo = || backend.undo(earlier, id);
        if checks.is_empty() {
            let message = "--soak and --well-within need a check of each stage: add --check or --instance";
            return Err(Failure::Usage(message.to_owned()));
        }
        let by_itself = StagedEngage::new(engage.clone())
            .soak(self.soak.unwrap_or(SOAK))
            .time_limit(self.well_within.unwrap_or(WELL_WITHIN));
        let steps = Steps::new(backend, Purpose::Need);
        let report = match by_itself.run(&steps, &checks, &backend.by(who)?) {
            Ok(report) => report,
            Err(StagedError::Waits { number }) => {
                return Ok(waiting(backend.document().ok().flatten().as_ref(), &Change::Engage(engage), number));
            }
            Err(error) => return Err(failure(error, id, &undo())),
        };
        let stages: Vec<_> = report.stages.iter().map(Stage::to_string).collect();
        let document = backend.document().ok().flatten();
        let text = format!(
            "{}\nAll was well at {}.\nTo undo it: {}\nGeneration {}.",
            document.as_ref().map_or_else(|| format!("{id} is engaged."), |document: &Document| state_of(document, id)),
            stages.join(", then "),
            undo(),
            report.generation,
        );
        Ok(Report { warning: steps.warning(), ..Report::of(text, &report) })
    }
}

fn failure(error: StagedError, id: &SwitchId, undo: &str) -> Failure {
    let message = error.to_string();
    match error {
        StagedError::NotEngaged(why) => match why.downcast() {
            Ok(failure) => *failure,
            Err(_) => Failure::Store(message),
        },
        StagedError::Held { .. } | StagedError::NotAdvanced { .. } => Failure::Held(format!(
            "{message}\nIt stays engaged there. To undo it: {undo}\n\
             To go on nevertheless: backstop switch advance {id} --reason \"..\"",
        )),
        StagedError::Interrupted { .. } => Failure::Refused { code: "interrupted", message },
        StagedError::Unknown(_) => Failure::Store(format!("{message}\nIf it is engaged, undo it: {undo}")),
        _ => Failure::Usage(message),
    }
}
