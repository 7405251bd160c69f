//! A report as sections of sentences and tables: what Markdown and the page have in common.

use super::trigger::Finding;
use super::values::{Impact, Report};
use super::words::{clock, count, minute, percent, sentence, since, span};

/// A report without its format.
pub(super) struct Document {
    pub(super) title: String,
    /// Style of the title: `continue`, `pause`, `rollback` or `collecting`.
    pub(super) class: &'static str,
    pub(super) about: String,
    pub(super) status: String,
    pub(super) sentence: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) missing: Vec<String>,
    pub(super) sections: Vec<Section>,
}

pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Text(String),
    List(Vec<String>),
    Table(&'static [&'static str], Vec<Vec<String>>),
    /// To be filled in by people: the question, and whether the answers are items to tick off.
    Fill(&'static str, bool),
}

impl Report {
    pub(super) fn document(&self) -> Document {
        let (title, class) = self.headline();
        let mut sections = vec![self.steps(), self.impact(), self.evidence(), self.timeline(), self.actions()];
        sections.extend([self.people(), self.alerts()]);
        if self.is_retreat || !self.causes.is_empty() {
            sections.extend([self.cause(), items(), lessons()]);
        }
        Document {
            title,
            class,
            about: format!("{} rollout {}", self.service, self.number).trim().to_owned(),
            status: self.status(),
            sentence: sentence(&self.summary()),
            facts: self.facts(),
            missing: self.missing.clone(),
            sections,
        }
    }

    fn name(&self) -> &str {
        if self.artifact.is_empty() { "the release" } else { &self.artifact }
    }

    fn headline(&self) -> (String, &'static str) {
        let name = self.name();
        match self.state.as_str() {
            "promoted" => (format!("{name} was promoted"), "continue"),
            "rolled_back" => (format!("{name} was rolled back"), "rollback"),
            "superseded" => (format!("{name} was superseded"), "pause"),
            "aborted" => (format!("{name} ended before it had traffic"), "pause"),
            "" => ("Nothing is known of this rollout".to_owned(), "collecting"),
            "escalated" => (format!("{name} waits for a person"), "rollback"),
            _ if self.is_retreat => (format!("{name} is being rolled back"), "rollback"),
            _ => (format!("The rollout of {name} is not over"), "collecting"),
        }
    }

    fn status(&self) -> String {
        match (self.state.as_str(), self.causes.last()) {
            (_, Some(cause)) => format!("closed: {} recorded a cause at {}", cause.by, minute(cause.at)),
            ("rolled_back", None) => "open: no cause is recorded, and a rollback does not fix the release".to_owned(),
            ("promoted" | "superseded" | "aborted", None) => "closed: it was not rolled back for a fault".to_owned(),
            ("", None) => "open: there is no journal".to_owned(),
            (state, None) => format!("in progress: {}", state.replace('_', " ")),
        }
    }

    fn summary(&self) -> String {
        let largest = self.largest_weight;
        let because = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        match self.state.as_str() {
            "promoted" => format!("it has all of the traffic of {} after {}", self.service, span(self.seconds)),
            "rolled_back" => {
                format!("all traffic is back at {} after at most {largest} % had gone to it{because}", self.previous)
            }
            "superseded" | "aborted" => format!("it had at most {largest} % of the traffic{because}"),
            "" => "the journal is missing or damaged".to_owned(),
            state => format!("it is {} with {} % of the traffic{because}", state.replace('_', " "), self.weight),
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
        fact("began", self.began.map(minute));
        fact("lasted", (!self.state.is_empty()).then(|| span(self.seconds)));
        fact("largest share", Some(format!("{} %", self.largest_weight)).filter(|_| !self.state.is_empty()));
        let step = |name: &str| self.steps.iter().find(|step| step.name == name).and_then(|step| step.took).map(span);
        fact("fault to verdict", step("detect"));
        fact("decision to weight 0", step("move"));
        let budget = self.budget.map(|budget| format!(" of {}", span(budget))).unwrap_or_default();
        fact("decision to recovery", self.recovered_in.map(|seconds| format!("{}{budget}", span(seconds))));
        fact("failed beyond the usual", self.impact.as_ref().map(|impact| count(impact.beyond)));
        facts
    }

    fn steps(&self) -> Section {
        let mut blocks = Vec::new();
        if !self.steps.is_empty() {
            let row = |step: &super::values::Step| {
                let at = step.at.map_or_else(|| "not known".to_owned(), since);
                let took = step.took.map_or_else(|| "-".to_owned(), span);
                vec![step.name.to_owned(), at, took, step.text.clone()]
            };
            blocks.push(Block::Table(&["step", "at", "took", "seen as"], self.steps.iter().map(row).collect()));
            if let (Some(seconds), Some(budget)) = (self.recovered_in, self.budget) {
                let within = if seconds <= budget { "within" } else { "beyond" };
                let (seconds, budget) = (span(seconds), span(budget));
                blocks.push(Block::Text(format!(
                    "From the decision to recovery {seconds}, {within} the plan's budget of {budget}."
                )));
            }
        }
        if !self.traffic.is_empty() && !self.state.is_empty() {
            let row = |of: &super::values::Traffic| vec![format!("{} %", of.weight), since(of.from), span(of.seconds)];
            blocks.push(Block::Table(&["share of the traffic", "from", "for"], self.traffic.iter().map(row).collect()));
        }
        Section { title: "Steps", blocks: or(blocks, "No step is known.") }
    }

    fn impact(&self) -> Section {
        let Some(impact) = &self.impact else {
            return Section {
                title: "Impact",
                blocks: vec![Block::Text("No requests of the release were measured.".to_owned())],
            };
        };
        let Impact { requests, failed, beyond, usual_rate, compared_with, .. } = impact;
        let more =
            if *beyond >= 1.0 { format!("about {} more than", count(*beyond)) } else { "no more than".to_owned() };
        let mut blocks = vec![Block::Text(format!(
            "{} of {} requests to the release failed in {}, from {} to {}{}: {} at the rate of {compared_with}, {}.",
            count(*failed),
            count(*requests),
            span(impact.until - impact.from),
            since(impact.from),
            since(impact.until),
            if impact.is_over { "" } else { " so far" },
            more,
            percent(*usual_rate),
        ))];
        if let (Some(p99), Some(usual)) = (impact.p99, impact.usual_p99)
            && p99 > usual
        {
            let (p99, usual) = (p99 * 1e3, usual * 1e3);
            blocks.push(Block::Text(format!(
                "The p99 latency of its successful requests was at most {p99:.0} ms, beside {usual:.0} ms usually."
            )));
        }
        let affected: Vec<_> = impact.segments.iter().filter(|segment| segment.is_affected).collect();
        if affected.is_empty() {
            blocks.push(Block::Text("In no segment are there more failures than chance explains.".to_owned()));
        } else {
            let row = |of: &&super::values::Segment| {
                vec![of.name.clone(), count(of.requests), count(of.failed), count(of.beyond)]
            };
            let head = &["affected segment", "requests", "failed", "beyond the usual"];
            blocks.push(Block::Table(head, affected.iter().map(row).collect()));
        }
        if impact.more_segments > 0 {
            blocks.push(Block::Text(format!("{} more segments are not listed.", impact.more_segments)));
        }
        Section { title: "Impact", blocks }
    }

    fn evidence(&self) -> Section {
        let row = |of: &Finding| {
            let strength = match (of.log_e, of.log_threshold) {
                (Some(e), Some(threshold)) => format!("{} of {}", power(e), power(threshold)),
                _ => "a limit".to_owned(),
            };
            let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| shown(&of.kind, value));
            let (name, samples) = (format!("{} ({})", of.trigger, of.state), count(of.samples));
            vec![name, since(of.at), value(of.canary), value(of.baseline), samples, strength, of.sentence.clone()]
        };
        let head = &["trigger", "at", "release", "previous version", "requests", "evidence", "finding"];
        let none = "No trigger fired, as far as the verdicts are kept.";
        table("Evidence", head, self.findings.iter().map(row).collect(), none)
    }

    fn timeline(&self) -> Section {
        let row = |of: &super::history::Moment| vec![clock(of.time), since(of.at), of.kind.to_owned(), of.text.clone()];
        let head = &["UTC", "since the start", "kind", "event"];
        table("Timeline", head, self.timeline.iter().map(row).collect(), "Nothing is recorded.")
    }

    fn actions(&self) -> Section {
        let row = |of: &super::history::Done| {
            let took = of.ended.map_or_else(|| "-".to_owned(), |ended| span(ended - of.at));
            vec![of.name.clone(), since(of.at), took, of.attempts.to_string(), of.outcome.clone()]
        };
        let rows: Vec<_> = self.actions.iter().map(row).collect();
        let mut blocks = Vec::new();
        if !rows.is_empty() {
            blocks.push(Block::Table(&["action", "at", "took", "attempts", "outcome"], rows));
            let output = "Arguments are in plan.toml and output is in evidence/commands.log: both may hold secrets and are not repeated here.";
            blocks.push(Block::Text(output.to_owned()));
        }
        Section { title: "Actions", blocks: or(blocks, "No action was begun.") }
    }

    fn people(&self) -> Section {
        let row = |of: &super::history::Person| {
            let against = if of.is_override { ", against the verdict" } else { "" };
            vec![
                of.name.clone(),
                since(of.at),
                format!("{}{against}", of.command),
                of.reason.clone(),
                of.answer.clone(),
            ]
        };
        let head = &["person", "at", "command", "reason", "answer"];
        let none = "No command of a person is recorded.";
        table("Persons and overrides", head, self.people.iter().map(row).collect(), none)
    }

    fn alerts(&self) -> Section {
        let number = |kind: &str| self.timeline.iter().filter(|moment| moment.kind == kind).count();
        let (page, notify, info) = (number("page"), number("notify"), number("info"));
        let mut list = vec![format!(
            "{page} of level page, {notify} notify, {info} info, besides those about commands; the timeline has their texts"
        )];
        list.extend(self.deliveries.sentences());
        Section { title: "Alerts", blocks: vec![Block::List(list)] }
    }

    fn cause(&self) -> Section {
        let line = |cause: &super::values::Cause| format!("{} {}: {}", minute(cause.at), cause.by, cause.text);
        let mut blocks = Vec::new();
        if self.causes.is_empty() {
            blocks.push(Block::Fill("why it failed, and why nothing before the rollout showed it", false));
            if self.is_open {
                blocks.push(Block::Text(format!(
                    "The rollback stays open until a cause is recorded: backstop rollout report {} --number {} --cause TEXT --by NAME",
                    self.service,
                    self.number.trim_start_matches('0'),
                )));
            }
        } else {
            blocks.push(Block::List(self.causes.iter().map(line).collect()));
        }
        Section { title: "Cause", blocks }
    }
}

fn items() -> Section {
    let question = "what is done, by whom, until when";
    Section { title: "Action items", blocks: vec![Block::Fill(question, true)] }
}

fn lessons() -> Section {
    let question = "what went well, what did not, where chance helped";
    Section { title: "Lessons", blocks: vec![Block::Fill(question, false)] }
}

fn table(title: &'static str, head: &'static [&'static str], rows: Vec<Vec<String>>, none: &str) -> Section {
    let blocks = if rows.is_empty() { Vec::new() } else { vec![Block::Table(head, rows)] };
    Section { title, blocks: or(blocks, none) }
}

fn or(blocks: Vec<Block>, text: &str) -> Vec<Block> {
    if blocks.is_empty() { vec![Block::Text(text.to_owned())] } else { blocks }
}

/// Evidence as a number: how many times likelier the data is if the release is worse.
fn power(log: f64) -> String {
    let value = log.min(700.0).exp();
    if value < 1e6 { count(value) } else { format!("1e{:.0}", (log / std::f64::consts::LN_10).floor()) }
}

fn shown(kind: &str, value: f64) -> String {
    match kind {
        "errors" | "kpi" | "readiness" | "breakers" => percent(value),
        "latency" => format!("{:.0} ms", value * 1e3),
        _ => format!("{value:.3}"),
    }
}
