//! Pages that name tests name tests that exist, so that they cannot rot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::root;

/// Every test of the repository by its name, with whether it is run.
fn tests() -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for (_, text) in sources() {
        collect(&text, &mut found);
    }
    found
}

/// Every test of the repository with its file.
pub(crate) fn located() -> Vec<(String, String)> {
    let mut located = Vec::new();
    for (path, text) in sources() {
        let mut found = BTreeMap::new();
        collect(&text, &mut found);
        located.extend(found.into_keys().map(|name| (name, path.clone())));
    }
    located
}

/// Every source file by its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root().join("src"), root().join("tests")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            pending.extend(inside.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap();
            found.push((path.to_str().unwrap().to_owned(), text));
        }
    }
    found
}

fn collect(text: &str, found: &mut BTreeMap<String, bool>) {
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            if attributes.contains(&"#[test]") {
                let ignored = attributes.iter().any(|a| a.starts_with("#[ignore"));
                found.insert(name.to_owned(), !ignored);
            }
            attributes.clear();
        } else if !line.starts_with("//") && !line.is_empty() {
            attributes.clear();
        }
    }
}

/// What a page calls a test: a name of several words between backticks.
fn named(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let is_name = |text: &str| {
        let words: Vec<&str> = text.split('_').collect();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        words.len() > 3
            && words
                .iter()
                .all(|word| !word.is_empty() && word.chars().all(plain))
    };
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| is_name(text))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_that_a_page_names_exists_and_is_run() {
    let tests = tests();
    for (page, at_least) in [
        ("SECURITY.md", 100),
        ("docs/threat-cases.md", 100),
        ("docs/ci.md", 4),
        ("docs/reproducibility.md", 4),
        ("docs/cache.md", 0),
        ("docs/sharing.md", 0),
        ("docs/comparison.md", 0),
    ] {
        let names = named(&root().join(page));
        let wrong: Vec<_> = names
            .iter()
            .filter(|name| tests.get(*name) != Some(&true))
            .collect();
        assert!(
            wrong.is_empty(),
            "{page} names tests that are not there: {wrong:#?}"
        );
        assert!(names.len() >= at_least, "{page}: {names:?}");
    }
}

#[test]
fn every_promise_of_the_security_page_has_its_test() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let tests = tests();
    for number in 1..=23 {
        let start = format!("| P{number} |");
        let rows: Vec<&str> = text.lines().filter(|l| l.starts_with(&start)).collect();
        let [row] = rows[..] else {
            panic!("{} rows begin with {start}", rows.len());
        };
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, promise, named] = cells[..] else {
            panic!("not three columns: {row}");
        };
        assert!(promise.len() > 20, "{row}");
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "P{number} names no test");
        for name in names {
            assert_eq!(tests.get(name), Some(&true), "P{number}: `{name}`");
        }
    }
}
