//! What is compiled is what plain cargo links programs with.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HOST, served, system, user, write_crate};
use crate::support::dist::REAL_DATES;
use crate::support::sandbox::{Said, Sandbox};

const LINE: &str = "quickstart: 9 words, 8 distinct, crc32 3456913684";

/// A program for no machine in particular: `core`, `alloc`, a registry crate.
const BARE: &str = "#![no_std]
#![no_main]

extern crate alloc;

mod heap;

#[unsafe(no_mangle)]
extern \"C\" fn _start(count: u32) -> usize {
    let mut text = alloc::string::String::new();
    for number in 0..count {
        text.push_str(itoa::Buffer::new().format(number));
    }
    text.len()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
";

/// The targets, how cargo is told, and the processor's number in ELF files.
const TARGETS: [(&str, &[&str], u8); 5] = [
    (
        "thumbv7m-none-eabi",
        &["--target", "thumbv7m-none-eabi"],
        40,
    ),
    (
        "riscv32imac-unknown-none-elf",
        &["--target", "riscv32imac-unknown-none-elf"],
        243,
    ),
    (
        "aarch64-unknown-none",
        &["--target", "aarch64-unknown-none"],
        183,
    ),
    (
        "x86_64-unknown-none",
        &["--target", "x86_64-unknown-none"],
        62,
    ),
    (
        "x86_64-quickstart",
        &["-Zjson-target-spec", "--target", CUSTOM],
        62,
    ),
];
const CUSTOM: &str = "../targets/x86_64-quickstart.json";

/// A checkout of the example with another manifest, and beside its program
/// one that needs no link script.
fn checkout(sandbox: &Sandbox, toolchain: &str, targets: &[&str]) -> PathBuf {
    let mut manifest = format!(
        "[toolchain]\n{toolchain}\n\n[defaults]\nstrategy = \"build\"\ncrates = [\"alloc\"]\n\
         features = [\"compiler-builtins-mem\"]\n\n"
    );
    for target in targets {
        manifest.push_str("[targets.");
        manifest.push_str(target);
        manifest.push_str("]\n");
        if *target == "x86_64-quickstart" {
            manifest.push_str("spec = \"targets/x86_64-quickstart.json\"\npanic = \"abort\"\n");
        }
    }
    let project = sandbox.project("checkout", &manifest);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    for part in [
        ".cargo/config.toml",
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "linker/aarch64.ld",
        "linker/memory.x",
        "src/heap.rs",
        "src/lib.rs",
        "src/main.rs",
        "src/machine/cortex_m.rs",
        "src/machine/syscalls.rs",
        "src/machine/virt.rs",
        "targets/x86_64-quickstart.json",
    ] {
        fs::create_dir_all(project.join(part).parent().unwrap()).unwrap();
        fs::copy(example.join(part), project.join(part)).unwrap();
    }
    write_crate(&project.join("bare"), "bare", BARE);
    fs::copy(
        project.join("src/heap.rs"),
        project.join("bare/src/heap.rs"),
    )
    .unwrap();
    project
}

fn cargo(sandbox: &Sandbox, dir: &Path, arguments: &[&str]) -> Said {
    user(sandbox, dir, "/usr/bin/cargo", arguments).exits(0)
}

/// Links the program without a machine, with and without optimization across
/// crates, and looks at what came out.
fn links(sandbox: &Sandbox, project: &Path, target: &str, words: &[&str], machine: u8) {
    let dir = project.join("bare");
    for lto in ["false", "true"] {
        let config = format!("profile.release.lto={lto}");
        let build = ["build", "--release", "--config", &config];
        cargo(sandbox, &dir, &[&build, words].concat());
        let program = dir.join("target").join(target).join("release/bare");
        let bytes = fs::read(&program).unwrap();
        assert_eq!(bytes[..4], *b"\x7fELF", "{target}");
        assert_eq!(bytes[18..20], [machine, 0], "{target}");
        fs::remove_file(program).unwrap();
    }
}

fn boots(sandbox: &Sandbox, project: &Path, words: &[&str]) {
    let run = ["run", "--quiet", "--release", "--locked"];
    let said = cargo(sandbox, project, &[&run, words].concat());
    assert_eq!(said.out.trim_end(), LINE);
}

#[test]
fn five_targets_are_compiled_by_the_system_and_plain_cargo_links_with_them() {
    let mut sandbox = system();
    let names = TARGETS.map(|(name, ..)| name);
    let project = checkout(&sandbox, "channel = \"system\"", &names);
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
    let (custom, builtin) = TARGETS.split_last().unwrap();
    for (target, words, machine) in builtin {
        links(&sandbox, &project, target, words, *machine);
    }
    boots(&sandbox, &project, &["--target", "thumbv7m-none-eabi"]);
    boots(&sandbox, &project, &["--target", "aarch64-unknown-none"]);
    // Cargo calls target specifications unstable.
    sandbox.set("RUSTC_BOOTSTRAP", "1");
    links(&sandbox, &project, custom.0, custom.1, custom.2);
    let spec = "targets/x86_64-quickstart.json";
    boots(
        &sandbox,
        &project,
        &["-Zjson-target-spec", "--target", spec],
    );

    // Another checkout has it all from the store.
    let second = sandbox.project("second", "");
    for part in [
        "sysroot.toml",
        "sysroot.lock",
        "targets/x86_64-quickstart.json",
    ] {
        fs::create_dir_all(second.join(part).parent().unwrap()).unwrap();
        fs::copy(project.join(part), second.join(part)).unwrap();
    }
    let said = sandbox
        .run(&second, &["sync", "--locked", "--offline"])
        .exits(0);
    assert!(!said.err.contains("compil"), "{}", said.err);
    for name in names {
        let lib = format!(".sysroot/lib/rustlib/{name}/lib");
        let list = |project: &Path| -> Vec<_> {
            let entries = fs::read_dir(project.join(&lib)).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(list(&project), list(&second), "{name}");
    }
}

#[test]
fn a_target_is_compiled_by_the_toolchain_that_was_downloaded() {
    let (sandbox, _server) = served();
    let target = "aarch64-unknown-none";
    let toolchain = format!(
        "channel = \"nightly-{}\"\nhosts = [\"{HOST}\"]",
        REAL_DATES[0]
    );
    let project = checkout(&sandbox, &toolchain, &[target]);
    sandbox.run(&project, &["sync"]).exits(0);
    boots(&sandbox, &project, &["--target", target]);
    cargo(&sandbox, &project, &["test", "--locked"]).mentions("2 passed");
}
