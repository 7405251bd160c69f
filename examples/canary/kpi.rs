//! The KPI: how many page views end in an order. No circuit breaker sees it, for every answer is quick and 200.

use crate::scrape::{Look, Reading};
use crate::verdict::since;
use std::fmt;

/// Looks that make a window: five come in a second.
const LOOKS: u32 = 5;

/// Cuts time into windows that touch.
pub(crate) struct Windows {
    /// With which the window began.
    begin: Look,
    looks: u32,
}

/// What people did in both arms between two looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders {
    pub(crate) canary: Share,
    pub(crate) stable: Share,
}

/// Of one arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) orders: u64,
    pub(crate) page_views: u64,
}

impl Windows {
    pub(crate) fn new(begin: Look) -> Self {
        Self { begin, looks: 0 }
    }

    /// Takes another look; the one that ends a window tells what happened in it.
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

    /// Orders for each page view; not a number where nobody has viewed one.
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
    fn nobody_there_is_not_a_number() {
        assert!(Share { orders: 0, page_views: 0 }.value().is_nan(), "which no guard takes for a bad value");
        assert_eq!(Share { orders: 2, page_views: 8 }.to_string(), "2 of 8 (25 %)");
    }
}
