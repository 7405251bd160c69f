//! The access list of an admin page: given once, or in a file that is read again.

use crate::clock::timestamp;
use crate::config::{ConfigError, Problem};
use crate::kill_switch::access::AccessList;
use crate::sync::{Arc, Mutex};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Access {
    /// The list, and why it could not be read again.
    state: Mutex<(Arc<AccessList>, Option<String>)>,
    /// Whether tokens are configured. An empty list rejects every request.
    is_open: bool,
}

/// The list at one moment.
pub(super) struct Current {
    list: Arc<AccessList>,
    /// Whether no tokens were ever set up: then reads need none.
    pub(super) is_open: bool,
}

impl std::ops::Deref for Current {
    type Target = AccessList;

    fn deref(&self) -> &AccessList {
        &self.list
    }
}

impl Access {
    /// # Errors
    ///
    /// A file that cannot be read, or holds something else.
    pub(super) fn new(list: AccessList, path: Option<PathBuf>) -> Result<Arc<Self>, ConfigError> {
        let Some(path) = path else {
            let is_open = list.grants().is_empty();
            return Ok(Arc::new(Self { state: Mutex::new((Arc::new(list), None)), is_open }));
        };
        let wrong = |why: String| ConfigError::of(Problem::new("access_file", why, "a file that `token` writes"));
        let list = read(&path).map_err(wrong)?;
        let access = Arc::new(Self { state: Mutex::new((Arc::new(list), None)), is_open: false });
        let weak = Arc::downgrade(&access);
        let follow = move || {
            while let Some(access) = weak.upgrade() {
                access.read_again(&path);
                drop(access);
                std::thread::park_timeout(EVERY);
            }
        };
        let started = std::thread::Builder::new().name("backstop-access".to_owned()).spawn(follow);
        started.map(|_| access).map_err(|error| wrong(format!("no thread to watch the file: {error}")))
    }

    pub(super) fn current(&self) -> Current {
        Current { list: Arc::clone(&self.state.lock().0), is_open: self.is_open }
    }

    /// Why the file could not be read again; the list of before is in force then.
    pub(super) fn failure(&self) -> Option<String> {
        self.state.lock().1.clone()
    }

    fn read_again(&self, path: &Path) {
        let read = read(path).map_err(|why| format!("the access list in force stays as it was: {why}"));
        let mut state = self.state.lock();
        match read {
            Ok(list) if list == *state.0 => state.1 = None,
            Ok(list) => *state = (Arc::new(list), None),
            Err(why) if state.1.as_ref() == Some(&why) => {}
            Err(why) => {
                #[cfg(feature = "tracing")]
                tracing::warn!(target: "backstop::admin", why, "admin cannot read its access list");
                state.1 = Some(why);
            }
        }
    }
}

fn read(path: &Path) -> Result<AccessList, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    if !path.metadata().map_err(|error| failed(&error))?.is_file() {
        return Err(failed(&"it is not a regular file"));
    }
    let json = std::fs::read(path).map_err(|error| failed(&error))?;
    AccessList::from_json(&json, timestamp()).map_err(|error| failed(&error))
}
