//! The last lines of a file of JSON lines, without reading all of it.

use serde_json::Value;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes read from the end: one line of the audit may have 1 MiB.
const BYTES_MAX: u64 = 4 << 20;

/// The end of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Lines {
    /// The newest last.
    pub(super) entries: Vec<Value>,
    /// Lines among them that are not JSON: a writer was interrupted, or the file was edited.
    pub(super) unreadable: usize,
}

/// # Errors
///
/// Errors of the file system, and anything but a regular file: a pipe would never end.
pub(super) fn lines(path: &Path, most: usize) -> io::Result<Lines> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(BYTES_MAX);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = if start == 0 { Some(0) } else { bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1) };
    let mut newest: Vec<_> = bytes[whole.unwrap_or(bytes.len())..]
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .rev()
        .take(most)
        .collect();
    newest.reverse();
    let read: Vec<Option<Value>> = newest.into_iter().map(|line| serde_json::from_slice(line).ok()).collect();
    let unreadable = read.iter().filter(|line| line.is_none()).count();
    Ok(Lines { entries: read.into_iter().flatten().collect(), unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_come_last_and_half_a_line_is_counted() {
        let path = std::env::temp_dir().join(format!("backstop-admin-tail-{}", std::process::id()));
        std::fs::write(&path, "1\n2\n3\n{").unwrap();
        let read = lines(&path, 3).unwrap();
        let all = lines(&path, 100).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read, Lines { entries: vec![2.into(), 3.into()], unreadable: 1 });
        assert_eq!(all.entries.len(), 3);
        assert!(lines(&path, 1).is_err() && lines(&std::env::temp_dir(), 1).is_err());
    }
}
