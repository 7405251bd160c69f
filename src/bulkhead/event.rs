//! Events of a bulkhead.

use super::snapshot::Snapshot;
use crate::clock::Instant;
use crate::sync::Arc;
use std::time::Duration;

/// Something that happened to a bulkhead; single calls are not events.
///
/// Every event has the bulkhead's `name`, the time `at` on its clock, and its `load` then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "event", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Event {
    /// The first call was rejected after a time without rejections.
    Saturated {
        /// The bulkhead's name.
        name: &'static str,
        /// Time on the bulkhead's clock.
        at: Instant,
        /// Calls in flight, the limit and the queue.
        load: Snapshot,
    },
    /// No call has been rejected for a second.
    Recovered {
        /// The bulkhead's name.
        name: &'static str,
        /// Time on the bulkhead's clock.
        at: Instant,
        /// Calls in flight, the limit and the queue.
        load: Snapshot,
        /// Calls rejected meanwhile.
        rejected: u64,
        /// From the first rejection until no more came.
        lasted: Duration,
    },
    /// The limit was set by hand. Changes by an adaptive limit are not events.
    Resized {
        /// The bulkhead's name.
        name: &'static str,
        /// Time on the bulkhead's clock.
        at: Instant,
        /// Calls in flight, the new limit and the queue.
        load: Snapshot,
        /// The limit before.
        from: u32,
        /// The reason that was given, if one was.
        note: Option<Arc<str>>,
    },
    /// Every permit was revoked by hand.
    Reset {
        /// The bulkhead's name.
        name: &'static str,
        /// Time on the bulkhead's clock.
        at: Instant,
        /// Calls in flight, the limit and the queue.
        load: Snapshot,
        /// Permits revoked.
        revoked: u32,
        /// The reason that was given, if one was.
        note: Option<Arc<str>>,
    },
}

impl Event {
    /// The bulkhead's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Saturated { name, .. }
            | Self::Recovered { name, .. }
            | Self::Resized { name, .. }
            | Self::Reset { name, .. } => name,
        }
    }

    /// Time on the bulkhead's clock.
    pub const fn at(&self) -> Instant {
        match self {
            Self::Saturated { at, .. }
            | Self::Recovered { at, .. }
            | Self::Resized { at, .. }
            | Self::Reset { at, .. } => *at,
        }
    }

    /// Calls in flight, the limit and the queue at that time.
    pub const fn load(&self) -> &Snapshot {
        match self {
            Self::Saturated { load, .. }
            | Self::Recovered { load, .. }
            | Self::Resized { load, .. }
            | Self::Reset { load, .. } => load,
        }
    }
}
