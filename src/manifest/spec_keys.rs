//! The keys a target spec may have.
//!
//! The list is of what is allowed, as for compiler flags: a key that nobody
//! looked at may be the next one that makes rustc load a library. It has the
//! keys of `rustc --print target-spec-json-schema` of rustc 1.96 and 1.97, and
//! those of older compilers that printed specs still have. rustc itself refuses
//! keys that it does not know; one that is newer than this list needs a newer
//! sysroot.
//!
//! Key                                     | Accepted | Why
//! ----------------------------------------|----------|---------------------------------------------
//! code generation, `cfg` values           | yes      | they change generated code only
//! `cpu`, `features`                       | yes      | but not `native` and `help`: the result would be the machine's, not the spec's
//! names of what is linked (`dll-prefix`)  | yes      | but without `/` and `\`: they become part of file names
//! linker, its arguments, objects, scripts | yes      | inert: rlibs are compiled, and never linked for the target
//! `llvm-args`                             | yes      | elements of a list, [`super::llvm_args`]
//! `default-codegen-backend`               | no       | rustc loads the library it names
//! `no-integrated-as`                      | no       | old compilers start the linker as assembler
//! any other                               | no       | nobody decided

/// Keys that change generated code, `cfg` values, or what rustc allows.
const GENERATED: &[&str] = &[
    "abi",
    "abi-return-struct-as-int",
    "allow-asm",
    "allows-weak-linkage",
    "arch",
    "archive-format",
    "atomic-cas",
    "binary-format",
    "bitcode-llvm-cmdline",
    "c-enum-min-bits",
    "code-model",
    "cpu",
    "custom-unwind-resume",
    "data-layout",
    "debuginfo-kind",
    "default-adjusted-cabi",
    "default-codegen-units",
    "default-dwarf-version",
    "default-hidden-visibility",
    "default-sanitizers",
    "default-uwtable",
    "default-visibility",
    "description",
    "direct-access-external-data",
    "disable-redzone",
    "eliminate-frame-pointer",
    "emit-debug-gdb-scripts",
    "entry-abi",
    "entry-name",
    "env",
    "features",
    "forces-embed-bitcode",
    "frame-pointer",
    "function-sections",
    "generate-arange-section",
    "has-elf-tls",
    "has-thread-local",
    "has-thumb-interworking",
    "is-builtin",
    "is-like-aix",
    "is-like-android",
    "is-like-darwin",
    "is-like-emscripten",
    "is-like-fuchsia",
    "is-like-gpu",
    "is-like-l4re",
    "is-like-msvc",
    "is-like-openbsd",
    "is-like-osx",
    "is-like-solaris",
    "is-like-vexos",
    "is-like-wasm",
    "is-like-windows",
    "llvm-abiname",
    "llvm-args",
    "llvm-floatabi",
    "llvm-mcount-intrinsic",
    "llvm-target",
    "max-atomic-width",
    "mcount",
    "merge-functions",
    "metadata",
    "min-atomic-width",
    "min-global-align",
    "need-explicit-cpu",
    "needs-plt",
    "no-builtins",
    "obj-is-bitcode",
    "os",
    "panic-strategy",
    "plt-by-default",
    "relax-elf-relocations",
    "relocation-model",
    "requires-lto",
    "requires-uwtable",
    "rustc-abi",
    "simd-types-indirect",
    "singlethread",
    "small-data-threshold-support",
    "split-debuginfo",
    "stack-probes",
    "static-initializer-must-be-acyclic",
    "supported-sanitizers",
    "supported-split-debuginfo",
    "supports-stack-protector",
    "supports-xray",
    "target-c-int-width",
    "target-endian",
    "target-env",
    "target-family",
    "target-mcount",
    "target-pointer-width",
    "tls-model",
    "trap-unreachable",
    "unsupported-abis",
    "unsupported-cpus",
    "use-ctors-section",
    "vendor",
];

/// Keys about linking, which never happens here.
const INERT: &[&str] = &[
    "asm-args",
    "crt-objects-fallback",
    "crt-static-allows-dylibs",
    "crt-static-default",
    "crt-static-respected",
    "dll-prefix",
    "dll-suffix",
    "dll-tls-export",
    "dynamic-linking",
    "eh-frame-header",
    "exe-allocation-crate",
    "exe-suffix",
    "executables",
    "has-rpath",
    "late-link-args",
    "late-link-args-dynamic",
    "late-link-args-static",
    "limit-rdylib-exports",
    "link-env",
    "link-env-remove",
    "link-script",
    "link-self-contained",
    "linker",
    "linker-flavor",
    "linker-is-gnu",
    "lld-flavor",
    "main-needs-argc-argv",
    "no-default-libraries",
    "only-cdylib",
    "override-export-symbols",
    "position-independent-executables",
    "post-link-args",
    "post-link-args-crt",
    "post-link-objects",
    "post-link-objects-fallback",
    "pre-link-args",
    "pre-link-args-crt",
    "pre-link-objects",
    "pre-link-objects-dll",
    "pre-link-objects-exe",
    "pre-link-objects-fallback",
    "relro-level",
    "static-position-independent-executables",
    "staticlib-prefix",
    "staticlib-suffix",
];

/// Keys that rustc knows, and that would make it start or load something.
const REFUSED: &[(&str, &str)] = &[
    (
        "default-codegen-backend",
        "the compiler loads the library that it names",
    ),
    (
        "no-integrated-as",
        "the compiler starts the spec's linker as assembler",
    ),
];

/// Keys whose text becomes part of a file's name.
const AFFIXES: &[&str] = &[
    "dll-prefix",
    "dll-suffix",
    "exe-suffix",
    "staticlib-prefix",
    "staticlib-suffix",
];

/// Why a refused key is refused; `None` for all other keys.
pub(super) fn refused(key: &str) -> Option<&'static str> {
    let mut refused = REFUSED.iter().filter(|(name, _)| *name == key);
    refused.next().map(|(_, why)| *why)
}

/// Every accepted key.
pub(super) fn accepted() -> impl Iterator<Item = &'static str> {
    GENERATED.iter().chain(INERT).copied()
}

/// Why a key's text is refused, if it is.
pub(super) fn bad_text(key: &str, text: &str) -> Option<&'static str> {
    const MACHINE: &str = "`native` is the CPU of the machine that compiles";
    const HELP: &str = "`help` makes the compiler print a list instead";
    match key {
        "cpu" => match text.trim() {
            "native" => Some(MACHINE),
            "help" => Some(HELP),
            _ => None,
        },
        "features" => text.split(',').find_map(|feature| {
            match feature.trim().trim_start_matches(['+', '-']) {
                "native" => Some(MACHINE),
                "help" | "cpuhelp" => Some(HELP),
                _ => None,
            }
        }),
        _ if AFFIXES.contains(&key) && text.contains(['/', '\\']) => {
            Some("it becomes part of a file's name")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_listed_once() {
        let refused = REFUSED.iter().map(|(key, _)| *key);
        let mut all: Vec<&str> = accepted().chain(refused).collect();
        all.sort_unstable();
        let listed = all.len();
        all.dedup();
        assert_eq!(all.len(), listed);
        assert!(AFFIXES.iter().all(|key| INERT.contains(key)));
    }
}
