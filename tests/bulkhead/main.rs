//! Bulkhead: one module a subject.

#[path = "../support/bodies.rs"]
mod bodies;
#[path = "../support/common.rs"]
mod common;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/scene.rs"]
mod scene;

mod adaptive;
mod edges;
mod field_defects;
mod http;
mod keyed;
mod lifecycle;
mod limit_faults;
mod limits;
mod model;
mod outages;
mod shedding;
mod storm;
mod timers;
mod verdicts;
