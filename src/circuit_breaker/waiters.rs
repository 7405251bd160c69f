//! Tasks to wake when the circuit changes.

use crate::panic::catch_panic;
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::fmt;
use std::task::Waker;

/// One waker for each task that waits, its newest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<List>>);

#[derive(Debug, Default)]
pub(crate) struct List {
    wakers: BTreeMap<u64, Waker>,
    last_id: u64,
}

/// A task's place in the list, once it waits. Dropping it takes the waker back; a clone does not wait.
#[derive(Default)]
pub struct Place(Option<(Arc<Mutex<List>>, u64)>);

impl Waiters {
    pub(super) fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.0.lock().wakers);
        for waker in wakers.into_values() {
            catch_panic(|| waker.wake()); // one that panics must not cost the others their turn
        }
    }

    /// Wakes the task at the next change, and no other that used the same place.
    pub(crate) fn wake_later(&self, place: &mut Place, waker: &Waker) {
        let waker = waker.clone(); // foreign code, as its drop is: both outside the lock
        let mut list = self.0.lock();
        let new_place = || {
            list.last_id += 1;
            (Arc::clone(&self.0), list.last_id)
        };
        let id = place.0.get_or_insert_with(new_place).1;
        let old = list.wakers.insert(id, waker);
        drop(list);
        drop(old);
    }
}

impl Place {
    /// Leaves the list of waiting tasks.
    #[inline]
    pub(crate) fn leave(&mut self) {
        if self.0.is_some() {
            self.take_back();
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&mut self) {
        let gone = self.0.take().and_then(|(list, id)| list.lock().wakers.remove(&id));
        drop(gone); // without the lock
    }
}

impl Clone for Place {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.as_ref().map(|(_, id)| id)).finish()
    }
}
