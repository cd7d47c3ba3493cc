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
