//! History of a rollout: its journal as sentences, jobs and persons.

use super::draw::Lane;
use crate::clock::Timestamp;
use crate::rollback::Decision;
use crate::rollback::plan::{Action as Command, Level, Plan};
use crate::rollout::journal::Record;
use crate::rollout::redact::{clean, clean_all};
use crate::rollout::stages::{Action, Event, Job, Outcome, Step};
use serde::Serialize;

/// Most entries of a list; the ones in the middle are left out.
const ENTRIES_MAX: usize = 600;

/// An entry of the timeline.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Moment {
    pub(super) time: Timestamp,
    /// Seconds since the rollout began.
    pub(super) at: f64,
    /// `page`, `notify`, `info`, `person`, `action`, `failure` or `controller`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// An action and its attempts.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Done {
    pub(super) name: String,
    pub(super) at: f64,
    /// End of the last attempt; `None` if it is not known to have ended.
    pub(super) ended: Option<f64>,
    pub(super) attempts: u32,
    /// `done`, `failed: why`, `interrupted` or `not known to have ended`.
    pub(super) outcome: String,
    #[serde(skip)]
    key: u64,
    #[serde(skip)]
    job: Job,
}

/// A person's command, and the answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Person {
    pub(super) at: f64,
    pub(super) name: String,
    pub(super) command: &'static str,
    pub(super) reason: String,
    pub(super) answer: String,
    /// Whether it was against the verdict.
    pub(super) is_override: bool,
}

/// Everything that the journal says.
#[derive(Default)]
pub(super) struct History {
    pub(super) moments: Vec<Moment>,
    pub(super) jobs: Vec<Done>,
    pub(super) people: Vec<Person>,
    pub(super) states: Lane<String>,
    /// Weights that were set and read back.
    pub(super) weights: Vec<(f64, u32)>,
    /// Seconds since the rollout began: the first verdict to roll back, the decision, the weight 0, and the end.
    pub(super) detected: Option<f64>,
    pub(super) decided: Option<f64>,
    pub(super) returned: Option<f64>,
    pub(super) ended: Option<f64>,
    /// Time of day of the first record, and of the end.
    pub(super) began: Option<Timestamp>,
    pub(super) end_time: Option<Timestamp>,
    /// The reason of the decision.
    pub(super) reason: String,
    /// The reason of the last state.
    pub(super) why: String,
    pub(super) state: String,
    pub(super) weight: u32,
    pub(super) last: f64,
    /// Entries of the timeline that were too many.
    pub(super) left_out: usize,
}

impl History {
    /// Of all records; the plan gives actions their names.
    pub(super) fn of(records: &[Record], plan: Option<&Plan>) -> Self {
        let mut history = Self { weights: vec![(0.0, 0)], ..Self::default() };
        for record in records {
            let cleaned = serde_json::to_value(record).ok().and_then(|mut value| {
                clean_all(&mut value);
                serde_json::from_value::<Record>(value).ok()
            });
            if let Some(record) = cleaned {
                history.add(&record, plan);
            }
        }
        history
    }

    /// Whether the traffic returned or returns.
    pub(super) const fn is_retreat(&self) -> bool {
        self.decided.is_some()
    }

    fn add(&mut self, record: &Record, plan: Option<&Plan>) {
        let at = record.elapsed().as_secs_f64().clamp(self.last, 1e8);
        self.last = at;
        self.began.get_or_insert(record.at);
        let mut say = |kind, text: String| self.moments.push(Moment { time: record.at, at, kind, text });
        let alerts = record.actions.iter().filter_map(|action| match action {
            Action::Alert { level, text } => Some((*level, text)),
            _ => None,
        });
        let decides = alerts.clone().find_map(|(_, text)| text.strip_prefix("rolling back "));
        let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
        match &record.event {
            Event::Started { by, reason } => {
                let reason = reason.clone().unwrap_or_default();
                say("person", format!("{by} started the rollout{}", because(&reason)));
                let answer = "started".to_owned();
                let (name, command) = (by.clone(), "start");
                self.people.push(Person { at, name, command, reason, answer, is_override: false });
            }
            Event::Resumed => {
                say("controller", "the controller was started again and went on from its journal".to_owned());
            }
            Event::Lost { why } => say("controller", format!("the journal was lost: {why}")),
            Event::Looked(look) if look.decision == Decision::Rollback => {
                self.detected.get_or_insert(at);
            }
            Event::Looked(look) if self.states.0.last().is_some_and(|(_, state)| *state != record.state) => {
                if record.state == "moving" || record.state == "promoting" {
                    say("controller", format!("decided to go on: {}", look.sentence));
                }
            }
            Event::Asked { ask, by, reason, .. } => {
                let answer = record.actions.iter().find_map(|action| match action {
                    Action::Answer { is_accepted, text } if *is_accepted => Some(text.clone()),
                    Action::Answer { text, .. } => Some(format!("not accepted: {text}")),
                    _ => None,
                });
                let (name, command, answer) = (by.clone(), ask.as_str(), answer.unwrap_or_default());
                say("person", format!("{by} asked for {command}{}; answer: {answer}", because(reason)));
                let is_override = record.actions.iter().any(|action| matches!(action, Action::Override { .. }));
                self.people.push(Person { at, name, command, reason: reason.clone(), answer, is_override });
            }
            Event::Finished { key, outcome } => {
                let job = self.jobs.iter_mut().rev().find(|job| job.key == *key);
                let name = job.as_ref().map_or_else(|| "an action".to_owned(), |job| job.name.clone());
                let is_return = job.as_ref().is_none_or(|job| matches!(job.job, Job::Move { weight: 0, .. }));
                let (kind, text) = match outcome {
                    Outcome::Done => ("action", "done".to_owned()),
                    Outcome::Failed { why, .. } => ("failure", format!("failed: {why}")),
                };
                if let Some(job) = job {
                    (job.ended, job.outcome) = (Some(at), text.clone());
                }
                say(kind, format!("{name}: {text}"));
                if self.decided.is_some() && kind == "action" && is_return && record.weight == 0 {
                    self.returned.get_or_insert(at);
                }
            }
            Event::Looked(_) | Event::Weight { .. } | Event::Clock => {}
        }
        let is_covered = matches!(record.event, Event::Started { .. } | Event::Asked { .. });
        for (level, text) in alerts.filter(|(level, _)| !(is_covered && *level == Level::Info)) {
            say(level.as_str(), text.clone());
        }
        self.act(record, at, plan);
        if self.decided.is_none() && (decides.is_some() || is_retreat(&record.state)) {
            self.decided = Some(at);
            self.reason.clone_from(&record.why);
        }
        if self.weights.last().is_none_or(|(_, weight)| *weight != record.weight) {
            self.weights.push((at, record.weight));
        }
        self.states.add(at, record.state.clone());
        if is_end(&record.state) {
            self.ended.get_or_insert(at);
            self.end_time.get_or_insert(record.at);
        } else {
            (self.ended, self.end_time) = (None, None); // a promoted release may still be rolled back
        }
        (self.state, self.why, self.weight) = (record.state.clone(), record.why.clone(), record.weight);
        self.left_out += cap(&mut self.moments);
        cap(&mut self.jobs);
        cap(&mut self.people);
    }

    fn act(&mut self, record: &Record, at: f64, plan: Option<&Plan>) {
        for action in &record.actions {
            match action {
                Action::Cancel => {
                    if let Some(job) = self.jobs.last_mut().filter(|job| job.ended.is_none()) {
                        (job.ended, job.outcome) = (Some(at), "interrupted".to_owned());
                    }
                }
                Action::Do { key, job } => {
                    let is_same = |last: &&mut Done| same(&last.job, job) && last.outcome != "done";
                    if let Some(last) = self.jobs.last_mut().filter(is_same) {
                        (last.key, last.ended, last.attempts) = (*key, None, last.attempts.saturating_add(1));
                        continue;
                    }
                    let (name, outcome) = (name_of(job, plan), "not known to have ended".to_owned());
                    self.jobs.push(Done { name, at, ended: None, attempts: 1, outcome, key: *key, job: job.clone() });
                }
                _ => {}
            }
        }
    }
}

/// States of a rollout whose traffic returns or has returned.
fn is_retreat(state: &str) -> bool {
    matches!(state, "rolling_back" | "recovering" | "rolled_back" | "superseded" | "aborted")
}

fn is_end(state: &str) -> bool {
    matches!(state, "promoted" | "rolled_back" | "superseded" | "aborted")
}

/// Whether an action is another attempt at the same.
fn same(one: &Job, other: &Job) -> bool {
    match (one, other) {
        (Job::Run { step, .. }, Job::Run { step: other, .. }) => step == other,
        _ => one == other,
    }
}

/// Removes entries from the middle of a list that is too long; returns how many.
fn cap<T>(entries: &mut Vec<T>) -> usize {
    let more = entries.len().saturating_sub(ENTRIES_MAX);
    let middle = entries.len().min(ENTRIES_MAX) / 2;
    entries.drain(middle..middle + more).count()
}

/// Name of an action: never its arguments, which may be secrets.
fn name_of(job: &Job, plan: Option<&Plan>) -> String {
    let named = |place: &str, argv: Option<&Vec<String>>, kind: Option<&Command>| {
        let program = argv.and_then(|argv| argv.first()).map(|program| program.rsplit('/').next().unwrap_or_default());
        let program = program.map(|program| format!(", program {}", clean(program))).unwrap_or_default();
        let kind = kind.map(|action| format!(" ({})", action.kind.as_str())).unwrap_or_default();
        format!("{place}{kind}{program}")
    };
    let of = |place: &str, command: Option<&Command>| named(place, command.map(|command| &command.argv), command);
    match job {
        Job::Move { weight, cut } => {
            let cut = if *cut { " (break-glass)" } else { "" };
            format!("weight {weight} %{cut}, read back")
        }
        Job::Run { step: Step::Weight, .. } => "the weight".to_owned(),
        Job::Run { step: Step::Rollback(place), .. } => {
            of(&format!("rollback[{place}]"), plan.and_then(|plan| plan.rollback.get(*place)))
        }
        Job::Run { step: Step::Promote(place), .. } => {
            of(&format!("promote[{place}]"), plan.and_then(|plan| plan.promote.get(*place)))
        }
        Job::Run { step: Step::Preserve(place), .. } => {
            let argv = plan.and_then(|plan| plan.preserve.get(*place)).map(|preserve| &preserve.argv);
            named(&format!("preserve[{place}]"), argv, None)
        }
    }
}
