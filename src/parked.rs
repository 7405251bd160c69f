//! References that a thread keeps between its calls, so that a call does not write a count that threads share.
//!
//! Counting a reference costs some 10 ns a call, and 30 to 70 where two threads share the count. A call takes a reference
//! that its thread has parked and returns it at its end, on whichever thread that is.
//!
//! A thread parks a few references, to the states that it called last. One to a state without users is not parked. If the
//! last user goes at that moment, it stays until the thread looks through its places, needs this one, or ends.

use crate::panic::catch_panic;
use crate::sync::{Arc, AtomicU64, Ordering};
use std::cell::Cell;
use std::ops::Deref;

/// Places beside the last one: for calls that overlap, and for several mechanisms of one kind.
const OTHERS: usize = 7;

/// Shared state and the number of its users.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    /// References of users; those of calls in flight, and parked ones, are not among them.
    users: AtomicU64,
    /// The end of the last user; as a value, so that handles need no bounds.
    end: fn(&T),
    value: T,
}

impl<T> Kept<T> {
    /// State with its first user.
    pub(crate) fn new(value: T, end: fn(&T)) -> Self {
        Self { users: AtomicU64::new(1), end, value }
    }

    pub(crate) fn add_user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether it was the last one.
    pub(crate) fn remove_user(&self) -> bool {
        // AcqRel: what other users did happens before the end.
        let is_last = self.users.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last {
            (self.end)(&self.value);
        }
        is_last
    }

    /// Returns whether users are left. Relaxed: it orders nothing.
    #[inline]
    pub(crate) fn has_users(&self) -> bool {
        self.users.load(Ordering::Relaxed) != 0
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The references that one thread parks.
///
/// A reference is out of its place while it is compared or dropped: dropping it may run code of users, which may call.
pub(crate) struct Parked<T> {
    /// The reference that was parked last.
    last: Cell<Option<Arc<Kept<T>>>>,
    others: [Cell<Option<Arc<Kept<T>>>>; OTHERS],
    /// The place that is reused next.
    next: Cell<usize>,
}

impl<T> Parked<T> {
    pub(crate) const fn new() -> Self {
        Self { last: Cell::new(None), others: [const { Cell::new(None) }; OTHERS], next: Cell::new(0) }
    }

    /// A reference to the same: a parked one, or one more.
    #[inline]
    pub(crate) fn take(&self, like: &Arc<Kept<T>>) -> Arc<Kept<T>> {
        match self.last.take() {
            Some(parked) if Arc::ptr_eq(&parked, like) => parked,
            other => self.take_other(other, like),
        }
    }

    /// Parks a reference, perhaps in the place of an older one.
    #[inline]
    pub(crate) fn put(&self, parked: Arc<Kept<T>>) {
        if let Some(older) = self.last.replace(Some(parked)) {
            self.put_other(older);
        }
    }

    #[cold]
    #[inline(never)]
    fn take_other(&self, last: Option<Arc<Kept<T>>>, like: &Arc<Kept<T>>) -> Arc<Kept<T>> {
        match last {
            Some(dead) if !dead.has_users() => forget(dead),
            last => self.last.set(last),
        }
        for place in &self.others {
            match place.take() {
                Some(parked) if Arc::ptr_eq(&parked, like) => return parked,
                Some(parked) if !parked.has_users() => forget(parked),
                other => place.set(other),
            }
        }
        Arc::clone(like)
    }

    #[cold]
    #[inline(never)]
    fn put_other(&self, parked: Arc<Kept<T>>) {
        if !parked.has_users() {
            return forget(parked);
        }
        let place = self.others.iter().find(|place| {
            let other = place.take();
            let is_free = other.is_none();
            place.set(other);
            is_free
        });
        let place = place.unwrap_or_else(|| {
            let next = self.next.get();
            self.next.set((next + 1) % OTHERS);
            &self.others[next]
        });
        if let Some(older) = place.replace(Some(parked)) {
            forget(older);
        }
    }

    /// Drops the references to states without users.
    pub(crate) fn forget_ended(&self) {
        for place in std::iter::once(&self.last).chain(&self.others) {
            match place.take() {
                Some(parked) if !parked.has_users() => forget(parked),
                other => place.set(other),
            }
        }
    }
}

impl<T> Drop for Parked<T> {
    fn drop(&mut self) {
        for place in std::iter::once(&self.last).chain(&self.others) {
            if let Some(parked) = place.take() {
                forget(parked);
            }
        }
    }
}

/// Drops a reference. It may be the last one, and listeners may panic as they go: no call of another mechanism shall hear
/// of it.
fn forget<T>(parked: Arc<Kept<T>>) {
    let _ = catch_panic(move || drop(parked));
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    fn state() -> Arc<Kept<()>> {
        Arc::new(Kept::new((), |()| ()))
    }

    #[test]
    fn as_many_references_are_parked_as_there_are_places() {
        let (parked, one) = (Parked::new(), state());
        let overlapping: Vec<_> = (0..2 * OTHERS).map(|_| parked.take(&one)).collect();
        assert_eq!(Arc::strong_count(&one), 1 + 2 * OTHERS);
        for call in overlapping {
            parked.put(call);
        }
        assert_eq!(Arc::strong_count(&one), 1 + 1 + OTHERS);
    }

    #[test]
    fn calls_of_several_states_in_turn_count_nothing() {
        let (parked, states) = (Parked::new(), [(); 1 + OTHERS].map(|()| state()));
        for _ in 0..3 {
            for state in &states {
                parked.put(parked.take(state));
                assert_eq!(Arc::strong_count(state), 2, "the parked one is taken, and returned");
            }
        }
        let more = state();
        (0..2 * OTHERS).for_each(|_| parked.put(Arc::clone(&more)));
        assert!(states.iter().all(|state| Arc::strong_count(state) == 1), "older ones have made place");
    }

    #[test]
    fn a_reference_to_a_state_without_users_goes_at_the_next_look() {
        let (parked, [old, new]) = (Parked::new(), [(); 2].map(|()| state()));
        parked.put(parked.take(&old));
        parked.put(parked.take(&new));
        old.remove_user();
        drop(parked.take(&old));
        assert_eq!(Arc::strong_count(&old), 1);
        new.remove_user();
        parked.forget_ended();
        assert_eq!(Arc::strong_count(&new), 1);
    }
}
