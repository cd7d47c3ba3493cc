//! Plans for locks and stores made up by hand.

use super::*;
use crate::lock::{LockedArchive, LockedComponent, LockedTarget};
use crate::manifest::TargetRequest;
use crate::recipe::BuildOptions;
use crate::types::{Channel, Profile, Sha256};

const HOST: &str = "x86_64-unknown-linux-gnu";
const KEY: RecipeKey = RecipeKey::from_bytes([1; 32]);

fn triple(name: &str) -> Triple {
    name.parse().unwrap()
}

fn archive(name: &str) -> LockedComponent {
    let path = format!("dist/2026-05-20/{name}.tar.xz").parse().unwrap();
    let archive = LockedArchive {
        path,
        sha256: Sha256::of(name.as_bytes()),
    };
    LockedComponent {
        xz: Some(archive),
        gz: None,
    }
}

fn build(pin: Option<TreeDigest>) -> LockedSource {
    LockedSource::Build {
        options: BuildOptions::new(None, BTreeSet::new(), Profile::default(), Vec::new()),
        hosts: BTreeMap::from([(triple(HOST), LockedBuild { key: KEY, pin })]),
    }
}

/// A lock of one host with these targets and an archive of everything.
fn lock(targets: &[(&str, LockedSource)]) -> Lock {
    let mut archives = BTreeMap::new();
    for name in [
        "rustc",
        "cargo",
        "rust-std",
        "clippy-preview",
        "miri-preview",
    ] {
        archives.insert(
            component_id(name, Some(&triple(HOST))).unwrap(),
            archive(name),
        );
    }
    archives.insert(component_id("rust-src", None).unwrap(), archive("rust-src"));
    let mut locked = BTreeMap::new();
    for (name, source) in targets {
        let id = component_id("rust-std", Some(&triple(name))).unwrap();
        archives.entry(id).or_insert_with(|| archive(name));
        let target = LockedTarget {
            request: TargetRequest::default(),
            spec: None,
            source: source.clone(),
        };
        locked.insert(triple(name), target);
    }
    let channel: Channel = "nightly-2026-05-20".parse().unwrap();
    Lock {
        channel,
        hosts: BTreeSet::from([triple(HOST)]),
        components: BTreeSet::from(["clippy".parse().unwrap()]),
        toolchain: LockedToolchain::Dist {
            date: channel.date().unwrap(),
            rustc: "1.97.0-nightly".to_owned(),
            commit: None,
            manifest_path: "dist/2026-05-20/channel-rust-nightly.toml".parse().unwrap(),
            manifest_sha256: Sha256::of(b""),
            signature: crate::lock::ManifestSignature::NotAsked,
        },
        archives,
        targets: locked,
    }
}

fn fetched(plan: &Plan) -> Vec<String> {
    plan.fetch
        .iter()
        .map(|fetch| fetch.id.to_string())
        .collect()
}

fn planned(lock: &Lock, index: &StoreIndex) -> Plan {
    plan(lock, &triple(HOST), None, index).unwrap()
}

#[test]
fn downloads_need_the_toolchain_what_was_asked_for_and_no_sources() {
    let plan = planned(
        &lock(&[("thumbv6m-none-eabi", LockedSource::Download)]),
        &StoreIndex::default(),
    );
    let host = |name: &str| format!("{name}-{HOST}");
    let want = [
        host("cargo"),
        host("clippy-preview"),
        "rust-std-thumbv6m-none-eabi".to_owned(),
        host("rust-std"),
        host("rustc"),
    ];
    assert_eq!(fetched(&plan), want);
    assert_eq!(plan.units.len(), 5);
    assert!(plan.build.is_empty());
}

#[test]
fn what_builds_wait_for_is_fetched_first() {
    let plan = planned(
        &lock(&[("aarch64-unknown-none", build(None))]),
        &StoreIndex::default(),
    );
    let first: Vec<_> = plan
        .fetch
        .iter()
        .take_while(|f| f.for_build)
        .map(|f| f.id.name.as_str())
        .collect();
    assert_eq!(first, ["cargo", "rust-src", "rust-std", "rustc"]);
    assert_eq!(plan.build[0].reason, BuildReason::NotStored);
    // The sources were not asked for, so the output does not have them.
    let sources = UnitSource::Component(component_id("rust-src", None).unwrap());
    assert!(!plan.units.iter().any(|unit| unit.source == sources));
}

#[test]
fn a_stored_build_needs_neither_compiler_nor_sources_again() {
    let lock = lock(&[("aarch64-unknown-none", build(None))]);
    let tree = TreeDigest::from_bytes([9; 32]);
    let mut index = StoreIndex::default();
    index.recipes.insert(KEY, tree);
    for id in lock
        .archives
        .keys()
        .filter(|id| id.name.as_str() != "rust-src")
    {
        index.components.insert(id.clone(), tree);
    }
    let plan = planned(&lock, &index);
    assert!(plan.fetch.is_empty() && plan.build.is_empty(), "{plan:?}");
}

#[test]
fn a_stored_tree_that_is_not_the_pinned_one_is_built_again() {
    let (pin, stored) = (
        TreeDigest::from_bytes([1; 32]),
        TreeDigest::from_bytes([2; 32]),
    );
    let mut index = StoreIndex::default();
    index.recipes.insert(KEY, stored);
    let with = |pin| planned(&lock(&[("aarch64-unknown-none", build(pin))]), &index).build;
    assert_eq!(
        with(Some(pin))[0].reason,
        BuildReason::PinDiffers { stored }
    );
    assert!(with(Some(stored)).is_empty() && with(None).is_empty());
}

#[test]
fn a_compiled_library_for_the_host_takes_the_place_of_upstreams() {
    let plan = planned(&lock(&[(HOST, build(None))]), &StoreIndex::default());
    let std = UnitSource::Component(component_id("rust-std", Some(&triple(HOST))).unwrap());
    assert!(!plan.units.iter().any(|unit| unit.source == std));
    // Its build still needs it, for build scripts.
    assert!(fetched(&plan).contains(&format!("rust-std-{HOST}")));
}

#[test]
fn other_machines_and_unknown_targets_are_refused_by_name() {
    let lock = lock(&[("thumbv6m-none-eabi", LockedSource::Download)]);
    let other = plan(
        &lock,
        &triple("riscv64gc-unknown-linux-gnu"),
        None,
        &StoreIndex::default(),
    );
    assert!(matches!(other, Err(PlanError::UnknownHost { .. })));
    let selected = BTreeSet::from([triple("thumbv6m-none-eab")]);
    let unknown = plan(
        &lock,
        &triple(HOST),
        Some(&selected),
        &StoreIndex::default(),
    )
    .unwrap_err();
    assert!(
        unknown.to_string().contains("thumbv6m-none-eabi"),
        "{unknown}"
    );
    assert_eq!(unknown.class(), Class::Usage);
}
