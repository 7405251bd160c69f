//! Health checks: what probes get, in virtual time and over real sockets.

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/common.rs"]
mod common;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;

mod checks;
mod http;
mod kubelet;
mod mechanisms;
mod metrics;
mod probes;
mod runs;
