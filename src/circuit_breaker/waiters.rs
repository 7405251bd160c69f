//! Wakers of load-balancer mode; empty without it.

#[cfg(feature = "tokio")]
use crate::panic::catch_panic;
#[cfg(feature = "tokio")]
use crate::sync::{AtomicU64, Mutex, Ordering};
#[cfg(feature = "tokio")]
use std::task::Waker;

/// One waker for each waiter, the newest; a waiter that gives up takes its own back.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    #[cfg(feature = "tokio")]
    wakers: Mutex<Vec<(u64, Waker)>>,
    #[cfg(feature = "tokio")]
    next_id: AtomicU64,
}

#[cfg(not(feature = "tokio"))]
impl Waiters {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn wake_all(&self) {}
}

#[cfg(feature = "tokio")]
impl Waiters {
    pub(super) fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock());
        for (_, waker) in wakers {
            catch_panic(|| waker.wake()); // one that panics must not cost the others their turn
        }
    }

    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn wake_later(&self, id: u64, waker: &Waker) {
        let waker = waker.clone(); // foreign code, as its drop is: both outside the lock
        let mut wakers = self.wakers.lock();
        let old = if let Some((_, known)) = wakers.iter_mut().find(|(known, _)| *known == id) {
            Some(std::mem::replace(known, waker))
        } else {
            wakers.push((id, waker));
            None
        };
        drop(wakers);
        drop(old);
    }

    pub(super) fn forget(&self, id: u64) {
        let mut wakers = self.wakers.lock();
        let gone = wakers.iter().position(|(known, _)| *known == id).map(|i| wakers.swap_remove(i));
        drop(wakers);
        drop(gone);
    }
}
