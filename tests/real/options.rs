//! Options that change what is in the compiled files.

use std::fs;
use std::path::Path;

use super::{system, use_output, user, write_crate};

/// A program that can be out of bounds, with `core` and a registry crate.
const BARE: &str = "#![no_std]
#![no_main]

#[unsafe(no_mangle)]
extern \"C\" fn _start(number: u32, at: usize) -> u8 {
    itoa::Buffer::new().format(number).as_bytes()[at]
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
";

const MANIFEST: &str = "[toolchain]
channel = \"system\"

[defaults]
strategy = \"build\"
crates = [\"core\"]
features = [\"compiler-builtins-mem\"]
opt-level = 1

[targets.thumbv6m-none-eabi]

[targets.thumbv7m-none-eabi]
panic = \"immediate-abort\"
embed-bitcode = false
debug = \"line-tables-only\"
";

/// What a program says that is out of bounds.
const MESSAGE: &str = "index out of bounds";

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// The bytes of a target's `core`.
fn core(project: &Path, target: &str) -> Vec<u8> {
    let library = project.join(format!(".sysroot/lib/rustlib/{target}/lib"));
    let entries = fs::read_dir(library).unwrap().map(|entry| entry.unwrap());
    let mut paths = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.starts_with("libcore-") && path.extension().is_some_and(|kind| kind == "rlib")
    });
    fs::read(paths.next().unwrap()).unwrap()
}

#[test]
fn panics_bitcode_and_debug_information_are_as_asked_for() {
    let mut sandbox = system();
    let project = sandbox.project("p", MANIFEST);
    sandbox.run(&project, &["sync"]).exits(0);
    write_crate(&project, "bare", BARE);
    use_output(&project);
    sandbox.set("RUSTC_BOOTSTRAP", "1");
    for (target, plain, flags) in [
        ("thumbv6m-none-eabi", true, ""),
        (
            "thumbv7m-none-eabi",
            false,
            "-Cpanic=immediate-abort -Zunstable-options",
        ),
    ] {
        let library = core(&project, target);
        assert_eq!(has(&library, ".llvmbc"), plain, "{target}");
        assert_eq!(has(&library, ".debug_info"), !plain, "{target}");
        // Either is linked with by plain cargo.
        sandbox.set("RUSTFLAGS", flags);
        let build = ["build", "--release", "--target", target];
        user(&sandbox, &project, "/usr/bin/cargo", &build).exits(0);
        let program = project.join("target").join(target).join("release/bare");
        let program = fs::read(program).unwrap();
        assert_eq!(program[..4], *b"\x7fELF");
        // What ends at once has nothing to say.
        assert_eq!(has(&program, MESSAGE), plain, "{target}");
    }
}

#[test]
fn a_processor_that_the_compiler_does_not_know_is_an_error_and_no_pin() {
    let sandbox = system();
    let flags = "rustflags = [\"-Ctarget-cpu=cortex-m99\", \"-Ctarget-feature=+dsp\"]";
    let manifest = MANIFEST.split("[targets").next().unwrap();
    let text = format!("{manifest}{flags}\n\n[targets.thumbv6m-none-eabi]\n");
    let project = sandbox.project("p", &text);
    let said = sandbox.run(&project, &["sync"]).exits(2);
    said.mentions("'cortex-m99' is not a recognized processor")
        .mentions("rustc --print target-cpus");
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    assert!(!lock.contains("pin ="), "{lock}");
    let list = sandbox.run(&project, &["cache", "list"]).exits(0);
    assert!(!list.out.contains("thumbv6m"), "{}", list.out);
}

/// In containers that run as some number: cargo finds no home for it.
#[test]
fn a_user_whom_the_machine_does_not_know_can_use_the_systems_compiler() {
    let sandbox = system();
    let project = sandbox.project("p", "[toolchain]\nchannel = \"system\"\n");
    let binary = sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    let script = format!(
        "chmod 711 '{0}' && chown -R 4712 . '{0}/home' && \
         exec setpriv --reuid 4712 --regid 4712 --clear-groups env HOME='{0}/home' \
         SYSROOT_CACHE_DIR='{0}/home/cache' '{0}/sysroot' sync",
        sandbox.path("").display()
    );
    user(&sandbox, &project, "/bin/sh", &["-c", &script]).exits(0);
    assert!(project.join(".sysroot/bin/rustc").is_file());
}
