//! Selection of the bulkhead for a request: always the same, or by the request.

use super::handle::Bulkhead;
use super::owner::{Owner as _, PermitOwner};
use crate::sealed::Sealed;
use crate::sync::Arc;
use std::borrow::Cow;

/// Selection of the bulkhead for a request. Sealed.
pub trait Select<Request>: Sealed {
    /// Owner of the permits.
    type PermitOwner: PermitOwner;

    #[doc(hidden)]
    fn select<'a>(&'a self, request: &Request) -> Cow<'a, Self::PermitOwner>;

    /// The bulkhead of every request; `None` if the request selects it.
    #[doc(hidden)]
    #[inline]
    fn always(&self) -> Option<&Self::PermitOwner> {
        None
    }

    /// One for requests that take no permit.
    #[doc(hidden)]
    fn any(&self) -> Cow<'_, Self::PermitOwner>;

    /// Returns whether a request goes through without a permit.
    #[doc(hidden)]
    #[inline]
    fn bypasses(&self, _: &Request) -> bool {
        false
    }

    /// Returns whether to reject without polling the inner service for readiness.
    #[doc(hidden)]
    #[inline]
    fn is_full(&self) -> bool {
        false
    }
}

impl Sealed for Bulkhead {}

impl<Request> Select<Request> for Bulkhead {
    type PermitOwner = Self;

    #[inline]
    fn select<'a>(&'a self, _: &Request) -> Cow<'a, Self> {
        Cow::Borrowed(self)
    }

    #[inline]
    fn always(&self) -> Option<&Self> {
        Some(self)
    }

    fn any(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
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
        let whole = bulkhead.unpartitioned();
        let config = whole.config();
        let names = config.partitions().map(|(name, _)| name);
        let partitions = names.filter_map(|name| Some((name, whole.partition(name)?))).collect();
        Self { whole, partitions, name }
    }
}

impl<F> Sealed for ByPartition<F> {}

impl<Request, F, N> Select<Request> for ByPartition<F>
where
    F: Fn(&Request) -> N,
    N: AsRef<str>,
{
    type PermitOwner = Bulkhead;

    fn select<'a>(&'a self, request: &Request) -> Cow<'a, Bulkhead> {
        let name = (self.name)(request);
        let known = self.partitions.iter().find(|(known, _)| *known == name.as_ref());
        Cow::Borrowed(known.map_or(&self.whole, |(_, partition)| partition))
    }

    fn any(&self) -> Cow<'_, Bulkhead> {
        Cow::Borrowed(&self.whole)
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

impl<B, F> Sealed for Bypass<B, F> {}

impl<Request, B, F> Select<Request> for Bypass<B, F>
where
    B: Select<Request>,
    F: Fn(&Request) -> bool,
{
    type PermitOwner = B::PermitOwner;

    fn select<'a>(&'a self, request: &Request) -> Cow<'a, B::PermitOwner> {
        self.bulkhead.select(request)
    }

    fn any(&self) -> Cow<'_, B::PermitOwner> {
        self.bulkhead.any()
    }

    fn bypasses(&self, request: &Request) -> bool {
        (self.bypasses)(request) || self.bulkhead.bypasses(request)
    }

    fn is_full(&self) -> bool {
        self.bulkhead.is_full()
    }
}
