//! `stages` and `advance`: the stages of engagements before they are everywhere.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::text::state_of;
use backstop::kill_switch::{Change, Stage, Stages, SwitchId};
use clap::Args;

/// Reads `instance:web-1` and `instance:web-2`, `region:eu`, `everywhere`.
pub(super) fn stage<T: AsRef<str>>(words: &[T]) -> Result<Stage, Failure> {
    let named = |kind: &str| words.iter().map(|word| word.as_ref().strip_prefix(kind)).collect::<Option<Vec<_>>>();
    if words.iter().all(|word| word.as_ref() == "everywhere") {
        Ok(Stage::Everywhere)
    } else if let Some(names) = named("instance:") {
        Ok(Stage::instances(names))
    } else if let Some(names) = named("region:") {
        Ok(Stage::regions(names))
    } else {
        let message = "a stage is instance:NAME, region:NAME or everywhere, and only one kind of them";
        Err(Failure::Usage(message.to_owned()))
    }
}

/// Sets the stages of engagements before they are everywhere: the engagement itself can be the mistake.
#[derive(Args)]
#[command(
    name = "stages",
    after_help = "\
From then on `engage` begins at the first stage, and `advance` goes to the next; `engage --now` skips them.

Examples:
  backstop switch stages instance:web-1 region:eu --reason \"one, then Europe, then all\"
  backstop switch stages instance:web-1,instance:web-2 --reason \"two, then all\"
  backstop switch stages --none --reason \"the fleet is one instance\""
)]
pub(super) struct SetStages {
    /// The stages in order: instance:NAME or region:NAME, several of them separated by commas.
    #[arg(value_name = "STAGE", required_unless_present = "none", conflicts_with = "none")]
    stages: Vec<String>,
    /// No stages: engagements are everywhere at once.
    #[arg(long)]
    none: bool,
    #[command(flatten)]
    who: Who,
}

impl SetStages {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let read = |words: &String| stage(&words.split(',').collect::<Vec<_>>());
        let stages = self.stages.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let stages = Stages::new(stages).map_err(|error| Failure::Usage(error.to_string()))?;
        backend.change(&Change::Stages { stages }, &self.who, |document| {
            let stages: Vec<_> = document.stages().as_slice().iter().map(Stage::to_string).collect();
            match stages.as_slice() {
                [] => "Engagements are everywhere at once from now on.".to_owned(),
                stages => format!("Engagements go to {}, then everywhere.", stages.join(", then ")),
            }
        })
    }
}

/// Advances an engagement to its next stage.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backstop switch advance recs --reason \"web-1 is fine\"
  backstop switch advance recs --stage everywhere --reason \"web-1 is fine\"")]
pub(super) struct Advance {
    /// The switch.
    id: SwitchId,
    /// The new stage: the whole present one, and more. Default: the next of `stages`.
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    #[command(flatten)]
    who: Who,
}

impl Advance {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let id = self.id;
        let (seen, stage) = if self.stage.is_empty() {
            let document = backend.document()?;
            let next = document.as_ref().and_then(|document| document.next_stage(id.as_str()));
            // Where there is no next one, the rule says why.
            (document.map(|document| document.generation()), next.unwrap_or_default())
        } else {
            (None, stage(&self.stage)?)
        };
        let change = Change::Advance { switch: id.clone(), stage };
        backend.change_if(seen, &change, &self.who, |document| state_of(document, &id))
    }
}
