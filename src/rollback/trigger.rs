//! Triggers: what each kind makes of a tick.

mod breakers;
mod finding;
mod gauge;
mod lasting;
mod latency;
mod look;
mod rate;
mod readiness;
mod segments;

use super::policy::{Class, Kind, RateSettings, Trigger};
use super::tick::{Arm, Segment, Tick};
use super::verdict::TriggerState;
use crate::rollback::stats::errors::{Counts, Seconds};
use breakers::Breakers;
pub(crate) use finding::{Finding, Now, count};
use gauge::Gauge;
pub(crate) use lasting::Gaps;
use latency::Latency;
use rate::{Rate, What};
use readiness::Readiness;

/// A trigger with what it learned.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    Rate(Box<Rate>),
    Latency(Box<Latency>),
    Gauge(Gauge),
    Readiness(Readiness),
    Breakers(Breakers),
}

impl Watch {
    pub(crate) fn new(trigger: &Trigger) -> Self {
        let rate_of = |rate: &RateSettings, what| Self::Rate(Box::new(Rate::new(rate.clone(), what)));
        match &trigger.kind {
            Kind::Errors { class: Class::Client, rate } => rate_of(rate, What::ClientErrors),
            Kind::Errors { rate, .. } => rate_of(rate, What::Requests),
            Kind::Kpi { kpi, rate } => rate_of(rate, What::Kpi(kpi.clone())),
            Kind::Latency(settings) => Self::Latency(Box::new(Latency::new(settings.clone()))),
            Kind::Gauge(settings) => Self::Gauge(Gauge::new(settings.clone())),
            Kind::Readiness(settings) => Self::Readiness(Readiness::new(settings.clone())),
            Kind::Breakers(settings) => Self::Breakers(Breakers::new(settings.clone())),
        }
    }

    /// Takes in a tick; returns whether it was measured.
    pub(crate) fn observe(&mut self, trigger: &Trigger, now: &Now, tick: &Tick) -> bool {
        let baseline = tick.baseline.as_ref();
        match (self, &trigger.kind) {
            (Self::Rate(rate), Kind::Errors { class, .. }) => {
                let of_baseline = |name| segment_counts(baseline?.segments.get(name)?, *class);
                let segments = tick.canary.segments.iter();
                let arms = segments.map(|(name, own)| (&**name, (segment_counts(own, *class), of_baseline(name))));
                rate.observe(now, arms)
            }
            (Self::Rate(rate), Kind::Kpi { kpi, .. }) => {
                let counts = (kpi_counts(&tick.canary, kpi), baseline.and_then(|arm| kpi_counts(arm, kpi)));
                rate.observe(now, std::iter::once((&**kpi, counts)))
            }
            (Self::Latency(latency), _) => latency.observe(now, &tick.canary, baseline),
            (Self::Gauge(gauge), _) => gauge.observe(now, &tick.canary, baseline),
            (Self::Readiness(readiness), _) => readiness.observe(now, &tick.canary, baseline),
            (Self::Breakers(breakers), _) => breakers.observe(now, &tick.canary, baseline),
            (Self::Rate(_), _) => false,
        }
    }

    /// Forgets the evidence, and not what was learned of the traffic.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Rate(rate) => rate.restart(),
            Self::Latency(latency) => latency.restart(),
            Self::Gauge(gauge) => gauge.restart(),
            Self::Readiness(readiness) => readiness.restart(),
            Self::Breakers(breakers) => breakers.restart(),
        }
    }

    pub(crate) fn state(&self) -> TriggerState {
        match self {
            Self::Rate(rate) => rate.state(),
            Self::Latency(latency) => latency.state(),
            Self::Gauge(gauge) => gauge.state(),
            Self::Readiness(readiness) => readiness.state(),
            Self::Breakers(breakers) => breakers.state(),
        }
    }

    /// Requests of the canary so far, where it counts them.
    pub(crate) fn samples(&self) -> f64 {
        match self {
            Self::Rate(rate) => rate.samples(),
            Self::Latency(latency) => latency.samples(),
            Self::Gauge(_) | Self::Readiness(_) | Self::Breakers(_) => 0.0,
        }
    }

    /// Finding on the data so far.
    pub(crate) fn finding(&self) -> Finding {
        match self {
            Self::Rate(rate) => rate.finding(),
            Self::Latency(latency) => latency.finding(),
            Self::Gauge(gauge) => gauge.finding(),
            Self::Readiness(readiness) => readiness.finding(),
            Self::Breakers(breakers) => breakers.finding(),
        }
    }
}

/// Where requests were counted, an absent class of errors is 0. Errors beyond the requests are skew between counters.
fn segment_counts(segment: &Segment, class: Class) -> Option<Counts> {
    let requests = segment.requests?;
    let (client, server) = (segment.client_errors.unwrap_or(0.0), segment.server_errors.unwrap_or(0.0));
    let errors = match class {
        Class::Server => server,
        Class::Client => client,
        Class::All => client + server,
    };
    // Errors without a second that had one contradict each other, and so do more seconds than errors: seconds are then not
    // measured.
    let error = segment.error_seconds.unwrap_or(0.0);
    let are_known = class == Class::Server && error <= errors && (error > 0.0 || errors == 0.0);
    let active = segment.active_seconds.filter(|_| are_known);
    let seconds = active.map(|active| Seconds { error, active: active.max(error) });
    Some(Counts { errors, requests: requests.max(errors), seconds })
}

fn kpi_counts(arm: &Arm, kpi: &str) -> Option<Counts> {
    let kpi = arm.kpis.get(kpi)?;
    Some(Counts { errors: kpi.total - kpi.good, requests: kpi.total, seconds: None })
}
