//! The graph of imports: which file uses an item that another one defines, and the circles in it.

use super::source::{ALL, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An import that may close a circle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrow {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// Why: a sentence for the readers of the list.
    pub(crate) reason: &'static str,
}

/// Files, and for each the files whose items it uses: with one of the paths by which it does.
pub(crate) struct Graph<'a> {
    sources: &'a [Source],
    arrows: BTreeMap<&'a str, BTreeMap<&'a str, String>>,
}

/// Where a path ends.
enum Place<'a> {
    Module,
    /// The file that defines the item.
    Item(&'a str),
}

/// Modules and imports of all files, to follow a path to the file that defines its item.
struct Names<'a> {
    modules: BTreeMap<&'a [String], &'a str>,
    imports: BTreeMap<(&'a [String], &'a str), &'a [String]>,
}

/// Re-exports of re-exports: as many as nothing needs.
const HOPS_MAX: usize = 16;

impl<'a> Names<'a> {
    fn of(sources: &'a [Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources {
            // A folder has no file of its own above the command.
            let outer = (1..source.modules[0].len()).map(|length| &source.modules[0][..length]);
            for module in outer {
                modules.entry(module).or_insert(source.file.as_str());
            }
            modules.extend(source.modules.iter().map(|module| (module.as_slice(), source.file.as_str())));
        }
        let imports = sources.iter().flat_map(|source| &source.imports);
        Self {
            modules,
            imports: imports.map(|import| ((&import.module[..], import.name.as_str()), &import.path[..])).collect(),
        }
    }

    /// The end of a path that a module names. `None` in another crate.
    fn place(&self, module: &[String], path: &[String], hops: usize) -> Option<Place<'a>> {
        let (first, rest) = path.split_first()?;
        if first == "crate" {
            self.walk(Vec::new(), rest, hops)
        } else if self.modules.contains_key(&*[module, &path[..1]].concat()) {
            self.walk(module.to_vec(), path, hops)
        } else {
            let import = self.imports.get(&(module, first.as_str()))?;
            self.place(module, &[import, rest].concat(), hops.checked_sub(1)?)
        }
    }

    fn walk(&self, mut module: Vec<String>, mut path: &[String], hops: usize) -> Option<Place<'a>> {
        while let Some((first, rest)) = path.split_first() {
            let inner = [&module[..], &path[..1]].concat();
            let import = self.imports.get(&(&module[..], first.as_str()));
            match import {
                // A function may have the name of its module: `crate::protect`.
                Some(import) if rest.is_empty() || !self.modules.contains_key(&inner[..]) => {
                    return self.place(&module, &[import, rest].concat(), hops.checked_sub(1)?);
                }
                _ if self.modules.contains_key(&inner[..]) => (module, path) = (inner, rest),
                _ => return self.modules.get(&module[..]).copied().map(Place::Item),
            }
        }
        Some(Place::Module)
    }
}

impl<'a> Graph<'a> {
    pub(crate) fn of(sources: &'a [Source]) -> Self {
        let names = Names::of(sources);
        let mut arrows: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for source in sources {
            // An import for others is an arrow only if the file uses the name itself.
            let is_used = |name: &str| source.mentions.iter().any(|(_, path)| path[0] == name);
            let imports = source.imports.iter().filter(|import| !import.is_reexport || is_used(&import.name));
            let mentions = source.mentions.iter().filter(|(_, path)| path.len() > 1);
            let paths = imports.map(|import| (&import.module, &import.path));
            for (module, path) in paths.chain(mentions.map(|(module, path)| (module, path))) {
                if let Some(Place::Item(file)) = names.place(module, path, HOPS_MAX)
                    && file != source.file
                    && (path[path.len() - 1] != ALL || path.len() > 2)
                {
                    let known = arrows.entry(&source.file).or_default();
                    known.entry(file).or_insert_with(|| path.join("::"));
                }
            }
        }
        Self { sources, arrows }
    }

    /// Without some arrows.
    pub(crate) fn without(mut self, exceptions: &[Arrow]) -> Self {
        for Arrow { from, to, .. } in exceptions {
            if let Some(targets) = self.arrows.get_mut(from) {
                targets.remove(to);
            }
        }
        self
    }

    /// Returns whether the import exists and closes a circle.
    pub(crate) fn is_closed_by(&self, Arrow { from, to, .. }: &Arrow) -> bool {
        let exists = self.arrows.get(from).is_some_and(|targets| targets.contains_key(to));
        exists && reached(&self.uses(|_| true), to).contains(from)
    }

    /// The arrows from some files.
    fn uses(&self, is_in: impl Fn(&str) -> bool) -> Uses<'a> {
        let arrows = self.arrows.iter().filter(|(from, _)| is_in(from));
        arrows.map(|(from, targets)| (*from, targets.keys().copied().collect())).collect()
    }

    /// Groups of files that use each other, each with one path by which it uses another of its group.
    pub(crate) fn circles(&self) -> Vec<String> {
        let circles = groups(&self.uses(|_| true)).into_iter().filter(|group| group.len() > 1);
        let circle = |group: BTreeSet<&str>| {
            let line = |from: &&str| {
                let mut used = self.arrows[from].iter().filter(|(to, _)| group.contains(*to));
                used.next().map(|(to, path)| format!("  {from} -> {to}: {path}"))
            };
            let lines: Vec<_> = group.iter().filter_map(line).collect();
            format!("a circle of {}:\n{}", group.len(), lines.join("\n"))
        };
        circles.map(circle).collect()
    }

    /// What the folder is made of; the whole library is the empty name.
    pub(crate) fn counts(&self, folder: &str) -> Counts {
        let is_door = |path: &str| ["mod", "lib", "main"].contains(&path.trim_end_matches(".rs"));
        let room_of = |file: &'a str| {
            let room = file.strip_prefix(folder)?.split('/').next()?;
            (!is_door(room) && (!folder.is_empty() || room != "bin")).then(|| room.trim_end_matches(".rs"))
        };
        let sources = self.sources.iter().filter(|source| !source.is_test);
        let files: Vec<_> = sources.filter(|source| room_of(&source.file).is_some()).collect();
        let mut rooms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for source in &files {
            let from = room_of(&source.file).unwrap_or_default();
            let targets = self.arrows.get(source.file.as_str()).into_iter().flatten();
            let others = targets.filter_map(|(to, _)| room_of(to)).filter(|to| *to != from);
            rooms.entry(from).or_default().extend(others);
        }
        let inside = |file: &str| file.starts_with(folder) && (!folder.is_empty() || !file.starts_with("bin/"));
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for name in files.iter().flat_map(|source| &source.types) {
            *types.entry(name).or_default() += 1;
        }
        Counts {
            files: files.len(),
            rooms: rooms.len(),
            floors: floors(&rooms),
            arrows: rooms.values().map(BTreeSet::len).sum(),
            circles: groups(&self.uses(inside)).iter().filter(|group| group.len() > 1).count(),
            twice: types.values().filter(|count| **count > 1).count(),
        }
    }
}

/// What a folder is made of.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    files: usize,
    /// Files and folders right in it.
    rooms: usize,
    /// The longest way from a room to the ground; rooms that use each other are on one floor.
    floors: usize,
    /// Pairs of rooms of which the first uses the second.
    arrows: usize,
    /// Groups of files that use each other.
    circles: usize,
    /// Names of types that are defined more than once.
    twice: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, rooms, floors, arrows, circles, twice } = self;
        write!(f, "{files} files, {rooms} rooms, {floors} floors, {arrows} arrows, {circles} circles, ")?;
        write!(f, "{twice} names defined more than once")
    }
}

type Uses<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// All that one leads to.
fn reached<'a>(uses: &Uses<'a>, from: &str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(one) = open.pop() {
        let next = uses.get(one).into_iter().flatten().filter(|next| seen.insert(**next));
        open.extend(next.copied().collect::<Vec<_>>());
    }
    seen
}

/// The nodes, together with those that they use in a circle.
fn groups<'a>(uses: &Uses<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached: BTreeMap<_, _> = uses.keys().map(|node| (*node, reached(uses, node))).collect();
    let group = |node: &&'a str| {
        let others = reached[node].iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(node)));
        others.copied().chain([*node]).collect()
    };
    uses.keys().map(group).collect()
}

fn floors(uses: &Uses<'_>) -> usize {
    let groups = groups(uses);
    let mut heights: BTreeMap<&str, usize> = BTreeMap::new();
    // As often as the tower may be high: each round moves every room above those that it uses.
    for _ in 0..groups.len() {
        for group in &groups {
            let below = group.iter().flat_map(|room| &uses[room]).filter(|other| !group.contains(*other));
            let height = below.filter_map(|other| heights.get(other)).max().map_or(1, |below| below + 1);
            heights.extend(group.iter().map(|room| (*room, height)));
        }
    }
    heights.values().copied().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::source::without_tests;
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        without_tests(files.iter().map(|(file, text)| Source::parse(file, text)).collect())
    }

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        Graph::of(&sources(files)).circles()
    }

    #[test]
    fn two_files_that_use_each_other_are_caught() {
        let one = ("a/one.rs", "use super::two::Two; pub struct One;");
        let files = [one, ("a/two.rs", "use crate::a::one::One;")];
        let circle =
            "a circle of 2:\n  a/one.rs -> a/two.rs: crate::a::two::Two\n  a/two.rs -> a/one.rs: crate::a::one::One";
        assert_eq!(circles(&files), [circle]);
        assert_eq!(circles(&files[..1]), [""; 0]);
        let excused = Arrow { from: "a/two.rs", to: "a/one.rs", reason: "" };
        assert!(Graph::of(&sources(&files)).is_closed_by(&excused));
        assert!(!Graph::of(&sources(&files[1..])).is_closed_by(&excused));
        assert_eq!(Graph::of(&sources(&files)).without(&[excused]).circles(), [""; 0]);
    }

    #[test]
    fn a_path_is_followed_to_the_file_that_defines_its_item() {
        let inner = ("a/inner/two.rs", "use crate::One; pub struct Two;");
        for (one, parent, root) in [
            ("use super::Two; pub struct One;", "pub mod inner; pub use inner::Two;", "pub use a::one::One;"),
            ("use super::inner::Two;", "pub mod inner; pub(crate) use one::One;", "pub use a::One;"),
            (
                "use super::Second; pub struct One;",
                "use inner::two::Two as Second;",
                "pub use a::one::*; use a::one::One;",
            ),
            ("use super::inner; fn f(two: inner::Two) {}", "", "pub use self::a::one::One;"),
            ("fn f() { super::inner::two::Two::new() }", "", "pub use crate::a::one::One;"),
            ("use crate::a::inner::{two::{Two}};", "", "pub use a::{one::{One, Other}};"),
        ] {
            let files = [
                ("lib.rs", root),
                ("a/mod.rs", parent),
                ("a/one.rs", one),
                ("a/inner/mod.rs", "pub use two::Two;"),
                inner,
            ];
            let circles = circles(&files);
            assert_eq!(circles.len(), 1, "{one} {parent} {root}");
            assert!(circles[0].contains("a/one.rs -> a/inner/two.rs"), "{circles:?}");
        }
    }

    #[test]
    fn a_module_is_a_node_for_what_it_defines() {
        let one = ("a/one.rs", "use super::Shared;");
        let circle = |module: &str| circles(&[("a/mod.rs", module), one]).len();
        assert_eq!(circle("mod one; pub use one::One; pub struct Shared;"), 0);
        assert_eq!(circle("mod one; use one::One; pub struct Shared(One);"), 1);
        assert_eq!(circle("mod one; pub use one::One; pub struct Shared(One);"), 1);
        assert_eq!(circle("mod one; pub struct Shared(one::One);"), 1);
    }

    #[test]
    fn tests_make_no_circle() {
        let two = ("a/two.rs", "use super::one::One;");
        let module = ("a/mod.rs", "#[cfg(all(test, backstop_loom))] mod loom_tests; mod one; mod two;");
        let one = |text| circles(&[module, ("a/one.rs", text), two]).len();
        assert_eq!(one("#[cfg(test)] mod tests { use super::super::two::Two; }"), 0);
        assert_eq!(one("mod tests { use super::super::two::Two; }"), 1);
        let files = [module, ("a/one.rs", "use super::loom_tests::f;"), ("a/loom_tests.rs", "use super::one::One;")];
        assert_eq!(circles(&files), [""; 0]);
    }

    #[test]
    fn another_crate_is_no_file() {
        let two = ("a/two.rs", "use one::One; fn f() { std::one::f() }");
        assert_eq!(circles(&[("a/one.rs", "use super::two::Two;"), two]), [""; 0]);
    }

    #[test]
    fn a_folder_is_counted() {
        let files = sources(&[
            ("lib.rs", "pub use a::one::One;"),
            ("a/mod.rs", "mod one; mod two;"),
            ("a/one.rs", "use super::two::Two; pub struct One; struct Core;"),
            ("a/two.rs", "use crate::One; pub struct Two;"),
            ("a/top/mod.rs", "use super::one::One; use super::two::Two; use crate::b::B; struct Core;"),
            ("b.rs", "pub struct B;"),
        ]);
        let graph = Graph::of(&files);
        let counted = Counts { files: 3, rooms: 3, floors: 2, arrows: 4, circles: 1, twice: 1 };
        assert_eq!(graph.counts("a/"), counted);
        let counted = Counts { files: 5, rooms: 2, floors: 2, arrows: 1, circles: 1, twice: 1 };
        assert_eq!(graph.counts(""), counted);
    }
}
