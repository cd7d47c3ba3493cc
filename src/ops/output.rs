//! The areas of a project's output: stored trees, and for the system's
//! toolchain references to its own parts.

use std::path::{Path, PathBuf};

use super::{Context, OpsError, system};
use crate::build::Toolchain;
use crate::materialize::{Area, Content, Stamps, areas};
use crate::plan::{Plan, StoreIndex, Unit, UnitSource};
use crate::store::Store;
use crate::types::{TreeDigest, Triple};

/// What the output shall be.
pub(super) struct Wanted {
    pub(super) areas: Vec<Area>,
    /// The stored trees among it.
    pub(super) trees: Vec<TreeDigest>,
    /// Files outside the output that it depends on.
    pub(super) watched: Stamps,
}

/// Programs that find their library relative to themselves, and so need to be
/// told the output's.
const SYSROOT_PROGRAMS: [&str; 2] = ["rustc", "rustdoc"];
/// Programs that are referred to as they are.
const PLAIN_PROGRAMS: [&str; 5] = ["cargo", "rustfmt", "cargo-fmt", "rust-gdb", "rust-analyzer"];
/// Clippy takes the sysroot from the environment.
const CLIPPY_PROGRAMS: [&str; 2] = ["clippy-driver", "cargo-clippy"];

/// Collects the areas of a plan whose trees are all in the store.
pub(super) fn wanted(
    cx: &Context<'_>,
    store: &Store,
    plan: &Plan,
    index: &StoreIndex,
) -> Result<Wanted, OpsError> {
    let mut listings = Vec::new();
    for unit in &plan.units {
        if let Some(tree) = tree_of(unit, index)? {
            listings.push((tree, store.listing(tree)?));
        }
    }
    let mut wanted = Wanted {
        areas: areas(listings.iter().map(|(tree, listing)| (*tree, listing)))?,
        trees: listings.iter().map(|(tree, _)| *tree).collect(),
        watched: Stamps::default(),
    };
    wanted.trees.sort_unstable();
    wanted.trees.dedup();
    if plan.units.iter().any(|unit| is_system(&unit.source)) {
        add_system(cx, plan, &mut wanted)?;
    }
    Ok(wanted)
}

fn is_system(source: &UnitSource) -> bool {
    matches!(
        source,
        UnitSource::SystemToolchain | UnitSource::SystemTarget(_)
    )
}

/// The stored tree of a unit; `None` for parts of the system.
fn tree_of(unit: &Unit, index: &StoreIndex) -> Result<Option<TreeDigest>, OpsError> {
    let missing = |what: String| OpsError::Offline { what };
    match &unit.source {
        UnitSource::Component(id) => {
            let tree = index.components.get(id).copied();
            tree.map(Some).ok_or_else(|| missing(id.to_string()))
        }
        UnitSource::Recipe(key) => {
            let tree = index.recipes.get(key).copied();
            let name = unit
                .target
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            tree.map(Some).ok_or_else(|| missing(name))
        }
        UnitSource::SystemToolchain | UnitSource::SystemTarget(_) => Ok(None),
    }
}

/// Adds references to the system's programs, host library and sources.
fn add_system(cx: &Context<'_>, plan: &Plan, wanted: &mut Wanted) -> Result<(), OpsError> {
    let toolchain = system::find(cx)?;
    // The sources are `lib/rustlib/src/rust`.
    let rustlib = toolchain
        .rust_src
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("/"))
        .to_owned();
    let mut add = |path: &str, content: Content| {
        // The paths are literals and checked target names.
        if let Ok(path) = path.parse()
            && !wanted.areas.iter().any(|area| area.path == path)
        {
            wanted.areas.push(Area { path, content });
        }
    };
    let compiled: Vec<&Triple> = plan
        .units
        .iter()
        .filter(|unit| matches!(unit.source, UnitSource::Recipe(_)))
        .filter_map(|unit| unit.target.as_ref())
        .collect();
    if !compiled.contains(&&plan.host) {
        let place = format!("lib/rustlib/{}", plan.host);
        add(&place, Content::Symlink(rustlib.join(plan.host.as_str())));
    }
    for unit in &plan.units {
        if let UnitSource::SystemTarget(target) = &unit.source {
            let place = format!("lib/rustlib/{target}");
            add(&place, Content::Symlink(rustlib.join(target.as_str())));
        }
    }
    for name in ["src", "etc"] {
        if rustlib.join(name).exists() {
            add(
                &format!("lib/rustlib/{name}"),
                Content::Symlink(rustlib.join(name)),
            );
        }
    }
    wanted.areas.extend(programs(&toolchain));
    wanted.areas.sort_by(|a, b| a.path.cmp(&b.path));
    let core = toolchain.library().join("core/src/lib.rs");
    wanted.watched = Stamps::of_outside([&*toolchain.rustc, &*toolchain.cargo, &*core]);
    Ok(())
}

/// The area of all programs.
fn programs(toolchain: &Toolchain) -> Option<Area> {
    let dir = toolchain.rustc.parent().unwrap_or(Path::new("/"));
    let told = |names: &'static [&str], tell: Tell| names.iter().map(move |name| (*name, tell));
    let scripts = told(&SYSROOT_PROGRAMS, Tell::Argument)
        .chain(told(&PLAIN_PROGRAMS, Tell::Nothing))
        .chain(told(&CLIPPY_PROGRAMS, Tell::Environment))
        .filter_map(|(name, tell)| {
            let path = format!("bin/{name}").parse().ok()?;
            Some((path, script(&program(toolchain, dir, name), tell)?))
        });
    Some(Area {
        path: "bin".parse().ok()?,
        content: Content::Scripts(scripts.collect()),
    })
}

fn program(toolchain: &Toolchain, dir: &Path, name: &str) -> PathBuf {
    match name {
        "rustc" => toolchain.rustc.clone(),
        "cargo" => toolchain.cargo.clone(),
        _ => dir.join(name),
    }
}

/// How a program learns which sysroot to use.
#[derive(Clone, Copy)]
enum Tell {
    Argument,
    Environment,
    Nothing,
}

/// A script that starts a program of the system with the output as its sysroot.
///
/// rustc finds its sysroot relative to its own library, and follows links to
/// do so, so a link to the system's rustc would use the system's sysroot.
fn script(program: &Path, tell: Tell) -> Option<String> {
    if !program.is_file() {
        return None;
    }
    let program = program.to_str()?.replace('\'', r"'\''");
    let root = "root=$(CDPATH= cd -P -- \"${0%/*}/..\" && pwd) || exit 1\n";
    let body = match tell {
        Tell::Argument => format!("{root}exec '{program}' --sysroot \"$root\" \"$@\"\n"),
        Tell::Environment => format!("{root}SYSROOT=$root exec '{program}' \"$@\"\n"),
        Tell::Nothing => format!("exec '{program}' \"$@\"\n"),
    };
    Some(format!("#!/bin/sh\n# Made by sysroot.\n{body}"))
}
