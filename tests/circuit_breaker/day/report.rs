//! Figures of simulated days.

use std::fmt;
use std::time::Duration;

/// Figures of one service, or of several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) services: u64,
    pub(crate) calls: u64,
    pub(crate) openings: u64,
    /// Time for which calls were rejected although all was well: of the worst service.
    pub(crate) wrongly_open: Duration,
    /// Openings in an outage.
    pub(crate) outages_seen: u64,
    pub(crate) recoveries: u64,
    /// Recoveries that another outage, a restart or the end of the day cut off.
    pub(crate) unfinished: u64,
    pub(crate) worst_recovery: Duration,
    /// Most probes of a round, without those of clients that left.
    pub(crate) probes: u32,
    pub(crate) probes_at_once: u32,
    pub(crate) broken: Vec<String>,
}

impl Report {
    pub(crate) const HEADER: &str = "\
| service | services | calls | openings | wrongly open, s | recoveries | worst, s | probes a round | at once |\n\
|---|---|---|---|---|---|---|---|---|";

    pub(crate) fn recovers(&mut self, after: Duration) {
        self.recoveries += 1;
        self.worst_recovery = self.worst_recovery.max(after);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.services += other.services;
        self.calls += other.calls;
        self.openings += other.openings;
        self.wrongly_open = self.wrongly_open.max(other.wrongly_open);
        self.outages_seen += other.outages_seen;
        self.recoveries += other.recoveries;
        self.unfinished += other.unfinished;
        self.worst_recovery = self.worst_recovery.max(other.worst_recovery);
        self.probes = self.probes.max(other.probes);
        self.probes_at_once = self.probes_at_once.max(other.probes_at_once);
        self.broken.extend_from_slice(&other.broken);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { services, calls, openings, recoveries, probes, probes_at_once, .. } = self;
        let (wrongly_open, worst) = (self.wrongly_open.as_secs_f64(), self.worst_recovery.as_secs_f64());
        write!(
            f,
            "{services} | {calls} | {openings} | {wrongly_open:.0} | {recoveries} | {worst:.0} | {probes} | {probes_at_once} |"
        )
    }
}
