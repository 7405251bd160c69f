//! Kill switch: one module a subject.

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/common.rs"]
mod common;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;
#[macro_use]
#[path = "../support/kept.rs"]
mod kept;
#[path = "../support/promtool.rs"]
mod promtool;

mod audit;
mod drill;
mod editor;
mod engaged;
mod gate;
mod outages;
mod recovery;
mod scope;
mod store;
mod switches;
