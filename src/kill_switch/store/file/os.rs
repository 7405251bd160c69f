//! File system calls that differ between systems.

#[cfg(unix)]
pub(super) use unix::*;

#[cfg(not(unix))]
pub(super) use other::*;

#[cfg(unix)]
mod unix {
    use rustix::fs::OFlags;
    use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
    use std::path::{Path, PathBuf};

    /// Identity of a directory: two that have the same path at different times differ in it.
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

    /// As [`for_reading`], of the file itself: a link is an error.
    pub(in super::super) fn for_reading_itself() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW));
        options
    }

    /// Makes a directory for those who may write the file whose history it keeps.
    pub(in super::super) fn make_directory(path: &Path, like: &Metadata) -> io::Result<()> {
        if DirBuilder::new().mode(0o700).create(path).is_ok() {
            let _: io::Result<()> = lchown(path, Some(like.uid()), Some(like.gid()));
        }
        let (directory, _) = open_directory(path)?;
        let own = directory.metadata()?.mode();
        let mode = if like.mode() & 0o020 == 0 { 0o700 } else { 0o770 };
        if own & mode != mode {
            let _: io::Result<()> = directory.set_permissions(Permissions::from_mode((own | mode) & 0o7777)); // its owner may
        }
        Ok(())
    }

    /// The directory itself, never one that a link leads to, and a path that leads to it whatever becomes of its name.
    pub(in super::super) fn open_directory(path: &Path) -> io::Result<(File, PathBuf)> {
        let mut options = OpenOptions::new();
        let directory = options.read(true).custom_flags(flags(OFlags::DIRECTORY | OFlags::NOFOLLOW)).open(path)?;
        let by_handle = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        let stable = if by_handle.exists() { by_handle } else { path.to_owned() };
        Ok((directory, stable))
    }

    /// The user of this process, and the owner of the file that it may not open.
    pub(in super::super) fn denied(path: &Path) -> String {
        let process = rustix::process::geteuid().as_raw();
        match path.metadata() {
            Ok(file) => {
                let (owner, mode) = (file.uid(), file.mode() & 0o777);
                format!("this process is of user {process}, and the file is of user {owner}, with mode {mode:04o}")
            }
            Err(_) => format!("this process is of user {process}, and may not look into the directory"),
        }
    }

    /// Returns whether a mount still shows a file that was replaced on the host.
    pub(in super::super) fn is_replaced(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
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
    use std::fs::{FileType, Metadata, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    /// A directory that was made again counts as the same; the watch itself reports that it went.
    pub(in super::super) type Identity = PathBuf;

    pub(in super::super) fn identity(_: &Metadata, path: &Path) -> Identity {
        path.to_owned()
    }

    pub(in super::super) fn for_reading() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true);
        options
    }

    pub(in super::super) fn for_reading_itself() -> OpenOptions {
        for_reading()
    }

    pub(in super::super) fn make_directory(path: &Path, _: &Metadata) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    pub(in super::super) fn open_directory(path: &Path) -> io::Result<((), PathBuf)> {
        path.symlink_metadata().map(|_| ((), path.to_owned()))
    }

    pub(in super::super) fn denied(_: &Path) -> String {
        "this process may not read it".to_owned()
    }

    pub(in super::super) fn is_replaced(_: &Metadata) -> bool {
        false
    }

    pub(in super::super) fn kind(kind: FileType) -> &'static str {
        if kind.is_dir() { "a directory" } else { "something else" }
    }
}
