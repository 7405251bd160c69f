//! Parser of the Prometheus text format, as far as counters and gauges need it.

use backstop::BoxError;

/// The series of one scrape.
#[derive(Debug)]
pub(crate) struct Scrape(Vec<Series>);

#[derive(Debug)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Scrape {
    /// Parses lines of the form `name{label="value",…} number`; lines that begin with `#` are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, BoxError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| Series::parse(line).ok_or_else(|| format!("not a sample: {line}").into()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Sum of the series that have these labels, among others. `None` if there is none, which differs from zero.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let mut found = self.0.iter().filter(|series| series.name == name && series.has(labels)).peekable();
        found.peek()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counters are whole and not negative"
        )]
        Some(found.map(|series| series.value as u64).sum())
    }

    /// Value of `label` in the only series that is 1.
    pub(crate) fn one_hot(&self, name: &str, breaker: &str, label: &str) -> Option<String> {
        let is_on = |series: &&Series| series.name == name && series.has(&[("name", breaker)]) && series.value > 0.5;
        let mut on = self.0.iter().filter(is_on);
        let (one, more) = (on.next()?, on.next());
        if more.is_some() {
            return None;
        }
        one.labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.clone())
    }
}

impl Series {
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.push((label.trim().to_owned(), value));
                rest = after.strip_prefix(',').unwrap_or(after);
            }
            rest = &rest[1..];
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.iter().any(|(n, v)| n == name && v == value))
    }
}

/// Returns a label's value up to its closing quote, and the rest.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            _ => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
        calls_total{name=\"a\",kind=\"failed\"} 2\ncalls_total{name=\"a\",kind=\"ok\"} 3 1700000000000\n\n\
        state{name=\"a\",state=\"open\"} 0\nstate{name=\"a\",state=\"closed\"} 1\n\
        odd{path=\"C:\\\\x\",said=\"\\\"{,}\\\"\\n\"} NaN\nup 1\n";

    #[test]
    fn series_are_found_by_some_of_their_labels() {
        let scrape = Scrape::parse(TEXT).unwrap();
        assert_eq!(scrape.sum("calls_total", &[("kind", "failed")]), Some(2));
        assert_eq!(scrape.sum("calls_total", &[("name", "a")]), Some(5));
        assert_eq!(scrape.sum("calls_total", &[("name", "b")]), None, "absent is not zero");
        assert_eq!(scrape.sum("up", &[]), Some(1));
        assert_eq!(scrape.one_hot("state", "a", "state").as_deref(), Some("closed"));
    }

    #[test]
    fn labels_may_hold_anything() {
        let Scrape(series) = Scrape::parse(TEXT).unwrap();
        let odd = series.iter().find(|series| series.name == "odd").unwrap();
        assert!(odd.has(&[("path", "C:\\x"), ("said", "\"{,}\"\n")]));
        assert!(Scrape::parse("what{is=this").is_err());
    }
}
