//! The judge: scenarios as data, files that are no ticks, simulated rollouts, and the command.

mod decisions;
mod false_alarms;
mod life_cycle;
mod malformed;
mod memory;
mod mutated;
mod pauses;
mod policy;
mod properties;
#[path = "../support/ran.rs"]
mod ran;
mod report;
mod scenario;
