//! What systems do differently.

#[cfg(unix)]
pub(super) use unix::*;

#[cfg(not(unix))]
pub(super) use other::*;

#[cfg(unix)]
mod unix {
    use rustix::fs::{FlockOperation, OFlags, flock};
    use rustix::io::Errno;
    use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
    use std::path::Path;

    /// Tells two directories apart that have the same path at different times.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(in super::super) struct Identity {
        device: u64,
        inode: u64,
    }

    pub(in super::super) fn identity(metadata: &Metadata, _: &Path) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }

    fn flags(flags: OFlags) -> i32 {
        flags.bits().cast_signed()
    }

    /// Without waiting, should it be a FIFO after all. (std adds `O_CLOEXEC`.)
    pub(in super::super) fn for_reading() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY));
        options
    }

    /// A file that was not there before, not even as a link.
    pub(in super::super) fn for_new_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(flags(OFlags::NOFOLLOW));
        options
    }

    /// Tries once to get the lock. The kernel gives it back when the file is closed, or the process is killed.
    pub(in super::super) fn try_lock(path: &Path) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o660);
        let file = options.custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Whoever removes the file in between makes two locks of one.
        let mine = file.metadata()?;
        let is_there = path.symlink_metadata().is_ok_and(|there| identity(&there, path) == identity(&mine, path));
        // A second name could be anybody's file.
        if mine.nlink() == 1 {
            let _: io::Result<()> = file.set_permissions(Permissions::from_mode(0o660)); // whatever the umask was
            give_to_owner_of(&file, path.parent().unwrap_or(path));
        }
        Ok(is_there.then_some(file))
    }

    /// The owner and mode of the file that this one replaces, so that whoever read that one can read this one.
    ///
    /// Only the superuser may give a file away; others keep the group where they may, and their own where not.
    pub(in super::super) fn make_like(file: &File, like: &Metadata) -> io::Result<()> {
        give(file, like);
        file.set_permissions(Permissions::from_mode(like.mode() & 0o666 | 0o600))
    }

    /// A file that the superuser makes in someone's directory is of use to them.
    pub(in super::super) fn give_to_owner_of(file: &File, directory: &Path) {
        if let Ok(metadata) = directory.metadata() {
            give(file, &metadata);
        }
    }

    fn give(file: &File, like: &Metadata) {
        let is_given = file.metadata().is_ok_and(|mine| (mine.uid(), mine.gid()) == (like.uid(), like.gid()));
        if !is_given && fchown(file, Some(like.uid()), Some(like.gid())).is_err() {
            let _: io::Result<()> = fchown(file, None, Some(like.gid()));
        }
    }

    /// Makes a directory, owned as the file whose history it keeps; one that is there stays as it is.
    pub(in super::super) fn make_directory(path: &Path, like: &Metadata) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                let _: io::Result<()> = lchown(path, Some(like.uid()), Some(like.gid()));
                Ok(())
            }
            Err(_) if path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn open_directory(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// Makes a rename outlast a power cut.
    pub(in super::super) fn sync_directory(directory: &File) -> io::Result<()> {
        match directory.sync_all() {
            // Some network file systems know no syncing of a directory: the rename is on the server already.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }

    pub(in super::super) fn kind(kind: FileType) -> &'static str {
        match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () if kind.is_char_device() || kind.is_block_device() => "a device",
            () => "something else",
        }
    }
}

/// Systems without Unix's files: owners and modes are inherited from the directory, and a rename is as durable as the
/// system makes it.
#[cfg(not(unix))]
mod other {
    use std::fs::{File, FileType, Metadata, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    /// A directory that was made again goes for the same; that it went is told by the watch itself.
    pub(in super::super) type Identity = PathBuf;

    pub(in super::super) fn identity(_: &Metadata, path: &Path) -> Identity {
        path.to_owned()
    }

    pub(in super::super) fn for_reading() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true);
        options
    }

    pub(in super::super) fn for_new_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        options
    }

    /// On Windows a file that is opened without sharing is a lock.
    pub(in super::super) fn try_lock(path: &Path) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
        match options.open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(32) => Ok(None), // ERROR_SHARING_VIOLATION
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn make_like(_: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn give_to_owner_of(_: &File, _: &Path) {}

    pub(in super::super) fn make_directory(path: &Path, _: &Metadata) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    pub(in super::super) fn open_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "a file elsewhere")]
    pub(in super::super) fn sync_directory(_: &()) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn kind(kind: FileType) -> &'static str {
        if kind.is_dir() { "a directory" } else { "something else" }
    }
}
