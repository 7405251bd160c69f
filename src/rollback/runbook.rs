//! Runbook: a plan as instructions for an operator who has never seen the change.

use super::fields::show;
use super::plan::{Action, ActionKind, DataChange, Plan};
use std::fmt::Write as _;

impl Plan {
    /// The runbook in Markdown: commands in order and ready to paste, their verification, when to stop, whom to call.
    pub fn runbook(&self) -> String {
        let sections = [head(self), before(self), commands(self), recovery(self), stop(self)];
        sections.join("\n")
    }
}

fn head(plan: &Plan) -> String {
    let (service, artifact, previous) = (code(&plan.service), code(&plan.artifact), code(&plan.previous));
    let title = if plan.forward_fix_only { "Contain" } else { "Roll back" };
    let mut text = format!("# {title} {service}\n\n");
    if plan.forward_fix_only {
        let _ = writeln!(
            text,
            "**Do not return to {previous}.** {artifact} can only be fixed forward. The commands below limit the damage until \
             the fix is live.\n"
        );
    } else {
        let _ = writeln!(text, "From {artifact} back to {previous}.\n");
    }
    let contact = plan.escalation.contacts.first().map_or_else(String::new, |contact| prose(contact));
    let (owner, expires, budget, timeouts) =
        (prose(&plan.owner), plan.expires, show(plan.budget), show(plan.timeouts()));
    let _ = write!(
        text,
        "- Owner: {owner}\n- Call: {contact}\n- Time budget: {budget} from the first command to recovery. The commands take at \
         most {timeouts}.\n- The plan expires at {expires}. After that, ask the owner whether it still holds.\n- Run the \
         commands in the directory of the plan.\n"
    );
    text
}

fn before(plan: &Plan) -> String {
    let mut text = "## Before the first command\n\n- Write down the time.\n".to_owned();
    if plan.rollback.iter().any(|action| action.kind.is_return()) {
        let _ = writeln!(
            text,
            "- Check that the instances of {} are ready and healthy. If they are not, stop and call: traffic must not go from \
             a broken version to a broken one.",
            code(&plan.previous)
        );
        if let Some(count) = plan.instances_for_full_traffic {
            let _ = writeln!(
                text,
                "- Count its ready instances. All of the traffic needs {count}; with fewer, move it in steps as they become \
                 ready."
            );
        }
    }
    for change in &plan.data {
        let _ = writeln!(text, "- Data: {}", data(change));
    }
    if !plan.switches.is_empty() {
        let switches: Vec<_> = plan.switches.iter().map(|switch| code(switch)).collect();
        let _ = writeln!(text, "- Kill switches that may be engaged at any time: {}", switches.join(", "));
    }
    text
}

fn data(change: &DataChange) -> String {
    let about = change.change.as_ref().map_or_else(String::new, |change| format!(", {}", prose(change)));
    let backup = change.backup.as_ref().map_or_else(String::new, |backup| {
        format!(
            " Backup from before the change: {}. Restoring it loses later writes: only the owner decides.",
            code(backup)
        )
    });
    let effect = match change.kind.as_str() {
        "none" => "nothing changes.",
        _ if change.reversible => "the previous version works on the changed data.",
        _ => "**the previous version does not work on the changed data.**",
    };
    format!("{}{about}: {effect}{backup}", change.kind)
}

fn commands(plan: &Plan) -> String {
    let mut text =
        "## Commands\n\nOne at a time, in this order. Continue only after a command and its verification ended \
                    with exit code 0.\n"
            .to_owned();
    let down = plan.rollback.iter().position(|action| action.kind == ActionKind::ScaleDown);
    let preserve_at = down.unwrap_or(plan.rollback.len());
    for (at, action) in plan.rollback.iter().enumerate() {
        if at == preserve_at {
            text += &preserve(plan);
        }
        text += &step(at + 1, action);
    }
    if preserve_at == plan.rollback.len() {
        text += &preserve(plan);
    }
    text
}

fn step(number: usize, action: &Action) -> String {
    let title = match action.kind {
        ActionKind::KillSwitch => "Engage the kill switch",
        ActionKind::Flag => "Turn the feature flag off",
        ActionKind::TrafficShift => "Move the traffic to the previous version",
        ActionKind::ScaleDown => "Remove the instances of the new version",
        ActionKind::VersionPin => "Pin the previous version",
        ActionKind::Promote => "Make the release the stable version",
    };
    let (timeout, run) = (show(action.timeout), shell(&action.argv));
    let mut text =
        format!("\n### {number}. {title}\n\nAt most {timeout}, verification included.\n\n```sh\n{run}\n```\n");
    if let Some(verify) = &action.verify {
        let _ = write!(
            text,
            "\nVerify, and repeat until it succeeds or the time is over:\n\n```sh\n{}\n```\n",
            shell(verify)
        );
    }
    text += if action.idempotent {
        "\nIf it fails, run it again once. If it fails again, stop and call.\n"
    } else {
        "\nIf it fails, do not repeat it: stop and call.\n"
    };
    text
}

fn preserve(plan: &Plan) -> String {
    if plan.preserve.is_empty() {
        return String::new();
    }
    let mut text =
        "\n### Save the evidence\n\nIf one of these fails or exceeds its time, continue without it.\n".to_owned();
    for command in &plan.preserve {
        let _ = write!(text, "\nAt most {}:\n\n```sh\n{}\n```\n", show(command.timeout), shell(&command.argv));
    }
    text
}

fn recovery(plan: &Plan) -> String {
    let recovery = &plan.recovery;
    let mut text = format!(
        "## Recovered\n\nThe service has recovered when, for {} without interruption:\n\n- {} is back to normal\n- errors are \
         at most {} times and the p99 latency at most {} times the values before the rollout\n- all instances are ready\n",
        show(recovery.lasts),
        prose(&recovery.metric),
        recovery.errors,
        recovery.p99
    );
    if !plan.lag.is_empty() {
        text += "\nThese may lag behind and look broken for a while:\n\n";
    }
    for lag in &plan.lag {
        let up_to = lag.up_to.map_or_else(|| "unknown time".to_owned(), |up_to| format!("up to {}", show(up_to)));
        let _ = writeln!(text, "- {} {}: {up_to}", lag.kind, prose(&lag.name));
    }
    text
}

fn stop(plan: &Plan) -> String {
    let mut text =
        "## Stop and call\n\nStop at the current command when:\n\n- a command or its verification fails or exceeds \
                    its time\n- you do not understand what you see\n"
            .to_owned();
    for condition in &plan.stop_when {
        let _ = writeln!(text, "- {}", prose(condition));
    }
    let after = show(plan.escalation.after);
    let _ = writeln!(text, "\nCall as well if the service has not recovered {after} after the first command.\n");
    for (at, contact) in plan.escalation.contacts.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", at + 1, prose(contact));
    }
    let _ = writeln!(text, "\nSay which command was the last one, its output, and the time of the first one.");
    text
}

/// A command as a POSIX shell reads it back to exactly these words.
fn shell(argv: &[String]) -> String {
    let is_safe = |char: char| char.is_ascii_alphanumeric() || "-_./:@%+,".contains(char);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(is_safe) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let mut words: Vec<_> = argv.iter().map(word).collect();
    // A first word with `=` is quoted above: it would be an assignment.
    if let Some(program) = words.first_mut().filter(|program| RESERVED.contains(&program.as_str())) {
        *program = format!("'{program}'");
    }
    words.join(" ")
}

/// Words that a shell reads as its own where a program is expected.
const RESERVED: [&str; 14] =
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "time"];

/// A value in a code span.
fn code(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A text of the plan in a line of prose: without effect on the Markdown around it.
fn prose(text: &str) -> String {
    text.chars().flat_map(|char| "\\`*<[".contains(char).then_some('\\').into_iter().chain([char])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{FORWARD, FULL};
    use super::*;

    #[test]
    fn an_operator_finds_the_commands_in_order_and_whom_to_call() {
        let runbook = Plan::parse(FULL).unwrap().runbook();
        let mut rest = runbook.as_str();
        for expected in [
            "# Roll back `checkout`",
            "From `registry/checkout:1.2.4` back to `registry/checkout:1.2.3`.",
            "Owner: team-checkout",
            "Time budget: 5m",
            "instances of `registry/checkout:1.2.3` are ready",
            "All of the traffic needs 4",
            "- Data: additive, column orders.discount: the previous version works",
            "### 1. Engage the kill switch",
            "backstop switch engage new-checkout --all --reason 'it'\\''s broken'",
            "### 2. Move the traffic to the previous version",
            "Verify",
            "./weight.sh --expect 0\n",
            "If it fails, run it again once.",
            "### Save the evidence",
            "### 3. Remove the instances",
            "do not repeat it",
            "### 4. Pin the previous version",
            "share of failed checkouts",
            "- cache prices: up to 10m",
            "- errors of stable rise",
            "Call as well if the service has not recovered 4m",
            "1. on call: +41 44 000 00 00",
            "2. \\<head@example.com>",
        ] {
            let at = rest.find(expected).unwrap_or_else(|| panic!("no {expected:?} in {rest}"));
            rest = &rest[at..];
        }
    }

    #[test]
    fn a_forward_fix_only_plan_sends_nobody_back() {
        let runbook = Plan::parse(FORWARD).unwrap().runbook();
        assert!(runbook.starts_with("# Contain `checkout`\n\n**Do not return to `1.2.3`.**"), "{runbook}");
        assert!(runbook.contains("does not work on the changed data.** Backup from before the change: `s3://b/1`."));
        assert!(!runbook.contains("Move the traffic") && !runbook.contains("Roll back"), "{runbook}");
    }

    /// The words of a command that a shell was given.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_the_words_of_the_plan() {
        let words = [
            "", "a b", "it's", "$HOME", "`id`", "a;b", "*", "~", "#", "\\", "\"", "!", "é", "-n", "x=1", "{a,b}", "%s",
        ];
        let words = words.map(str::to_owned);
        let argv: Vec<_> = ["printf".to_owned(), "%s|".to_owned()].into_iter().chain(words.clone()).collect();
        let output = std::process::Command::new("sh").arg("-c").arg(shell(&argv)).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), words.map(|word| word + "|").concat());
        assert_eq!(shell(&["A=1".to_owned()]), "'A=1'");
        assert_eq!(shell(&["if".to_owned()]), "'if'");
        assert_eq!(code("a`b"), "`` a`b ``");
    }
}
