//! Circuit breaker: one module a subject.

#[path = "../support/scene.rs"]
mod scene;

mod day;
mod field_defects;
mod half_open;
mod half_open_traffic;
mod isolation;
mod keyed;
mod lifecycle;
mod model;
mod readiness;
mod reentrancy;
mod settings;
mod shadow;
mod state;
mod throttle;
mod tower;
