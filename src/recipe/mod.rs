//! The recipe key: everything that determines a compiled target, and nothing else.
//!
//! | Value                                    | In the key | Why                                                    |
//! |------------------------------------------|------------|--------------------------------------------------------|
//! | version of this recipe                   | yes        | another way of building is another result              |
//! | rustc and cargo: archives, or release and commit | yes | an rlib is readable only by the compiler that wrote it |
//! | `rust-src`: archive, or tree digest      | yes        | includes the library's own `Cargo.lock`                |
//! | host triple                              | yes        | metadata can differ by the compiling system            |
//! | target name, raw bytes of its spec       | yes        | rustc hashes the bytes; a spec's *path* is not content |
//! | crates, features                         | yes        | they change what is compiled                           |
//! | profile, with defaults filled in         | yes        | it changes the code                                    |
//! | rustflags, in order                      | yes        | later flags override earlier ones                      |
//! | jobs, directories, user, times, verbosity | no        | they must not change the result; tests hold that       |

use std::collections::BTreeSet;

use crate::types::{
    CrateSet, DebugInfo, OptLevel, Panic, Profile, RecipeKey, Sha256, SpecDigest, TreeDigest,
    Triple,
};

/// The version of the way [`crate::build`] builds. It is raised whenever the
/// same recipe would give other bytes than before.
pub const RECIPE_VERSION: &str = "2";

/// Which compiler and sources a recipe uses, by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Upstream's archives: the SHA-256 of every format of each.
    Dist {
        /// The `rustc` component of the host.
        rustc: Vec<Sha256>,
        /// The `cargo` component of the host.
        cargo: Vec<Sha256>,
        /// The `rust-src` component.
        rust_src: Vec<Sha256>,
    },
    /// The machine's own toolchain.
    System {
        /// `release` and `commit-hash` of `rustc -vV`, and its first line.
        rustc: String,
        /// First line of `cargo -V`.
        cargo: String,
        /// The tree of the `library` directory.
        rust_src: TreeDigest,
    },
}

/// How the library is compiled, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Which crates.
    pub crates: CrateSet,
    /// Features of the library workspace.
    pub features: BTreeSet<String>,
    /// Optimisation level.
    pub opt_level: OptLevel,
    /// Debug information.
    pub debug: DebugInfo,
    /// Panic strategy; `None` leaves it to the target.
    pub panic: Option<Panic>,
    /// Code generation units a crate (`compiler_builtins` keeps its own number).
    pub codegen_units: u16,
    /// Whether the rlibs carry bitcode for link-time optimisation.
    pub embed_bitcode: bool,
    /// Flags from the allow-list, in order.
    pub rustflags: Vec<String>,
}

impl BuildOptions {
    /// Fills in what upstream ships its own `core` with: optimisation level 3,
    /// one code generation unit, bitcode; but without debug information.
    pub fn new(
        crates: Option<CrateSet>,
        features: BTreeSet<String>,
        profile: Profile,
        rustflags: Vec<String>,
    ) -> Self {
        let Profile {
            opt_level,
            debug,
            panic,
            codegen_units,
            embed_bitcode,
        } = profile;
        Self {
            crates: crates.unwrap_or(CrateSet::Alloc),
            features,
            opt_level: opt_level.unwrap_or(OptLevel::Number(3)),
            debug: debug.unwrap_or(DebugInfo::None),
            panic,
            codegen_units: codegen_units.unwrap_or(1),
            embed_bitcode: embed_bitcode.unwrap_or(true),
            rustflags,
        }
    }
}

/// Everything that determines a compiled target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Compiler and sources.
    pub inputs: Inputs,
    /// The machine that compiles.
    pub host: Triple,
    /// What it compiles for.
    pub target: Triple,
    /// Digest of the raw bytes of a custom target's spec.
    pub spec: Option<SpecDigest>,
    /// How.
    pub options: BuildOptions,
}

impl Recipe {
    /// The BLAKE3 key of this recipe.
    pub fn key(&self) -> RecipeKey {
        let Self {
            inputs,
            host,
            target,
            spec,
            options,
        } = self;
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
        let mut key = KeyHasher::new("sysroot-recipe");
        key.field("version", RECIPE_VERSION);
        match inputs {
            Inputs::Dist {
                rustc,
                cargo,
                rust_src,
            } => {
                key.field("inputs", "dist");
                key.list("rustc", rustc.iter().map(ToString::to_string));
                key.list("cargo", cargo.iter().map(ToString::to_string));
                key.list("rust-src", rust_src.iter().map(ToString::to_string));
            }
            Inputs::System {
                rustc,
                cargo,
                rust_src,
            } => {
                key.field("inputs", "system");
                key.field("rustc", rustc);
                key.field("cargo", cargo);
                key.field("rust-src", &rust_src.to_string());
            }
        }
        key.field("host", host.as_str());
        key.field("target", target.as_str());
        key.list("spec", spec.iter().map(ToString::to_string));
        key.list("crates", crates.names());
        key.list("features", features);
        key.field("opt-level", &opt_level.to_string());
        key.field("debug", debug.as_str());
        key.list("panic", panic.iter().map(|p| p.as_str()));
        key.field("codegen-units", &codegen_units.to_string());
        key.field("embed-bitcode", if *embed_bitcode { "yes" } else { "no" });
        key.list("rustflags", rustflags);
        key.finish()
    }
}

/// Hashes named fields; every length goes in before its bytes, so that no two
/// different sequences of fields are the same stream.
struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    fn new(domain: &str) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.bytes(domain.as_bytes());
        hasher
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn field(&mut self, name: &str, value: &str) {
        self.list(name, [value]);
    }

    fn list(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let values: Vec<_> = values.into_iter().collect();
        self.bytes(name.as_bytes());
        self.0.update(&(values.len() as u64).to_le_bytes());
        for value in &values {
            self.bytes(value.as_ref().as_bytes());
        }
    }

    fn finish(self) -> RecipeKey {
        RecipeKey::from_bytes(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        let digest = |byte| vec![Sha256::from_bytes([byte; 32])];
        Recipe {
            inputs: Inputs::Dist {
                rustc: digest(1),
                cargo: digest(2),
                rust_src: digest(3),
            },
            host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            target: "thumbv7em-none-eabihf".parse().unwrap(),
            spec: None,
            options: BuildOptions::new(None, BTreeSet::new(), Profile::default(), Vec::new()),
        }
    }

    #[test]
    fn the_key_of_a_known_recipe_never_changes() {
        // Raise RECIPE_VERSION when this must change: caches everywhere hold
        // trees under these keys.
        assert_eq!(
            recipe().key().to_string(),
            "blake3:c3b95d9a9dc723fdd2b2de37e313e513be65e5f063762276e796012387f01c66"
        );
    }

    #[test]
    fn case_120_fields_of_other_boundaries_have_other_keys() {
        let with = |flags: &[&str]| {
            let mut r = recipe();
            r.options.rustflags = flags.iter().map(ToString::to_string).collect();
            r.key()
        };
        assert_ne!(with(&["ab", "c"]), with(&["a", "bc"]));
        assert_ne!(with(&["abc"]), with(&["ab", "c"]));
        assert_ne!(with(&[]), with(&[""]));
    }

    #[test]
    fn case_121_each_input_alone_changes_the_key() {
        let changes: Vec<fn(&mut Recipe)> = vec![
            |r| {
                r.inputs = Inputs::Dist {
                    rustc: vec![Sha256::of(b"")],
                    cargo: vec![Sha256::from_bytes([2; 32])],
                    rust_src: vec![Sha256::from_bytes([3; 32])],
                }
            },
            |r| {
                r.inputs = Inputs::Dist {
                    rustc: vec![Sha256::from_bytes([1; 32])],
                    cargo: vec![Sha256::of(b"")],
                    rust_src: vec![Sha256::from_bytes([3; 32])],
                }
            },
            |r| {
                r.inputs = Inputs::Dist {
                    rustc: vec![Sha256::from_bytes([1; 32])],
                    cargo: vec![Sha256::from_bytes([2; 32])],
                    rust_src: vec![Sha256::of(b"")],
                }
            },
            |r| {
                r.inputs = Inputs::System {
                    rustc: "1".into(),
                    cargo: "2".into(),
                    rust_src: TreeDigest::from_bytes([3; 32]),
                }
            },
            |r| {
                r.inputs = Inputs::System {
                    rustc: "x".into(),
                    cargo: "2".into(),
                    rust_src: TreeDigest::from_bytes([3; 32]),
                }
            },
            |r| {
                r.inputs = Inputs::System {
                    rustc: "1".into(),
                    cargo: "x".into(),
                    rust_src: TreeDigest::from_bytes([3; 32]),
                }
            },
            |r| {
                r.inputs = Inputs::System {
                    rustc: "1".into(),
                    cargo: "2".into(),
                    rust_src: TreeDigest::from_bytes([4; 32]),
                }
            },
            |r| r.host = "aarch64-unknown-linux-gnu".parse().unwrap(),
            |r| r.target = "thumbv6m-none-eabi".parse().unwrap(),
            |r| r.spec = Some(SpecDigest::of(b"{}")),
            |r| r.spec = Some(SpecDigest::of(b"{ }")),
            |r| r.options.crates = CrateSet::Core,
            |r| r.options.crates = CrateSet::Std,
            |r| {
                r.options.features.insert("compiler-builtins-mem".into());
            },
            |r| r.options.opt_level = OptLevel::Size,
            |r| r.options.opt_level = OptLevel::Number(2),
            |r| r.options.debug = DebugInfo::Limited,
            |r| r.options.panic = Some(Panic::Abort),
            |r| r.options.panic = Some(Panic::ImmediateAbort),
            |r| r.options.codegen_units = 16,
            |r| r.options.embed_bitcode = false,
            |r| r.options.rustflags = vec!["-Ctarget-cpu=cortex-a72".into()],
        ];
        let mut keys: Vec<RecipeKey> = changes
            .iter()
            .map(|change| {
                let mut r = recipe();
                change(&mut r);
                r.key()
            })
            .collect();
        keys.push(recipe().key());
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
