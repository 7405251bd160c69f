//! Paths that are no files, file systems that say no: an error that names the path, at once, and nothing is changed.

use super::common::{document, generation, names, store, temporaries};
use backstop::kill_switch::store::{SIZE_LIMIT, Store, StoreError};
use std::fs;
use std::path::Path;

/// Neither read nor written; the error names the path.
fn is_refused(path: &Path) -> [StoreError; 2] {
    let store = store(path);
    let errors = [store.read().unwrap_err(), store.compare_and_set(None, 1, &document(1)).unwrap_err()];
    for error in &errors {
        let message = error.to_string();
        assert!(message.contains(path.parent().unwrap().to_str().unwrap()), "{message}");
        println!("{message}");
    }
    assert!(temporaries(path).is_empty());
    errors
}

#[test]
fn a_directory_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    fs::create_dir(&path).unwrap();
    for error in is_refused(&path) {
        assert!(matches!(error, StoreError::NotAFile { found: "a directory", .. }));
    }
}

#[test]
fn a_gigabyte_is_refused_without_being_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    for error in is_refused(&path) {
        assert!(matches!(error, StoreError::TooLarge { size: 1_073_741_824, .. }));
    }
}

#[test]
fn the_largest_document_is_written_and_read_and_one_byte_more_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    let store = store(&path);
    let of_size = |size: u64| {
        let (head, tail) = ("{\"generation\": 1, \"fill\": \"", "\"}");
        let fill = usize::try_from(size).unwrap() - head.len() - tail.len();
        format!("{head}{}{tail}", "a".repeat(fill)).into_bytes()
    };
    let error = store.compare_and_set(None, 1, &of_size(SIZE_LIMIT + 1)).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }));
    assert!(names(directory.path()).is_empty());
    store.compare_and_set(None, 1, &of_size(SIZE_LIMIT)).unwrap();
    assert_eq!(store.read().unwrap().map(|bytes| bytes.len() as u64), Some(SIZE_LIMIT));
    fs::write(&path, of_size(SIZE_LIMIT + 1)).unwrap();
    assert!(matches!(store.read(), Err(StoreError::TooLarge { size, .. }) if size == SIZE_LIMIT + 1));
}

#[test]
fn a_missing_directory_holds_nothing_and_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory.path().join("missing/switches.json"));
    assert_eq!(store.read().unwrap(), None);
    assert_eq!(store.revisions().unwrap(), [0; 0]);
    let error = store.compare_and_set(None, 1, &document(1)).unwrap_err();
    assert!(matches!(error, StoreError::Io { doing: "locking", .. }), "{error}");
}

#[test]
fn what_killed_writers_left_goes_and_what_others_left_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    let store = store(&path);
    store.compare_and_set(None, 1, &document(1)).unwrap();
    let history = directory.path().join("switches.json.history");
    let ours = [
        directory.path().join(".switches.json.0123456789abcdef.tmp"),
        history.join(".00000000000000000001.json.0123456789abcdef.tmp"),
    ];
    let others = [".other.json.0123456789abcdef.tmp", ".switches.json.swp", "switches.json~"];
    let others = others.map(|name| directory.path().join(name));
    for path in ours.iter().chain(&others) {
        fs::write(path, "half").unwrap();
    }
    store.compare_and_set(Some(1), 2, &document(2)).unwrap();
    assert!(!ours.iter().any(|path| path.exists()));
    assert!(others.iter().all(|path| path.exists()));
}

#[cfg(unix)]
mod unix {
    use super::super::roles::process;
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;

    #[test]
    fn neither_a_fifo_nor_a_socket_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        if Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()) {
            for error in is_refused(&path) {
                assert!(matches!(error, StoreError::NotAFile { found: "a FIFO", .. }));
            }
            fs::remove_file(&path).unwrap();
        } else {
            println!("skipped: no mkfifo");
        }
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        for error in is_refused(&path) {
            assert!(matches!(error, StoreError::NotAFile { found: "a socket", .. }));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_was_replaced_beyond_its_mount_is_told() {
        use std::os::fd::AsRawFd as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        store(&path).compare_and_set(None, 1, &document(1)).unwrap();
        let file = fs::File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        // As a bind mount of a file shows it after a rename: it is there, and has no name.
        let mounted = store(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
        let error = mounted.read().unwrap_err();
        assert!(matches!(error, StoreError::Replaced { .. }) && error.to_string().contains("mount its directory"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_acl_outlasts_a_change() {
        use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
        const NAME: &str = "system.posix_acl_access";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        let store = store(&path);
        store.compare_and_set(None, 1, &document(1)).unwrap();
        // The owner reads and writes, user 4,001 reads, and so says the mask.
        let entries = [(1_u16, 6_u16, u32::MAX), (2, 4, 4_001), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
        let entries = entries
            .iter()
            .flat_map(|(tag, rights, id)| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
        let acl: Vec<u8> = 2_u32.to_le_bytes().into_iter().chain(entries).collect();
        if lsetxattr(&path, NAME, &acl, XattrFlags::empty()).is_err() {
            return println!("skipped: no ACLs on this file system");
        }
        store.compare_and_set(Some(1), 2, &document(2)).unwrap();
        let mut kept = [0; 256];
        let length = lgetxattr(&path, NAME, &mut kept[..]).unwrap();
        assert_eq!(kept[..length], acl);
    }

    #[test]
    fn a_lock_that_is_a_fifo_or_a_link_blocks_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory.path().join("switches.json"));
        let lock = directory.path().join("switches.json.lock");
        if Command::new("mkfifo").arg(&lock).status().is_ok_and(|status| status.success()) {
            assert!(store.compare_and_set(None, 1, &document(1)).is_err());
            fs::remove_file(&lock).unwrap();
        }
        symlink("elsewhere", &lock).unwrap();
        assert!(store.compare_and_set(None, 1, &document(1)).is_err());
        assert_eq!(names(directory.path()), ["switches.json.lock"]);
    }

    #[test]
    fn a_device_is_no_file() {
        for device in ["/dev/zero", "/dev/null", "/dev/full"] {
            let error = store(Path::new(device)).read().unwrap_err();
            assert!(matches!(error, StoreError::NotAFile { found: "a device", .. }), "{error}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        symlink("/dev/zero", &path).unwrap();
        let [read, write] = is_refused(&path);
        assert!(matches!(read, StoreError::NotAFile { found: "a device", .. }));
        assert!(matches!(write, StoreError::ReadOnly { .. }));
    }

    #[test]
    fn a_link_is_read_and_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        symlink("target.json", &path).unwrap();
        let [read, write] = is_refused(&path);
        assert!(matches!(read, StoreError::NotAFile { found: "a symbolic link to nowhere", .. }));
        assert!(matches!(write, StoreError::ReadOnly { .. }));
        fs::write(directory.path().join("target.json"), document(3)).unwrap();
        let store = store(&path);
        assert_eq!(generation(&store), 3);
        assert!(matches!(store.compare_and_set(Some(3), 4, &document(4)), Err(StoreError::ReadOnly { .. })));
        assert_eq!(names(directory.path()), ["switches.json", "target.json"]);
        symlink("loop", directory.path().join("loop")).unwrap();
        assert!(matches!(
            is_refused(&directory.path().join("loop")),
            [StoreError::Io { .. }, StoreError::ReadOnly { .. }]
        ));
    }

    /// Whether this process may do anything to any file.
    fn is_root(directory: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        directory.metadata().unwrap().uid() == 0
    }

    /// What a process of another user says, or `None` where it could not be started.
    fn as_nobody(path: &Path) -> Option<Vec<String>> {
        let mut command = process("nobody", path, 0);
        if is_root(path.parent().unwrap()) {
            command.uid(65_534).gid(65_534);
        }
        match command.output() {
            Ok(output) if output.status.success() => {
                let lines = String::from_utf8(output.stdout).unwrap();
                let lines = lines.lines().filter(|line| line.starts_with("read ") || line.starts_with("write "));
                Some(lines.map(str::to_owned).collect())
            }
            other => {
                println!("skipped: this test cannot run as another user ({other:?})");
                None
            }
        }
    }

    #[test]
    fn without_rights_nothing_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json");
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, document(1)).unwrap();
        for (of_directory, of_file, is_read) in [(0o555, 0o444, true), (0o555, 0o000, false), (0o000, 0o644, false)] {
            mode(&path, of_file);
            mode(directory.path(), of_directory);
            let said = as_nobody(&path);
            mode(directory.path(), 0o755);
            mode(&path, 0o644);
            let Some(said) = said else { return };
            println!("directory {of_directory:o}, file {of_file:o}: {said:?}");
            assert_eq!(said[0].starts_with("read Some"), is_read, "{said:?}");
            assert!(is_read || !said[0].contains("file is of user") || said[0].contains("with mode 0000"), "{said:?}");
            assert!(said[1].contains("Permission denied") && said[1].contains("switches.json"), "{said:?}");
            assert_eq!(generation(&store(&path)), 1);
            assert_eq!(names(directory.path()), ["switches.json"]);
        }
    }

    /// A small file system, unmounted when it is dropped. Only root can make one.
    struct Mount(PathBuf);

    impl Mount {
        fn new(directory: &Path) -> Option<Self> {
            let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(directory).output();
            if mount.is_ok_and(|output| output.status.success()) {
                return Some(Self(directory.to_owned()));
            }
            println!("skipped: no file system can be mounted here");
            None
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            Command::new("umount").arg("-l").arg(&self.0).status().ok();
        }
    }

    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let Some(_mount) = Mount::new(directory.path()) else { return };
        let path = directory.path().join("switches.json");
        let store = store(&path);
        store.compare_and_set(None, 1, &document(1)).unwrap();
        // Its own history never keeps it from writing.
        let mut present = 1;
        while present < 300 {
            store.compare_and_set(Some(present), present + 1, &document(present + 1)).unwrap();
            present += 1;
        }
        assert!(store.revisions().unwrap().len() < 300, "the disk would be too small for all of them");
        let filler = directory.path().join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        fs::remove_dir_all(directory.path().join("switches.json.history")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        for _ in 0..5 {
            let error = store.compare_and_set(Some(present), present + 1, &document(present + 1)).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("No space left") && message.contains("switches.json"), "{message}");
            assert_eq!(generation(&store), present);
            assert!(temporaries(&path).is_empty());
        }
        drop(file);
        fs::remove_file(filler).unwrap();
        // A file system may take a moment to count what was freed.
        let written = (0..500).find_map(|_| {
            let written = store.compare_and_set(Some(present), present + 1, &document(present + 1));
            written.is_ok().then_some(()).or_else(|| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                None
            })
        });
        assert_eq!(written, Some(()), "the disk has room again");
    }

    #[test]
    fn a_read_only_file_system_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let Some(_mount) = Mount::new(directory.path()) else { return };
        let path = directory.path().join("switches.json");
        fs::write(&path, document(1)).unwrap();
        let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(directory.path()).status();
        assert!(remount.unwrap().success());
        let store = store(&path);
        assert_eq!(generation(&store), 1);
        let error = store.compare_and_set(Some(1), 2, &document(2)).unwrap_err();
        assert!(matches!(error, StoreError::Io { doing: "locking", .. }), "{error}");
        assert_eq!(names(directory.path()), ["switches.json"]);
    }
}
