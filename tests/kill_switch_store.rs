//! Stores of the kill switch on a real file system: who may write, what a reader sees, what a kill leaves behind.
//!
//! `cargo test --test kill_switch_store -- --nocapture` shows times and what was skipped. `BACKSTOP_STORE_KILLS`
//! gives the number of kills, 300 unless told.

#[path = "kill_switch_store/common.rs"]
mod common;
#[path = "kill_switch_store/compare_and_set.rs"]
mod compare_and_set;
#[path = "kill_switch_store/hostile.rs"]
mod hostile;
#[cfg(unix)]
#[path = "kill_switch_store/killed.rs"]
mod killed;
#[path = "kill_switch_store/reader.rs"]
mod reader;
#[path = "kill_switch_store/roles.rs"]
mod roles;
#[path = "kill_switch_store/watching.rs"]
mod watching;
