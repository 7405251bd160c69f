//! Imports between files: to the file that defines what is named, through re-exports.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// For each file, the files it imports from.
pub(crate) type Imports<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The imports between files. A re-export of a `mod.rs` is none: it leads to the file behind it.
pub(crate) fn imports(sources: &[Source]) -> Imports<'_> {
    let modules: BTreeMap<_, _> = sources.iter().map(|source| (source.module.as_slice(), source)).collect();
    let mut imports = Imports::new();
    for source in sources {
        let exported: BTreeSet<_> = source.exports.values().collect();
        for path in &source.paths {
            let is_export = exported.iter().any(|export| export.ends_with(path));
            if path[0] != "crate" || is_export {
                continue;
            }
            if let Some(file) = definer(&modules, path).filter(|file| *file != source.file) {
                imports.entry(&source.file).or_default().insert(file);
            }
        }
    }
    imports
}

/// The file that defines what a path names; `None` for a folder's own module.
fn definer<'a>(modules: &BTreeMap<&[String], &'a Source>, path: &[String]) -> Option<&'a str> {
    let mut path = path[1..].to_vec();
    for _ in 0..8 {
        let known = (0..=path.len()).rev().find_map(|end| modules.get(&path[..end]).map(|source| (end, *source)));
        let (end, source) = known?;
        let Some(name) = path.get(end) else {
            let is_folder = source.file == "lib.rs" || source.file.ends_with("/mod.rs");
            return (!is_folder).then_some(&source.file);
        };
        match source.exports.get(name) {
            Some(export) => path = [&export[1..], &path[end + 1..]].concat(),
            None => return (source.file != "lib.rs").then_some(&source.file),
        }
    }
    None
}

/// Files that import each other in a circle, a line a circle; pairs of `allowed` files may.
pub(crate) fn circles(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut imports = imports(sources);
    for (one, other) in allowed {
        if let Some(files) = imports.get_mut(one) {
            files.remove(other);
        }
    }
    let reached: BTreeMap<_, _> = imports.keys().map(|file| (*file, reachable(&imports, file))).collect();
    let in_circle = |one: &str, other: &str| {
        let leads = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
        leads(one, other) && leads(other, one)
    };
    let mut told = BTreeSet::new();
    let mut broken = Vec::new();
    for file in imports.keys().filter(|file| in_circle(file, file)) {
        if told.contains(file) {
            continue;
        }
        let circle: Vec<_> = imports.keys().filter(|other| in_circle(file, other)).copied().collect();
        told.extend(circle.iter().copied());
        broken.push(format!("files import each other: {}", circle.join(", ")));
    }
    broken
}

fn reachable<'a>(imports: &Imports<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = imports.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if let Some((known, _)) = imports.get_key_value(file)
            && seen.insert(*known)
        {
            open.extend(&imports[known]);
        }
    }
    seen
}

/// Files, arrows between them, the longest way down, and circles: the figures of the crate's shape.
pub(crate) fn figures(sources: &[Source]) -> String {
    let arrows: usize = imports(sources).values().map(BTreeSet::len).sum();
    let files = sources.iter().filter(|source| !source.paths.is_empty()).count();
    format!("{files} files, {arrows} arrows, {} circles", circles(sources, &[]).len())
}
