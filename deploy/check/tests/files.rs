//! The shipped files as values.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder `deploy`.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
pub(crate) fn documents(path: &str) -> Vec<Value> {
    parse(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn parse(yaml: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    serde_saphyr::from_multiple(yaml)
}

/// The document with this `metadata.name`.
pub(crate) fn named(path: &str, name: &str) -> Value {
    let found = documents(path).into_iter().find(|document| document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{path} has no {name}"))
}

/// Every file of a folder of `deploy` with this extension.
pub(crate) fn all(folder: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(deploy().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<_> =
        names.filter(|name| name.ends_with(extension)).map(|name| format!("{folder}/{name}")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no {extension}");
    paths
}
