//! A report as a page: one file without scripts, which loads nothing.

use super::document::{Block, Document, Section};
use super::draw::{Axis, HEAD, Line, STYLE, Series, Unit, chart, escape, evidence, lane, row, sentence, versions};
use super::trigger::Trigger;
use super::values::Report;
use std::fmt::Write as _;

const OWN_STYLE: &str = include_str!("report.css");
/// Longest cell that is kept in one line, in bytes.
const SHORT: usize = 24;
/// Most triggers with a chart of their evidence.
const TRIGGERS_MAX: usize = 8;

impl Report {
    /// The report as a page in HTML, with charts.
    pub fn html(&self) -> String {
        let document = self.document();
        let mut out = String::new();
        let _ = write!(
            out,
            "{HEAD}<title>{}</title><style>{STYLE}{OWN_STYLE}</style></head><body><main>",
            escape(&document.title)
        );
        header(&mut out, &document);
        for of in &document.sections {
            section(&mut out, of);
            if of.title == "Impact" {
                self.draw(&mut out);
            }
        }
        out.push_str("</main></body></html>\n");
        out
    }

    fn draw(&self, out: &mut String) {
        let charts = &self.charts;
        let stages: Vec<_> = charts.weights.iter().map(|(at, weight)| (*at, f64::from(*weight))).collect();
        let axis = Axis { from: charts.from, to: charts.to, stages: &stages };
        if charts.states.0.is_empty() && charts.decisions.0.is_empty() {
            return;
        }
        self.lanes(out, &axis);
        self.both_versions(out, &axis);
        let mut tested: Vec<_> = charts.triggers.iter().filter(|trigger| !trigger.evidence.is_empty()).collect();
        tested.sort_by_key(|trigger| trigger.finding.is_none());
        let tested = tested.iter().take(TRIGGERS_MAX).map(|of| (&*of.name, &of.evidence, &of.threshold));
        evidence(out, "Evidence over time", &axis, tested);
    }

    fn lanes(&self, out: &mut String, axis: &Axis<'_>) {
        out.push_str(r#"<section class="lanes"><h2>Stages and verdicts</h2><div class="rows">"#);
        let charts = &self.charts;
        row(out, "all", "rollout", &lane(&charts.states, axis, |state: &String| state), &self.state);
        if !charts.decisions.0.is_empty() {
            let last = charts.decisions.0.last().map_or("", |(_, state)| state);
            row(out, "", "verdict", &lane(&charts.decisions, axis, |state: &&'static str| state), last);
        }
        let is_measured = |trigger: &&Trigger| trigger.states.0.iter().any(|(_, state)| *state != "not measured");
        for trigger in charts.triggers.iter().filter(is_measured) {
            let last = trigger.states.0.last().map_or("", |(_, state)| state);
            row(out, "", &trigger.name, &lane(&trigger.states, axis, |state: &&'static str| state), last);
        }
        let _ = write!(
            out,
            r#"<div class="row axis"><span></span>{}<span></span></div></div><p class="note">The higher a bar, the worse. Minutes and seconds since the rollout began; dashed lines in the charts: another share of the traffic.</p></section>"#,
            axis.labels(),
        );
    }

    fn both_versions(&self, out: &mut String, axis: &Axis<'_>) {
        out.push_str(r#"<section><h2>Both versions</h2><div class="charts">"#);
        let mut weights = Series::default();
        for (i, (at, weight)) in self.charts.weights.iter().enumerate() {
            if let Some((_, before)) = i.checked_sub(1).and_then(|i| self.charts.weights.get(i)) {
                weights.add(*at, Some(f64::from(*before) / 100.0));
            }
            weights.add(*at, Some(f64::from(*weight) / 100.0));
        }
        weights.add(self.charts.to, Some(f64::from(self.weight) / 100.0));
        let weight = [Line { series: &weights, style: "weight", label: "release".to_owned() }];
        out.push_str(&chart("share of the traffic", Unit::Share, axis, &weight));
        let arms = &self.charts.arms;
        let charts = [
            ("requests that fail", Unit::Share, &arms.errors),
            ("p99 latency of successes", Unit::Seconds, &arms.p99),
            ("requests a second", Unit::PerSecond, &arms.rates),
        ];
        for (title, unit, arms) in charts {
            if !arms.0.is_empty() || !arms.1.is_empty() {
                out.push_str(&chart(title, unit, axis, &versions(arms, ("release", "previous version"))));
            }
        }
        out.push_str("</div></section>");
    }
}

fn header(out: &mut String, document: &Document) {
    let _ = write!(
        out,
        r#"<header class="verdict {}"><p class="source">{}</p><h1>{}</h1><p class="sentence">{}</p><p class="status">{}</p>"#,
        document.class,
        escape(&document.about),
        escape(&document.title),
        escape(&document.sentence),
        escape(&sentence(&document.status)),
    );
    out.push_str("<dl>");
    for (name, value) in &document.facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    }
    out.push_str("</dl></header>");
    if !document.missing.is_empty() {
        out.push_str(r#"<div class="warning"><b>Missing evidence</b><ul>"#);
        for text in &document.missing {
            let _ = write!(out, "<li>{}</li>", escape(text));
        }
        out.push_str("</ul></div>");
    }
}

fn section(out: &mut String, section: &Section) {
    let _ = write!(out, "<section><h2>{}</h2>", section.title);
    for block in &section.blocks {
        match block {
            Block::Text(text) => {
                let _ = write!(out, r#"<p class="text">{}</p>"#, escape(text));
            }
            Block::List(items) => {
                out.push_str("<ul>");
                for item in items {
                    let _ = write!(out, "<li>{}</li>", escape(&sentence(item)));
                }
                out.push_str("</ul>");
            }
            Block::Table(head, rows) => {
                out.push_str(r#"<div class="table"><table><thead><tr>"#);
                for title in *head {
                    let _ = write!(out, r#"<th scope="col">{title}</th>"#);
                }
                out.push_str("</tr></thead><tbody>");
                for row in rows {
                    let kind =
                        row.get(2).map(String::as_str).filter(|_| section.title == "Timeline").unwrap_or_default();
                    let _ = write!(out, r#"<tr class="{}">"#, escape(kind));
                    for (title, cell) in head.iter().zip(row) {
                        let class = if cell.len() <= SHORT { r#" class="short""# } else { "" };
                        let _ = write!(out, r#"<td{class} data-title="{title}">{}</td>"#, escape(cell));
                    }
                    out.push_str("</tr>");
                }
                out.push_str("</tbody></table></div>");
            }
            Block::Fill(question, is_list) => {
                let class = if *is_list { "fill items" } else { "fill" };
                let _ = write!(out, r#"<div class="{class}"><p>To be filled in by people: {question}</p></div>"#);
            }
        }
    }
    out.push_str("</section>");
}
