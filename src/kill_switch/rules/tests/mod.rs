//! Cases and properties of the rules.

mod cases;
mod properties;
mod staged_cases;
