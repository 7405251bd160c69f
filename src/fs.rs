//! Durable files: replaced whole or not at all, synced with their directory, locked for one writer.
//!
//! A file that [`replace`] has written is the old one or the new one at any instant and after a power cut: the bytes go
//! into a temporary file beside it, which is synced and renamed over the target; then the directory is synced. Some
//! network file systems cannot sync a directory (`InvalidInput`, `Unsupported`): there the rename is on the server
//! already, and it counts as synced.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The step: "writing".
    pub(crate) doing: &'static str,
    /// The file or directory of the step.
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
    /// Whether the new file is in place, and a power cut may still undo it.
    pub(crate) is_in_place: bool,
}

impl Failure {
    fn of(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { doing, path: path.to_owned(), source, is_in_place: false }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.doing, self.path.display(), self.source)
    }
}

/// Owner and mode of a file that is put in place.
#[derive(Clone, Copy)]
pub(crate) enum Access<'a> {
    /// Those of the file that it replaces, its access list (ACL) among them, with another mode if one is given.
    Like(&'a Metadata, Option<u32>),
    /// The owner of the directory and this mode.
    #[cfg(feature = "file")]
    Mode(u32),
    /// The owner of the directory alone, or the directory's group, too, if that may write there.
    #[cfg(feature = "file")]
    Directory,
    /// The owner of the directory alone.
    Private,
}

/// Puts a file with these bytes at a path, with the owner and mode of `like`; without it, for the owner of the directory.
pub(crate) fn replace(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<(), Failure> {
    let access = like.map_or(Access::Private, |like| Access::Like(like, None));
    replace_with(path, |file| file.write_all(bytes), access)
}

/// As [`replace`], with what `write` writes. Nothing is written through a link: one at the path is replaced.
pub(crate) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
    access: Access<'_>,
) -> Result<(), Failure> {
    put(path, write, access, Durability::Synced)
}

/// As [`replace_with`], and does not wait for the disk: readers see the old file or the new one at any instant, and a
/// power cut may lose both.
#[cfg(feature = "rollout")]
pub(crate) fn replace_unsynced(path: &Path, bytes: &[u8], access: Access<'_>) -> Result<(), Failure> {
    put(path, |file| file.write_all(bytes), access, Durability::Unsynced)
}

#[derive(Clone, Copy, PartialEq)]
enum Durability {
    Synced,
    #[cfg(feature = "rollout")]
    Unsynced,
}

fn put(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
    access: Access<'_>,
    durability: Durability,
) -> Result<(), Failure> {
    let directory = directory_of(path);
    // Opened first: a rename cannot be undone.
    let opened = open_directory(directory).map_err(Failure::of("opening", directory))?;
    let (mut temporary, mut file) = Temporary::create(path)?;
    let doing = |what| Failure::of(what, &temporary.path);
    write(&mut file).map_err(doing("writing"))?;
    if !matches!(access, Access::Like(..)) {
        give_to_owner_of(&file, directory);
    }
    let set = match access {
        Access::Like(like, mode) => make_like(&file, path, like, mode),
        #[cfg(feature = "file")]
        Access::Mode(mode) => set_mode(&file, mode),
        _ => Ok(()),
    };
    #[cfg(feature = "file")]
    if let Access::Directory = access {
        share_as_directory(&file, directory);
    }
    set.map_err(doing("setting the mode of"))?;
    if durability == Durability::Synced {
        file.sync_all().map_err(doing("syncing"))?;
    }
    drop(file); // closed after the rename, it would wake every reader a second time
    fs::rename(&temporary.path, path).map_err(doing("renaming"))?;
    temporary.is_renamed = true;
    if durability != Durability::Synced {
        return Ok(());
    }
    let not_durable =
        |source| Failure { doing: "syncing the directory of", path: path.to_owned(), source, is_in_place: true };
    sync(opened.as_ref()).map_err(not_durable)
}

/// Syncs the directory of a file, so that a new name in it outlasts a power cut.
#[cfg(feature = "file")]
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    sync(open_directory(directory_of(path))?.as_ref())
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// `None` off Unix, as a directory cannot be opened there: a rename is as durable as the system makes it.
#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "opening can fail on Unix"))]
fn open_directory(path: &Path) -> io::Result<Option<File>> {
    if cfg!(unix) { File::open(path).map(Some) } else { Ok(None) }
}

fn sync(directory: Option<&File>) -> io::Result<()> {
    durable(directory.map_or(Ok(()), File::sync_all))
}

/// Result of syncing a directory; file systems that cannot do it count as synced.
fn durable(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Removes temporary files whose writers were killed. One that cannot be removed does no harm.
pub(crate) fn remove_temporaries(directory: &Path, is_target: impl Fn(&[u8]) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if target_of_temporary(&entry.file_name()).is_some_and(&is_target) {
            let _: io::Result<()> = fs::remove_file(entry.path());
        }
    }
}

/// The target of a temporary file by its name, `.target.0123456789abcdef.tmp`; `None` for other names.
fn target_of_temporary(name: &OsStr) -> Option<&[u8]> {
    let name = name.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let (target, random) = name.split_at_checked(name.len().checked_sub(17)?)?;
    let is_random = random[0] == b'.' && random[1..].iter().all(u8::is_ascii_hexdigit);
    is_random.then_some(target)
}

/// A file that is removed again unless it is renamed.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// In the same directory: a rename does not cross file systems.
    fn create(target: &Path) -> Result<(Self, File), Failure> {
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(target.file_name().unwrap_or_default());
            // std's keys are random for each: no other source of randomness is needed for a name.
            hidden.push(format!(".{:016x}.tmp", RandomState::new().hash_one(())));
            let path = target.with_file_name(hidden);
            match new_file().open(&path) {
                Ok(file) => return Ok((Self { path, is_renamed: false }, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::of("creating", &path)(error)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _: io::Result<()> = fs::remove_file(&self.path);
        }
    }
}

/// A file that does not exist yet, not even as a link, for its owner alone.
pub(crate) fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Gives a file the owner and mode of the one that it replaces, so that the same users can read it.
///
/// Only the superuser may give a file away; others keep the group if they may, and their own otherwise.
#[cfg(unix)]
fn make_like(file: &File, path: &Path, like: &Metadata, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    give(file, like);
    keep_acl(path, file);
    set_mode(file, mode.unwrap_or(like.mode() & 0o666 | 0o600)) // which is the mask of an ACL, too
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Gives a new file the ACL of the one at the path, if there is one.
#[cfg(all(target_os = "linux", feature = "file"))]
fn keep_acl(path: &Path, file: &File) {
    const NAME: &str = "system.posix_acl_access";
    let mut acl = [0; 4096];
    if let Ok(length) = rustix::fs::lgetxattr(path, NAME, &mut acl[..]) {
        let _: Result<(), _> = rustix::fs::fsetxattr(file, NAME, &acl[..length], rustix::fs::XattrFlags::empty());
    }
}

#[cfg(all(unix, not(all(target_os = "linux", feature = "file"))))]
fn keep_acl(_: &Path, _: &File) {}

/// Gives a new file to the owner of its directory and, if the directory's group may write there, to that group: several
/// operators share such a directory.
#[cfg(all(unix, feature = "file"))]
pub(crate) fn share_as_directory(file: &File, directory: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(like) = directory.metadata() else { return };
    give(file, &like);
    let is_of_group = file.metadata().is_ok_and(|own| own.gid() == like.gid() && own.nlink() == 1);
    if is_of_group && like.mode() & 0o020 != 0 {
        let _: io::Result<()> = set_mode(file, 0o660); // whatever the umask is
    }
}

/// Gives a file that the superuser makes in a user's directory to that user.
#[cfg(unix)]
pub(crate) fn give_to_owner_of(file: &File, directory: &Path) {
    if let Ok(metadata) = directory.metadata() {
        give(file, &metadata);
    }
}

#[cfg(unix)]
fn give(file: &File, like: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let is_given = file.metadata().is_ok_and(|own| (own.uid(), own.gid()) == (like.uid(), like.gid()));
    if !is_given && fchown(file, Some(like.uid()), Some(like.gid())).is_err() {
        let _: io::Result<()> = fchown(file, None, Some(like.gid()));
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "setting a mode can fail on Unix")]
fn make_like(_: &File, _: &Path, _: &Metadata, _: Option<u32>) -> io::Result<()> {
    Ok(())
}

#[cfg(all(not(unix), feature = "file"))]
#[expect(clippy::unnecessary_wraps, reason = "setting a mode can fail on Unix")]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(all(not(unix), feature = "file"))]
pub(crate) fn share_as_directory(_: &File, _: &Path) {}

#[cfg(not(unix))]
pub(crate) fn give_to_owner_of(_: &File, _: &Path) {}

#[cfg(feature = "file")]
pub(crate) use lock::{careful, lock_at, lock_within};

#[cfg(feature = "file")]
mod lock;

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_is_no_failure() {
        for kind in [ErrorKind::InvalidInput, ErrorKind::Unsupported] {
            assert!(durable(Err(kind.into())).is_ok(), "{kind:?}");
        }
        assert!(durable(Err(ErrorKind::StorageFull.into())).is_err());
    }

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.json");
        replace(&path, b"one", None).unwrap();
        let like = path.metadata().unwrap();
        replace(&path, b"two", Some(&like)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        #[cfg(feature = "rollout")]
        {
            replace_unsynced(&path, b"three", Access::Directory).unwrap();
            assert_eq!(
                (fs::read(&path).unwrap(), fs::read_dir(directory.path()).unwrap().count()),
                (b"three".to_vec(), 1)
            );
        }
        let missing = directory.path().join("missing").join("list.json");
        let failure = replace(&missing, b"one", None).unwrap_err();
        assert_eq!((failure.doing, failure.is_in_place), ("opening", false));
    }

    #[test]
    fn temporaries_are_recognized_by_their_name() {
        let target = |name: &'static str| target_of_temporary(OsStr::new(name));
        assert_eq!(target(".switches.json.0123456789abcdef.tmp"), Some(&b"switches.json"[..]));
        for other in [
            "switches.json",
            ".tmp",
            ".switches.json.tmp",
            ".switches.json.0123456789abcdeg.tmp",
            "switches.json.0123456789abcdef.tmp",
            ".switches.json-0123456789abcdef.tmp",
            ".switches.json.0123456789abcdef.tmp~",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[cfg(feature = "file")]
    #[test]
    fn a_held_lock_is_reported_after_the_patience_is_over() {
        use std::time::Duration;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.json.lock");
        let held = lock_at(&path, Duration::ZERO).unwrap().expect("it is free");
        assert!(lock_at(&path, Duration::from_millis(20)).unwrap().is_none());
        drop(held);
        assert!(lock_at(&path, Duration::ZERO).unwrap().is_some());
    }
}
