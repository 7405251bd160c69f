//! Shape of the crate, its documents and its auto traits.

mod auto_traits;
mod docs;
mod field_cases;
mod shape;
