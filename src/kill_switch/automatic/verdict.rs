//! What comes of a window: an engagement, or what held it back.

use std::fmt;
use std::time::Duration;

/// Something that can hold an automatic engagement back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Guard {
    /// The windows come in order and do not overlap.
    Order,
    /// Every value is a number, and none is negative.
    Reading,
    /// The capability has been on for long enough.
    WarmUp,
    /// There is enough evidence.
    Samples,
    /// The canary is past the threshold.
    Threshold,
    /// The baseline is not as bad.
    Baseline,
    /// It was so in enough windows in a row.
    Windows,
    /// There were not too many automatic engagements lately.
    Flapping,
    /// No more would be turned off than automation may.
    Scope,
}

impl Guard {
    /// The name, as a label or a JSON field has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Reading => "reading",
            Self::WarmUp => "warm_up",
            Self::Samples => "samples",
            Self::Threshold => "threshold",
            Self::Baseline => "baseline",
            Self::Windows => "windows",
            Self::Flapping => "flapping",
            Self::Scope => "scope",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one guard says about a window.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// The guard.
    pub guard: Guard,
    /// The KPI that it looked at, or `None` where it looked at the whole window.
    pub kpi: Option<String>,
    /// Whether it holds the engagement back.
    pub holds: bool,
    /// Why, or why not: one sentence.
    pub sentence: String,
}

/// What comes of a window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Engage: no guard holds it back.
    #[non_exhaustive]
    Engage {
        /// The KPI that it is for; the first one, where several are bad.
        kpi: String,
        /// The metric that the KPI is made of.
        metric: String,
        /// The canary's value in the last window.
        value: f64,
        /// What it is past.
        threshold: f64,
        /// How long a window is.
        window: Duration,
        /// The canary's samples in the last window, rounded down.
        samples: u64,
        /// All of it in one sentence.
        sentence: String,
    },
    /// Wait: at least one guard holds every KPI back.
    #[non_exhaustive]
    Wait {
        /// What the guards say: those of the window and, for each KPI in the order of the settings, its own. A guard
        /// is left out that has nothing to look at because one before it holds.
        guards: Vec<Said>,
    },
}
