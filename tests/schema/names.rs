//! Pages that name tests name tests that exist, so that they cannot rot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::root;

/// Every test of the repository by its name, with whether it is run.
fn tests() -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root().join("src"), root().join("tests")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            pending.extend(inside.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            collect(&std::fs::read_to_string(&path).unwrap(), &mut found);
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
    for page in ["SECURITY.md", "docs/threat-cases.md", "docs/ci.md"] {
        let names = named(&root().join(page));
        let wrong: Vec<_> = names
            .iter()
            .filter(|name| tests.get(*name) != Some(&true))
            .collect();
        assert!(
            wrong.is_empty(),
            "{page} names tests that are not there: {wrong:#?}"
        );
        assert!(
            page == "docs/ci.md" || names.len() > 50,
            "{page}: {names:?}"
        );
    }
}

#[test]
fn every_promise_of_the_security_page_has_its_test() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    for number in (1..=6).chain(12..=14).chain([18, 20, 21, 22]) {
        let start = format!("| P{number} |");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("there is no row {start}"));
        assert!(row.matches('`').count() >= 2, "no test is named: {row}");
    }
}
