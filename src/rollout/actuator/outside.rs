//! The actuator that a plan asks for.

use super::command::{Command, Commanded};
use super::haproxy::Haproxy;
use super::limit::{Cancel, MoveError};
use super::nginx::Nginx;
use super::webhook::Webhook;
use crate::rollback::plan::{Plan, TrafficKind};
use crate::rollout::stages::Reading;
use std::path::Path;

/// Sets and reads the canary's share of the traffic.
pub trait Actuator: Send {
    /// Sets the share in percent and returns when it is in force; with `is_cut`, as the plan's break-glass.
    ///
    /// # Errors
    ///
    /// Why it is not in force, or in which part.
    fn set(&mut self, weight: u32, is_cut: bool, cancel: &Cancel) -> Result<(), MoveError>;

    /// Compares the share in force with this one.
    fn read(&mut self, weight: u32) -> Reading;
}

/// The actuator of a plan, whose commands run in this folder; `None` if another controller moves the traffic.
pub fn actuator(plan: &Plan, folder: &Path, log: &Path) -> Option<Box<dyn Actuator>> {
    let traffic = plan.traffic.clone()?;
    let command = Command::new(plan, folder, log);
    Some(match traffic.kind {
        TrafficKind::Haproxy => Box::new(Haproxy::new(traffic)),
        TrafficKind::Nginx => Box::new(Nginx::new(traffic, command)),
        TrafficKind::Command => Box::new(Commanded::new(traffic, command)),
        TrafficKind::Webhook => Box::new(Webhook::new(traffic, plan)),
    })
}
