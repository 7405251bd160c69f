//! Whoever watches reaches the latest state, however it was written, and takes nothing torn for a document.
//!
//! Readers here do not poll unless a test says so: what is reached, the watch alone has reached. Times are printed.

use super::common::{document, store, whole};
use super::reader::{PATIENCE, Reader, print_times};
use backstop::kill_switch::store::{Store, Watch};
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A way to change the document.
trait Writer {
    /// The path to read.
    fn path(&self) -> PathBuf;
    fn write(&mut self, generation: u64);
}

struct RenameOver(PathBuf);

impl Writer for RenameOver {
    fn path(&self) -> PathBuf {
        self.0.join("switches.json")
    }

    fn write(&mut self, generation: u64) {
        let other = self.0.join("new");
        fs::write(&other, document(generation)).unwrap();
        fs::rename(other, self.path()).unwrap();
    }
}

struct InPlace(PathBuf);

impl Writer for InPlace {
    fn path(&self) -> PathBuf {
        self.0.join("switches.json")
    }

    fn write(&mut self, generation: u64) {
        fs::write(self.path(), document(generation)).unwrap();
    }
}

/// As a kubelet does: a new directory, a new link, renamed over the old link; then the old directory goes.
#[cfg(unix)]
struct Swap(PathBuf);

#[cfg(unix)]
impl Writer for Swap {
    fn path(&self) -> PathBuf {
        self.0.join("switches.json")
    }

    fn write(&mut self, generation: u64) {
        use std::os::unix::fs::symlink;
        let name = format!("..2026_{generation}");
        fs::create_dir(self.0.join(&name)).unwrap();
        fs::write(self.0.join(&name).join("switches.json"), document(generation)).unwrap();
        symlink(&name, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
        if !self.path().is_symlink() {
            symlink("..data/switches.json", self.path()).unwrap();
        }
        fs::remove_dir_all(self.0.join(format!("..2026_{}", generation - 1))).ok();
    }
}

/// 1,000 changes, each awaited, then 1,000 without waiting.
fn reaches(what: &str, mut writer: impl Writer) {
    writer.write(1);
    let reader = Reader::new(store(&writer.path()), true, None);
    reader.reached(1);
    let mut times = Vec::new();
    for generation in 2..=1_001 {
        let begun = Instant::now();
        writer.write(generation);
        times.push(reader.reached(generation).saturating_duration_since(begun));
    }
    print_times(what, times, &reader);
    for generation in 1_002..=2_001 {
        writer.write(generation);
    }
    reader.reached(2_001);
    let errors = reader.state.errors.lock().unwrap();
    println!("{what}, at once: {:?} torn in all, {} errors {:?}", reader.state.torn, errors.len(), errors.first());
}

#[test]
fn every_rename_over_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    reaches("rename-over", RenameOver(directory.path().to_owned()));
}

#[cfg(unix)]
#[test]
fn every_swap_of_data_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    reaches("..data swap", Swap(directory.path().to_owned()));
}

#[test]
fn every_write_in_place_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    reaches("in place", InPlace(directory.path().to_owned()));
}

#[test]
fn every_write_of_a_store_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory.path().join("switches.json"));
    store.compare_and_set(None, 1, &document(1)).unwrap();
    let reader = Reader::new(store.clone(), true, None);
    let mut times = Vec::new();
    for generation in 2..=201 {
        let begun = Instant::now();
        store.compare_and_set(Some(generation - 1), generation, &document(generation)).unwrap();
        times.push(reader.reached(generation).saturating_duration_since(begun));
    }
    print_times("compare-and-set, with its syncs", times, &reader);
}

#[test]
fn a_document_written_in_two_halves_is_never_taken_for_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    fs::write(&path, document(1)).unwrap();
    let reader = Reader::new(store(&path), true, None);
    for generation in 2..=101 {
        let bytes = document(generation);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        fs::write(&path, first).unwrap();
        if generation % 10 == 0 {
            std::thread::sleep(Duration::from_millis(20)); // longer than a reader has patience
        }
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, second).unwrap();
        drop(file);
        reader.reached(generation);
    }
    println!("two halves: {:?} torn and handed on, {:?} wakes", reader.state.torn, reader.state.wakes);
}

#[test]
fn without_a_watch_polling_is_enough() {
    for is_in_place in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().to_owned();
        let mut writer: Box<dyn Writer> = if is_in_place { Box::new(InPlace(own)) } else { Box::new(RenameOver(own)) };
        let reader = Reader::new(store(&writer.path()), false, Some(Duration::from_millis(2)));
        for generation in 1..=1_000 {
            writer.write(generation);
        }
        reader.reached(1_000);
        assert_eq!(reader.state.wakes.load(Ordering::Relaxed), 0);
        println!("polling, in place {is_in_place}: {:?} torn", reader.state.torn);
    }
}

/// A switchboard reads every second anyway; a tenth of that is enough here.
const POLL: Option<Duration> = Some(Duration::from_millis(100));

#[test]
fn a_directory_that_was_made_again_is_watched_again() {
    let above = tempfile::tempdir().unwrap();
    let middle = above.path().join("middle");
    let directory = middle.join("switches");
    let mut writer = RenameOver(directory.clone());
    // Before the directory exists.
    let reader = Reader::new(store(&writer.path()), true, POLL);
    let mut generation = 0;
    for round in 0..20 {
        fs::create_dir_all(&directory).unwrap();
        generation += 1;
        writer.write(generation);
        reader.reached(generation);
        std::thread::sleep(Duration::from_millis(150)); // a poll has come by and watches again
        let woken = reader.state.wakes.load(Ordering::Relaxed);
        generation += 1;
        writer.write(generation);
        reader.reached(generation);
        let wait = Instant::now();
        while reader.state.wakes.load(Ordering::Relaxed) == woken {
            assert!(wait.elapsed() < PATIENCE, "round {round}: polled, and not watched");
            std::thread::sleep(Duration::from_millis(1));
        }
        match round % 4 {
            0 => fs::remove_dir_all(&directory).unwrap(),
            1 => fs::rename(&directory, above.path().join(format!("old{round}"))).unwrap(),
            // The directory itself hears nothing of this.
            2 => fs::rename(&middle, above.path().join(format!("old{round}"))).unwrap(),
            // At once, so that the new directory may get the old one's number.
            _ => {
                fs::remove_dir_all(&directory).unwrap();
                fs::create_dir(&directory).unwrap();
                generation += 1;
                writer.write(generation);
                reader.reached(generation);
                fs::remove_dir_all(&directory).unwrap();
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn one_directory_by_two_paths_is_watched_for_both() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("real");
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::symlink("real", above.path().join("link")).unwrap();
    let mut writer = RenameOver(directory);
    let straight = Reader::new(store(&writer.path()), true, None);
    let linked = Reader::new(store(&above.path().join("link/switches.json")), true, None);
    for generation in 1..=50 {
        writer.write(generation);
        straight.reached(generation);
        linked.reached(generation);
    }
    drop(linked);
    writer.write(51);
    straight.reached(51);
}

#[test]
fn a_hundred_watchers_share_a_thread() {
    let directory = tempfile::tempdir().unwrap();
    let mut writers: Vec<_> = (0..100)
        .map(|number| {
            // Half of them in one directory each, half of them with a neighbour.
            let own = directory.path().join(format!("{}", if number < 50 { number } else { number / 2 * 2 }));
            fs::create_dir_all(&own).unwrap();
            (own.join(format!("{number}.json")), RenameOver(own))
        })
        .collect();
    let readers: Vec<_> = writers.iter().map(|(path, _)| Reader::new(store(path), true, None)).collect();
    let mut times = Vec::new();
    for generation in 1..=10 {
        for ((path, writer), reader) in writers.iter_mut().zip(&readers) {
            let begun = Instant::now();
            writer.write(generation);
            fs::rename(writer.path(), path).unwrap();
            times.push(reader.reached(generation).saturating_duration_since(begun));
        }
    }
    print_times("100 watchers", times, &readers[0]);
    if let Ok(tasks) = fs::read_dir("/proc/self/task") {
        let comm = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let ours = tasks.flatten().map(comm).filter(|comm| comm.starts_with("notify")).count();
        // One that has ended may not be gone yet.
        println!("threads that watch: {ours}");
        assert!(ours <= 3, "{ours} threads watch");
    }
}

#[test]
fn a_watch_may_end_anywhere_even_in_its_own_wake() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = RenameOver(directory.path().to_owned());
    let store = store(&writer.path());
    let watch: Arc<Mutex<Option<Watch>>> = Arc::default();
    let (of_wake, read) = (Arc::clone(&watch), store.clone());
    let woken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&woken);
    *watch.lock().unwrap() = Some(store.watch(Arc::new(move || {
        read.read().ok(); // against the rule, and yet it does not hang
        drop(of_wake.lock().unwrap().take());
        count.fetch_add(1, Ordering::Relaxed);
    })));
    let panics = store.watch(Arc::new(|| resume_unwind(Box::new("a wake that panics"))));
    let reader = Reader::new(store.clone(), true, None);
    for generation in 1..=20 {
        writer.write(generation);
        reader.reached(generation);
    }
    assert!(watch.lock().unwrap().is_none());
    drop((panics, reader));
    // The last one has ended notify's thread; it begins again.
    let reader = Reader::new(store, true, None);
    writer.write(21);
    reader.reached(21);
    assert!(woken.load(Ordering::Relaxed) >= 1);
}

/// To ask notify's thread for anything, on that thread, would be to wait for ever.
#[cfg(unix)]
#[test]
fn a_wake_that_reads_does_not_hang_even_when_the_watch_has_to_be_renewed() {
    use std::os::unix::fs::symlink;
    let above = tempfile::tempdir().unwrap();
    let gate = |name: &str| {
        symlink(name, above.path().join("new")).unwrap();
        fs::rename(above.path().join("new"), above.path().join("current")).unwrap();
    };
    let [mut old, mut new] = ["old", "new_one"].map(|name| RenameOver(above.path().join(name)));
    for writer in [&mut old, &mut new] {
        fs::create_dir(&writer.0).unwrap();
        writer.write(1);
    }
    gate("old");
    let store = store(&above.path().join("current/switches.json"));
    let (send, woken) = channel();
    let (send, read) = (Mutex::new(send), store.clone());
    let watch = std::mem::ManuallyDrop::new(store.watch(Arc::new(move || {
        let generation = read.read().unwrap().as_deref().and_then(whole);
        send.lock().unwrap().send(generation).unwrap();
    })));
    gate("new_one");
    old.write(2);
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(Some(1)), "the wake hangs");
    // The next reading elsewhere renews it.
    store.read().unwrap();
    new.write(3);
    let wait = Instant::now();
    while woken.recv_timeout(PATIENCE) != Ok(Some(3)) {
        assert!(wait.elapsed() < PATIENCE, "not watched");
    }
    drop(std::mem::ManuallyDrop::into_inner(watch));
}

#[test]
fn neither_reading_nor_a_neighbour_wakes() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = RenameOver(directory.path().to_owned());
    writer.write(1);
    let reader = Reader::new(store(&writer.path()), true, None);
    let other = store(&writer.path());
    for _ in 0..100 {
        other.read().unwrap();
        fs::write(directory.path().join("neighbour.json"), "{}").unwrap();
        fs::write(Path::new(directory.path()).join("switches.json.lock"), "").unwrap();
    }
    writer.write(2);
    reader.reached(2);
    let wakes = reader.state.wakes.load(Ordering::Relaxed);
    assert!(wakes <= 2, "woken {wakes} times for one rename");
}
