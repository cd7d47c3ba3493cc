//! Chooses the link script of the bare-metal targets.

use std::env;

fn main() {
    let variable = |name: &str| env::var(name).expect("cargo sets it for build scripts");
    let scripts = format!("{}/linker", variable("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed=linker");
    if variable("CARGO_CFG_TARGET_OS") != "none" {
        return;
    }
    println!("cargo::rustc-link-search={scripts}");
    match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        // From cortex-m-rt; it includes our memory.x.
        "arm" => println!("cargo::rustc-link-arg-bins=-Tlink.x"),
        "aarch64" => println!("cargo::rustc-link-arg-bins=-T{scripts}/aarch64.ld"),
        _ => {}
    }
}
