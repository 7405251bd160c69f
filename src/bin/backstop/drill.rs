//! `drill`: engages and releases a switch for real, and reports the times over all instances.

use super::author_args::Who;
use super::backend::{Backend, Steps};
use super::committed::Purpose;
use super::connection::Place;
use super::fleet::{self, Degraded, Program};
use super::http::Page;
use super::output::{Failure, Report};
use super::scope_args::Whom;
use super::stages::stage;
use super::text::{self, state_of};
use super::time_args::parse_length;
use backstop::kill_switch::drill::{Drill as Run, DrillError, DrillReport, Limits, Percentiles, PhaseReport};
use backstop::kill_switch::{Change, ControlPlane as _, SwitchId, Trigger};
use clap::Args;
use std::time::Duration;

/// Runs a drill: engages a switch for real, waits until every instance has it, releases it, and reports the times.
#[derive(Args)]
#[command(after_help = "\
A drill releases what it engaged. If the command is interrupted, --end releases it, or it ends by itself a minute after twice
the --time-limit. A drill in which an instance never answered is not recorded. It needs a token with the verbs view, for
all switches, and drill.

Examples:
  backstop switch drill recs --tenant drill --reason \"the drill of November\"
  backstop switch drill recs --tenant drill --reason \"november\" --instance http://127.0.0.1:9901 \\
    --page http://127.0.0.1:8080/products --header \"x-tenant: drill\"
  backstop switch drill recs --end --reason \"it was interrupted\"")]
pub(super) struct Drill {
    /// The switch.
    id: SwitchId,
    /// Admin address of a program that takes part. Repeatable. Default: that of --admin.
    #[arg(long, value_name = "URL")]
    instance: Vec<String>,
    /// URL of a page that shows from outside whether the capability is off: one for each --instance, in their order.
    #[arg(long, value_name = "URL")]
    page: Vec<String>,
    /// Status of the page while the capability is off.
    #[arg(long, value_name = "STATUS", default_value_t = 503)]
    off_status: u16,
    /// Header sent to the pages, to bring the request into the scope. Repeatable.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Part of the fleet: instance:NAME, region:NAME or everywhere. Repeatable, of one kind.
    #[arg(long, value_name = "STAGE", default_value = "everywhere")]
    stage: Vec<String>,
    /// Time limit until 99 of 100 instances are off, and on again.
    #[arg(long, value_name = "LENGTH", default_value = "5s", value_parser = parse_length)]
    limit: Duration,
    /// Time limit until the pages show it.
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = parse_length)]
    page_limit: Duration,
    /// Longest wait for instances, for off and for on each: 29m at most.
    #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = parse_length)]
    time_limit: Duration,
    /// Only ends a drill of yours that was interrupted.
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    who: Who,
}

impl Drill {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let backend = place.backend_and_programs()?;
        if self.end {
            return end(&backend, &self.id, &self.who);
        }
        let by = backend.by(&self.who)?;
        let programs = self.programs(place)?;
        let pages = self.pages(programs.len())?;
        let (scope, id) = (self.whom.scope()?, self.id);
        let drill = Run::new(id.clone(), scope.clone()).stage(stage(&self.stage)?).time_limit(self.time_limit);
        let drill = drill.limits(Limits::new(self.limit, self.page_limit));
        let steps = Steps::new(&backend, Purpose::Drill);
        let report = std::thread::scope(|threads| {
            let instances: Vec<_> = (0..)
                .zip(&programs)
                .map(|(number, program)| fleet::instance(threads, program, pages.get::<usize>(number)))
                .collect();
            drill.run(&steps, &instances, &by)
        });
        let report = report.map_err(failure)?;
        let text = format!("{id} was drilled for {}.\n{}", text::scope(&scope), summary(&report));
        let exit_code = if report.is_pass() { 0 } else { 6 };
        Ok(Report { exit_code, warning: steps.warning(), ..Report::of(text, &report) })
    }

    fn programs(&self, place: &Place) -> Result<Vec<Program>, Failure> {
        match (self.instance.is_empty(), place.admin()?) {
            (true, Some(http)) => Ok(vec![Program::at(http, &self.id)?]),
            (true, None) => {
                let message = "no instance named: add --instance URL with the admin address of each program, and set your \
                               token for them as BACKSTOP_TOKEN";
                Err(Failure::Usage(message.to_owned()))
            }
            (false, _) => fleet::programs(&self.instance, place.token_file(), &self.id),
        }
    }

    fn pages(&self, programs: usize) -> Result<Vec<Degraded>, Failure> {
        if !self.page.is_empty() && self.page.len() != programs {
            let message =
                format!("{programs} instances but {} pages: give one --page for each --instance", self.page.len());
            return Err(Failure::Usage(message));
        }
        let degraded = |url: &String| Ok(Degraded { page: Page::new(url, &self.header)?, status: self.off_status });
        self.page.iter().map(degraded).collect()
    }
}

/// Releases what a drill has left.
fn end(backend: &Backend, id: &SwitchId, who: &Who) -> Result<Report, Failure> {
    let document = backend.required()?;
    let engaged = document.switch(id.as_str()).and_then(|switch| switch.engaged.as_ref());
    if engaged.is_some_and(|engaged| engaged.trigger != Trigger::Drill) {
        let message = format!("{id} is engaged, but not by a drill: release it with backstop switch release {id}");
        return Err(Failure::Refused { code: "no_drill", message });
    }
    let change = Change::Release { switch: id.clone() };
    let steps = Steps::new(backend, Purpose::Drill);
    let released = steps.change(Some(document.generation()), &change, &backend.by(who)?)?;
    let text = format!("The drill is over.\n{}\nGeneration {}.", state_of(&released, id), released.generation());
    let response = serde_json::json!({ "generation": released.generation() });
    Ok(Report { warning: steps.warning(), ..Report::of(text, &response) })
}

fn failure(error: DrillError) -> Failure {
    let message = error.to_string();
    match error {
        DrillError::NotEngaged { why, ends: None } => match why.downcast() {
            Ok(failure) => *failure,
            Err(_) => Failure::Store(message),
        },
        DrillError::Interrupted { .. } => Failure::Refused { code: "interrupted", message },
        _ => Failure::Store(message),
    }
}

fn summary(report: &DrillReport) -> String {
    let row = |name: &str, times: Percentiles| {
        let shown = |time: Option<Duration>| {
            time.map_or_else(|| "never".to_owned(), |time| format!("{} ms", time.as_nanos().div_ceil(1_000_000)))
        };
        [name.to_owned(), shown(times.p50), shown(times.p90), shown(times.p99), shown(times.max)]
    };
    let (disable, restore) = (&report.disable, &report.restore);
    let rows = [
        row("off", disable.time_to_disable),
        row("seen off", disable.time_to_verify),
        row("on again", restore.time_to_disable),
        row("seen on again", restore.time_to_verify),
    ];
    let silent = |report: &PhaseReport| match report.silent.as_slice() {
        [] => String::new(),
        silent => format!("\n  {}", silent.join("\n  ")),
    };
    let recorded = match report.generation {
        Some(generation) => format!("Generation {generation}."),
        None => "The drill is not recorded, as an instance never answered.".to_owned(),
    };
    format!(
        "\n{}\n\noff: {}{}\non: {}{}\n{recorded}",
        text::table(["AFTER", "P50", "P90", "P99", "MAX"], &rows),
        disable.sentence,
        silent(disable),
        restore.sentence,
        silent(restore),
    )
}
