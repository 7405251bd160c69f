//! Traits that only this crate implements.

/// Supertrait of a sealed trait. Its module is private, so no other crate can name it.
pub trait Sealed {}
