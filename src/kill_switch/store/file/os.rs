//! File system calls that differ between systems.

#[cfg(unix)]
pub(super) use unix::*;

#[cfg(not(unix))]
pub(super) use other::*;

#[cfg(unix)]
mod unix {
    use rustix::fs::OFlags;
    use std::fs::{DirBuilder, FileType, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, lchown};
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

    pub(in super::super) fn kind(kind: FileType) -> &'static str {
        if kind.is_dir() { "a directory" } else { "something else" }
    }
}
