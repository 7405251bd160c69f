//! Ranking of the products on a page, behind a kill switch, with counters of page views and orders.

use backstop::BoxError;
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{KillSwitch, KillSwitches, OnUnknown, Target};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Name of the switch.
pub(crate) const SWITCH: &str = "ranking";
/// Metric: pages answered.
pub(crate) const PAGE_VIEWS: &str = "shop_page_views_total";
/// Metric: checkouts answered.
pub(crate) const ORDERS: &str = "shop_orders_total";

/// Puts the best rated products first.
pub(crate) struct Ranking {
    switch: KillSwitch,
    /// The bug of the canary's next release: a reversed comparison.
    worst_first: AtomicBool,
    page_views: AtomicU64,
    orders: AtomicU64,
}

impl Ranking {
    /// The ranking of one arm, with its switch in the document at `switches`.
    pub(crate) fn new(arm: &str, switches: &str) -> Result<Self, BoxError> {
        let kill_switches = KillSwitches::builder("shop").instance(arm).store(FileStore::new(switches)?).build()?;
        Ok(Self {
            switch: kill_switches.switch(SWITCH, OnUnknown::Allow)?,
            worst_first: AtomicBool::new(false),
            page_views: AtomicU64::new(0),
            orders: AtomicU64::new(0),
        })
    }

    pub(crate) fn set_worst_first(&self, worst_first: bool) {
        self.worst_first.store(worst_first, Ordering::Relaxed);
    }

    /// Returns the stars in the order in which the page shows the products, and whether they are ranked. While the
    /// switch is engaged they are in catalogue order.
    pub(crate) async fn show(&self, stars: Vec<u8>) -> (Vec<u8>, bool) {
        self.page_views.fetch_add(1, Ordering::Relaxed);
        let ranked = async { Ok((self.rank(stars.clone()), true)) };
        let catalogue = |_| Ok((stars.clone(), false));
        let shown: Result<_, Infallible> = self.switch.call_or(&Target::new(), ranked, catalogue).await;
        let Ok(shown) = shown;
        shown
    }

    fn rank(&self, mut stars: Vec<u8>) -> Vec<u8> {
        stars.sort_unstable();
        if !self.worst_first.load(Ordering::Relaxed) {
            stars.reverse();
        }
        stars
    }

    pub(crate) fn count_order(&self) {
        self.orders.fetch_add(1, Ordering::Relaxed);
    }

    /// Both counters in the Prometheus text format.
    pub(crate) fn metrics(&self) -> String {
        let (page_views, orders) = (self.page_views.load(Ordering::Relaxed), self.orders.load(Ordering::Relaxed));
        format!("# TYPE {PAGE_VIEWS} counter\n{PAGE_VIEWS} {page_views}\n# TYPE {ORDERS} counter\n{ORDERS} {orders}\n")
    }
}
