//! Which bulkhead a request goes through: always the same, or one that depends on the request.

use super::handle::Bulkhead;
use super::holder::Holder;
use crate::sync::Arc;

/// What chooses a request's permits. Not for others to implement.
pub trait Choose<Request> {
    /// What the permits are given out by.
    type Holder: Holder;

    #[doc(hidden)]
    fn choose(&self, request: &Request) -> Self::Holder;

    /// One for requests that take no permit.
    #[doc(hidden)]
    fn any(&self) -> Self::Holder;

    /// Whether a request goes through without a permit.
    #[doc(hidden)]
    #[inline]
    fn bypasses(&self, _: &Request) -> bool {
        false
    }

    /// Whether it is not worth asking the inner service whether it is ready.
    #[doc(hidden)]
    #[inline]
    fn is_full(&self) -> bool {
        false
    }
}

impl<Request> Choose<Request> for Bulkhead {
    type Holder = Self;

    #[inline]
    fn choose(&self, _: &Request) -> Self {
        self.clone()
    }

    fn any(&self) -> Self {
        self.clone()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.compartment().is_full()
    }
}

/// The partition whose name a function finds in the request.
#[derive(Clone, Debug)]
pub struct ByPartition<F> {
    whole: Bulkhead,
    partitions: Arc<[(&'static str, Bulkhead)]>,
    name: F,
}

impl<F> ByPartition<F> {
    pub(super) fn new(bulkhead: &Bulkhead, name: F) -> Self {
        let whole = bulkhead.whole();
        let config = whole.config();
        let names = config.partitions().map(|(name, _)| name);
        let partitions = names.filter_map(|name| Some((name, whole.partition(name)?))).collect();
        Self { whole, partitions, name }
    }
}

impl<Request, F, N> Choose<Request> for ByPartition<F>
where
    F: Fn(&Request) -> N,
    N: AsRef<str>,
{
    type Holder = Bulkhead;

    fn choose(&self, request: &Request) -> Bulkhead {
        let name = (self.name)(request);
        let known = self.partitions.iter().find(|(known, _)| *known == name.as_ref());
        known.map_or_else(|| self.whole.clone(), |(_, partition)| partition.clone())
    }

    fn any(&self) -> Bulkhead {
        self.whole.clone()
    }

    fn is_full(&self) -> bool {
        self.whole.compartment().is_full()
    }
}

/// Lets some requests through without a permit.
#[derive(Clone, Debug)]
pub struct Bypass<B, F> {
    pub(super) bulkhead: B,
    pub(super) bypasses: F,
}

impl<Request, B, F> Choose<Request> for Bypass<B, F>
where
    B: Choose<Request>,
    F: Fn(&Request) -> bool,
{
    type Holder = B::Holder;

    fn choose(&self, request: &Request) -> B::Holder {
        self.bulkhead.choose(request)
    }

    fn any(&self) -> B::Holder {
        self.bulkhead.any()
    }

    fn bypasses(&self, request: &Request) -> bool {
        (self.bypasses)(request) || self.bulkhead.bypasses(request)
    }

    fn is_full(&self) -> bool {
        self.bulkhead.is_full()
    }
}
