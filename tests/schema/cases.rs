//! The page of covered cases lists every test of a case, and no other.
//!
//! `SYSROOT_WRITE_PAGES=1 cargo test --test schema every_case` writes the page
//! anew; only what happens in a case is written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::names::located;
use super::root;

/// The cases that a test is named after: `case_008_and_010_a_name` is of two,
/// `case_055_to_058_a_name` of four.
fn cases(name: &str) -> Vec<u16> {
    let Some(rest) = name.strip_prefix("case_") else {
        return Vec::new();
    };
    let number = |word: &str| {
        (word.len() == 3)
            .then(|| word.parse::<u16>().ok())
            .flatten()
    };
    let words: Vec<&str> = rest.split('_').collect();
    let Some(first) = number(words[0]) else {
        return Vec::new();
    };
    match (words.get(1), words.get(2).and_then(|word| number(word))) {
        (Some(&"and"), Some(second)) => vec![first, second],
        (Some(&"to"), Some(last)) => (first..=last).collect(),
        _ => vec![first],
    }
}

#[test]
fn every_case_is_on_its_page_with_all_its_tests() {
    let page = root().join("docs/threat-cases.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    };
    let what: BTreeMap<u16, String> = text.lines().filter_map(row).collect();
    let mut covered: BTreeMap<u16, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (name, file) in located() {
        for case in cases(&name) {
            names.insert(name.clone());
            covered
                .entry(case)
                .or_default()
                .insert((name.clone(), file.clone()));
        }
    }
    let head = text.split("|---|").next().unwrap();
    let mut expected = format!("{head}|---|---|---|\n");
    for (case, tests) in &covered {
        let what = what
            .get(case)
            .unwrap_or_else(|| panic!("say in {} what happens in case {case}", page.display()));
        let tests: Vec<String> = tests
            .iter()
            .map(|(name, file)| format!("`{name}` ({file})"))
            .collect();
        writeln!(expected, "| {case} | {what} | {} |", tests.join("<br>")).unwrap();
    }
    writeln!(
        expected,
        "\n{} cases, {} tests.",
        covered.len(),
        names.len()
    )
    .unwrap();
    if std::env::var_os("SYSROOT_WRITE_PAGES").is_some() {
        std::fs::write(&page, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&page).unwrap() == expected,
        "docs/threat-cases.md is not what the tests say; SYSROOT_WRITE_PAGES=1 writes it anew"
    );
}

#[test]
fn names_tell_their_cases() {
    assert_eq!(cases("case_008_a_bit"), [8]);
    assert_eq!(cases("case_008_and_010_a_bit"), [8, 10]);
    assert_eq!(cases("case_055_to_058_links"), [55, 56, 57, 58]);
    assert_eq!(cases("case_145_to_be_read"), [145]);
    assert!(cases("case_by_case").is_empty() && cases("p01_x").is_empty());
}
