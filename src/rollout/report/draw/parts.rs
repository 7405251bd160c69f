//! Parts that the pages have in common.

use super::chart::{Axis, Line, Unit, chart};
use super::escape::escape;
use super::series::Series;
use std::fmt::Write as _;

/// A row: its name, its bar, and its last state.
pub fn row(out: &mut String, class: &str, name: &str, bar: &str, state: &str) {
    let _ = write!(
        out,
        r#"<div class="row {class}"><span class="name">{}</span>{bar}<span class="now {}">{}</span></div>"#,
        escape(name),
        escape(&state.replace([' ', '_'], "-")),
        escape(&state.replace('_', " ")),
    );
}

/// A line for each version; the release is drawn last, above the other.
pub fn versions<'a>((canary, baseline): &'a (Series, Series), labels: (&str, &str)) -> [Line<'a>; 2] {
    [
        Line { series: baseline, style: "baseline", label: labels.1.to_owned() },
        Line { series: canary, style: "canary", label: labels.0.to_owned() },
    ]
}

/// A section of charts of evidence: each with its name, its evidence and its threshold.
pub fn evidence<'a>(
    out: &mut String,
    title: &str,
    axis: &Axis<'_>,
    all: impl Iterator<Item = (&'a str, &'a Series, &'a Series)>,
) {
    let mut all = all.peekable();
    if all.peek().is_none() {
        return;
    }
    let _ = write!(
        out,
        r#"<section><h2>{title}</h2><p class="note">How strongly the data speaks against the release, on a logarithmic scale. A
trigger fires at its threshold; chance alone gets there about once in so many rollouts. Beyond the scale it is drawn at the
edge.</p><div class="charts">"#
    );
    for (name, evidence, threshold) in all {
        let fires = threshold.points().last().map_or(0.0, |point| point.high.exp());
        let lines = [
            Line { series: threshold, style: "threshold", label: format!("fires at {fires:.0}") },
            Line { series: evidence, style: "evidence", label: "evidence".to_owned() },
        ];
        out.push_str(&chart(name, Unit::Log, axis, &lines));
    }
    out.push_str("</div></section>");
}

/// With a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!', ':']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

/// `12,345`, rounded.
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0).round());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
