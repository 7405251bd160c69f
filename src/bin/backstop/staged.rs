//! `engage` with a look at each stage before the next.

use super::engage::told;
use super::fleet::{self, Program};
use super::office::Office;
use super::place::Place;
use super::report::{Failure, Report};
use super::when::parse_length;
use super::who::Who;
use backstop::kill_switch::staged::{StagedEngage, StagedError};
use backstop::kill_switch::{DeskError, Document, Engage, Stage, SwitchId};
use clap::Args;
use std::time::Duration;

/// What is looked at between the stages.
#[derive(Args)]
#[command(next_help_heading = "Looking at each stage")]
pub(super) struct Looks {
    /// A page that has to answer without an error. May be given again.
    #[arg(long, value_name = "URL")]
    check: Vec<String>,
    /// A program, by its admin address, that has to do as the stage says. May be given again.
    #[arg(long, value_name = "URL")]
    instance: Vec<String>,
    /// How long all has to be well before the next stage.
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = parse_length)]
    soak: Duration,
    /// How long a stage may take until all is well.
    #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = parse_length)]
    well_within: Duration,
}

impl Looks {
    pub(super) fn are_asked_for(&self) -> bool {
        !(self.check.is_empty() && self.instance.is_empty())
    }

    pub(super) fn run(
        self,
        place: &Place,
        office: &Office,
        engage: Engage,
        id: &SwitchId,
        who: &Who,
    ) -> Result<Report, Failure> {
        let before = office.document()?.ok_or(DeskError::Empty)?;
        let programs = fleet::programs(&self.instance, place.token_file(), id)?;
        let mut checks = self.check.iter().map(|url| fleet::page(url)).collect::<Result<Vec<_>, _>>()?;
        checks.extend(programs.iter().map(Program::check));
        let by_itself = StagedEngage::new(engage).soak(self.soak).time_limit(self.well_within);
        let undo = format!("backstop switch revert {} --reason \"..\"", before.generation());
        let report = match by_itself.run(office, &checks, &office.by(who)?) {
            Ok(report) => report,
            Err(StagedError::Waits { number }) => {
                let message =
                    format!("it takes two persons, and waits as proposal {number}: see `backstop switch pending`");
                return Err(Failure::Refused { code: "waits", message });
            }
            Err(error) => return Err(failure(error, id, &undo)),
        };
        let stages: Vec<_> = report.stages.iter().map(Stage::to_string).collect();
        let document = office.document().ok().flatten();
        let text = format!(
            "{}\nAll was well at {}.\nTo undo it: {undo}\nGeneration {}.",
            document.as_ref().map_or_else(|| format!("{id} is engaged."), |document: &Document| told(document, id)),
            stages.join(", then "),
            report.generation,
        );
        Ok(Report::of(text, &report))
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
            "{message}\nIt stays engaged there. To give it back: {undo}\n\
             To go on nevertheless: backstop switch advance {id} --reason \"..\"",
        )),
        StagedError::Interrupted { .. } => Failure::Refused { code: "interrupted", message },
        _ => Failure::Usage(message),
    }
}
