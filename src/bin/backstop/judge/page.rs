//! The page: one file without scripts, which loads nothing.

use super::record::{Record, Trigger, name};
use backstop::rollback::Decision;
use backstop::rollout::report::draw::{
    Axis, HEAD, STYLE, Unit, chart, count, escape, evidence, lane, row, sentence, time, versions,
};
use std::borrow::Cow;
use std::fmt::Write;

/// The page of all verdicts. `error` is why the file could not be read to its end.
pub(super) fn page(record: &Record, source: &str, error: Option<&str>) -> String {
    let axis = Axis { from: record.from, to: record.to, stages: &record.stages };
    let mut out = String::new();
    let title = escape(source);
    let _ = write!(
        out,
        "{HEAD}<title>{} - {title}</title><style>{STYLE}</style></head><body><main>",
        headline(record.decision),
    );
    header(&mut out, record, source, error);
    if record.ticks > 0 {
        lanes(&mut out, record, &axis);
        charts(&mut out, record, &axis);
        changes(&mut out, record);
    }
    out.push_str("</main></body></html>\n");
    out
}

fn headline(decision: Option<Decision>) -> &'static str {
    match decision {
        None => "No data",
        Some(Decision::Continue) => "Continue",
        Some(Decision::Collecting) => "Collecting",
        Some(Decision::Pause) => "Pause",
        Some(Decision::Rollback) => "Rollback",
    }
}

fn header(out: &mut String, record: &Record, source: &str, error: Option<&str>) {
    let class = record.decision.map_or("collecting", Decision::as_str);
    let said = if record.ticks == 0 { "there is no tick in the file" } else { &record.sentence };
    let _ = write!(
        out,
        r#"<header class="verdict {class}"><p class="source">Verdict on {}</p><h1>{}</h1><p class="sentence">{}</p>"#,
        escape(source),
        headline(record.decision),
        escape(&sentence(said)),
    );
    for text in error.into_iter().chain(record.warnings.iter().map(String::as_str)) {
        let _ = write!(out, r#"<p class="warning">{}</p>"#, escape(&sentence(text)));
    }
    let since = record.decisions.0.last().map_or(0.0, |(at, _)| *at);
    let facts = [
        ("since", time(since)),
        ("until", time(record.to)),
        ("ticks", count(record.ticks as f64)),
        ("requests of the canary", count(record.requests.0)),
        ("of the baseline", count(record.requests.1)),
    ];
    out.push_str("<dl>");
    for (name, value) in facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl></header>");
}

fn lanes(out: &mut String, record: &Record, axis: &Axis<'_>) {
    out.push_str(r#"<section class="lanes"><h2>Decision and triggers</h2><div class="rows">"#);
    let last = record.decision.map_or("", Decision::as_str);
    row(out, "all", "decision", &lane(&record.decisions, axis, |decision| decision.as_str()), last);
    for trigger in &record.triggers {
        let last = trigger.states.0.last().map_or("", |(_, state)| name(*state));
        row(out, "", &trigger.name, &lane(&trigger.states, axis, |state| name(*state)), last);
    }
    let _ = write!(
        out,
        r#"<div class="row axis"><span></span>{}<span></span></div></div><p class="note">The higher a bar, the worse. Minutes and seconds since the rollout began{}.</p></section>"#,
        axis.labels(),
        if record.stages.len() > 1 { "; dashed lines in the charts: a new stage" } else { "" },
    );
}

fn charts(out: &mut String, record: &Record, axis: &Axis<'_>) {
    out.push_str(
        r#"<section><h2>Both versions</h2><p class="note">Shares of requests and p99 are
those of about the last 20 seconds.</p><div class="charts">"#,
    );
    let labels = ("canary", "baseline");
    out.push_str(&chart("requests a second", Unit::PerSecond, axis, &versions(&record.rates, labels)));
    for trigger in record.triggers.iter().filter(|trigger| !trigger.arms.0.is_empty()) {
        let (title, unit) = subject(trigger);
        out.push_str(&chart(&title, unit, axis, &versions(&trigger.arms, labels)));
    }
    out.push_str("</div></section>");
    let tested = record.triggers.iter().filter(|trigger| !trigger.evidence.is_empty() && !trigger.arms.0.is_empty());
    evidence(out, "Evidence", axis, tested.map(|of| (&*of.name, &of.evidence, &of.threshold)));
}

/// Units of a trigger's values.
fn subject(trigger: &Trigger) -> (Cow<'_, str>, Unit) {
    let name = &*trigger.name;
    match trigger.kind {
        "errors" => (format!("{name}: share of requests").into(), Unit::Share),
        "kpi" => (format!("{name}: share that is not good").into(), Unit::Share),
        "latency" => (format!("{name}: p99").into(), Unit::Seconds),
        "readiness" => (format!("{name}: instances not ready").into(), Unit::Share),
        "breakers" => (format!("{name}: instances with an open circuit").into(), Unit::Share),
        _ => (name.into(), Unit::Number),
    }
}

fn changes(out: &mut String, record: &Record) {
    out.push_str(r#"<section class="changes"><h2>Changes</h2><ol>"#);
    for change in &record.changes {
        let (class, of) = match &change.trigger {
            None => ("all", "decision"),
            Some(name) => ("", name.as_str()),
        };
        let _ = write!(
            out,
            r#"<li class="{class}"><time>{}</time><span class="what"><b>{}</b> <span class="now {}">{}</span></span><span class="said">{}</span></li>"#,
            time(change.at),
            escape(of),
            change.state.replace(' ', "-"),
            change.state,
            escape(&sentence(&change.sentence)),
        );
    }
    out.push_str("</ol>");
    if record.more_changes > 0 {
        let _ =
            write!(out, r#"<p class="note">{} later changes are not listed.</p>"#, count(record.more_changes as f64));
    }
    out.push_str("</section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_text_and_nothing_else() {
        let page = page(&Record::default(), "<script>alert('x')</script>\u{202e}\"&.jsonl", Some("line 1: <b>"));
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\u{202e}'), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}&quot;&amp;.jsonl"));
        assert!(page.contains("Line 1: &lt;b&gt;."));
    }

    #[test]
    fn times_are_short() {
        assert_eq!([time(0.0), time(65.4), time(3605.0)], ["0:00", "1:05", "1:00:05"]);
    }
}
