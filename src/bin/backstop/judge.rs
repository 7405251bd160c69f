//! `judge`: a verdict for each tick of a file, and a page about them; `judge serve` for a live source.

mod judged;
mod page;
mod policy;
mod record;
mod serve;

use super::output::{Failure, Report};
use backstop::rollback::{Decision, Judge as Judging, TickReader, Verdict};
use clap::{Args, Subcommand};
pub(super) use judged::Judged;
pub(super) use policy::policy;
use record::Record;
pub(super) use serve::token;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const HELP: &str = "\
A tick is one line of JSON: what both versions did since the tick before.
  {\"at\": 12.0, \"stage\": 5,
   \"canary\":   {\"segments\": {\"default\": {\"requests\": 100, \"server_errors\": 1}}},
   \"baseline\": {\"segments\": {\"default\": {\"requests\": 1900, \"server_errors\": 2}}}}

Without a baseline the canary is judged by limits alone. Counters instead of counts: \"cumulative\": true on the line.

Ticks shorter than a second are judged together. If some are left at the end, one more line has the verdict on them.

Examples:
  backstop judge --ticks last-week.jsonl --report last-week.html
  backstop judge --policy policy.toml --ticks - < ticks.jsonl | tail -n 1
  backstop judge serve --help

Exit codes, of the last verdict:
   0  continue
   5  collecting: not enough data, or none. An empty file, too
  10  pause: a person has to decide
  20  rollback
   2  bad usage, a policy or a tick that cannot be read: the message names the line and the field, and no verdict
      of a later tick is printed";

/// Longest line that is read.
const LINE_MAX: u64 = (16 << 20) + 2;

/// Judges recorded ticks: prints a verdict for each as a line of JSON. `judge serve` judges a live source.
#[derive(Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Judge {
    #[command(subcommand)]
    command: Option<Command>,
    /// The policy, TOML or JSON. Default: the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The ticks, as JSON Lines; `-` reads standard input.
    #[arg(long, value_name = "FILE", required = true)]
    ticks: Option<PathBuf>,
    /// Also writes a page with charts of both versions, the evidence and every change.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
}

impl Judge {
    /// Prints the verdicts as they come; what is returned is the exit code, or why it ended.
    pub(super) fn run(mut self) -> Result<Report, Failure> {
        if let Some(Command::Serve(serve)) = self.command.take() {
            return serve.run();
        }
        let ticks = self.ticks.take().unwrap_or_default();
        let policy = policy(self.policy.as_deref())?;
        let warning = policy.warnings().into_iter().reduce(|all, more| format!("{all}\nwarning: {more}"));
        let source: Box<dyn Read> = if ticks == Path::new("-") {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(std::fs::File::open(&ticks).map_err(|error| unreadable(&ticks, &error))?)
        };
        let mut judging = Judging::new(policy);
        let mut record = Record::default();
        let decision = self.judge(&ticks, BufReader::new(source), &mut judging, &mut record);
        // The page shows what there is, also if a line cannot be read.
        if let Some(path) = &self.report {
            let title = ticks.file_name().unwrap_or(ticks.as_os_str()).to_string_lossy();
            let title = if title == "-" { "standard input".into() } else { title };
            let error = decision.as_ref().err().map(ToString::to_string);
            let page = page::page(&record, &title, error.as_deref());
            std::fs::write(path, page)
                .map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", path.display())))?;
        }
        let exit_code = match decision? {
            Decision::Continue => 0,
            Decision::Collecting => 5,
            Decision::Pause => 10,
            Decision::Rollback => 20,
        };
        Ok(Report { warning, exit_code, ..Report::default() })
    }

    /// The last verdict's decision; `collecting` without one.
    fn judge(
        &self,
        from: &Path,
        mut source: impl BufRead,
        judging: &mut Judging,
        record: &mut Record,
    ) -> Result<Decision, Failure> {
        let mut out = Some(BufWriter::new(std::io::stdout().lock()));
        let mut add = |verdict: &Verdict| {
            if self.report.is_some() {
                record.add(verdict);
            }
            // A reader that has seen enough is no reason to stop: the exit code is that of the last verdict.
            if let Some(to) = &mut out
                && write_line(to, verdict).is_err()
            {
                out = None;
            }
            verdict.decision
        };
        let (mut ticks, mut line, mut number) = (TickReader::new(), Vec::new(), 0_u64);
        let mut decision = Decision::Collecting;
        let bad = |message: String| Failure::Usage(format!("{}: {message}", from.display()));
        loop {
            line.clear();
            number += 1;
            let read = source.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
            if read.map_err(|error| unreadable(from, &error))? == 0 {
                return Ok(judging.finish().as_ref().map_or(decision, add));
            }
            let text = match std::str::from_utf8(&line) {
                Ok(text) => text,
                // A character may be cut where the line is too long.
                Err(_) if line.len() as u64 == LINE_MAX => {
                    return Err(bad(format!("line {number}: longer than 16 MiB")));
                }
                Err(error) => {
                    let message = format!("line {number}: not UTF-8 after byte {}", error.valid_up_to());
                    return Err(bad(message));
                }
            };
            let Some(tick) = ticks.read(text).map_err(|error| bad(error.to_string()))? else { continue };
            decision = add(&judging.observe(tick));
        }
    }
}

/// A line at once, so that a reader of a live source is never a buffer behind.
fn write_line(to: &mut impl Write, verdict: &Verdict) -> std::io::Result<()> {
    let line = serde_json::to_string(verdict).map_err(std::io::Error::other)?;
    writeln!(to, "{line}")?;
    to.flush()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be read: {error}", path.display()))
}
