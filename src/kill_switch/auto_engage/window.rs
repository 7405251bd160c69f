//! KPIs of one window.

use crate::clock::Timestamp;
use crate::kill_switch::model::{Engage, Percent, Spread, Stage};
use std::collections::BTreeMap;

/// A KPI's value, and how many samples it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "put it into a window"]
pub struct Reading {
    pub(crate) value: f64,
    pub(crate) samples: f64,
}

impl Reading {
    /// A value and its samples, as a metrics store gives them: both may be fractions. Valid: finite, 0 at least.
    pub const fn new(value: f64, samples: f64) -> Self {
        Self { value, samples }
    }
}

/// Blast radius of an engagement.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "pass it to a window"]
pub struct BlastRadius {
    pub(crate) percent: f64,
    pub(crate) spread: Spread,
}

impl BlastRadius {
    /// A percentage of the requests, above 0 and at most 100, on that part of the fleet.
    pub const fn new(percent: f64, spread: Spread) -> Self {
        Self { percent, spread }
    }

    /// That of an engagement, by its share of the keys and its stage: the most it may be. Routes, tenants and the like
    /// make it smaller by an unknown amount. One that names no stage may be everywhere.
    pub fn of(engage: &Engage) -> Self {
        let spread = engage.stage.as_ref().map_or(Spread::Everywhere, Stage::spread);
        Self { percent: engage.scope.share().map_or(100.0, Percent::get), spread }
    }
}

/// The KPIs of one window, by name: of those that have the capability, and of those that do not.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "observe it"]
pub struct Window {
    pub(crate) at: Timestamp,
    pub(crate) reach: BlastRadius,
    pub(crate) canary: BTreeMap<String, Reading>,
    pub(crate) baseline: BTreeMap<String, Reading>,
}

impl Window {
    /// A window that ended then; to engage would turn off as much as `reach` says.
    pub const fn new(at: Timestamp, reach: BlastRadius) -> Self {
        Self { at, reach, canary: BTreeMap::new(), baseline: BTreeMap::new() }
    }

    /// A KPI of instances with the capability on.
    pub fn canary(mut self, kpi: impl Into<String>, reading: Reading) -> Self {
        self.canary.insert(kpi.into(), reading);
        self
    }

    /// A KPI of instances with the capability off.
    pub fn baseline(mut self, kpi: impl Into<String>, reading: Reading) -> Self {
        self.baseline.insert(kpi.into(), reading);
        self
    }
}
