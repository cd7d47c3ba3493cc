//! The in-toto statement about a compiled tree.
//!
//! ```text
//! _type          https://in-toto.io/Statement/v1
//! subject        the tree: target's name, BLAKE3 of its listing in lower-case hexadecimal digits
//! predicateType  urn:sysroot:compiled-tree:v1
//! predicate      recipe in full, its key, the compiler, the builder
//! ```
//!
//! The predicate's type is a name, not an address: nothing is to be found
//! there. Its number rises when a reader of the old form would misread the
//! new one; keys may be added without that.

use serde_json::{Value, json};

use crate::lock::{Lock, LockedToolchain};
use crate::recipe::{BuildOptions, Inputs, RECIPE_VERSION, Recipe};
use crate::types::{CrateSet, TreeDigest, Triple};

/// The type of the outer form.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what is stated.
pub const PREDICATE_TYPE: &str = "urn:sysroot:compiled-tree:v1";

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
        "subject": [{ "name": target, "digest": { "blake3": tree.to_hex() } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }))
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
