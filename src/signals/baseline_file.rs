//! The file of a recorded baseline: replaced whole, or not at all.

use super::baseline::Baseline;
use crate::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// That of the system, such as `NotFound`; `InvalidData` for a file that is no baseline.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Self::parse(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    /// Writes a file: whatever happens, it is the old one or the new one.
    ///
    /// # Errors
    ///
    /// That of the system, with the step that failed.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            fs::remove_temporaries(directory, |target| target == name.as_encoded_bytes());
        }
        let like = path.metadata().ok();
        match fs::replace(path, self.to_json().as_bytes(), like.as_ref()) {
            // The next recording writes it again: a power cut may undo this one.
            Ok(()) | Err(fs::Failure { is_in_place: true, .. }) => Ok(()),
            Err(failure) => Err(io::Error::new(failure.source.kind(), failure.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_read_again_and_a_damaged_one_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baseline.json");
        assert_eq!(Baseline::read(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let text = r#"{"hours":{"34":{"error_rate":0.002,"p99":0.24,"throughput":95.5,"weeks":3}}}"#;
        Baseline::parse(text).unwrap().write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(Baseline::read(&path).unwrap().to_json(), text);
        std::fs::write(&path, &text[..20]).unwrap();
        let error = Baseline::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("EOF"), "{error}");
    }
}
