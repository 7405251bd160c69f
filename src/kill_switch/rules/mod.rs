//! Pure rules of a document: which change makes which next document, and which documents an instance accepts.

pub(super) mod apply;
pub(super) mod automation;
pub(super) mod error;
pub(super) mod lookup;
pub(super) mod perform;
pub(super) mod revert;
#[cfg(test)]
mod tests;
pub(super) mod two_person;
pub(super) mod update;
