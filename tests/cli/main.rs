//! The command `backstop` on real files and real admin pages.

#[path = "../support/ran.rs"]
mod ran;

mod admin;
mod file;
mod files;
mod fleet;
mod in_force;
mod incident;
mod plan;
mod policy;
mod restore;
mod tokens;
