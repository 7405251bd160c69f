//! Actuators: set the canary's share of the traffic, and look at what is really so.
//!
//! | kind | sets | reads back |
//! |---|---|---|
//! | `haproxy` | weights of servers through the runtime socket, computed from the share and the number of servers to within half a point | the running weights (`show servers state`); settings by which weights are no shares are errors (`show stat`) |
//! | `nginx` | a file of servers that an `upstream` includes, then a reload | the file; with a `probe`, requests are counted after each move and at each 15th look |
//! | `command` | a command with `{weight}`; no shell; a timeout kills its process group | its `verify`, or a `probe` |
//! | `webhook` | a POST of the weight; redirects are not followed | a `probe` |
//!
//! A move that took hold in part is an error that names the part. An [`Actuator`] blocks no longer than its plan's
//! `timeout`, and is used by a thread of its own.

mod backend;
mod command;
mod contract;
mod haproxy;
mod limit;
mod nginx;
mod outside;
mod probe;
mod shares;
mod socket;
mod webhook;

pub(crate) use command::{Command, Environment};
pub use contract::Actuator;
pub(crate) use limit::Limit;
pub use limit::{Cancel, MoveError};
pub use outside::actuator;
pub(crate) use webhook::post;
