//! Reader of the Prometheus text format: as much of it as a scrape needs.

use std::borrow::Cow;

/// Longest part of a line that an error quotes, in characters.
const SHOWN_MAX: usize = 60;

/// One sample of a page. A timestamp or an exemplar after the value is left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Vec<(&'a str, Cow<'a, str>)>,
    pub(crate) value: f64,
    /// Number of its line, from 1 on.
    pub(crate) line: usize,
}

impl Sample<'_> {
    /// The value of a label; empty without it, which is the same in Prometheus.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

/// Hands the samples of the wanted metrics to `each`. Other lines are read as far as their name.
///
/// # Errors
///
/// The first line that is no sample, and what `each` returns, with the number of the line; a page that is cut off.
pub(crate) fn read<'a>(
    text: &'a str,
    is_wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Sample<'a>) -> Result<(), String>,
) -> Result<(), String> {
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |line: &str| {
            let shown: String = line.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
            format!("line {}: \"{shown}\" is no sample of the Prometheus text format", i + 1)
        };
        let (name, rest) = split_name(line).ok_or_else(|| bad(line))?;
        // A name alone is no sample, wanted or not: a page of text must not pass.
        if !rest.starts_with(['{', ' ', '\t']) {
            return Err(bad(line));
        }
        if is_wanted(name) {
            let sample = sample(name, rest, i + 1).ok_or_else(|| bad(line))?;
            each(sample).map_err(|message| format!("line {}: {message}", i + 1))?;
        }
    }
    // A number may be cut short, and would be a counter that decreased. The last line of OpenMetrics needs no end.
    if text.ends_with('\n') || text.is_empty() || text.ends_with("\n# EOF") {
        Ok(())
    } else {
        Err("the page is cut off: its last line has no end".to_owned())
    }
}

fn sample<'a>(name: &'a str, rest: &'a str, line: usize) -> Option<Sample<'a>> {
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => split_labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    // A timestamp, or the exemplar of OpenMetrics.
    let is_end = words.next().is_none_or(|word| word == "#" || word.parse::<f64>().is_ok());
    is_end.then_some(Sample { name, labels, value, line })
}

fn split_name(text: &str) -> Option<(&str, &str)> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let starts_well = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    (end > 0 && starts_well).then(|| text.split_at(end))
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// Reads up to the closing brace.
fn split_labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = split_name(text)?;
        let rest = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let (value, rest) = split_quoted(rest)?;
        labels.push((name, value));
        let rest = rest.trim_start();
        text = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// Reads up to the closing quote; the value is borrowed unless it has escapes.
fn split_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let (mut value, mut chars) = (text[..end].to_owned(), text[end..].char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((Cow::Owned(value), &text[end + at + 1..])),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None,
            },
            (_, char) => value.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<Sample<'_>>, String> {
        let mut samples = Vec::new();
        read(
            text,
            |_| true,
            |sample| {
                samples.push(sample);
                Ok(())
            },
        )?;
        Ok(samples)
    }

    #[test]
    fn samples_are_read_with_their_labels_escapes_timestamps_and_exemplars() {
        let text = "# HELP a of a\n# TYPE a counter\na 1\na:b{} 2.5e3 1700000000\n\
                    c{x=\"1\",y=\"a\\\\b\\\"c\\nd\",} +Inf\r\n  d { z = \"\" } 3 # {trace=\"1\"} 0.5\n";
        let samples = all(text).unwrap();
        let names: Vec<_> = samples.iter().map(|sample| (sample.name, sample.value)).collect();
        assert_eq!(names, [("a", 1.0), ("a:b", 2500.0), ("c", f64::INFINITY), ("d", 3.0)]);
        assert_eq!((samples[2].label("x"), samples[2].label("y"), samples[2].label("z")), ("1", "a\\b\"c\nd", ""));
    }

    #[test]
    fn the_end_of_an_openmetrics_page_needs_no_line_break() {
        assert_eq!(all("a 1\n# EOF").unwrap().len(), 1);
    }

    #[test]
    fn text_that_is_no_page_of_metrics_is_an_error_with_its_line() {
        for (text, shown) in [
            ("<!doctype html><html>", "line 1: \"<!doctype html><html>\""),
            ("a 1\nhello", "line 2: \"hello\""),
            ("a{b=\"c} 1", "line 1"),
            ("a{b=c} 1", "line 1"),
            ("a{b=\"c\"}", "line 1"),
            ("a{b=\"c\" d=\"e\"} 1", "line 1"),
            ("a one", "line 1"),
            ("a 1 two", "line 1"),
            ("9a 1", "line 1"),
            ("{\"status\": \"ok\"}", "line 1"),
            ("a 1\nb 12", "the page is cut off"),
            ("a 1\n# EO", "the page is cut off"),
        ] {
            let error = all(text).unwrap_err();
            assert!(error.starts_with(shown), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c{}=\",\\\\ #0-9.\n-]{0,80}") {
            let _ = all(&text);
        }

        #[test]
        fn labels_are_read_as_they_were_written(value in "[^\\x00-\\x1f]{0,20}", number in -1e9_f64..1e9) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("m{{l=\"{escaped}\"}} {number}\n");
            let samples = all(&text).unwrap();
            prop_assert_eq!(samples[0].label("l"), value);
            prop_assert!((samples[0].value - number).abs() <= 0.0);
        }
    }
}
