//! Stores of the kill switch on a real file system: who may write, what a reader sees, what a kill leaves behind.
//!
//! `cargo test --test kill_switch store -- --nocapture` shows times and what was skipped. `BACKSTOP_STORE_KILLS`
//! sets the number of kills: 100 in a debug build, else 300.

mod common;
mod compare_and_set;
mod hostile;
#[cfg(unix)]
mod killed;
mod reader;
mod roles;
mod watching;
