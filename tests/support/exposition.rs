//! What a Prometheus server would scrape: a real exporter, and its text parsed.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::BTreeMap;

const STATE: &str = "backstop_circuit_breaker_state";

/// A Prometheus recorder that threads use between `run`'s braces, and the scrape that goes with it.
pub(crate) struct Exporter {
    recorder: Box<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Exporter {
    pub(crate) fn new() -> Self {
        Self::of(PrometheusBuilder::new())
    }

    pub(crate) fn of(builder: PrometheusBuilder) -> Self {
        let recorder = Box::new(builder.build_recorder());
        Self { handle: recorder.handle(), recorder }
    }

    /// Runs `work` with this recorder installed, on this thread.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.recorder, work)
    }

    /// The text of a scrape.
    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::parse(self.handle.render(), "")
    }

    /// The one state whose gauge is at 1.
    pub(crate) fn state(&self, breaker: &str) -> String {
        Scrape::parse(self.handle.render(), STATE).state(breaker)
    }
}

/// One scrape: values by series.
pub(crate) struct Scrape {
    pub(crate) text: String,
    pub(crate) series: BTreeMap<Series, f64>,
}

/// A name and its labels, by key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Scrape {
    /// Of the series only those that begin with `prefix`.
    fn parse(text: String, prefix: &str) -> Self {
        let is_series = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let lines = text.lines().filter(|line| line.starts_with(prefix)).filter(is_series);
        let series = lines.map(parse_line).collect();
        Self { text, series }
    }

    /// The value of the one series that has these labels among its own.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &Series| labels.iter().all(|(k, v)| series.labels.get(*k).is_some_and(|have| have == v));
        let found: Vec<_> = self.series.iter().filter(|(series, _)| series.name == name && has(series)).collect();
        assert_eq!(found.len(), 1, "{name} with {labels:?}: {found:?}");
        *found[0].1
    }

    /// The sum over the series of a name that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &Series| labels.iter().all(|(k, v)| series.labels.get(*k).is_some_and(|have| have == v));
        self.series.iter().filter(|(series, _)| series.name == name && has(series)).map(|(_, value)| value).sum()
    }

    /// The one state whose gauge is at 1.
    pub(crate) fn state(&self, breaker: &str) -> String {
        let is_of = |series: &&Series| series.name == STATE && series.labels["name"] == breaker;
        let states: Vec<_> = self.series.keys().filter(is_of).collect();
        assert_eq!(states.len(), 6, "a gauge for every state: {states:?}");
        let hot: Vec<_> = states.iter().filter(|state| self.series[**state] != 0.0).collect();
        assert_eq!(hot.len(), 1, "one state at a time: {hot:?}");
        assert_eq!(self.series[*hot[0]].to_string(), "1");
        hot[0].labels["state"].clone()
    }
}

fn parse_line(line: &str) -> (Series, f64) {
    let parse = || {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (key, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
                let (value, after) = unquote(quoted)?;
                labels.insert(key.to_owned(), value);
                rest = after;
            }
            rest = &rest[1..];
        }
        let value = rest.trim().parse().ok()?;
        Some((Series { name: name.to_owned(), labels }, value))
    };
    parse().unwrap_or_else(|| panic!("not a line of the text format: {line}"))
}

/// The text up to the closing quote, and what follows.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            (_, plain) => value.push(plain),
        }
    }
}
