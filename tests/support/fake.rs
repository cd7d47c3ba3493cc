//! A toolchain of a few bytes whose cargo "compiles" in milliseconds and
//! counts how often it was asked to.
//!
//! It answers what the tool asks a compiler, and its libraries say what they
//! were made for. So tests can build hundreds of times what would else take
//! half a minute each.

use std::path::Path;

use super::pack::Package;

/// The machine the toolchain runs on.
const HOST: &str = "x86_64-unknown-linux-gnu";
const VERSION: &str = "1.97.0-nightly (e50aa6fba 2026-05-19)";
const COMMIT: &str = "e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a";

const LOCK: &str = "version = 4\n\n[[package]]\nname = \"compiler_builtins\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"core\"\nversion = \"0.0.0\"\n";

/// The packages of a release with that toolchain. Every compilation appends a
/// line with its target to `log`; `extra` is shell text that runs before it.
pub(crate) fn packages(log: &Path, targets: &[&str], extra: &str) -> Vec<Package> {
    let package =
        |name: &str, target: Option<&str>| Package::new(name, target).version(VERSION, COMMIT);
    let std = |target: &str| {
        let lib = format!("lib/rustlib/{target}/lib");
        package("rust-std", Some(target))
            .bytes(
                &format!("{lib}/libcore-a.rlib"),
                format!("core {target}").as_bytes(),
                false,
            )
            .bytes(&format!("{lib}/libcore-a.rmeta"), b"meta", false)
    };
    let src = "lib/rustlib/src/rust/library";
    let manifest = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\n");
    let mut packages = vec![
        package("rustc", Some(HOST))
            .bytes("bin/rustc", rustc().as_bytes(), true)
            .bytes("lib/librustc_driver-0.so", &vec![7; (1 << 20) + 9], false)
            .bytes(&format!("lib/rustlib/{HOST}/bin/rust-lld"), b"lld", true),
        package("cargo", Some(HOST)).bytes("bin/cargo", cargo(log, extra).as_bytes(), true),
        package("rust-src", None)
            .bytes(&format!("{src}/Cargo.toml"), b"[workspace]\n", false)
            .bytes(&format!("{src}/Cargo.lock"), LOCK.as_bytes(), false)
            .bytes(
                &format!("{src}/core/Cargo.toml"),
                manifest("core").as_bytes(),
                false,
            )
            .bytes(&format!("{src}/core/src/lib.rs"), b"#![no_core]", false)
            .bytes(
                &format!("{src}/compiler-builtins/compiler-builtins/Cargo.toml"),
                manifest("compiler_builtins").as_bytes(),
                false,
            ),
        std(HOST),
    ];
    packages.extend(targets.iter().map(|target| std(target)));
    packages
}

fn rustc() -> String {
    format!(
        "#!/bin/sh\ncase \"$*\" in\n*-vV*) printf 'rustc {VERSION}\\nbinary: rustc\\n\
         commit-hash: {COMMIT}\\ncommit-date: 2026-05-19\\nhost: {HOST}\\n\
         release: 1.97.0-nightly\\nLLVM version: 22.1.0\\n' ;;\n*) echo rustc ;;\nesac\n"
    )
}

fn cargo(log: &Path, extra: &str) -> String {
    let log = log.display();
    format!(
        r#"#!/bin/sh
case $1 in
-V) echo 'cargo 1.97.0-nightly (e50aa6fba 2026-05-19)'; exit ;;
build) ;;
*) exit 0 ;;
esac
for word; do
    case $last in
    --target) target=$word ;;
    --target-dir) dir=$word ;;
    esac
    last=$word
done
echo "$target" >>'{log}'
{extra}
out=$dir/$target/release/deps
mkdir -p "$out"
for crate in core compiler_builtins; do
    echo "compiled $crate $target" >"$out/lib$crate-0f.rlib"
    echo m >"$out/lib$crate-0f.rmeta"
    printf '{{"reason":"compiler-artifact","target":{{"name":"%s","kind":["lib"]}},"filenames":["%s","%s"]}}\n' \
        "$crate" "$out/lib$crate-0f.rlib" "$out/lib$crate-0f.rmeta"
done
"#
    )
}
