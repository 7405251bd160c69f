//! Watches the directories of stores for changes, with one thread for the whole process.
//!
//! The directory is watched and not the file: a file that is renamed over, or whose `..data` is swapped, is another
//! file, and a watch on the old one hears nothing any more.

use super::os::{self, Identity};
use crate::kill_switch::store::Watch;
use crate::panic::catch_panic;
use crate::sync::{Arc, Mutex};
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Link that Kubernetes replaces to swap all files of a mount at once.
const SWAPPED: &str = "..data";

static HUB: LazyLock<Hub> = LazyLock::new(Hub::default);

crate::sync::thread_local! {
    /// Whether this is notify's thread, calling us: it cannot be waited for.
    static IS_CALLED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// All watching of the process.
///
/// The watcher is locked while notify's thread answers, and that thread takes the table's lock: so the watcher's
/// lock comes first, and the table's is never held while asking the watcher.
#[derive(Default)]
struct Hub {
    watcher: Mutex<Option<RecommendedWatcher>>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    subscribers: HashMap<u64, Subscriber>,
    next: u64,
    /// Directories that are watched, and the path by which notify knows each. By identity: two paths to one directory
    /// are one watch for the kernel.
    armed: HashMap<Identity, PathBuf>,
}

struct Subscriber {
    directory: PathBuf,
    name: OsString,
    wake: Wake,
    armed: Option<Identity>,
}

/// Calls `wake` at every change of this name in this directory, which need not exist yet.
pub(super) fn begin(directory: &Path, name: &OsStr, wake: Wake) -> Watch {
    let id = {
        let mut table = HUB.table.lock();
        let id = table.next;
        table.next += 1;
        let (directory, name) = (directory.to_owned(), name.to_owned());
        table.subscribers.insert(id, Subscriber { directory, name, wake, armed: None });
        id
    };
    renew(directory);
    Watch::new(move || end(id))
}

fn end(id: u64) {
    let subscriber = HUB.table.lock().subscribers.remove(&id);
    drop(subscriber); // without the lock: what the wake owns is foreign
    if !is_called() {
        let mut watcher = HUB.watcher.lock();
        HUB.sweep(&mut watcher);
    }
}

/// Watches the directory (anew) if it has subscribers and is not the one that is watched.
///
/// Every reading asks, so that a directory which was deleted, moved or mounted over and made again is watched again
/// after a second at most. When all is well, that is a `stat` and a look at the table.
pub(super) fn renew(directory: &Path) {
    if !HUB.is_wanted(directory) || is_called() {
        return;
    }
    let Some(identity) = identity(directory) else { return };
    if HUB.table.lock().is_armed(directory, &identity) {
        return;
    }
    let mut watcher = HUB.watcher.lock();
    HUB.sweep(&mut watcher);
    if HUB.table.lock().join(directory, &identity) {
        return;
    }
    let Ok(path) = directory.canonicalize() else { return };
    // In the table before it is watched: an event that comes at once must find it.
    HUB.table.lock().arm(directory, &identity, &path);
    let is_watched = watcher_in(&mut watcher).is_some_and(|watcher| {
        // notify's methods panic when its thread is gone.
        let watch = || {
            let _: notify::Result<()> = watcher.unwatch(&path); // of a directory that had this path before
            watcher.watch(&path, RecursiveMode::NonRecursive).is_ok()
        };
        catch_panic(watch) == Some(true)
    });
    if !is_watched || self::identity(&path).as_ref() != Some(&identity) {
        HUB.table.lock().disarm(&path);
    }
}

fn is_called() -> bool {
    IS_CALLED.with(std::cell::Cell::get)
}

fn identity(directory: &Path) -> Option<Identity> {
    directory.metadata().ok().map(|metadata| os::identity(&metadata, directory))
}

/// The watcher, made on first use. `None` if the system has none: then the file is polled every second.
fn watcher_in(watcher: &mut Option<RecommendedWatcher>) -> Option<&mut RecommendedWatcher> {
    if watcher.is_none() {
        let told = |event| {
            IS_CALLED.with(|is_called| is_called.set(true));
            HUB.tell(event);
        };
        *watcher = notify::recommended_watcher(told).ok();
    }
    watcher.as_mut()
}

impl Hub {
    fn is_wanted(&self, directory: &Path) -> bool {
        self.table.lock().subscribers.values().any(|subscriber| subscriber.directory == directory)
    }

    /// Ends the watching of directories without subscribers, and notify's thread with the last one.
    fn sweep(&self, watcher: &mut Option<RecommendedWatcher>) {
        let (unwanted, is_over) = {
            let mut table = self.table.lock();
            (table.take_unwanted(), table.subscribers.is_empty())
        };
        if is_over {
            *watcher = None;
        } else if let Some(watcher) = watcher {
            for path in unwanted {
                let _: Option<notify::Result<()>> = catch_panic(|| watcher.unwatch(&path));
            }
        }
    }

    /// On notify's thread.
    fn tell(&self, event: notify::Result<Event>) {
        let wakes = self.table.lock().wakes(event);
        for wake in wakes {
            let _: Option<()> = catch_panic(|| wake());
        }
    }
}

impl Table {
    fn is_armed(&self, directory: &Path, identity: &Identity) -> bool {
        let mut of_directory = self.subscribers.values().filter(|subscriber| subscriber.directory == directory);
        of_directory.all(|subscriber| subscriber.armed.as_ref() == Some(identity))
    }

    fn arm(&mut self, directory: &Path, identity: &Identity, path: &Path) {
        self.disarm(path);
        self.armed.insert(identity.clone(), path.to_owned());
        self.join(directory, identity);
    }

    /// Lets those who want to hear of this directory hear of what is watched already. False when it is not.
    fn join(&mut self, directory: &Path, identity: &Identity) -> bool {
        let is_armed = self.armed.contains_key(identity);
        if is_armed {
            for subscriber in self.subscribers.values_mut().filter(|subscriber| subscriber.directory == directory) {
                subscriber.armed = Some(identity.clone());
            }
        }
        is_armed
    }

    /// Forgets a watch that hears nothing any more.
    fn disarm(&mut self, path: &Path) {
        self.armed.retain(|_, armed| armed != path);
        let armed = &self.armed;
        for subscriber in self.subscribers.values_mut() {
            subscriber.armed.take_if(|identity| !armed.contains_key(identity));
        }
    }

    fn take_unwanted(&mut self) -> Vec<PathBuf> {
        let wanted: Vec<_> = self.subscribers.values().filter_map(|subscriber| subscriber.armed.clone()).collect();
        self.armed.extract_if(|identity, _| !wanted.contains(identity)).map(|(_, path)| path).collect()
    }

    /// Wakers for an event.
    fn wakes(&mut self, event: notify::Result<Event>) -> Vec<Wake> {
        // An error or an overflow: something was lost, for any of them.
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            return self.subscribers.values().map(|subscriber| Arc::clone(&subscriber.wake)).collect();
        };
        if !is_change(event.kind) {
            return Vec::new();
        }
        let mut wakes = Vec::new();
        for path in &event.paths {
            let is_of = |subscriber: &Subscriber| {
                let armed = subscriber.armed.as_ref().and_then(|identity| self.armed.get(identity));
                let is_mine = |name: &OsStr| name == subscriber.name || name == SWAPPED;
                armed.is_some_and(|armed| {
                    armed == path || path.parent() == Some(armed) && path.file_name().is_some_and(is_mine)
                })
            };
            let mine = self.subscribers.values().filter(|subscriber| is_of(subscriber));
            wakes.extend(mine.map(|subscriber| Arc::clone(&subscriber.wake)));
            if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                self.disarm(path); // the directory itself has gone
            }
        }
        wakes
    }
}

/// Not every event is a change: to read a file is an event, too, and would wake its reader again and again.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        // `Both` repeats what `From` and `To` have said.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

    /// One store of `/a/switches.json` and one of `/b/switches.json`, both watched.
    fn table() -> Table {
        let mut table = Table::default();
        let here = std::env::temp_dir().metadata().unwrap();
        let root = Path::new("/").metadata().unwrap();
        for (id, (directory, metadata)) in [("/a", here), ("/b", root)].into_iter().enumerate() {
            let (directory, name) = (PathBuf::from(directory), OsString::from("switches.json"));
            let identity = os::identity(&metadata, &directory);
            let subscriber = Subscriber { directory: directory.clone(), name, wake: Arc::new(|| {}), armed: None };
            table.subscribers.insert(id as u64, subscriber);
            table.arm(&directory, &identity, &directory);
        }
        table
    }

    fn told(table: &mut Table, kind: EventKind, path: &str) -> usize {
        table.wakes(Ok(Event::new(kind).add_path(PathBuf::from(path)))).len()
    }

    #[test]
    fn a_change_of_its_file_or_of_data_wakes_a_store_and_nothing_else_does() {
        let mut table = table();
        let moved = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for (kind, path, count) in [
            (moved(RenameMode::To), "/a/switches.json", 1),
            (moved(RenameMode::Both), "/a/switches.json", 0),
            (moved(RenameMode::To), "/a/..data", 1),
            (data, "/b/switches.json", 1),
            (EventKind::Create(CreateKind::File), "/b/switches.json", 1),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/a/switches.json", 1),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/a/switches.json", 0),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "/a/switches.json", 0),
            (data, "/a/switches.json.lock", 0),
            (data, "/c/switches.json", 0),
            (data, "/a/deeper/switches.json", 0),
        ] {
            assert_eq!(told(&mut table, kind, path), count, "{kind:?} {path}");
        }
    }

    #[test]
    fn when_something_was_lost_everyone_looks() {
        let mut table = table();
        assert_eq!(table.wakes(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))).len(), 2);
        assert_eq!(table.wakes(Err(notify::Error::generic("lost"))).len(), 2);
    }

    #[test]
    fn a_directory_that_goes_is_no_longer_taken_for_watched() {
        let mut table = table();
        assert_eq!(told(&mut table, EventKind::Remove(RemoveKind::Folder), "/a"), 1);
        assert_eq!(table.armed.len(), 1);
        assert_eq!(table.subscribers.values().filter(|subscriber| subscriber.armed.is_none()).count(), 1);
        assert_eq!(told(&mut table, EventKind::Remove(RemoveKind::File), "/a/switches.json"), 0);
        assert_eq!(told(&mut table, EventKind::Remove(RemoveKind::File), "/b/switches.json"), 1);
    }
}
