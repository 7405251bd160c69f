//! What a source file names: every path in it, as seen from the crate's root.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::path::Path;

/// The last segment of `use a::*`.
pub(crate) const ALL: &str = "(all)";

/// One file of `src`, without its tests, attributes, comments and strings.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to `src`.
    pub(crate) file: String,
    pub(crate) lines: usize,
    /// What is named: `["crate", "clock", "Instant"]`, `["std", "fs"]`, or a word alone: `["async"]`.
    pub(crate) paths: Vec<Vec<String>>,
    pub(crate) imports: Vec<Import>,
    /// The paths outside of imports, each with the module that it is in.
    pub(crate) mentions: Vec<(Vec<String>, Vec<String>)>,
    /// Its own module and the inline ones.
    pub(crate) modules: Vec<Vec<String>>,
    /// The structs, enums, unions and traits defined here.
    pub(crate) types: Vec<String>,
    /// Compiled for tests alone.
    pub(crate) is_test: bool,
    /// Modules in files of their own that are compiled for tests alone.
    tests: Vec<Vec<String>>,
}

/// `use path as name;`
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) module: Vec<String>,
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    pub(crate) is_reexport: bool,
}

impl Source {
    /// # Panics
    ///
    /// When the text is not Rust.
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let module = module_of(file);
        let source = Self {
            file: file.to_owned(),
            lines: text.lines().count(),
            paths: Vec::new(),
            imports: Vec::new(),
            mentions: Vec::new(),
            modules: vec![module.clone()],
            types: Vec::new(),
            is_test: false,
            tests: Vec::new(),
        };
        let mut walk = Walk { module, source };
        walk.tokens(tokens);
        walk.source
    }

    /// The folder or file right under `src`.
    pub(crate) fn top(&self) -> &str {
        let top = self.file.split('/').next().unwrap_or_default();
        top.strip_suffix(".rs").unwrap_or(top)
    }

    /// Returns whether some path begins with this one, written with colons.
    pub(crate) fn names(&self, start: &str) -> bool {
        self.paths.iter().any(|path| starts_with(path, start))
    }
}

/// Returns whether a path begins with another, written with colons. A last segment that ends with a star stands for
/// every word that begins so.
pub(crate) fn starts_with(path: &[String], start: &str) -> bool {
    let start: Vec<_> = start.split("::").collect();
    start.len() <= path.len()
        && start.iter().zip(path).all(|(wanted, segment)| match wanted.strip_suffix('*') {
            Some(prefix) => segment.starts_with(prefix),
            None => wanted == segment,
        })
}

/// Every file under `src`, by name.
pub(crate) fn all() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
                sources.push(Source::parse(&file, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort_by(|one, other| one.file.cmp(&other.file));
    without_tests(sources)
}

/// Of the files that are tests only the length is left.
pub(crate) fn without_tests(mut sources: Vec<Source>) -> Vec<Source> {
    let tests: Vec<_> = sources.iter().flat_map(|source| source.tests.clone()).collect();
    for source in sources.iter_mut().filter(|source| tests.iter().any(|test| source.modules[0].starts_with(test))) {
        source.is_test = true;
        source.paths.clear();
        source.imports.clear();
        source.mentions.clear();
        source.types.clear();
    }
    sources
}

/// `a/b.rs`, `a/b/mod.rs` and `a/b/main.rs` are `a::b`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").or_else(|| path.strip_suffix("/main")).unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

struct Walk {
    /// Where we are.
    module: Vec<String>,
    source: Source,
}

impl Walk {
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        let mut is_public = false;
        while let Some(token) = rest.first() {
            let was_public = std::mem::take(&mut is_public);
            rest = match token {
                token if is_punct(Some(token), '#') => self.attribute(rest),
                TokenTree::Ident(word) if word == "use" && !is_punct(rest.get(1), '<') => {
                    self.imports(&rest[1..], was_public)
                }
                TokenTree::Ident(word) if word == "mod" => self.module(&rest[1..]),
                TokenTree::Ident(word) if word == "pub" => {
                    is_public = true;
                    match rest.get(1) {
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => &rest[2..],
                        _ => &rest[1..],
                    }
                }
                TokenTree::Ident(word) if ["struct", "enum", "union", "trait"].iter().any(|kind| word == kind) => {
                    if let Some(TokenTree::Ident(name)) = rest.get(1) {
                        self.source.types.push(name.to_string());
                    }
                    &rest[1..]
                }
                TokenTree::Ident(_) => self.path(rest),
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    &rest[1..]
                }
                _ => &rest[1..],
            };
        }
    }

    /// Skips an attribute; with it, what is compiled for tests alone.
    fn attribute<'a>(&mut self, rest: &'a [TokenTree]) -> &'a [TokenTree] {
        let skip = if is_punct(rest.get(1), '!') { 2 } else { 1 };
        let Some(TokenTree::Group(group)) = rest.get(skip) else { return &rest[1..] };
        let rest = &rest[skip + 1..];
        if !is_for_tests(group) {
            return rest;
        }
        // The item ends with its braces or, without any, with a semicolon.
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            token => is_punct(Some(token), ';'),
        };
        let end = rest.iter().position(ends).map_or(rest.len(), |end| end + 1);
        let (item, rest) = rest.split_at(end);
        if let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = item
            && keyword == "mod"
        {
            self.source.tests.push([&self.module[..], &[name.to_string()]].concat());
        }
        rest
    }

    /// `mod name;` or `mod name { .. }`
    fn module<'a>(&mut self, rest: &'a [TokenTree]) -> &'a [TokenTree] {
        if let [TokenTree::Ident(name), TokenTree::Group(body), rest @ ..] = rest {
            self.module.push(name.to_string());
            self.source.modules.push(self.module.clone());
            self.tokens(body.stream());
            self.module.pop();
            return rest;
        }
        rest
    }

    /// A path outside of an import; one word is one, too.
    fn path<'a>(&mut self, mut rest: &'a [TokenTree]) -> &'a [TokenTree] {
        let mut path = Vec::new();
        while let [TokenTree::Ident(word), after @ ..] = rest {
            path.push(word.to_string());
            rest = after;
            match after {
                [one, two, after @ ..] if is_punct(Some(one), ':') && is_punct(Some(two), ':') => rest = after,
                _ => break,
            }
        }
        let path = self.add(path);
        self.source.mentions.push((self.module.clone(), path));
        rest
    }

    /// `use a::{b, c::d as e};`
    fn imports<'a>(&mut self, rest: &'a [TokenTree], is_reexport: bool) -> &'a [TokenTree] {
        let end = rest.iter().position(|token| is_punct(Some(token), ';')).unwrap_or(rest.len());
        self.import(&[], &rest[..end], is_reexport);
        rest.get(end + 1..).unwrap_or_default()
    }

    fn import(&mut self, prefix: &[String], tree: &[TokenTree], is_reexport: bool) {
        for branch in tree.split(|token| is_punct(Some(token), ',')).filter(|branch| !branch.is_empty()) {
            let mut path = prefix.to_vec();
            let (mut has_branches, mut alias) = (false, None);
            for (at, token) in branch.iter().enumerate() {
                match token {
                    TokenTree::Ident(word) if word == "as" => {
                        alias = branch.get(at + 1).map(ToString::to_string);
                        break;
                    }
                    TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Group(group) => {
                        let inner: Vec<_> = group.stream().into_iter().collect();
                        self.import(&path, &inner, is_reexport);
                        has_branches = true;
                    }
                    token if is_punct(Some(token), '*') => path.push(ALL.to_owned()),
                    _ => {}
                }
            }
            if !has_branches {
                let path = self.add(path);
                let name = alias.unwrap_or_else(|| path[path.len() - 1].clone());
                self.source.imports.push(Import { module: self.module.clone(), name, path, is_reexport });
            }
        }
    }

    /// Notes a path as seen from the root, and returns it.
    fn add(&mut self, mut path: Vec<String>) -> Vec<String> {
        let mut base = self.module.clone();
        let is_relative = match path[0].as_str() {
            "self" if path.len() > 1 => {
                path.remove(0);
                true
            }
            "super" => {
                while path.first().is_some_and(|segment| segment == "super") {
                    path.remove(0);
                    base.pop();
                }
                true
            }
            // The command is a crate of its own.
            "crate" if base.first().is_some_and(|top| top == "bin") => {
                path.remove(0);
                base.truncate(2);
                true
            }
            _ => false,
        };
        if is_relative {
            base.insert(0, "crate".to_owned());
            base.append(&mut path);
            path = base;
        }
        self.source.paths.push(path.clone());
        path
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// `#[cfg(test)]`, `#[cfg(all(test, ..))]`, `#[test]`; not `#[cfg(not(test))]`.
fn is_for_tests(attribute: &Group) -> bool {
    let words: Vec<_> = attribute.stream().into_iter().collect();
    match &words[..] {
        [TokenTree::Ident(name)] => name == "test",
        [TokenTree::Ident(name), TokenTree::Group(condition)] if name == "cfg" => asks_for_tests(condition.stream()),
        _ => false,
    }
}

fn asks_for_tests(condition: TokenStream) -> bool {
    let words: Vec<_> = condition.into_iter().collect();
    let inside = |name: &str| {
        words.windows(2).any(|pair| match pair {
            [TokenTree::Ident(word), TokenTree::Group(group)] => word == name && asks_for_tests(group.stream()),
            _ => false,
        })
    };
    words.iter().any(|word| matches!(word, TokenTree::Ident(word) if word == "test")) || inside("all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_root() {
        let text = r#"
            //! std::fs in a comment
            use super::window::{Counts, time::{self, TimeWindow as Window}};
            use std::{sync::Arc, time::Duration};
            #[derive(Debug)]
            pub(super) struct A { at: crate::clock::Instant }
            fn captures() -> impl Iterator<Item = u8> + use<> { crate::outcome::f() }
            mod inner { use super::A; fn f() { self::g(); println!("tokio::spawn"); } }
            #[cfg(test)]
            mod tests { use std::net::TcpStream; }
            #[cfg(all(test, not(loom)))]
            fn g() -> std::io::Result<()> { Ok(()) }
            #[cfg(not(test))]
            fn h() { std::env::args(); }
        "#;
        let source = Source::parse("breaker/machine.rs", text);
        for named in [
            "crate::breaker::window::Counts",
            "crate::breaker::window::time",
            "crate::breaker::window::time::TimeWindow",
            "std::sync::Arc",
            "std::time::Duration",
            "crate::clock::Instant",
            "crate::outcome::f",
            "crate::breaker::machine::A",
            "crate::breaker::machine::inner::g",
            "println",
            "std::env::args",
        ] {
            assert!(source.names(named), "{named} is not among {:?}", source.paths);
        }
        for absent in ["std::fs", "std::net", "std::io", "tokio", "super", "crate::breaker::Debug"] {
            assert!(!source.names(absent), "{absent}");
        }
    }

    #[test]
    fn a_file_for_tests_alone_names_nothing() {
        let sources = without_tests(vec![
            Source::parse("a/mod.rs", "#[cfg(all(test, backstop_loom))] mod models; mod b;"),
            Source::parse("a/models.rs", "use loom::sync::Arc;"),
            Source::parse("a/b.rs", "use loom::sync::Arc;"),
        ]);
        assert_eq!((sources[1].paths.len(), sources[1].lines), (0, 1));
        assert_eq!(sources[2].paths.len(), 1);
    }

    #[test]
    fn the_folder_is_the_module() {
        assert_eq!(module_of("a/b.rs"), ["a", "b"]);
        assert_eq!(module_of("a/mod.rs"), ["a"]);
        assert_eq!(module_of("bin/a/main.rs"), ["bin", "a"]);
        assert_eq!(module_of("lib.rs"), [""; 0]);
        assert_eq!(Source::parse("a/b/c.rs", "").top(), "a");
        assert_eq!(Source::parse("clock.rs", "").top(), "clock");
    }
}
