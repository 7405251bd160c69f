//! Queries: what was added to counters between two times of the server, summed over instances there.

use std::fmt::Write as _;

/// Time within which a series that missed scrapes before the last look is found. One that was away for longer counts from 0.
const RANGE: &str = "1h";

/// The series of an arm: matchers that all of its metrics have, such as `version="1.2.4"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(String);

impl Selector {
    /// Matchers with or without braces.
    pub(super) fn new(matchers: &str) -> Self {
        let inner = matchers.trim();
        let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
        Self(inner.trim().trim_end_matches(',').to_owned())
    }

    /// `metric{more,matchers}`. A metric may have matchers of its own.
    pub(super) fn of(&self, metric: &str, more: &str) -> String {
        let (name, own) = match metric.trim().split_once('{') {
            Some((name, own)) => (name.trim(), own.trim().trim_end_matches('}').trim_end_matches(',')),
            None => (metric.trim(), ""),
        };
        let parts: Vec<_> = [own, more, &self.0].into_iter().filter(|part| !part.is_empty()).collect();
        format!("{name}{{{}}}", parts.join(","))
    }
}

/// Two times of the server: of the last look and of this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Span {
    /// Added to each series; one that is new counts from 0. Exact over any number of missed scrapes, as the next span begins
    /// at the same time at which this one ends.
    ///
    /// Series that differ in these labels only are of one process: where one of them decreased it was restarted, and all
    /// of them count whole. Without labels, each series is looked at alone.
    pub(super) fn added(self, series: &str, labels: &str) -> String {
        let (from, to) = (time(self.from), time(self.to));
        let added = format!("({series} @ {to} - last_over_time({series}[{RANGE}] @ {from}))");
        let kept = match labels {
            "" => format!("{added} >= 0"),
            labels => format!("{added} unless ignoring ({labels}) ({added} < 0)"),
        };
        format!("(({kept}) or {series} @ {to})")
    }

    /// Values of now.
    pub(super) fn now(self, series: &str) -> String {
        format!("{series} @ {}", time(self.to))
    }
}

fn time(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// One vector of several, each told by its label `field`.
pub(super) fn joined(fields: &[(&str, String)]) -> String {
    let mut query = String::new();
    for (i, (field, expression)) in fields.iter().enumerate() {
        let or = if i > 0 { " or " } else { "" };
        // Written to a text: it cannot fail.
        let _ = write!(query, "{or}label_replace({expression}, \"field\", \"{field}\", \"\", \"\")");
    }
    query
}

/// A label's value in quotes.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_of_the_arm_and_of_the_metric_are_joined() {
        let selector = Selector::new(" {version=\"1\", } ");
        assert_eq!(selector.of("x", ""), "x{version=\"1\"}");
        assert_eq!(selector.of("x{a=\"b\",}", "c=\"d\""), "x{a=\"b\",c=\"d\",version=\"1\"}");
        assert_eq!(Selector::new("").of("x", ""), "x{}");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    }

    #[test]
    fn spans_are_exact_to_the_millisecond() {
        let span = Span { from: 1_700_000_000.25, to: 1_700_000_001.5 };
        assert_eq!(
            span.added("x{}", ""),
            "(((x{} @ 1700000001.500 - last_over_time(x{}[1h] @ 1700000000.250)) >= 0) or x{} @ 1700000001.500)"
        );
        assert_eq!(
            joined(&[("a", "x".into()), ("b", "y".into())]),
            "label_replace(x, \"field\", \"a\", \"\", \"\") or label_replace(y, \"field\", \"b\", \"\", \"\")"
        );
    }
}
