//! Files of a rollout. A file that is missing or damaged is named in the report and never ends it.

use super::deliveries::Deliveries;
use super::evidence::Evidence;
use super::history::History;
use super::values::{Cause, Parts, Report, set_beginning};
use crate::kill_switch::audit::chain::each;
use crate::kill_switch::audit::{AuditError, Entry};
use crate::rollback::plan::Plan;
use crate::rollout::journal::Record;
use crate::rollout::state_dir::{StateDir, read};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Most bytes of a journal, a plan, a file of evidence, and of one of its lines.
const JOURNAL_MAX: u64 = 128 << 20;
const PLAN_MAX: u64 = 1 << 20;
const EVIDENCE_MAX: u64 = 320 << 20;
const LINE_MAX: u64 = 16 << 20;

impl Report {
    /// The report of the rollout in this folder. Blocks the current thread; a day of evidence takes seconds.
    ///
    /// Never fails: what cannot be read is listed in the report.
    pub fn read(folder: &Path) -> Self {
        let mut missing = Vec::new();
        let plan = plan(folder, &mut missing);
        let records = records(&folder.join("journal.jsonl"), &mut missing);
        let history = History::of(&records, plan.as_ref());
        if history.ended.is_none() && !records.is_empty() {
            missing.push("the end of the rollout: it goes on, or its controller was ended".to_owned());
        }
        if !folder.join("policy.toml").is_file() {
            missing.push("policy.toml: no such file".to_owned());
        }
        let files = folder.join("evidence");
        let mut evidence = Evidence::of(read(&files.join("before.json")));
        if evidence.before.is_none() {
            missing.push("evidence/before.json: no such file, or damaged".to_owned());
        }
        lines(&files, "verdicts.jsonl", &mut missing, |line| evidence.verdict(line));
        // The impact begins with the fault, which only the verdicts know.
        set_beginning(&history, &mut evidence);
        lines(&files, "ticks.jsonl", &mut missing, |line| evidence.tick(line));
        let mut deliveries = Deliveries::default();
        if files.join("alerts.jsonl").exists() {
            lines(&files, "alerts.jsonl", &mut missing, |line| deliveries.add(line));
        }
        let number = StateDir::number(folder);
        let causes = Cause::read(folder);
        if causes.is_empty() && folder.join("cause.json").exists() {
            missing.push("cause.json: damaged".to_owned());
        }
        Self::of(Parts { number, plan: plan.as_ref(), history, evidence, deliveries, causes, missing })
    }
}

fn plan(folder: &Path, missing: &mut Vec<String>) -> Option<Plan> {
    let text = bytes(&folder.join("plan.toml"), PLAN_MAX).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (plan, why) = match text {
        Ok(text) => (Plan::parse(&text).ok(), "damaged".to_owned()),
        Err(error) => (None, said(&error)),
    };
    if plan.is_none() {
        missing.push(format!("plan.toml: {why}; names are not known"));
    }
    plan
}

/// Every record up to the first that is damaged.
fn records(path: &Path, missing: &mut Vec<String>) -> Vec<Record> {
    let mut records = Vec::new();
    match bytes(path, JOURNAL_MAX) {
        Err(error) => missing.push(format!("journal.jsonl: {}", said(&error))),
        Ok(bytes) => match each(&bytes, |entry: &Entry<Record>| records.push(entry.facts.clone())) {
            Ok(()) => {}
            Err(AuditError::TornLastLine { line }) => {
                missing.push(format!("journal.jsonl: line {line}, the last, is incomplete"));
            }
            Err(AuditError::Tampered { line, .. }) => {
                missing
                    .push(format!("journal.jsonl: damaged or changed in line {line}; it counts up to the line before"));
            }
        },
    }
    if records.is_empty() && missing.iter().all(|text| !text.starts_with("journal.jsonl")) {
        missing.push("journal.jsonl: empty".to_owned());
    }
    records
}

fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file, and nothing that would block.
fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"))
    }
}

/// Takes each line of a file of evidence, and notes those that cannot be read.
fn lines(folder: &Path, name: &str, missing: &mut Vec<String>, mut take: impl FnMut(&[u8]) -> bool) {
    let file = match open(&folder.join(name)) {
        Ok(file) => file,
        Err(error) => return missing.push(format!("evidence/{name}: {}", said(&error))),
    };
    let (mut all, mut bad, mut line) = (0_u64, 0_u64, Vec::new());
    let mut reader = BufReader::new(file.take(EVIDENCE_MAX));
    loop {
        line.clear();
        match reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => {
                all += 1;
                bad += u64::from(!take(&line));
            }
            Err(error) => {
                missing.push(format!("evidence/{name}: {} after {all} lines", said(&error)));
                break;
            }
        }
    }
    if bad > 0 {
        missing.push(format!("evidence/{name}: {bad} of {all} lines cannot be read"));
    } else if all == 0 {
        missing.push(format!("evidence/{name}: empty"));
    }
}

fn said(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "no such file".to_owned() } else { error.to_string() }
}
