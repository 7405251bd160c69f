//! Every test that `tests/field_cases.md` names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of the functions below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names =
                text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
            found.extend(names.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn each_field_case_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    functions(&root.join("tests"), &mut tests);
    functions(&root.join("src"), &mut tests);
    functions(&root.join("deploy/check/tests"), &mut tests);
    let table = fs::read_to_string(root.join("tests/field_cases.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| situation"));
    let mut checked = 0;
    for row in rows {
        let names = row.trim_end_matches(" |").rsplit('|').next().unwrap();
        let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(tests.contains(name), "there is no test {name}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked} tests named");
}
