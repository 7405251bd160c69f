//! The places of those circuits that may be open at once, and the circuits without calls.

use super::entry::Entry;
use super::group::{Group, is_due};
use crate::circuit_breaker::state::State;
use crate::clock::Instant;
use crate::keyed_table::Key;
use crate::sync::Ordering;
use std::time::Duration;

/// The shortest time between two looks at all keys for circuits that are dead.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl<K: Key> Group<K> {
    /// Takes a place among those that may be open, if there is one.
    pub(in crate::circuit_breaker) fn take_place(&self, now: Instant) -> bool {
        self.try_take_place() || {
            self.sweep(now);
            self.try_take_place()
        }
    }

    fn try_take_place(&self) -> bool {
        let keys = self.keys.len() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
        let most = ((keys * self.max_open_fraction.get()) as u64).max(1);
        let is_bounded = self.max_open_fraction.get() < 1.0;
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (!is_bounded || open + self.half_open.load(Ordering::Relaxed) < most).then_some(open + 1)
        });
        taken.is_ok()
    }

    /// Forgets open circuits without calls: their hosts are gone, and their places are needed.
    pub(in crate::circuit_breaker) fn sweep(&self, now: Instant) {
        if self.open_len() > 0 && is_due(&self.swept_at, SWEEP_INTERVAL, now) {
            let gone = self.keys.sweep(|circuit| circuit.is_dead(now));
            for entry in gone {
                self.forget(&entry);
            }
        }
    }

    /// Counts out an entry that has left the table.
    pub(in crate::circuit_breaker) fn forget(&self, entry: &Entry<K>) {
        let state = entry.value.lock().state(&self.config.lock());
        self.settle_places(state, State::Closed, false);
        self.accumulated.lock().change(state, State::Closed, self.stopwatch.clock.coarse());
    }

    /// Keeps the number of open and half-open circuits right after a change. A place may have been taken before.
    pub(in crate::circuit_breaker) fn settle_places(&self, before: State, after: State, has_place: bool) {
        let counter = |state: State| match state {
            State::Open => Some(&self.open),
            State::HalfOpen => Some(&self.half_open),
            _ => None,
        };
        if before == after {
            // By way of other states, as time allows: it held a place all along.
            self.open.fetch_sub(u64::from(has_place), Ordering::Relaxed);
            return;
        }
        if let Some(counter) = counter(after).filter(|_| !has_place) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(counter) = counter(before) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
