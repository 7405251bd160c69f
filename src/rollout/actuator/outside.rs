//! The actuator that a plan asks for.

use super::command::{Command, Commanded};
use super::contract::Actuator;
use super::haproxy::Haproxy;
use super::nginx::Nginx;
use super::webhook::Webhook;
use crate::rollback::plan::{Plan, TrafficKind};
use std::path::Path;

/// The actuator of a plan, whose commands run in this folder, and whose paths are relative to it; `None` if another controller moves the traffic.
pub fn actuator(plan: &Plan, folder: &Path, log: &Path) -> Option<Box<dyn Actuator>> {
    let mut traffic = plan.traffic.clone()?;
    let from_folder = |path: &str| folder.join(path).display().to_string();
    if traffic.kind == TrafficKind::Nginx {
        traffic.file = from_folder(&traffic.file);
    } else if traffic.socket.contains('/') {
        traffic.socket = from_folder(&traffic.socket);
    }
    let command = Command::new(plan, folder, log);
    Some(match traffic.kind {
        TrafficKind::Haproxy => Box::new(Haproxy::new(traffic)),
        TrafficKind::Nginx => Box::new(Nginx::new(traffic, command)),
        TrafficKind::Command => Box::new(Commanded::new(traffic, command)),
        TrafficKind::Webhook => Box::new(Webhook::new(traffic, plan)),
    })
}
