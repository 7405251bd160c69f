//! `rollout status` and `rollout list`.

use super::service::existing;
use crate::output::{Failure, Report, json};
use crate::text::shown;
use backstop::rollout::controller::Status;
use clap::Args;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Between two reprints.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the latest rollout of a service, or of all.
#[derive(Args)]
pub(super) struct Show {
    /// The service. Default: all.
    service: Option<String>,
    /// Reprint once a second until every rollout has ended.
    #[arg(long)]
    watch: bool,
}

impl Show {
    pub(super) fn run(self, state: &Path, is_json: bool) -> Result<Report, Failure> {
        loop {
            let all = match &self.service {
                Some(service) => Status::read(&existing(state, service)?)?.into_iter().collect(),
                None => Status::all(state)?,
            };
            let is_over = all.iter().all(|status| status.is_over() || status.is_unreadable());
            let report = Report::of(texts(&all), &all);
            if !self.watch || is_over {
                return Ok(report);
            }
            let mut out = std::io::stdout().lock();
            let shown = match (is_json, out.is_terminal()) {
                (true, _) => report.json,
                (false, true) => format!("\x1b[H\x1b[2J{}", report.text),
                (false, false) => report.text,
            };
            if writeln!(out, "{shown}").and_then(|()| out.flush()).is_err() {
                return Ok(Report::default()); // the reader has gone
            }
            drop(out);
            thread::sleep(EVERY);
        }
    }
}

pub(super) fn list(state: &Path) -> Result<Report, Failure> {
    let all = Status::all(state)?;
    let mut text = String::new();
    for status in &all {
        let Status { service, artifact, weight, .. } = status;
        if status.is_unreadable() {
            let _ = writeln!(text, "{service:<24} {}", shown(&status.why));
            continue;
        }
        let state = status.state.replace('_', " ");
        let _ = writeln!(text, "{service:<24} {artifact:<32} {state:<12} {weight:>3} %");
    }
    if all.is_empty() {
        let _ = writeln!(text, "no rollouts in {}", state.display());
    }
    Ok(Report { json: json(&all), text, ..Report::default() })
}

fn texts(all: &[Status]) -> String {
    let texts: Vec<_> = all.iter().map(text).collect();
    if texts.is_empty() { "no rollouts".to_owned() } else { texts.join("\n") }
}

fn text(status: &Status) -> String {
    if status.is_unreadable() {
        return format!("{}: {}\n", status.service, shown(&status.why));
    }
    let stages: Vec<_> = status.stages.iter().map(u32::to_string).collect();
    let Status { service, artifact, previous, state, weight, seconds, .. } = status;
    let mut text = format!("{service}: {artifact}, before {previous} (rollout {})\n", status.rollout);
    let state = state.replace('_', " ");
    let lasts = if status.is_over() { String::new() } else { format!(" for {seconds} s") };
    let _ = writeln!(text, "  {state} at {weight} %{lasts}; stages {} %", stages.join(", "));
    if !status.why.is_empty() {
        let _ = writeln!(text, "  {}", shown(&status.why));
    }
    if let Some((seen, needed)) = status.samples {
        let _ = writeln!(text, "  {seen} of {needed} canary requests");
    }
    if let Some((decision, sentence)) = &status.verdict {
        let _ = writeln!(text, "  verdict {decision}: {}", shown(sentence));
    }
    for trouble in &status.troubles {
        let _ = writeln!(text, "  warning: {}", shown(trouble));
    }
    match &status.holder {
        Some(holder) => {
            let _ = writeln!(text, "  controller: {}", shown(&holder.to_string()));
        }
        None if status.is_over() => {}
        None => text += "  no controller runs: `backstop rollout start` with the same plan goes on\n",
    }
    text
}
