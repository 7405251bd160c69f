//! A mechanism as those see it that have it publish: the background thread, and a mechanism of the same name.

use crate::parked::Kept;
use crate::sync::{AtomicBool, Ordering};

/// A mechanism that publishes.
pub(crate) trait Source: Send + Sync {
    /// State of values that are not published yet.
    fn waiting(&self) -> &Waiting;

    /// Publishes through the current recorder; returns whether something was new to it.
    fn publish(&self) -> bool;
}

impl<T: Source> Source for Kept<T> {
    fn waiting(&self) -> &Waiting {
        (**self).waiting()
    }

    fn publish(&self) -> bool {
        (**self).publish()
    }
}

/// Whether something waits to be published, and who is to do it.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Whether the background thread has it on its list.
    is_listed: AtomicBool,
    /// Whether a publication was left to others.
    is_owed: AtomicBool,
    /// Whether calls are asked to look. Mechanisms with a state word have a flag of their own there.
    asks: AtomicBool,
}

impl Waiting {
    /// Puts it on the list; `false` if it is there.
    pub(super) fn list(&self) -> bool {
        // AcqRel: pairs with the swap in `delist`. A background thread that delists after this sees what was counted.
        !self.is_listed.swap(true, Ordering::AcqRel)
    }

    /// The background thread found nothing new. It looks once more after this.
    pub(super) fn delist(&self) {
        self.is_listed.swap(false, Ordering::AcqRel); // pairs with the swap in `list`
    }

    /// Leaves a publication to the background thread, or to the next call that looks.
    pub(super) fn owe(&self) {
        self.is_owed.store(true, Ordering::Relaxed);
        self.ask(true);
    }

    pub(super) fn is_owed(&self) -> bool {
        self.is_owed.load(Ordering::Relaxed)
    }

    /// Takes over what is owed.
    pub(super) fn take_owed(&self) -> bool {
        self.is_owed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn ask(&self, asks: bool) {
        self.asks.store(asks, Ordering::Relaxed);
    }

    pub(super) fn asks(&self) -> bool {
        self.asks.load(Ordering::Relaxed)
    }
}
