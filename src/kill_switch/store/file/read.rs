//! Reading of a file that may be written meanwhile, or may not be a regular file.

use super::os;
use crate::kill_switch::store::SIZE_LIMIT;
use crate::kill_switch::store::StoreError;
use serde::de::IgnoredAny;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Between two looks at what seems half written. A writer in place needs microseconds; 15 ms in all are lost, at most
/// once a second, if the file stays broken.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(4), Duration::from_millis(8)];

/// Result of one look.
enum Look {
    Nothing,
    Whole(Vec<u8>),
    /// Its length changed, or it is not all of a JSON value.
    Torn(Vec<u8>),
    /// It has no name any more: it is being replaced, or was, beyond a mount that still shows it.
    Replaced,
    /// A link to nowhere: for good, or for the moment in which `..data` is swapped under us.
    Dangling,
}

/// The document at this path, read again a few times while it is being written.
pub(super) fn document(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut pauses = PAUSES.iter();
    loop {
        let (look, pause) = (look(path)?, pauses.next());
        match (look, pause) {
            (Look::Nothing, _) => return Ok(None),
            (Look::Whole(bytes), _) | (Look::Torn(bytes), None) => return Ok(Some(bytes)),
            (Look::Dangling, None) => {
                return Err(StoreError::NotAFile { path: path.to_owned(), found: "a symbolic link to nowhere" });
            }
            (Look::Replaced, None) => return Err(StoreError::Replaced { path: path.to_owned() }),
            (Look::Torn(_) | Look::Dangling | Look::Replaced, Some(pause)) => thread::sleep(*pause),
        }
    }
}

fn look(path: &Path) -> Result<Look, StoreError> {
    // To open some devices and FIFOs has an effect, so their metadata is read first.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing(path)),
        Err(error) => return Err(StoreError::io("looking at", path)(explained(error, path))),
    };
    check(path, &metadata)?;
    let mut file = match os::for_reading().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing(path)),
        Err(error) => return Err(StoreError::io("opening", path)(explained(error, path))),
    };
    // The path may lead elsewhere by now.
    let metadata = file.metadata().map_err(StoreError::io("looking at", path))?;
    check(path, &metadata)?;
    if os::is_replaced(&metadata) {
        return Ok(Look::Replaced);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.by_ref().take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(StoreError::io("reading", path))?;
    let size = bytes.len() as u64;
    if size > SIZE_LIMIT {
        return Err(too_large(path, size));
    }
    let is_whole = size == metadata.len() && serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
    Ok(if is_whole { Look::Whole(bytes) } else { Look::Torn(bytes) })
}

/// Users that lack access.
fn explained(error: io::Error, path: &Path) -> io::Error {
    let is_denied = error.kind() == ErrorKind::PermissionDenied;
    if is_denied { io::Error::new(error.kind(), format!("{error}: {}", os::denied(path))) } else { error }
}

fn nothing(path: &Path) -> Look {
    if path.is_symlink() { Look::Dangling } else { Look::Nothing }
}

/// Checks that it is a regular file and not too large, before a byte is read.
fn check(path: &Path, metadata: &std::fs::Metadata) -> Result<(), StoreError> {
    if !metadata.is_file() {
        return Err(StoreError::NotAFile { path: path.to_owned(), found: os::kind(metadata.file_type()) });
    }
    if metadata.len() > SIZE_LIMIT { Err(too_large(path, metadata.len())) } else { Ok(()) }
}

fn too_large(path: &Path, size: u64) -> StoreError {
    StoreError::TooLarge { what: path.display().to_string(), size, limit: SIZE_LIMIT }
}
