//! The judge: scenarios as data, files that are no ticks, and the command.

mod decisions;
mod malformed;
mod mutated;
mod policy;
#[path = "../support/ran.rs"]
mod ran;
mod report;
mod scenario;
