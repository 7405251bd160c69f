//! Circuit breaker: one module a subject.

#[path = "../support/scene.rs"]
mod scene;

mod field_defects;
mod keyed;
mod lifecycle;
mod model;
mod reentrancy;
mod state;
mod tower;
