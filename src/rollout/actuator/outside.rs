//! The actuator that a plan asks for.

use super::command::{Command, Commanded};
use super::contract::Actuator;
use super::haproxy::Haproxy;
use super::nginx::Nginx;
use super::webhook::Webhook;
use crate::rollback::plan::{Plan, TrafficKind};
use std::path::Path;

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
