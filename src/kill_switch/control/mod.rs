//! Control plane: reads, changes and writes documents, here or through the admin page of a program.

pub(crate) mod control_plane;
pub(super) mod editor;
pub(super) mod error;
