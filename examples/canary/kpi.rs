//! The KPI: orders per page view. No circuit breaker sees it, because every answer is fast and 200.

use crate::scrape::{Look, Reading};
use crate::verdict::since;
use std::fmt;

/// Scrapes per window; there are five a second.
const LOOKS: u32 = 5;

/// Splits the run into consecutive windows.
pub(crate) struct Windows {
    /// The scrape that began the window.
    begin: Look,
    looks: u32,
}

/// Page views and orders of both arms between two scrapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders {
    pub(crate) canary: Share,
    pub(crate) stable: Share,
}

/// Page views and orders of one arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) orders: u64,
    pub(crate) page_views: u64,
}

impl Windows {
    pub(crate) fn new(begin: Look) -> Self {
        Self { begin, looks: 0 }
    }

    /// Adds a scrape; returns the counts of the window that it ends.
    pub(crate) fn observe(&mut self, look: &Look) -> Option<Orders> {
        self.looks += 1;
        if self.looks < LOOKS {
            return None;
        }
        let orders = Orders::between(&self.begin, look);
        *self = Self::new(look.clone());
        Some(orders)
    }
}

impl Orders {
    fn between(from: &Look, to: &Look) -> Self {
        Self { canary: Share::of(&to.canary, &from.canary), stable: Share::of(&to.stable, &from.stable) }
    }
}

impl Share {
    fn of(now: &Reading, earlier: &Reading) -> Self {
        let Reading { orders, page_views, .. } = since(now, earlier);
        Self { orders, page_views }
    }

    /// Orders per page view; NaN without page views.
    pub(crate) fn value(self) -> f64 {
        self.orders as f64 / self.page_views as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, page_views } = self;
        write!(f, "{orders} of {page_views} ({:.0} %)", 100.0 * self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_views_are_not_a_number() {
        assert!(Share { orders: 0, page_views: 0 }.value().is_nan(), "no guard takes it for a bad value");
        assert_eq!(Share { orders: 2, page_views: 8 }.to_string(), "2 of 8 (25 %)");
    }
}
