//! The features a recipe names, as cargo wants them: `package/feature`.
//!
//! Features differ between nightlies, so the library's own manifests say
//! which ones there are.

use std::collections::BTreeSet;
use std::path::Path;

use super::cargo::{package_manifest, packages};
use super::vendor::{VendorError, read_toml};
use crate::types::CrateSet;

/// The answer to [`select`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// Every feature is known; in cargo's spelling.
    All(Vec<String>),
    /// No package of the crate set has this one.
    Unknown { feature: String, known: Vec<String> },
}

/// Finds the packages that have each feature.
pub(super) fn select(
    library: &Path,
    crates: CrateSet,
    features: &BTreeSet<String>,
) -> Result<Selected, VendorError> {
    let mut known: Vec<(&str, String)> = Vec::new();
    for package in packages(crates) {
        let manifest: toml::Table = read_toml(&package_manifest(library, package))?;
        let table = manifest.get("features").and_then(toml::Value::as_table);
        let names = table.into_iter().flat_map(toml::Table::keys);
        known.extend(names.map(|name| (*package, name.clone())));
    }
    let mut selected: Vec<String> = required(crates, &known);
    for feature in features {
        let found = spellings(feature, &known);
        if found.is_empty() {
            return Ok(Selected::Unknown {
                feature: feature.clone(),
                known: public_names(&known),
            });
        }
        selected.extend(found);
    }
    Ok(Selected::All(selected))
}

/// What upstream switches on in what it ships, where it exists.
fn required(crates: CrateSet, known: &[(&str, String)]) -> Vec<String> {
    let wanted = match crates {
        CrateSet::Core | CrateSet::Alloc => ("compiler_builtins", "compiler-builtins"),
        CrateSet::Std => ("sysroot", "backtrace"),
    };
    let exists = known.iter().any(|(p, f)| (*p, f.as_str()) == wanted);
    exists
        .then(|| format!("{}/{}", wanted.0, wanted.1))
        .into_iter()
        .collect()
}

fn spellings(feature: &str, known: &[(&str, String)]) -> Vec<String> {
    let exact = known.iter().filter(|(_, name)| name == feature);
    let found: Vec<_> = exact
        .map(|(package, name)| format!("{package}/{name}"))
        .collect();
    if !found.is_empty() {
        return found;
    }
    // `compiler-builtins-mem` is how the upper crates forward `mem`; a build
    // of core alone has none of them.
    let Some(inner) = feature.strip_prefix("compiler-builtins-") else {
        return Vec::new();
    };
    let has = |(package, name): &&(&str, String)| *package == "compiler_builtins" && name == inner;
    known
        .iter()
        .filter(has)
        .map(|(p, f)| format!("{p}/{f}"))
        .collect()
}

fn public_names(known: &[(&str, String)]) -> Vec<String> {
    let names = known.iter().map(|(package, name)| match *package {
        "compiler_builtins" => format!("compiler-builtins-{name}"),
        _ => name.clone(),
    });
    let internal = [
        "default",
        "compiler-builtins-default",
        "compiler-builtins-compiler-builtins",
    ];
    let unique: BTreeSet<_> = names.filter(|n| !internal.contains(&n.as_str())).collect();
    unique.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    fn library() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |package: &str, text: &str| {
            let path = package_manifest(dir.path(), package);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write_new(&path, text.as_bytes()).unwrap();
        };
        write("core", "[features]\noptimize_for_size = []\n");
        write(
            "alloc",
            "[features]\noptimize_for_size = []\ncompiler-builtins-mem = []\n",
        );
        write(
            "compiler_builtins",
            "[features]\ncompiler-builtins = []\nmem = []\n",
        );
        dir
    }

    fn all(crates: CrateSet, features: &[&str]) -> Vec<String> {
        let features = features.iter().map(ToString::to_string).collect();
        match select(library().path(), crates, &features).unwrap() {
            Selected::All(all) => all,
            unknown @ Selected::Unknown { .. } => panic!("{unknown:?}"),
        }
    }

    #[test]
    fn each_feature_goes_to_the_packages_that_have_it() {
        let base = "compiler_builtins/compiler-builtins";
        assert_eq!(all(CrateSet::Alloc, &[]), [base]);
        assert_eq!(
            all(
                CrateSet::Alloc,
                &["compiler-builtins-mem", "optimize_for_size"]
            ),
            [
                base,
                "alloc/compiler-builtins-mem",
                "core/optimize_for_size",
                "alloc/optimize_for_size"
            ]
        );
        assert_eq!(
            all(CrateSet::Core, &["compiler-builtins-mem"]),
            [base, "compiler_builtins/mem"]
        );
    }

    #[test]
    fn an_unknown_feature_is_named_with_the_known_ones() {
        let features = ["memm".to_owned()].into();
        let selected = select(library().path(), CrateSet::Core, &features).unwrap();
        let Selected::Unknown { feature, known } = selected else {
            panic!("accepted");
        };
        assert_eq!(feature, "memm");
        assert_eq!(known, ["compiler-builtins-mem", "optimize_for_size"]);
    }
}
