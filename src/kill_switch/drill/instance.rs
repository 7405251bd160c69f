//! Instances that take part in a drill.

use crate::kill_switch::KillSwitch;
use std::fmt;

pub(crate) type Probe<'a> = Box<dyn Fn() -> Option<bool> + 'a>;

/// One instance of the program, as a drill sees it.
#[must_use = "it takes part in a drill"]
pub struct Instance<'a> {
    pub(crate) name: String,
    pub(crate) applied: Probe<'a>,
    pub(crate) verified: Option<Probe<'a>>,
}

impl<'a> Instance<'a> {
    /// An instance, and whether the capability is off on it by its own report; `None` without one.
    ///
    /// The drill asks it every 10 ms, one instance after the other, and the store once a second meanwhile: it has to
    /// answer at once.
    pub fn new(name: impl Into<String>, applied: impl Fn() -> Option<bool> + 'a) -> Self {
        Self { name: name.into(), applied: Box::new(applied), verified: None }
    }

    /// The instance that this switch is on.
    pub fn of(switch: &'a KillSwitch) -> Self {
        Self::new(switch.switches().shared.instance.clone(), || Some(switch.is_engaged()))
    }

    /// Whether the capability is seen to be off from outside, by a request that should be answered by the degraded
    /// mode. Default: what the instance says.
    pub fn verified(mut self, verified: impl Fn() -> Option<bool> + 'a) -> Self {
        self.verified = Some(Box::new(verified));
        self
    }
}

impl fmt::Debug for Instance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}
