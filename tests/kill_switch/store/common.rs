//! Documents that tell whether they are whole, and what is in a directory.

use backstop::kill_switch::store::{FileStore, Store};
use std::path::Path;

/// A document whose every byte follows from its generation; its size goes up and down.
pub(crate) fn document(generation: u64) -> Vec<u8> {
    let size = usize::try_from(generation * 7_919 % 20_000).unwrap();
    let letter = char::from(b'a' + u8::try_from(generation % 26).unwrap());
    let fill = letter.to_string().repeat(size);
    format!("{{\"format\": 1, \"generation\": {generation}, \"fill\": \"{fill}\"}}").into_bytes()
}

/// The generation of a document that is whole; `None` for anything else.
pub(crate) fn whole(bytes: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let generation = value.get("generation")?.as_u64()?;
    (bytes == document(generation)).then_some(generation)
}

pub(crate) fn store(path: &Path) -> FileStore {
    FileStore::new(path).unwrap()
}

/// The generation that the store has now.
///
/// # Panics
///
/// When there is none, or it is torn.
pub(crate) fn generation(store: &impl Store) -> u64 {
    whole(&store.read().unwrap().expect("a document")).expect("a document that is whole")
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Temporary files beside the document and in its history.
pub(crate) fn temporaries(path: &Path) -> Vec<String> {
    let mut all = names(path.parent().unwrap());
    let history = path.with_file_name(format!("{}.history", path.file_name().unwrap().to_str().unwrap()));
    if history.is_dir() {
        all.extend(names(&history));
    }
    all.retain(|name| {
        let extension = Path::new(name).extension();
        extension.is_some_and(|extension| extension == "tmp")
    });
    all
}
