//! Looks at both arms through the query API.

use super::client::{Client, Looking};
use super::expression::{Selector, Span, joined, quoted};
use crate::clock::Instant;
use crate::config::{ConfigError, Problem};
use crate::rollback::{Instances, Policy, Tick};
use crate::rollout::source::counters::{Bound, Counter, bucket_name};
use crate::rollout::source::page::{CPU, MEMORY};
use crate::rollout::source::sums::{Sums, tick};
use crate::rollout::source::{Access, Source, SourceError};
use crate::telemetry;
use std::collections::BTreeMap;
use std::time::Duration;

/// Age of the samples that are looked at: those of a scrape are there by then.
const SETTLED: f64 = 1.0;
/// Age of the newest sample beyond which the server is behind.
const STALE: f64 = 60.0;

/// Asks a Prometheus server, which adds up the instances: ten thousand cost no more than ten.
///
/// All times are the server's: a look covers the time from the end of the last one to a second ago, so that nothing counts
/// twice and nothing is lost, whatever our clock says and however many scrapes were missed. A server whose newest sample is
/// older than a minute is an error; one without a new sample has nothing new.
///
/// Limits: 5 seconds and 1 MiB an answer, 15 seconds a look. A series that missed all scrapes of an hour counts from 0 when
/// it is back.
///
/// # Examples
///
/// ```no_run
/// use backstop::rollback::Policy;
/// use backstop::rollout::source::{Prometheus, Source};
///
/// let policy = Policy::default();
/// let mut source = Prometheus::new("http://prometheus:9090", "checkout", r#"version="1.2.4""#)?
///     .baseline(r#"version="1.2.3""#)
///     .gauges(&policy);
/// assert_eq!(source.look()?, None); // the counters' values are the base
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    service: String,
    service_label: String,
    canary: Selector,
    baseline: Option<Selector>,
    gauges: Vec<String>,
    /// Name, and the counters of good results and of all.
    kpis: Vec<(String, String, String)>,
    every: Duration,
    /// Time of the last look, and of the newest sample then.
    last: Option<(f64, f64)>,
    asked: Option<Instant>,
    warnings: Vec<String>,
}

impl Prometheus {
    /// Asks this server for this service, as its signals are named; the canary's series have these labels.
    ///
    /// # Errors
    ///
    /// A text that is no address of a server.
    pub fn new(url: &str, service: &str, canary: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            client: Client::new(url)?,
            service: service.to_owned(),
            service_label: "service".to_owned(),
            canary: Selector::new(canary),
            baseline: None,
            gauges: Vec::new(),
            kpis: Vec::new(),
            every: Duration::from_secs(5),
            last: None,
            asked: None,
            warnings: Vec::new(),
        })
    }

    /// Matchers of the stable version's series. Default: there is no baseline.
    #[must_use]
    pub fn baseline(self, matchers: &str) -> Self {
        Self { baseline: Some(Selector::new(matchers)), ..self }
    }

    /// Label that names the service. Default: `service`.
    ///
    /// Where targets have a label `service` of their own, as those of the Prometheus operator have, the server renames the
    /// exported one to `exported_service`.
    #[must_use]
    pub fn service_label(self, label: &str) -> Self {
        Self { service_label: label.to_owned(), ..self }
    }

    /// Credentials and certificate authorities for the server. Default: none, and the public ones.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { client: self.client.access(access), ..self }
    }

    /// Also asks for the gauges of this policy: the mean of the instances. Default: none.
    #[must_use]
    pub fn gauges(self, policy: &Policy) -> Self {
        Self { gauges: policy.gauges().map(str::to_owned).collect(), ..self }
    }

    /// Time between two looks. Default: 5 s.
    ///
    /// Smaller finds sooner if the server scrapes as often; larger asks less of a server of many instances.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// Counts a KPI: the counters of good results and of all results, such as `checkouts_total{result="paid"}`.
    ///
    /// # Errors
    ///
    /// A text that is no metric with or without matchers.
    pub fn kpi(mut self, name: &str, good: &str, total: &str) -> Result<Self, ConfigError> {
        for metric in [good, total] {
            let plain = metric.split('{').next().unwrap_or_default().trim();
            let is_name =
                !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
            if !is_name {
                let allowed = "a counter such as checkouts_total{result=\"paid\"}";
                return Err(ConfigError::of(Problem::new("kpi", format!("\"{metric}\""), allowed)));
            }
        }
        self.kpis.push((name.to_owned(), good.to_owned(), total.to_owned()));
        Ok(self)
    }

    fn of_service(&self, arm: &Selector, metric: &str) -> String {
        arm.of(metric, &format!("{}={}", self.service_label, quoted(&self.service)))
    }

    /// The server's time, and that of each arm's newest sample.
    fn times(&self, looking: &Looking<'_>) -> Result<(f64, Option<f64>), SourceError> {
        let newest = |arm| format!("max(timestamp({} offset 1s))", self.of_service(arm, telemetry::REQUESTS.name));
        let mut fields = vec![("now", "vector(time())".to_owned()), ("canary", newest(&self.canary))];
        fields.extend(self.baseline.as_ref().map(|arm| ("baseline", newest(arm))));
        let times = looking.vector(&joined(&fields), &["field"])?;
        let of = |field: &str| times.get(&vec![field.to_owned()]).copied();
        let now = of("now").ok_or_else(|| SourceError::new("the server does not say its time"))?;
        let newest = [of("canary"), of("baseline")].into_iter().flatten().reduce(f64::max);
        Ok((now, newest))
    }

    fn arm(&self, looking: &Looking<'_>, arm: &Selector, span: Span) -> Result<Sums, SourceError> {
        let mut sums = Sums::default();
        let added = |metric: &str, labels: &str| span.added(&self.of_service(arm, metric), labels);

        let query = format!("sum by (segment, outcome) ({})", added(telemetry::REQUESTS.name, "segment, outcome"));
        for (key, value) in looking.vector(&query, &["segment", "outcome"])? {
            let [segment, outcome] = pair(key);
            sums.counters.insert(Counter::Requests { segment, outcome }, value);
        }
        let by_segment = |metric: &str| format!("sum by (segment) ({})", added(metric, "segment"));
        let seconds = joined(&[
            ("active", by_segment(telemetry::ACTIVE_SECONDS.name)),
            ("error", by_segment(telemetry::ERROR_SECONDS.name)),
        ]);
        for (key, value) in looking.vector(&seconds, &["field", "segment"])? {
            let [field, segment] = pair(key);
            let is_active = field == "active";
            let counter =
                if is_active { Counter::ActiveSeconds { segment } } else { Counter::ErrorSeconds { segment } };
            sums.counters.insert(counter, value);
        }
        self.buckets(looking, arm, span, &mut sums)?;
        let state = |state: &str| span.now(&arm.of(telemetry::CIRCUIT_BREAKER_STATE.name, state));
        let named = joined(&[
            ("open", format!("sum by (name) ({})", state("state=~\"open|half_open\""))),
            ("of", format!("count by (name) ({})", state("state=\"closed\""))),
            ("engaged", format!("max by (name) ({}) > 0", span.now(&arm.of(telemetry::KILL_SWITCH_ENGAGED.name, "")))),
            ("bulkhead", bulkheads(arm, span)),
        ]);
        for (key, value) in looking.vector_with(&named, &["field", "name"], |key| key[0] == "bulkhead")? {
            let [field, name] = pair(key);
            match &*field {
                "open" => sums.breakers.entry(name).or_default().0 = value,
                "of" => sums.breakers.entry(name).or_default().1 = value,
                "engaged" => drop(sums.engaged.insert(name)),
                _ => drop(sums.gauges.insert(format!("bulkhead.{name}"), (value, 1.0))),
            }
        }
        self.totals(looking, arm, span, &mut sums)?;
        Ok(sums)
    }

    fn buckets(&self, looking: &Looking<'_>, arm: &Selector, span: Span, sums: &mut Sums) -> Result<(), SourceError> {
        let series = self.of_service(arm, &bucket_name());
        let query = joined(&[
            ("added", format!("sum by (outcome, le) ({})", span.added(&series, "outcome, le"))),
            ("series", format!("count by (outcome, le) ({})", span.now(&series))),
        ]);
        // Instances may write a bound as 1 or as 1.0.
        let mut series: BTreeMap<String, BTreeMap<Bound, f64>> = BTreeMap::new();
        for (key, value) in looking.vector(&query, &["field", "outcome", "le"])? {
            let [field, outcome, le] = key.try_into().unwrap_or_default();
            let le = Bound::parse(&le).ok_or_else(|| SourceError::new(format!("a bucket has the bound \"{le}\"")))?;
            let sum = match &*field {
                "added" => sums.counters.entry(Counter::Bucket { outcome, le }).or_default(),
                _ => series.entry(outcome).or_default().entry(le).or_default(),
            };
            *sum += value;
        }
        let is_mixed = |of: &BTreeMap<Bound, f64>| of.values().any(|count| Some(count) != of.values().next());
        sums.has_mixed_bounds = series.values().any(is_mixed);
        Ok(())
    }

    /// Values without labels: instances, gauges, KPIs.
    fn totals(&self, looking: &Looking<'_>, arm: &Selector, span: Span, sums: &mut Sums) -> Result<(), SourceError> {
        let now = |metric: &str, more: &str| span.now(&arm.of(metric, more));
        let failing =
            |check: &str| format!("{} != 1", now(telemetry::HEALTH_STATUS.name, &format!("check={}", quoted(check))));
        let (not_ready, not_started) = (failing("readiness"), failing("startup"));
        let mut names: Vec<(String, String)> = [
            ("total", format!("count({})", now("up", ""))),
            ("down", format!("count({} == 0)", now("up", ""))),
            ("not_started", format!("count({not_started})")),
            ("not_ready", format!("count(({not_ready}) unless ignoring (check) ({not_started}))")),
            ("cpu", format!("avg({})", span.added(&arm.of(CPU, ""), ""))),
            ("gauge:memory", format!("avg({})", now(MEMORY, ""))),
            (
                "gauge:in_flight",
                format!("avg({})", span.now(&self.of_service(arm, telemetry::IN_FLIGHT_REQUESTS.name))),
            ),
        ]
        .map(|(field, expression)| (field.to_owned(), expression))
        .into();
        let is_metric = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        let own =
            self.gauges.iter().filter(|name| is_metric(name) && !matches!(&***name, "cpu" | "memory" | "in_flight"));
        names.extend(own.map(|name| (format!("gauge:{name}"), format!("avg({})", now(name, "")))));
        for (i, (_, good, total)) in self.kpis.iter().enumerate() {
            let added = |metric: &str| format!("sum({})", span.added(&arm.of(metric, ""), ""));
            names.extend([(format!("good:{i}"), added(good)), (format!("all:{i}"), added(total))]);
        }
        let fields: Vec<_> = names.iter().map(|(field, expression)| (&**field, expression.clone())).collect();
        let values =
            looking.vector_with(&joined(&fields), &["field"], |key| key[0] == "cpu" || key[0].starts_with("gauge:"))?;
        let values: BTreeMap<_, _> =
            values.into_iter().filter_map(|(key, value)| Some((key.into_iter().next()?, value))).collect();
        let of = |field: &str| values.get(field).copied();
        if let Some(total) = of("total") {
            let not_started = of("not_started").unwrap_or(0.0).min(total);
            let not_ready = of("down").unwrap_or(0.0) + of("not_ready").unwrap_or(0.0);
            sums.instances = Some(Instances { total, not_started, not_ready: not_ready.min(total - not_started) });
        }
        if let Some(cpu) = of("cpu") {
            (sums.cpu, _) = (1.0, sums.counters.insert(Counter::Cpu, cpu));
        }
        for (field, value) in &values {
            if let Some(name) = field.strip_prefix("gauge:") {
                sums.gauges.insert(name.to_owned(), (*value, 1.0));
            }
        }
        for (i, (name, ..)) in self.kpis.iter().enumerate() {
            // Without a series of good results there may be none: where all were counted, that is 0.
            let Some(total) = of(&format!("all:{i}")) else { continue };
            let counter = |is_total| Counter::Kpi { name: name.clone(), is_total };
            sums.counters.insert(counter(true), total);
            sums.counters.insert(counter(false), of(&format!("good:{i}")).unwrap_or(0.0));
        }
        Ok(())
    }
}

fn bulkheads(arm: &Selector, span: Span) -> String {
    let now = |metric: &str| span.now(&arm.of(metric, ""));
    let in_flight = now(telemetry::BULKHEAD_IN_FLIGHT_CALLS.name);
    format!("avg by (name) ({in_flight} / {})", now(telemetry::BULKHEAD_MAX_CONCURRENT_CALLS.name))
}

fn pair(key: Vec<String>) -> [String; 2] {
    key.try_into().unwrap_or_default()
}

impl Source for Prometheus {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        let now = self.client.clock().now();
        let is_early = |asked: Instant| now.saturating_duration_since(asked) < self.every.mul_f64(0.9);
        if self.asked.is_some_and(is_early) {
            return Ok(None);
        }
        self.warnings.clear();
        let looking = self.client.begin()?;
        let (server, newest) = self.times(&looking)?;
        let Some(newest) = newest else {
            let series = self.of_service(&self.canary, telemetry::REQUESTS.name);
            return Err(SourceError::new(format!(
                "the server has no sample of {series}, nor of the baseline: check the labels"
            )));
        };
        let to = server - SETTLED;
        if server - newest > STALE {
            return Err(SourceError::new(format!(
                "the newest sample is {:.0} s old: the server does not scrape",
                server - newest
            )));
        }
        let Some((from, before)) = self.last else {
            (self.last, self.asked) = (Some((to, newest)), Some(now));
            return Ok(None);
        };
        if newest <= before || to <= from {
            return Ok(None);
        }
        let span = Span { from, to };
        let mut canary = self.arm(&looking, &self.canary, span)?;
        let mut baseline = self.baseline.as_ref().map(|arm| self.arm(&looking, arm, span)).transpose()?;
        if let Some(baseline) = &mut baseline {
            // Where one arm has `up`, the other one without it has no instance.
            let has_up = canary.instances.is_some() || baseline.instances.is_some();
            for arm in [&mut canary, baseline] {
                arm.instances = arm.instances.or(has_up.then(Instances::default));
            }
        }
        if canary.counters.keys().all(|counter| !matches!(counter, Counter::Requests { .. })) {
            let series = self.of_service(&self.canary, telemetry::REQUESTS.name);
            self.warnings.push(format!("the canary is not measured: the server has no sample of {series}"));
        }
        let (tick, warnings) =
            tick(to, to - from, canary, baseline).map_err(|error| SourceError::new(error.to_string()))?;
        self.warnings.extend(warnings);
        (self.last, self.asked) = (Some((to, newest)), Some(now));
        Ok(Some(tick))
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
