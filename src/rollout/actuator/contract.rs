//! The contract of an actuator.

use super::limit::{Cancel, MoveError};
use crate::rollout::stages::Reading;

/// Sets and reads the canary's share of the traffic.
pub trait Actuator: Send {
    /// Sets the share in percent and returns when it is in force; with `is_cut`, as the plan's break-glass.
    ///
    /// # Errors
    ///
    /// Why it is not in force, or in which part.
    fn set(&mut self, weight: u32, is_cut: bool, cancel: &Cancel) -> Result<(), MoveError>;

    /// Compares the share in force with this one. A reading that was interrupted is [`Reading::Unknown`].
    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading;
}
