//! Handles by name, for code that visits all of them: a scrape, health checks, an admin page.
//!
//! There is no hidden global: a program creates a registry and adds the handles that it wants in there.
//!
//! # Examples
//!
//! ```
//! use backstop::{CircuitBreaker, Registry};
//!
//! let registry = Registry::new();
//! let payments = registry.add(CircuitBreaker::new("payments"))?;
//! payments.force_open("maintenance");
//! assert_eq!(registry.get::<CircuitBreaker>("payments").unwrap().state().as_str(), "forced_open");
//! registry.publish(); // before a scrape
//! # Ok::<(), backstop::ConfigError>(())
//! ```

use crate::config::{ConfigError, Problem};
use crate::reject::Mechanism;
use crate::sync::{Arc, Mutex};
use std::any::Any;
use std::collections::BTreeMap;

/// Mechanisms by name. Clones share the same list.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Arc<Mutex<BTreeMap<&'static str, OfName>>>,
}

/// The handles of one name: at most one per mechanism.
type OfName = Vec<Arc<dyn Handle>>;

/// A handle that a registry accepts: a circuit breaker, a bulkhead, a group of either, kill switches, or signals. Sealed:
/// each mechanism implements it for its own handles.
///
/// Names are unique within a mechanism, its keyed form included, as they are in its metrics.
pub trait Registered: Handle {}

impl<H: Handle> Registered for H {}

mod sealed {
    use super::{Any, Mechanism};

    /// A group of keys, as the admin page shows it.
    #[cfg(feature = "axum")]
    #[derive(Debug, serde::Serialize)]
    pub struct GroupState {
        /// The mechanism.
        pub by: Mechanism,
        pub name: &'static str,
        /// Number of known keys.
        pub keys: u64,
        /// Keys that are not at rest, the first thousand of them.
        pub not_at_rest: Vec<KeyState>,
    }

    /// A key that is not at rest.
    #[cfg(feature = "axum")]
    #[derive(Debug, serde::Serialize)]
    pub struct KeyState {
        /// `None` if the key has no text.
        pub key: Option<String>,
        /// Whether it is the circuit or bulkhead of all keys without room.
        pub is_overflow: bool,
        pub state: &'static str,
    }

    /// A handle as the registry uses it.
    pub trait Handle: Any + Send + Sync {
        /// The mechanism, within which names are unique.
        fn mechanism(&self) -> Mechanism;

        /// The name in metrics and rejections.
        fn name(&self) -> &'static str;

        /// Brings the metrics up to date.
        fn publish(&self);

        /// The keys of a group that are not at rest; `None` for a handle without keys.
        #[cfg(feature = "axum")]
        fn group(&self) -> Option<GroupState> {
            None
        }

        /// Adds what a judge reads of it to an arm of a tick.
        #[cfg(feature = "rollback")]
        fn observe(&self, _: &mut crate::rollback::Arm) {}

        /// Returns whether both handles share their state.
        fn is_same(&self, other: &Self) -> bool
        where
            Self: Sized;
    }
}
pub(crate) use sealed::Handle;
#[cfg(feature = "axum")]
pub(crate) use sealed::{GroupState, KeyState};

/// Implements [`Handle`] by the inherent methods that every handle has, and by the one named last that few have.
macro_rules! registered {
    ($handle:ty, $mechanism:ident $(, $key:ident, $group:ident)? $(; $observe:ident)?) => {
        impl$(<$key: $crate::keyed_table::Key>)? $crate::registry::Handle for $handle {
            fn mechanism(&self) -> $crate::reject::Mechanism {
                $crate::reject::Mechanism::$mechanism
            }

            fn name(&self) -> &'static str {
                self.name()
            }

            fn publish(&self) {
                self.publish();
            }

            $(
                #[cfg(feature = "axum")]
                fn group(&self) -> Option<$crate::registry::GroupState> {
                    Some(self.$group())
                }
            )?

            $(
                #[cfg(feature = "rollback")]
                fn observe(&self, arm: &mut $crate::rollback::Arm) {
                    self.$observe(arm);
                }
            )?

            fn is_same(&self, other: &Self) -> bool {
                self.is_same(other)
            }
        }
    };
}
pub(crate) use registered;

#[cfg(feature = "axum")]
impl GroupState {
    /// Makes one from the keys and their states, of which it takes the first thousand.
    pub(crate) fn new<K: crate::keyed_table::Key>(
        (by, name, keys): (Mechanism, &'static str, u64),
        label: &crate::keyed_table::KeyLabel<K>,
        states: impl IntoIterator<Item = (Option<K>, &'static str)>,
    ) -> Self {
        let text = |key: &K| crate::panic::catch_panic(|| label.of(key)).flatten();
        let shown = states.into_iter().take(1_000).map(|(key, state)| KeyState {
            key: key.as_ref().and_then(text),
            is_overflow: key.is_none(),
            state,
        });
        Self { by, name, keys, not_at_rest: shown.collect() }
    }
}

fn as_a<H: Handle>(handle: &Arc<dyn Handle>) -> Option<&H> {
    let handle: &dyn Any = &**handle;
    handle.downcast_ref()
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handle and returns it. Adding the same handle again is a no-op.
    ///
    /// # Errors
    ///
    /// Another handle of this mechanism has that name: their metrics would be the same.
    pub fn add<H: Registered + Clone>(&self, handle: H) -> Result<H, ConfigError> {
        let (mechanism, name) = (handle.mechanism(), handle.name());
        let added = Arc::new(handle.clone()); // before the lock: a clone may drop what this thread has parked
        let mut entries = self.entries.lock();
        let of_name = entries.entry(name).or_default();
        match of_name.iter().find(|known| known.mechanism() == mechanism) {
            None => of_name.push(added),
            Some(known) if as_a::<H>(known).is_some_and(|known| known.is_same(&handle)) => {}
            Some(_) => {
                let allowed = format!("a name that no other {} in the registry has", mechanism.as_str());
                return Err(ConfigError::of(Problem::new("name", format!("\"{name}\""), allowed)));
            }
        }
        Ok(handle)
    }

    /// Removes every handle of this name. Returns `false` if there was none.
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.entries.lock().remove(name);
        removed.is_some() // dropped after the lock is released: a listener's captures may use the registry
    }

    /// The handle of this type and name: `registry.get::<CircuitBreaker>("payments")`.
    pub fn get<H: Registered + Clone>(&self, name: &str) -> Option<H> {
        let of_name: Vec<_> = self.entries.lock().get(name)?.clone();
        of_name.iter().find_map(as_a).cloned()
    }

    /// All handles of this type, by name. Groups have a type of their own: breakers do not include keyed ones.
    pub fn all<H: Registered + Clone>(&self) -> Vec<H> {
        let handles: Vec<_> = self.entries.lock().values().flatten().cloned().collect();
        handles.iter().filter_map(as_a).cloned().collect()
    }

    /// The groups, each with the keys that are not at rest.
    #[cfg(feature = "axum")]
    pub(crate) fn groups(&self) -> Vec<GroupState> {
        let handles: Vec<_> = self.entries.lock().values().flatten().cloned().collect();
        handles.iter().filter_map(|handle| handle.group()).collect()
    }

    /// Adds what a judge reads to an arm of a tick: states of circuit breakers, saturation and queue depth of bulkheads as
    /// the gauges `bulkhead.<name>` and `bulkhead.<name>.queue_depth`, and the kill switches that are engaged. Groups of keys
    /// are not among them; [`Signals::arm`](crate::signals::Signals::arm) makes the arm.
    #[cfg(feature = "rollback")]
    pub fn observe(&self, arm: &mut crate::rollback::Arm) {
        let handles: Vec<_> = self.entries.lock().values().flatten().cloned().collect();
        for handle in handles {
            handle.observe(arm);
        }
    }

    /// Publishes the metrics of every handle. Call it before rendering a scrape.
    pub fn publish(&self) {
        let handles: Vec<_> = self.entries.lock().values().flatten().cloned().collect();
        for handle in handles {
            handle.publish();
        }
    }
}

#[cfg(feature = "tokio")]
impl Registry {
    /// Publishes the metrics of every handle, again and again, until the registry is dropped: for programs whose
    /// exporter has a listener of its own, or pushes, and that have switched
    /// [background publishing](crate::telemetry::background_publishing) off.
    ///
    /// Spawn it on a runtime with a time driver. A period below a millisecond counts as one.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the publishing.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::Registry;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = Registry::new();
    /// let publishing = tokio::spawn(registry.publish_every(Duration::from_secs(1)));
    /// # drop(registry);
    /// # publishing.abort();
    /// # }
    /// ```
    pub fn publish_every(&self, period: std::time::Duration) -> impl Future<Output = ()> + Send + 'static {
        let entries = Arc::downgrade(&self.entries);
        let period = period.max(std::time::Duration::from_millis(1));
        async move {
            while let Some(entries) = entries.upgrade() {
                Self { entries }.publish();
                tokio::time::sleep(period).await;
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.entries.lock();
        f.debug_list().entries(entries.values().flatten().map(|handle| (handle.mechanism(), handle.name()))).finish()
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::CircuitBreaker;
    use crate::circuit_breaker::keyed::KeyedCircuitBreaker;

    /// Uses the registry when it is dropped.
    struct Owned(Registry);

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.publish();
        }
    }

    #[test]
    fn a_listener_dropped_with_its_breaker_may_use_the_registry() {
        let registry = Registry::new();
        let breaker = registry.add(CircuitBreaker::new("owner")).unwrap();
        let owned = Owned(registry.clone());
        breaker.subscribe(move |_| owned.0.publish()).forever();
        drop(breaker);
        assert!(registry.remove("owner"));
        assert!(!registry.remove("owner"));
    }

    #[test]
    fn a_name_is_unique_within_a_mechanism() {
        let registry = Registry::new();
        let breaker = registry.add(CircuitBreaker::new("twice")).unwrap();
        assert!(registry.add(breaker).is_ok(), "the same circuit again");
        let error = registry.add(CircuitBreaker::new("twice")).unwrap_err();
        assert_eq!(error.problems()[0].value(), "\"twice\"");
    }

    #[test]
    fn a_breaker_and_a_group_share_names() {
        let registry = Registry::new();
        let group = || KeyedCircuitBreaker::<u32>::builder("shared").build().unwrap();
        let known = registry.add(group()).unwrap();
        assert!(registry.add(known).is_ok(), "the same group again");
        assert!(registry.add(group()).is_err());
        let error = registry.add(CircuitBreaker::new("shared")).unwrap_err();
        assert_eq!(error.problems()[0].allowed(), "a name that no other circuit breaker in the registry has");
        assert!(registry.get::<CircuitBreaker>("shared").is_none());
    }

    /// A handle of another mechanism.
    #[derive(Clone, Default)]
    struct Other(Arc<Mutex<u32>>);

    impl Handle for Other {
        fn mechanism(&self) -> Mechanism {
            Mechanism::Bulkhead
        }

        fn name(&self) -> &'static str {
            "payments"
        }

        fn publish(&self) {
            *self.0.lock() += 1;
        }

        fn is_same(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    #[test]
    fn two_mechanisms_may_share_a_name_and_are_removed_together() {
        let registry = Registry::new();
        registry.add(CircuitBreaker::new("payments")).unwrap();
        let other = registry.add(Other::default()).unwrap();
        assert!(registry.add(Other::default()).is_err());
        assert!(registry.get::<CircuitBreaker>("payments").is_some());
        assert!(registry.get::<Other>("payments").is_some_and(|found| found.is_same(&other)));
        assert_eq!((registry.all::<CircuitBreaker>().len(), registry.all::<Other>().len()), (1, 1));
        registry.publish();
        assert_eq!(*other.0.lock(), 1);
        assert_eq!(format!("{registry:?}"), "[(CircuitBreaker, \"payments\"), (Bulkhead, \"payments\")]");
        assert!(registry.remove("payments"));
        assert!(registry.all::<Other>().is_empty() && registry.all::<CircuitBreaker>().is_empty());
    }
}
