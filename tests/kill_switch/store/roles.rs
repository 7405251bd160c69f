//! What this test binary does when another test has started it as a process of its own.

use super::common::{document, generation, store};
use backstop::kill_switch::store::{Store, StoreError};
use std::path::Path;
use std::process::{Command, Stdio};

const ROLE: &str = "BACKSTOP_STORE_ROLE";
const PATH: &str = "BACKSTOP_STORE_PATH";
const COUNT: &str = "BACKSTOP_STORE_COUNT";

/// This binary, to be started with a role.
pub(crate) fn process(role: &str, path: &Path, count: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::roles::as_a_process", "--nocapture"]);
    command.env(ROLE, role).env(PATH, path).env(COUNT, count.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Nothing at all, unless started by [`process`].
#[test]
fn as_a_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(PATH).unwrap();
    let count = std::env::var(COUNT).unwrap().parse().unwrap();
    match role.as_str() {
        "counter" => println!("{} conflicts", count_up(Path::new(&path), count)),
        "writer" => write_for_ever(Path::new(&path)),
        "nobody" => be_refused(Path::new(&path)),
        other => panic!("no role {other}"),
    }
}

/// Makes so many changes, beginning anew at each conflict. Returns how many of these there were.
pub(crate) fn count_up(path: &Path, changes: u64) -> u64 {
    let store = store(path);
    let (mut made, mut conflicts) = (0, 0);
    while made < changes {
        let seen = generation(&store);
        match store.compare_and_set(Some(seen), seen + 1, &document(seen + 1)) {
            Ok(()) => made += 1,
            Err(StoreError::Conflict { .. }) => conflicts += 1,
            Err(error) => panic!("{error}"),
        }
    }
    conflicts
}

/// Says of each change that it is made, once it is.
fn write_for_ever(path: &Path) {
    let store = store(path);
    println!("\nready");
    loop {
        let seen = generation(&store);
        store.compare_and_set(Some(seen), seen + 1, &document(seen + 1)).unwrap();
        println!("made {}", seen + 1);
    }
}

/// What a user without rights sees: reads what may be read, and cannot write.
fn be_refused(path: &Path) {
    let store = store(path);
    match store.read() {
        Ok(bytes) => println!("\nread {:?}", bytes.map(|bytes| bytes.len())),
        Err(error) => println!("\nread {error}"),
    }
    println!("write {}", store.compare_and_set(Some(1), 2, &document(2)).unwrap_err());
}
