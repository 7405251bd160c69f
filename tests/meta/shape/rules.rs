//! The rules: each takes sources and returns what breaks it, a line each.

use super::source::{Source, starts_with};
use std::collections::{BTreeMap, BTreeSet};

/// Something that may break a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    pub(crate) file: &'static str,
    /// The beginning of a path, or [`LINES`].
    pub(crate) names: &'static str,
    /// Why: a sentence for whoever reads the list.
    pub(crate) reason: &'static str,
}

/// Stands for the length of a file among the exceptions.
pub(crate) const LINES: &str = "lines";

impl Exception {
    /// Excuses a path, and what an import of it brings in.
    fn excuses(&self, file: &str, path: &[String]) -> bool {
        let is_imported = self.names.rsplit("::").next() == path.first().map(String::as_str);
        self.file == file && (starts_with(path, self.names) || is_imported)
    }

    /// Returns whether its file still does what it excuses.
    pub(crate) fn is_used(&self, sources: &[Source], lines_max: usize) -> bool {
        let mut of_file = sources.iter().filter(|source| source.file == self.file);
        of_file.any(|source| if self.names == LINES { source.lines > lines_max } else { source.names(self.names) })
    }
}

/// Words that no pure room says, wherever they come from.
const IMPURE_WORDS: &str = "SystemTime Mutex RwLock Condvar Barrier Once OnceLock OnceCell LazyLock \
    LazyCell Atomic* Cell RefCell UnsafeCell thread_local async await Future Waker spawn ThreadRng SysRng print println eprint eprintln \
    dbg RandomState unsafe";

/// Paths that no pure room names.
const IMPURE_PATHS: &str = "std::time::Instant std::fs std::net std::io std::env std::process std::thread std::os \
    std::future std::task core::future core::task tokio futures* metrics tracing parking_lot loom rustix";

/// Other sources of time than `clock.rs`.
const TIME: &str = "std::time::Instant std::time::SystemTime std::time::UNIX_EPOCH std::time::(all) core::time::(all) \
    tokio::time::Instant rustix::time quanta chrono jiff";

/// Other locks and atomics than those of `sync.rs`.
const LOCKS: &str = "std::sync::Mutex* std::sync::RwLock* std::sync::Condvar std::sync::Barrier* std::sync::Once* \
    std::sync::Lazy* std::sync::PoisonError std::sync::mpsc std::sync::atomic std::sync::(all) core::sync \
    std::thread_local parking_lot loom";

fn is_any(path: &[String], starts: &str) -> bool {
    starts.split_whitespace().any(|start| starts_with(path, start))
}

/// Pure rooms name nothing impure, and of the crate only each other and `words`.
pub(crate) fn pure(sources: &[Source], rooms: &[&str], words: &[&str], exceptions: &[Exception]) -> Vec<String> {
    let is_in =
        |source: &Source, room: &str| source.file == room || room.ends_with('/') && source.file.starts_with(room);
    let missing = rooms.iter().filter(|room| !sources.iter().any(|source| is_in(source, room)));
    let mut broken: Vec<_> = missing.map(|room| format!("{room}: no such file")).collect();
    let modules = rooms.iter().map(|room| {
        let path = room.trim_end_matches('/').trim_end_matches(".rs");
        format!("crate::{}", path.replace('/', "::"))
    });
    let allowed: Vec<_> = modules.chain(words.iter().map(|word| (*word).to_owned())).collect();
    for source in sources.iter().filter(|source| rooms.iter().any(|room| is_in(source, room))) {
        for path in &source.paths {
            let is_foreign = path[0] == "crate" && !allowed.iter().any(|known| starts_with(path, known));
            let says_impure = path.iter().any(|word| is_any(std::slice::from_ref(word), IMPURE_WORDS));
            let is_unseeded = path[0] == "fastrand" && path.get(1).is_none_or(|word| word != "Rng")
                || is_any(path, "rand::random rand::rng rand::fill rand::make_rng")
                || path.ends_with(&["Rng".to_owned(), "new".to_owned()]);
            let is_excused = exceptions.iter().any(|exception| exception.excuses(&source.file, path));
            if (is_foreign || says_impure || is_unseeded || is_any(path, IMPURE_PATHS)) && !is_excused {
                broken.push(format!("{}: a pure room names {}", source.file, path.join("::")));
            }
        }
    }
    broken
}

/// Time comes in through `clock.rs`, locks and atomics through `sync.rs`.
pub(crate) fn doors(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let is_excused = |path: &[String]| exceptions.iter().any(|exception| exception.excuses(&source.file, path));
        let has_thread_local = source.names("crate::sync::thread_local");
        let is_whole = |path: &[String], module: &str| path.len() == 2 && starts_with(path, module);
        for path in source.paths.iter().filter(|path| !is_excused(path)) {
            let is_time = is_any(path, TIME) || is_whole(path, "std::time");
            let is_lock = is_any(path, LOCKS)
                || is_whole(path, "std::sync")
                || starts_with(path, "thread_local") && !has_thread_local;
            if is_time && source.file != "clock.rs" {
                broken.push(format!("{}: {} is time past clock.rs", source.file, path.join("::")));
            }
            if is_lock && source.file != "sync.rs" {
                broken.push(format!("{}: {} is a lock or atomic past sync.rs", source.file, path.join("::")));
            }
        }
    }
    broken
}

/// A mechanism's folder does not name another mechanism's.
pub(crate) fn apart(sources: &[Source], mechanisms: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| mechanisms.contains(&source.top())) {
        for path in source.paths.iter().filter(|path| path[0] == "crate" && path.len() > 1) {
            if mechanisms.contains(&path[1].as_str()) && path[1] != source.top() {
                broken.push(format!("{}: names {}", source.file, path.join("::")));
            }
        }
    }
    broken
}

/// A file uses its own floor and those below; rooms of one floor do not use each other in a circle.
pub(crate) fn floors(sources: &[Source], floors: &[&[&str]]) -> Vec<String> {
    let floor_of = |room: &str| floors.iter().position(|floor| floor.contains(&room));
    let mut broken = Vec::new();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for source in sources {
        let Some(floor) = floor_of(source.top()) else {
            unknown.insert(source.top());
            continue;
        };
        for path in source.paths.iter().filter(|path| path[0] == "crate" && path.len() > 1) {
            // What is no room is what lib.rs re-exports.
            let room = floor_of(&path[1]).map_or("lib", |_| path[1].as_str());
            if floor_of(room) > Some(floor) {
                broken.push(format!("{}: {} is further up", source.file, path.join("::")));
            } else if room != source.top() {
                uses.entry(source.top()).or_default().insert(room);
            }
        }
    }
    let lists = "add it to MECHANISMS or FLOORS in tests/meta/shape/mod.rs";
    broken.extend(unknown.iter().map(|room| format!("{room}: on no floor; {lists}")));
    for (room, neighbours) in &uses {
        let others = neighbours.iter().filter(|other| *other > room && reaches(&uses, other, room));
        broken.extend(others.map(|other| format!("{room} and {other} use each other")));
    }
    broken
}

fn reaches(uses: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(room) = open.pop() {
        if room == to {
            return true;
        }
        if seen.insert(room) {
            open.extend(uses.get(room).into_iter().flatten());
        }
    }
    false
}

/// No file is longer than `max` lines.
pub(crate) fn sizes(sources: &[Source], max: usize, exceptions: &[Exception]) -> Vec<String> {
    let is_excused = |file: &str| exceptions.iter().any(|exception| exception.file == file && exception.names == LINES);
    let long = sources.iter().filter(|source| source.lines > max && !is_excused(&source.file));
    long.map(|source| format!("{}: {} lines, and {max} are enough", source.file, source.lines)).collect()
}
