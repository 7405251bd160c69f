//! Paths of one document, and the names of temporary files.

use std::ffi::{OsStr, OsString};
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

/// Whether this is the name of one of our temporary files, and of which file.
pub(super) fn target_of_temporary(name: &OsStr) -> Option<&[u8]> {
    let name = name.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let (target, random) = name.split_at_checked(name.len().checked_sub(17)?)?;
    let is_random = random[0] == b'.' && random[1..].iter().all(u8::is_ascii_hexdigit);
    is_random.then_some(target)
}
