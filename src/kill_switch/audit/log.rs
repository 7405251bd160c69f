//! A file that entries are added to.

use super::chain::Entry;
use super::chained::{AuditLogError, ChainedLog};
use crate::kill_switch::audit::AuditRecord;
use crate::sync::{AtomicU64, Ordering};
use std::path::{Path, PathBuf};

/// Appends entries to a file, each with one write that is on the disk when it returns.
///
/// The file is opened anew for every entry, never through a symbolic link, and created for its owner alone (mode
/// 0600), or for the group, too, in a directory that the group may write. Several processes may write to one file: on Unix each locks it for as long as it writes. What a writer
/// that was killed left of a line is moved to `<path>.torn`, a line there for each.
///
/// The file must not be rotated: a chain that does not begin with its first entry does not verify. A log that has
/// appended before goes on from its own last entry when the file no longer has it, so that the gap is seen.
#[derive(Debug)]
pub struct AuditLog {
    log: ChainedLog<AuditRecord>,
    failures: AtomicU64,
}

impl AuditLog {
    /// A log at this path. Nothing is opened before the first entry.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { log: ChainedLog::new(path.into()), failures: AtomicU64::new(0) }
    }

    /// Path of the entries.
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// Number of entries that could not be appended.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Appends an entry and waits until it is on the disk: not for the thread of an async runtime.
    ///
    /// # Errors
    ///
    /// Why it is not known to be on the disk; [`failures`](AuditLog::failures) has counted it. What was done must
    /// stay done all the same. The next entry may well succeed.
    pub fn append(&self, facts: AuditRecord) -> Result<Entry, AuditLogError> {
        // That it was done, by whom and why, is worth more than all that it came to.
        let shorten = |facts| AuditRecord { change: None, scope_before: None, scope_after: None, ..facts };
        self.log.append(facts, shorten).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::kill_switch::audit::chain::{AuditError, LINE_MAX, verify};
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::process::Command;

    /// A folder of its own, gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("backstop-audit-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn log(&self) -> AuditLog {
            AuditLog::new(self.0.join("audit.jsonl"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn facts(what: &str) -> AuditRecord {
        AuditRecord::new("2026-11-20T12:00:00Z".parse().unwrap(), "ada", what, 1)
    }

    fn entries(log: &AuditLog) -> Result<u64, AuditError> {
        verify(&fs::read(log.path()).unwrap()).map(|verified| verified.entries)
    }

    #[test]
    fn entries_of_several_logs_follow_each_other_in_a_file_for_the_owner_alone() {
        let folder = Folder::new("follow");
        let (one, other) = (folder.log(), folder.log());
        for (seq, log) in [(1, &one), (2, &other), (3, &one), (4, &one), (5, &folder.log())] {
            assert_eq!(log.append(facts("engage")).unwrap().seq, seq);
        }
        assert_eq!(entries(&one), Ok(5));
        assert_eq!(fs::metadata(one.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_killed_writer_left_is_moved_aside_wherever_it_was_cut() {
        let folder = Folder::new("torn");
        let log = folder.log();
        let aside = folder.0.join("audit.jsonl.torn");
        log.append(facts("engage")).unwrap();
        let whole = fs::metadata(log.path()).unwrap().len();
        log.append(facts("release")).unwrap();
        let both = fs::read(log.path()).unwrap();
        for cut in (whole..both.len() as u64).step_by(7) {
            let _ = fs::remove_file(&aside);
            let bytes = &both[..usize::try_from(cut).unwrap()];
            fs::write(log.path(), bytes).unwrap();
            assert_eq!(folder.log().append(facts("drill")).unwrap().seq, 2);
            assert_eq!(entries(&log), Ok(2), "cut at {cut}");
            let torn = &bytes[usize::try_from(whole).unwrap()..];
            let kept = fs::read(&aside).unwrap_or_default();
            assert_eq!(kept.strip_suffix(b"\n").unwrap_or_default(), torn);
        }
    }

    #[test]
    fn a_file_that_lost_entries_does_not_verify_after_the_next_one() {
        let folder = Folder::new("lost");
        let log = folder.log();
        log.append(facts("engage")).unwrap();
        log.append(facts("release")).unwrap();
        fs::remove_file(log.path()).unwrap();
        assert_eq!(log.append(facts("engage")).unwrap().seq, 3);
        assert!(matches!(entries(&log), Err(AuditError::Tampered { line: 1, .. })));
    }

    #[test]
    fn what_cannot_be_appended_is_returned_and_counted() {
        let folder = Folder::new("failures");
        let log = AuditLog::new(folder.0.join("missing/audit.jsonl"));
        assert!(matches!(log.append(facts("engage")), Err(AuditLogError::Io { doing: "open", .. })));
        assert_eq!(log.failures(), 1);

        let log = folder.log();
        let too_much = facts(&"x".repeat(LINE_MAX));
        assert!(matches!(log.append(too_much), Err(AuditLogError::TooLong { .. })));
        fs::write(log.path(), "{}\n").unwrap();
        assert!(matches!(log.append(facts("engage")), Err(AuditLogError::Unsound { .. })));
        fs::write(log.path(), "x".repeat(3 * LINE_MAX)).unwrap();
        assert!(matches!(log.append(facts("engage")), Err(AuditLogError::Unsound { .. })));
        assert_eq!(log.failures(), 3);

        let linked = AuditLog::new(folder.0.join("link"));
        symlink(log.path(), linked.path()).unwrap();
        assert!(matches!(linked.append(facts("engage")), Err(AuditLogError::Io { doing: "open", .. })));
        let pipe = AuditLog::new(folder.0.join("pipe"));
        assert!(Command::new("mkfifo").arg(pipe.path()).status().unwrap().success());
        assert!(matches!(pipe.append(facts("engage")), Err(AuditLogError::NotAFile { .. })));
        assert!(matches!(AuditLog::new(&folder.0).append(facts("engage")), Err(AuditLogError::Io { .. })));
    }

    #[test]
    fn a_lock_that_is_never_given_back_is_waited_for_a_second() {
        let folder = Folder::new("busy");
        let log = folder.log();
        let held = OpenOptions::new().append(true).create(true).open(log.path()).unwrap();
        held.lock().unwrap();
        assert!(matches!(log.append(facts("engage")), Err(AuditLogError::Busy { .. })));
        drop(held);
        assert_eq!(log.append(facts("engage")).unwrap().seq, 1);
    }

    #[test]
    fn two_processes_lose_no_entry() {
        const PATH: &str = "BACKSTOP_AUDIT_LOG";
        // A reader that fails for a second tries again.
        let until_done = |log: &AuditLog| while let Err(AuditLogError::Busy { .. }) = log.append(facts("engage")) {};
        let append_all = |log: &AuditLog| (0..50).for_each(|_| until_done(log));
        if let Some(path) = std::env::var_os(PATH) {
            return append_all(&AuditLog::new(path));
        }
        let folder = Folder::new("processes");
        let log = folder.log();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill_switch::audit::log::tests::two_processes_lose_no_entry"]).env(PATH, log.path());
        let mut child = child.spawn().unwrap();
        append_all(&log);
        assert!(child.wait().unwrap().success());
        assert_eq!(entries(&log), Ok(100));
    }
}
