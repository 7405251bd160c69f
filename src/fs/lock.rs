//! Advisory locks. The system releases one when its file is closed, or its process is killed.

use crate::clock::Clock;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Between two tries. Not a lock that the kernel waits for: that wait has no limit.
const PAUSE: Duration = Duration::from_millis(2);

/// Locks an open file; `false` if another process has held the lock for all of `patience`.
pub(crate) fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
    Ok(within(patience, || Ok(try_lock(file)?.then_some(())))?.is_some())
}

/// Locks a file of its own until it is dropped; `None` if another writer has held the lock for all of `patience`.
/// The file is created if missing, and never removed: two locks would come of one.
pub(crate) fn lock_at(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    within(patience, || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        careful(&mut options, 0o660);
        let file = options.open(path)?;
        let is_ours = try_lock(&file)? && is_at(&file, path)?;
        Ok(is_ours.then_some(file))
    })
}

fn within<T>(patience: Duration, attempt: impl Fn() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    let clock = Clock::system();
    let begun = clock.now();
    loop {
        let acquired = attempt()?;
        if acquired.is_some() || clock.now().saturating_duration_since(begun) >= patience {
            return Ok(acquired);
        }
        thread::sleep(PAUSE);
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// No symbolic link is followed, and a pipe without a reader is not waited for.
#[cfg(unix)]
pub(crate) fn careful(options: &mut OpenOptions, mode: u32) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(mode).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
}

#[cfg(not(unix))]
pub(crate) fn careful(_: &mut OpenOptions, _: u32) {}

/// Returns whether the locked file is still the one at the path: removing it in between makes two locks of one.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let own = file.metadata()?;
    let is_there = |there: std::fs::Metadata| (there.dev(), there.ino()) == (own.dev(), own.ino());
    // A second name could be any file.
    if own.nlink() == 1 {
        let _: io::Result<()> = file.set_permissions(std::fs::Permissions::from_mode(0o660)); // whatever the umask is
        super::give_to_owner_of(file, super::directory_of(path));
    }
    Ok(path.symlink_metadata().is_ok_and(is_there))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "reading metadata can fail on Unix")]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
