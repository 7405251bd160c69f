//! Bulkheads as one makes them by hand, round a closure: tokio's semaphore, a count in a mutex, and, as
//! the floor, one atomic.

use std::hint::black_box;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::bare::{CallError, Message, request};
use crate::subject::LIMIT;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECTS: [Subject; 5] = [
    subject::<Borrowing>("tokio-bulkhead", "tokio 1 `Semaphore::try_acquire`, closure"),
    subject::<Owning>("tokio-bulkhead-owned", "tokio 1 `Semaphore::try_acquire_owned`, closure"),
    subject::<Mutex<usize>>("std-mutex-bulkhead", "by hand: a count in a std `Mutex`, closure"),
    subject::<parking_lot::Mutex<usize>>(
        "parking-lot-bulkhead",
        "by hand: a count in a parking_lot 0.13 `Mutex`, closure",
    ),
    subject::<AtomicUsize>("atomic-bulkhead", "by hand: a count in one atomic, closure"),
];

const fn subject<L: Limit>(name: &'static str, title: &'static str) -> Subject {
    Subject { mechanism: Mechanism::Bulkhead, name, title, admits: Some(admitting::<L>), rejects: Some(rejecting::<L>) }
}

/// Gives a number of permits out, each until it is dropped.
trait Limit: Send + Sync + 'static {
    fn new(permits: usize) -> Self;

    /// A permit, unless all are out.
    fn try_acquire(&self) -> Option<impl Sized>;
}

fn admitting<L: Limit>() -> Instance {
    let limit = Arc::new(L::new(LIMIT.into()));
    Instance::new(move || {
        let limit = Arc::clone(&limit);
        move || call(&*limit).is_ok()
    })
}

fn rejecting<L: Limit>() -> Instance {
    let limit = Arc::new(L::new(1));
    mem::forget(limit.try_acquire());
    Instance::new(move || {
        let limit = Arc::clone(&limit);
        move || call(&*limit) == Err(CallError::Refused)
    })
}

fn call(limit: &impl Limit) -> Result<Message, CallError> {
    let _permit = limit.try_acquire().ok_or(CallError::Refused)?;
    Ok(black_box(request()))
}

/// The permit borrows the semaphore.
struct Borrowing(Semaphore);

impl Limit for Borrowing {
    fn new(permits: usize) -> Self {
        Self(Semaphore::new(permits))
    }

    fn try_acquire(&self) -> Option<impl Sized> {
        self.0.try_acquire().ok()
    }
}

/// The permit counts a reference, so that it can travel in a future.
struct Owning(Arc<Semaphore>);

impl Limit for Owning {
    fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    fn try_acquire(&self) -> Option<impl Sized> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Gives its permit back by a closure.
struct Release<F: Fn()>(F);

impl<F: Fn()> Drop for Release<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Limit for Mutex<usize> {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn try_acquire(&self) -> Option<impl Sized> {
        let lock = || self.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut lock()).then(|| Release(move || *lock() += 1))
    }
}

impl Limit for parking_lot::Mutex<usize> {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn try_acquire(&self) -> Option<impl Sized> {
        take(&mut self.lock()).then(|| Release(|| *self.lock() += 1))
    }
}

/// Takes one of the free permits, if there is one.
fn take(free: &mut usize) -> bool {
    let is_free = *free > 0;
    *free -= usize::from(is_free);
    is_free
}

impl Limit for AtomicUsize {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn try_acquire(&self) -> Option<impl Sized> {
        // Acquire: pairs with the release below, so that a call sees what the one before it on the same permit did.
        self.fetch_update(Ordering::Acquire, Ordering::Relaxed, |free| free.checked_sub(1)).ok()?;
        Some(Release(|| {
            self.fetch_add(1, Ordering::Release);
        }))
    }
}
