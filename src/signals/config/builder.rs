//! The setters: plain values, checked together at the end.

use super::SignalsConfig;
use super::check::Settings;
use crate::clock::Clock;
use crate::config::{ConfigError, ConfigOnly, Named, builder};
use crate::signals::handle::Signals;

builder!(SignalsBuilder<T>, Settings => SignalsConfig, Signals = "service's signals", ": one segment, `default`");

impl<T> SignalsBuilder<T> {
    /// Parts of the traffic that are counted apart: groups of routes, tiers of tenants, kinds of clients. Default: one,
    /// `default`. Valid: at most 32 different names, none of them `other`, which is added.
    ///
    /// Segments keep a shift in the mix of traffic from looking like a worse or a better release. Each costs 9 series
    /// and about 1 kB for each thread; ten times as many segments leave each with a tenth of the evidence.
    #[must_use]
    pub fn segments<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.settings.segments.extend(names.into_iter().map(N::into));
        self
    }
}
