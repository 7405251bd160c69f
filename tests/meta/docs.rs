//! What the documents say is there is there.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_table_of_features_is_that_of_the_manifest() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    let known: BTreeSet<_> = features.keys().filter(|name| *name != "default").cloned().collect();
    let docs = read("src/lib.rs");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'));
    let told: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(told, known);

    let words = |name: &str| -> BTreeSet<_> {
        features[name].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let rest: BTreeSet<_> = known.iter().filter(|name| !["full", "cli"].contains(&name.as_str())).cloned().collect();
    assert_eq!(words("full"), rest, "`full` is all of them but the command");
    for name in words("default") {
        assert!(docs.contains(&format!("| `{name}` (default) |")), "{name} is on by default");
    }
}

#[test]
fn what_the_documents_point_at_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let paths = text.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| {
            let starts = ["src/", "tests/", "examples/", "benches/", "scripts/", ".ci/"];
            starts.iter().any(|start| word.starts_with(start)) && !word.contains(['*', ' ', '{', '\n'])
        };
        let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
        for path in links.chain(paths.filter(is_path)) {
            let path = path.split('#').next().unwrap_or_default();
            if !root.join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
        let examples = text.split("--example ").skip(1).filter_map(|rest| rest.split([' ', '\n', '`']).next());
        for name in examples.filter(|name| *name != "NAME") {
            let found = [format!("examples/{name}.rs"), format!("examples/{name}/main.rs")];
            if !found.iter().any(|path| root.join(path).exists()) {
                missing.push(format!("{document}: --example {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "named, and not there: {missing:#?}");
}
