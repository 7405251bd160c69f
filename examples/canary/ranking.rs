//! Ranking of the products on a page, behind a kill switch.

use backstop::BoxError;
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{KillSwitch, KillSwitches, OnUnknown, Target};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of the switch.
pub(crate) const SWITCH: &str = "ranking";

/// Puts the best rated products first.
pub(crate) struct Ranking {
    switch: KillSwitch,
    /// The bug of a release: a reversed comparison.
    is_worst_first: AtomicBool,
}

impl Ranking {
    /// The ranking of one arm, with its switch in the document at `switches`.
    pub(crate) fn new(arm: &str, switches: &str) -> Result<Self, BoxError> {
        let kill_switches = KillSwitches::builder("shop").instance(arm).store(FileStore::new(switches)?).build()?;
        Ok(Self { switch: kill_switches.switch(SWITCH, OnUnknown::Allow)?, is_worst_first: AtomicBool::new(false) })
    }

    /// Sets a fault by its name; returns whether there is such a fault.
    pub(crate) fn set_fault(&self, name: &str, value: u32) -> bool {
        let is_known = name == "worst_first";
        if is_known {
            self.is_worst_first.store(value > 0, Ordering::Relaxed);
        }
        is_known
    }

    /// Returns the stars in the order in which the page shows the products, and whether they are ranked. While the
    /// switch is engaged they are in catalogue order.
    pub(crate) async fn show(&self, stars: Vec<u8>) -> (Vec<u8>, bool) {
        let ranked = async { Ok((self.rank(stars.clone()), true)) };
        let catalogue = |_| Ok((stars.clone(), false));
        let shown: Result<_, Infallible> = self.switch.call_or(&Target::new(), ranked, catalogue).await;
        let Ok(shown) = shown;
        shown
    }

    fn rank(&self, mut stars: Vec<u8>) -> Vec<u8> {
        stars.sort_unstable();
        if !self.is_worst_first.load(Ordering::Relaxed) {
            stars.reverse();
        }
        stars
    }
}
