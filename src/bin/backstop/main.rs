//! The command `backstop`: kill switches and release plans from a shell.
//!
//! ```text
//!  arguments ──▶ a command ──▶ Report or Failure ──▶ stdout or stderr, and an exit code
//! ```
//!
//! The commands return what they have to say; this file alone prints.

mod admin;
mod approval;
mod author_args;
mod backend;
mod baseline;
mod committed;
mod connection;
mod define;
mod drill;
mod engage;
mod engage_staged;
mod fleet;
mod history;
mod http;
mod judge;
mod list;
mod output;
mod pin;
mod plan;
mod policy;
mod restore;
mod rollout;
mod scope_args;
mod source_args;
mod stages;
mod stop;
mod switch;
mod text;
mod time_args;
mod token;
mod token_list;
mod token_new;
mod users;
mod verify;

use clap::{Parser, Subcommand};
use output::{Failure, Report};
use std::process::ExitCode;

/// Turns capabilities of running programs off and on, and checks and judges releases.
#[derive(Parser)]
#[command(name = "backstop", version, after_help = switch::HELP, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Switch(Box<switch::Switch>),
    Judge(judge::Judge),
    Baseline(baseline::Baseline),
    Policy(policy::Policy),
    Plan(plan::Plan),
    Rollout(Box<rollout::Rollout>),
}

fn main() -> ExitCode {
    let (is_json, result) = match Cli::parse().command {
        // which exits with 2 where it cannot
        Command::Switch(switch) => (switch.is_json(), switch.run()),
        Command::Judge(judge) => (false, judge.run()),
        Command::Baseline(baseline) => (false, baseline.run()),
        Command::Policy(policy) => (policy.is_json(), policy.run()),
        Command::Plan(plan) => (plan.is_json(), plan.run()),
        Command::Rollout(rollout) => (rollout.is_json(), rollout.run()),
    };
    let (code, stdout, stderr) = match result {
        Ok(Report { text, json, warning, exit_code }) => {
            let warning = warning.map(|warning| format!("warning: {warning}")).unwrap_or_default();
            (exit_code, if is_json { json } else { text }, warning)
        }
        Err(failure) => (failure.exit_code(), String::new(), error_text(&failure, is_json)),
    };
    // The reader of a closed pipe has what it wanted, and the change is made: no reason to fail, or to panic.
    let _ = write_line(std::io::stdout().lock(), &stdout);
    let _ = write_line(std::io::stderr().lock(), &stderr);
    ExitCode::from(code)
}

fn error_text(failure: &Failure, is_json: bool) -> String {
    let (code, message) = (failure.code(), failure.to_string());
    if is_json {
        serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
    } else {
        // A file that is no document may hold anything, and a terminal does what control characters say.
        let message: String =
            message.chars().map(|char| if char.is_control() && char != '\n' { '\u{fffd}' } else { char }).collect();
        format!("error ({code}): {message}")
    }
}

fn write_line(mut to: impl std::io::Write, text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    to.write_all(text.trim_end().as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
}
