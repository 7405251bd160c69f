//! References of handles to their mechanism's shared state.
//!
//! The state counts its users and hears when the last one is gone. A call in flight is none: it holds the state by a
//! reference that its thread [parks](crate::parked) afterwards, so that no call writes a count that threads share.
//!
//! The clones of a service are users: of a client in the state of an axum `Router`, clones alone are left. So each clone
//! writes the count, or shares one user with the others, as in [`protect`](crate::protect).

use crate::parked::{Kept, Parked};
use crate::sync::Arc;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Shared state that hears when its first handle is made and its last one is gone.
pub(crate) trait Lifecycle: Sized + 'static {
    /// The first handle exists.
    fn begin(this: &Arc<Kept<Self>>);

    /// The last handle that a user held is gone. Calls in flight may still be there.
    fn end(&self);

    /// The references to such states that this thread parks; `None` if it parks none, or while it is torn down.
    #[inline]
    fn parked<R>(_: impl FnOnce(&Parked<Self>) -> R) -> Option<R> {
        None
    }
}

/// The lifecycle of state with a field `publication` and a method `publish_now`: its gauges begin with the first handle and
/// end with the last. The second argument is a key that the type is generic over; without one, threads park references.
macro_rules! publishes_while_in_use {
    ($state:ty $(, $key:ident)?) => {
        impl$(<$key: Key>)? $crate::shared_ref::Lifecycle for $state {
            fn begin(this: &$crate::sync::Arc<$crate::parked::Kept<Self>>) {
                #[cfg(feature = "metrics")]
                this.publication.begin(this);
                this.publish_now();
            }

            fn end(&self) {
                #[cfg(feature = "metrics")]
                self.publication.end();
                self.publish_now();
            }

            $crate::shared_ref::parks!($state $(, $key)?);
        }
    };
}

/// A thread-local cannot be generic: of states with a key, threads park none.
macro_rules! parks {
    ($state:ty) => {
        #[inline]
        fn parked<R>(work: impl FnOnce(&$crate::parked::Parked<Self>) -> R) -> Option<R> {
            $crate::sync::thread_local! {
                static PARKED: $crate::parked::Parked<$state> = const { $crate::parked::Parked::new() };
            }
            PARKED.try_with(work).ok()
        }
    };
    ($state:ty, $key:ident) => {};
}

pub(crate) use {parks, publishes_while_in_use};

fn begin<T: Lifecycle>(value: T) -> Arc<Kept<T>> {
    let kept = Arc::new(Kept::new(value, T::end));
    T::begin(&kept);
    kept
}

/// A counted reference: of a user, or of a call.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    kept: Arc<Kept<T>>,
    is_user: bool,
}

impl<T: Lifecycle> Counted<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { kept: begin(value), is_user: true }
    }
}

impl<T> Counted<T> {
    /// A reference for a call. It keeps the state, and says nothing of users.
    #[inline]
    pub(crate) fn for_call(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), is_user: false }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kept, &other.kept)
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        if self.is_user {
            self.kept.add_user();
        }
        Self { kept: Arc::clone(&self.kept), is_user: self.is_user }
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        if self.is_user {
            self.kept.remove_user();
        }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.kept
    }
}

/// A reference to state of which threads park references: of a user, of a call, or leaked and `'static`.
#[derive(Debug)]
pub(crate) enum SharedRef<T: Lifecycle> {
    User(User<T>),
    /// It keeps the state, and says nothing of users.
    Call(Parking<T>),
    Static(&'static T),
}

/// The reference of a user.
#[derive(Debug)]
pub(crate) struct User<T: Lifecycle>(Parking<T>);

impl<T: Lifecycle> Drop for User<T> {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        if self.0.kept().remove_user() {
            T::parked(Parked::forget_ended);
        }
    }
}

/// A counted reference that the thread parks which drops it.
///
/// Taken when it is dropped, so that nothing is left to look for.
#[derive(Debug)]
pub(crate) struct Parking<T: Lifecycle>(ManuallyDrop<Option<Arc<Kept<T>>>>);

impl<T: Lifecycle> Parking<T> {
    #[inline]
    fn new(kept: Arc<Kept<T>>) -> Self {
        Self(ManuallyDrop::new(Some(kept)))
    }

    /// Takes a parked reference, or counts one more. Out of line: a leaked handle has nothing to do here.
    #[inline(never)]
    fn unpark(kept: &Arc<Kept<T>>) -> Arc<Kept<T>> {
        T::parked(|parked| parked.take(kept)).unwrap_or_else(|| Arc::clone(kept))
    }

    /// Out of line, as `unpark`.
    #[inline(never)]
    fn park(kept: Arc<Kept<T>>) {
        if kept.has_users() {
            T::parked(|parked| parked.put(kept));
        }
    }

    #[inline]
    fn kept(&self) -> &Arc<Kept<T>> {
        self.0.as_ref().expect("taken when it is dropped")
    }
}

impl<T: Lifecycle> Clone for Parking<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self::new(Self::unpark(self.kept()))
    }
}

impl<T: Lifecycle> Drop for Parking<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(kept) = self.0.take() {
            Self::park(kept);
        }
    }
}

impl<T: Lifecycle> SharedRef<T> {
    pub(crate) fn new(value: T) -> Self {
        Self::User(User(Parking::new(begin(value))))
    }

    /// A reference for a call.
    #[inline]
    pub(crate) fn for_call(&self) -> Self {
        match self {
            Self::User(User(shared)) | Self::Call(shared) => Self::Call(shared.clone()),
            Self::Static(shared) => Self::Static(shared),
        }
    }

    pub(crate) fn leak(self) -> Self {
        match self {
            Self::User(user) => Self::Static(Box::leak(Box::new(user)).0.kept()),
            Self::Call(_) | Self::Static(_) => self,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&raw const **self, &raw const **other)
    }
}

impl<T: Lifecycle> Clone for SharedRef<T> {
    fn clone(&self) -> Self {
        match self {
            Self::User(User(shared)) => {
                shared.kept().add_user();
                Self::User(User(shared.clone()))
            }
            Self::Call(_) | Self::Static(_) => self.for_call(),
        }
    }
}

impl<T: Lifecycle> Deref for SharedRef<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::User(User(shared)) | Self::Call(shared) => shared.kept(),
            Self::Static(shared) => shared,
        }
    }
}

/// Models of two or three threads; `circuit_breaker/loom_tests` says how they are run.
#[cfg(all(test, backstop_loom))]
mod loom_tests {
    use super::{Lifecycle, SharedRef, parks};
    use crate::parked::Kept;
    use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
    use loom::thread;

    /// State that counts its ends. It holds a share of a value that outlives the model.
    struct State {
        ends: Arc<AtomicU64>,
        is_used: AtomicBool,
        _alive: Arc<()>,
    }

    impl Lifecycle for State {
        fn begin(_: &Arc<Kept<Self>>) {}

        fn end(&self) {
            self.ends.fetch_add(1, Ordering::Relaxed);
        }

        parks!(State);
    }

    /// Runs a model with a handle and the number of its state's ends: in every order one end, and every state is freed.
    fn model(run: impl Fn(SharedRef<State>, &AtomicU64) + Send + Sync + 'static) {
        let alive = Arc::new(());
        let inside = Arc::clone(&alive);
        loom::model(move || {
            let ends = Arc::new(AtomicU64::new(0));
            let state = State { ends: Arc::clone(&ends), is_used: AtomicBool::new(false), _alive: Arc::clone(&inside) };
            run(SharedRef::new(state), &ends);
            assert_eq!(ends.load(Ordering::Relaxed), 1);
        });
        assert_eq!(Arc::strong_count(&alive), 1, "a thread parks a state at most until it ends");
    }

    fn use_it(reference: &SharedRef<State>) {
        reference.is_used.store(true, Ordering::Relaxed);
    }

    #[test]
    fn loom_the_state_ends_once_with_its_last_user() {
        model(|handle, _| {
            let threads = [(); 2].map(|()| {
                let handle = handle.clone();
                thread::spawn(move || {
                    use_it(&handle.for_call());
                    use_it(&handle.for_call());
                })
            });
            drop(handle);
            threads.map(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn loom_the_last_user_may_go_while_another_thread_ends_a_call() {
        model(|handle, _| {
            let in_flight = handle.for_call();
            let thread = thread::spawn(move || use_it(&in_flight));
            drop(handle);
            thread.join().unwrap();
        });
    }

    #[test]
    fn loom_a_call_keeps_the_state_and_is_no_user() {
        model(|handle, ends| {
            let in_flight = handle.for_call();
            let thread = thread::spawn(move || drop(handle));
            use_it(&in_flight);
            thread.join().unwrap();
            assert_eq!(ends.load(Ordering::Relaxed), 1);
            use_it(&in_flight);
        });
    }
}
