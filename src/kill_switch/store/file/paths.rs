//! Paths of one document.

use std::ffi::OsString;
use std::path::PathBuf;

/// The paths of one document, absolute.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) path: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

impl Paths {
    /// A path beside the document, with something added to its name.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(suffix);
        self.directory.join(name)
    }
}
