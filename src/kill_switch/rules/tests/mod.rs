//! Cases and properties of the rules.

mod cases;
mod limits;
mod properties;
mod staged_cases;
