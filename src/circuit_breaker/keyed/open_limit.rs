//! Limit on the keyed circuits that may be open at once, and eviction of open circuits that get no calls any more.

use super::entry::Entry;
use super::group::{Group, is_due};
use crate::circuit_breaker::state::State;
use crate::clock::Instant;
use crate::keyed_table::Key;
use crate::sync::{Arc, Ordering};
use std::time::Duration;

/// Open circuits that a call looks at, to find those that are dead.
const LOOKS_MAX: usize = 32;

/// Minimum time between two such looks if nothing needs a place.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

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

    /// Forgets open circuits without calls: their hosts are gone, and their places are needed. It looks at a few, those
    /// that opened first before others.
    pub(in crate::circuit_breaker) fn sweep(&self, now: Instant) {
        for _ in 0..LOOKS_MAX {
            let Some(listed) = self.opened.lock().pop_front() else { return };
            let Some(entry) = listed.upgrade() else { continue };
            let is_dead = entry.value.try_lock().map(|mut slot| slot.stay_listed(now));
            match is_dead {
                // Looked at again where no call can reach it: one may have come in between.
                Some(Some(true)) if self.keys.remove(&entry, |circuit| circuit.is_dead(now)) => self.forget(&entry),
                Some(None) => {}
                // In use, by this very thread perhaps.
                Some(Some(_)) | None => self.opened.lock().push_back(listed),
            }
        }
    }

    /// The same now and then.
    pub(in crate::circuit_breaker) fn sweep_if_due(&self, now: Instant) {
        if is_due(&self.swept_at, SWEEP_INTERVAL, now) {
            self.sweep(now);
        }
    }

    /// Lists a circuit that has opened. The overflow is never forgotten.
    pub(in crate::circuit_breaker) fn list_open(&self, entry: &Arc<Entry<K>>) {
        if entry.key.is_some() {
            self.opened.lock().push_back(Arc::downgrade(entry));
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
