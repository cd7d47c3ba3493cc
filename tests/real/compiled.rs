//! What is compiled is what plain cargo links programs with.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HOST, served, system, user, write_crate};
use crate::support::dist::REAL_DATES;
use crate::support::sandbox::{Said, Sandbox};

const LINE: &str = "quickstart: 9 words, 8 distinct, crc32 3456913684";

/// A program for no machine in particular: `core`, `alloc`, a registry crate.
/// On two machines it says what it made.
const BARE: &str = "#![no_std]
#![no_main]

extern crate alloc;

mod heap;
#[cfg_attr(not(any(target_arch = \"arm\", target_arch = \"riscv32\")), path = \"nowhere.rs\")]
mod machine;

fn text(count: u32) -> alloc::string::String {
    let mut text = alloc::string::String::new();
    for number in 0..count {
        text.push_str(itoa::Buffer::new().format(number));
    }
    text
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
";

/// Of a program that is only linked.
const NOWHERE: &str = "#[unsafe(no_mangle)]
extern \"C\" fn _start(count: u32) -> usize {
    crate::text(count).len()
}
";

/// QEMU's `virt` machine for RISC-V, which has a serial port and a device that
/// ends the emulator; and a Cortex-M with semihosting for both.
const MACHINE: &str = "use core::arch::global_asm;

#[cfg(target_arch = \"riscv32\")]
global_asm!(
    \".section .text.start, \\\"ax\\\"\",
    \".global _start\",
    \"_start:\",
    \"la sp, __stack_top\",
    \"call {start}\",
    start = sym start,
);

#[cfg(target_arch = \"arm\")]
global_asm!(
    \".section .text.start, \\\"ax\\\"\",
    \".word __stack_top\",
    \".word _start\",
);

#[cfg_attr(target_arch = \"arm\", unsafe(export_name = \"_start\"))]
extern \"C\" fn start() -> ! {
    for byte in crate::text(12).bytes().chain(*b\"\\n\") {
        print(byte);
    }
    loop {
        exit();
    }
}

#[cfg(target_arch = \"riscv32\")]
fn print(byte: u8) {
    unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) };
}

#[cfg(target_arch = \"riscv32\")]
fn exit() {
    unsafe { (0x10_0000 as *mut u32).write_volatile(0x5555) };
}

#[cfg(target_arch = \"arm\")]
fn print(byte: u8) {
    // The file `:tt`, open for writing, is where the emulator prints.
    let name = \":tt\\0\".as_ptr() as usize;
    let handle = semihosting(1, [name, 4, 3].as_ptr() as usize);
    semihosting(5, [handle, &raw const byte as usize, 1].as_ptr() as usize);
}

#[cfg(target_arch = \"arm\")]
fn exit() {
    semihosting(0x18, 0x20026);
}

#[cfg(target_arch = \"arm\")]
fn semihosting(operation: usize, argument: usize) -> usize {
    let result;
    unsafe {
        core::arch::asm!(\"bkpt 0xab\", inout(\"r0\") operation => result, in(\"r1\") argument);
    }
    result
}
";

/// What [`MACHINE`] prints.
const DIGITS: &str = "01234567891011";

/// Where the code and the data of a machine's program lie.
fn script(code: &str, data: &str) -> String {
    format!(
        "ENTRY(_start)
SECTIONS
{{
  . = {code};
  .text : {{ KEEP(*(.text.start)) *(.text .text.*) }}
  .rodata : {{ *(.rodata .rodata.* .srodata .srodata.*) }}
  {data}
  .data : {{ *(.data .data.* .sdata .sdata.*) }}
  .bss (NOLOAD) : ALIGN(16) {{ *(.bss .bss.* .sbss .sbss.*) *(COMMON) . = ALIGN(16); }}
  .stack (NOLOAD) : ALIGN(16) {{ . += 16K; __stack_top = .; }}
  /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) }}
}}
"
    )
}

/// Chooses the link script where there is one.
const BUILD: &str = "fn main() {
    let arch = std::env::var(\"CARGO_CFG_TARGET_ARCH\").unwrap();
    let dir = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap();
    if std::path::Path::new(&dir).join(format!(\"{arch}.ld\")).exists() {
        println!(\"cargo::rustc-link-arg-bins=-T{dir}/{arch}.ld\");
    }
}
";

/// Runners of the programs for machines without an operating system that the
/// example does not have.
const RUNNERS: [&str; 6] = [
    "--config",
    "target.riscv32imac-unknown-none-elf.runner=\"qemu-system-riscv32 -M virt -bios none -nographic \
     -monitor none -kernel\"",
    // The kernel's calls are all that the program needs of Linux. Programs of
    // this target move themselves to where they are loaded, or have a place.
    "--config",
    "target.x86_64-unknown-none.runner=\"qemu-x86_64-static\"",
    "--config",
    "target.x86_64-unknown-none.rustflags=[\"-Crelocation-model=static\"]",
];

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
pub(super) fn checkout(sandbox: &Sandbox, toolchain: &str, targets: &[&str]) -> PathBuf {
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
    write_bare(&project);
    project
}

/// Writes the program that needs nothing of the example but its heap.
fn write_bare(project: &Path) {
    let bare = project.join("bare");
    write_crate(&bare, "bare", BARE);
    fs::copy(project.join("src/heap.rs"), bare.join("src/heap.rs")).unwrap();
    for (name, text) in [
        ("src/machine.rs", MACHINE),
        ("src/nowhere.rs", NOWHERE),
        ("build.rs", BUILD),
        ("riscv32.ld", &script("0x80000000", "")),
        ("arm.ld", &script("0", ". = 0x20000000;")),
    ] {
        fs::write(bare.join(name), text).unwrap();
    }
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

pub(super) fn boots(sandbox: &Sandbox, project: &Path, words: &[&str]) {
    let run = ["run", "--quiet", "--release", "--locked"];
    let said = cargo(sandbox, project, &[&run, words].concat());
    assert_eq!(said.out.trim_end(), LINE);
}

/// Runs the program that is no example's on a machine.
pub(super) fn bare_boots(sandbox: &Sandbox, project: &Path, words: &[&str]) {
    let run = ["run", "--quiet", "--release"];
    let said = cargo(sandbox, &project.join("bare"), &[&run, words].concat());
    assert_eq!(said.out.trim_end(), DIGITS);
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
    let x86 = ["--target", "x86_64-unknown-none"];
    boots(&sandbox, &project, &[&RUNNERS[..], &x86].concat());
    let riscv = ["--target", "riscv32imac-unknown-none-elf"];
    bare_boots(&sandbox, &project, &[&RUNNERS[..], &riscv].concat());
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
fn targets_are_compiled_by_the_toolchain_that_was_downloaded() {
    let (mut sandbox, _server) = served();
    let target = "aarch64-unknown-none";
    let toolchain = format!(
        "channel = \"nightly-{}\"\nhosts = [\"{HOST}\"]",
        REAL_DATES[0]
    );
    let project = checkout(&sandbox, &toolchain, &[target, "x86_64-quickstart"]);
    sandbox.run(&project, &["sync"]).exits(0);
    boots(&sandbox, &project, &["--target", target]);
    cargo(&sandbox, &project, &["test", "--locked"]).mentions("2 passed");
    // With optimization across crates and without, by the path of its spec.
    sandbox.set("RUSTC_BOOTSTRAP", "1");
    let (custom, words, machine) = TARGETS[4];
    links(&sandbox, &project, custom, words, machine);
    // A shell that was told is enough: nothing in the project tells cargo.
    fs::remove_dir_all(project.join(".cargo")).unwrap();
    fs::remove_dir_all(project.join("target")).unwrap();
    let script = "eval \"$(\"$0\" env)\" && command -v cargo && exec cargo run --quiet --release \
                  --locked -Zjson-target-spec --target targets/x86_64-quickstart.json";
    let sysroot = env!("CARGO_BIN_EXE_sysroot");
    let said = user(&sandbox, &project, "/bin/sh", &["-c", script, sysroot]).exits(0);
    let lines: Vec<&str> = said.out.lines().collect();
    let cargo = fs::canonicalize(project.join(".sysroot/bin/cargo")).unwrap();
    assert_eq!(lines, [cargo.to_str().unwrap(), LINE]);
}
