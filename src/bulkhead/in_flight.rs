//! Calls in flight, one by one: for bulkheads that time them.
//!
//! A place in the table is used again, so a permit names its place and how often that had been used before: one
//! that was revoked is not returned.

use crate::clock::Instant;
use crate::upload::Upload;
use std::time::Duration;

/// Bits of a number that are the place; the rest counts its uses.
const PLACE_BITS: u32 = 24;
const PLACE: u64 = (1 << PLACE_BITS) - 1;

/// Names a call in flight: its place, and how often that had been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId(u64);

impl CallId {
    /// A call that is not timed.
    pub(crate) const NONE: Self = Self(u64::MAX);

    fn new(place: usize, uses: u64) -> Self {
        Self(place as u64 | uses << PLACE_BITS)
    }

    fn place(self) -> usize {
        (self.0 & PLACE) as usize
    }

    fn uses(self) -> u64 {
        self.0 >> PLACE_BITS
    }
}

/// State of a call's sample for the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    Nothing,
    /// Its round trip.
    Answer,
    /// That it was dropped, after its answer perhaps.
    Drop,
}

/// A call in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) since: Instant,
    /// Calls in flight when it began, itself among them.
    pub(crate) in_flight: u32,
    pub(crate) partition: usize,
    pub(crate) told: Reported,
    /// Waits of the handler for its caller's body.
    pub(crate) upload: Option<Upload>,
}

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Each with the number of its uses.
    places: Vec<(u64, Option<Timed>)>,
    free: Vec<usize>,
    /// No call in flight began earlier: it may be too early, never too late.
    oldest_bound: Option<Instant>,
}

impl InFlight {
    pub(crate) fn insert(&mut self, hold: Timed) -> CallId {
        self.oldest_bound = Some(self.oldest_bound.map_or(hold.since, |bound| bound.min(hold.since)));
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        let (uses, slot) = &mut self.places[place];
        *slot = Some(hold);
        CallId::new(place, *uses)
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Timed> {
        let (uses, slot) = self.places.get_mut(id.place())?;
        if *uses == id.uses() { slot.as_mut() } else { None }
    }

    /// Removes a call; `None` if its permit was revoked.
    pub(crate) fn remove(&mut self, id: CallId) -> Option<Timed> {
        self.get_mut(id)?;
        self.clear(id.place())
    }

    fn clear(&mut self, place: usize) -> Option<Timed> {
        let (uses, slot) = &mut self.places[place];
        let hold = slot.take()?;
        *uses = (*uses + 1) % (1 << (u64::BITS - PLACE_BITS));
        self.free.push(place);
        if self.free.len() == self.places.len() {
            self.oldest_bound = None;
        }
        Some(hold)
    }

    /// Start of the oldest call in flight.
    pub(crate) fn oldest(&mut self) -> Option<Instant> {
        let began = |(_, slot): &(u64, Option<Timed>)| slot.as_ref().map(|hold| hold.since);
        self.oldest_bound = self.places.iter().filter_map(began).min();
        self.oldest_bound
    }

    /// Takes away the calls that began at `deadline` or earlier. Looks only when there can be one.
    pub(crate) fn expire(&mut self, deadline: Instant) -> Vec<Timed> {
        if self.oldest_bound.is_none_or(|bound| bound > deadline) {
            return Vec::new();
        }
        let is_over = |slot: &Option<Timed>| slot.as_ref().is_some_and(|hold| hold.since <= deadline);
        let over: Vec<_> = (0..).zip(&self.places).filter(|(_, (_, slot))| is_over(slot)).map(|(i, _)| i).collect();
        let over = over.into_iter().filter_map(|place| self.clear(place)).collect();
        self.oldest();
        over
    }

    /// A bound on when the oldest call in flight began, without a look at all of them.
    pub(crate) fn oldest_bound(&self) -> Option<Instant> {
        self.oldest_bound
    }

    /// Takes all away.
    pub(crate) fn clear_all(&mut self) {
        for place in 0..self.places.len() {
            self.clear(place);
        }
    }

    /// The age of the oldest call.
    pub(crate) fn oldest_age(&mut self, now: Instant) -> Option<Duration> {
        self.oldest().map(|since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(since: u64) -> Timed {
        Timed { since: Instant::from_nanos(since), in_flight: 1, partition: 0, told: Reported::Nothing, upload: None }
    }

    #[test]
    fn a_call_that_was_taken_away_does_not_return_anothers_place() {
        let mut holds = InFlight::default();
        let old = holds.insert(hold(1));
        assert_eq!(holds.expire(Instant::from_nanos(1)), [hold(1)]);
        let new = holds.insert(hold(2));
        assert_eq!(holds.remove(old), None);
        assert_eq!(holds.remove(new), Some(hold(2)));
        assert_eq!(holds.remove(new), None);
        assert_eq!(holds.remove(CallId::NONE), None);
    }

    #[test]
    fn memory_is_that_of_the_most_calls_at_once() {
        let mut holds = InFlight::default();
        let stuck = holds.insert(hold(0));
        for i in 1..10_000 {
            let id = holds.insert(hold(i));
            holds.remove(id).unwrap();
        }
        assert_eq!(holds.places.len(), 2);
        assert_eq!(holds.oldest(), Some(Instant::from_nanos(0)));
        holds.remove(stuck).unwrap();
        assert_eq!(holds.oldest_bound(), None);
    }

    #[test]
    fn only_calls_that_are_old_enough_are_taken_away() {
        let mut holds = InFlight::default();
        for since in [5, 3, 9] {
            holds.insert(hold(since));
        }
        assert_eq!(holds.expire(Instant::from_nanos(2)).len(), 0);
        assert_eq!(holds.expire(Instant::from_nanos(5)).len(), 2);
        assert_eq!(holds.oldest_age(Instant::from_nanos(10)), Some(Duration::from_nanos(1)));
        holds.clear_all();
        assert_eq!(holds.oldest_age(Instant::from_nanos(10)), None);
    }
}
