//! The in-toto statement about a compiled tree.
//!
//! ```text
//! _type          https://in-toto.io/Statement/v1
//! subject        the tree, by the target's name; and each of its files, where they are at hand
//! predicateType  https://sysroot.invalid/compiled-tree/v1
//! predicate      recipe in full, its key, the compiler, the builder
//! ```
//!
//! | Digest of a subject | Of | What it is |
//! |---|---|---|
//! | `sysrootTreeV1` | the tree | BLAKE3 of its listing (`sysroot-tree-v1`); a name of ours, beside in-toto's |
//! | `dirHash` | the tree | in-toto's own for directories: SHA-256 over a line `<sha256>  <path>` for each file |
//! | `sha256` | a file | of its content |
//!
//! All are lower-case hexadecimal digits. The last two need the files, so a
//! statement that is made from the lock alone has the first one only.
//!
//! The predicate's type is a name, not an address: `.invalid` belongs to
//! nobody, so nothing is or will be found there. Its number rises when a reader
//! of the old form would misread the new one; keys may be added without that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lock::{Lock, LockedToolchain};
use crate::recipe::{BuildOptions, Inputs, RECIPE_VERSION, Recipe};
use crate::types::{CrateSet, RelPath, Sha256, TreeDigest, Triple};

/// The type of the outer form.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what is stated.
pub const PREDICATE_TYPE: &str = "https://sysroot.invalid/compiled-tree/v1";

/// States what `tree` was compiled from. `builder` is the version of the
/// sysroot that compiled it, where that is known.
///
/// `None` where the lock does not compile the target on this host.
pub fn statement(
    lock: &Lock,
    target: &Triple,
    host: &Triple,
    tree: TreeDigest,
    builder: Option<&str>,
) -> Option<Value> {
    let recipe = lock.recipe(target, host)?;
    let mut predicate = json!({
        "key": recipe.key(),
        "listing": tree,
        "compiler": compiler(&lock.toolchain),
        "recipe": recipe_value(&recipe),
    });
    if let (Some(version), Some(map)) = (builder, predicate.as_object_mut()) {
        let builder = json!({ "name": "sysroot", "version": version });
        map.insert("builder".to_owned(), builder);
    }
    Some(json!({
        "_type": STATEMENT_TYPE,
        "subject": [{ "name": target, "digest": { "sysrootTreeV1": tree.to_hex() } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }))
}

/// Adds the files of the tree to a statement's subjects, in the order of their
/// paths, and their `dirHash` to the tree.
#[must_use]
pub fn with_files(mut statement: Value, files: &BTreeMap<RelPath, Sha256>) -> Value {
    let lines: Vec<String> = files
        .iter()
        .map(|(path, sha256)| format!("{}  {path}\n", sha256.to_hex()))
        .collect();
    let subjects = files.iter().map(
        |(path, sha256)| json!({ "name": path.as_str(), "digest": { "sha256": sha256.to_hex() } }),
    );
    let whole = Sha256::of(lines.concat().as_bytes()).to_hex();
    if let Some(tree) = statement.pointer_mut("/subject/0/digest") {
        tree["dirHash"] = whole.into();
    }
    if let Some(all) = statement["subject"].as_array_mut() {
        all.extend(subjects);
    }
    statement
}

/// Reads a statement that was kept, and accepts it if it says what `derived`
/// says; it may add who built the tree.
pub fn accept(text: &str, derived: &Value) -> Option<Value> {
    let kept: Value = serde_json::from_str(text).ok()?;
    let mut bare = kept.clone();
    let builder = bare
        .get_mut("predicate")?
        .as_object_mut()?
        .remove("builder");
    let named = builder?.get("version")?.is_string();
    (named && bare == *derived).then_some(kept)
}

fn compiler(toolchain: &LockedToolchain) -> Value {
    match toolchain {
        LockedToolchain::Dist {
            date,
            rustc,
            commit,
            manifest_path: _,
            manifest_sha256: _,
            signature: _,
        } => json!({ "rustc": rustc, "commit": commit, "date": date }),
        LockedToolchain::System {
            rustc,
            commit,
            cargo: _,
            rust_src: _,
        } => json!({ "rustc": rustc, "commit": commit }),
    }
}

/// Everything that the key is the hash of, under the lock's names.
fn recipe_value(recipe: &Recipe) -> Value {
    let Recipe {
        inputs,
        host,
        target,
        spec,
        options,
    } = recipe;
    let inputs = match inputs {
        Inputs::Dist {
            rustc,
            cargo,
            rust_src,
        } => json!({ "kind": "dist", "rustc": rustc, "cargo": cargo, "rust-src": rust_src }),
        Inputs::System {
            rustc,
            cargo,
            rust_src,
        } => json!({ "kind": "system", "rustc": rustc, "cargo": cargo, "rust-src": rust_src }),
    };
    json!({
        "version": RECIPE_VERSION,
        "inputs": inputs,
        "host": host,
        "target": target,
        "spec-digest": spec,
        "options": options_value(options),
    })
}

fn options_value(options: &BuildOptions) -> Value {
    let BuildOptions {
        crates,
        features,
        opt_level,
        debug,
        panic,
        codegen_units,
        embed_bitcode,
        rustflags,
    } = options;
    json!({
        "crates": CrateSet::names(*crates),
        "features": features,
        "opt-level": opt_level.to_string(),
        "debug": debug.as_str(),
        "panic": panic,
        "codegen-units": codegen_units,
        "embed-bitcode": embed_bitcode,
        "rustflags": rustflags,
    })
}
