//! What `cargo -Zbuild-std` accepts, the library we compiled accepts too.

use std::fs;
use std::path::Path;

use super::compiled::{bare_boots, boots, checkout};
use super::{HOST, HOSTED, system, use_output, user, write_crate};
use crate::support::sandbox::Sandbox;

/// A macro that runs in the compiler, for which it needs `proc_macro`.
const MACRO: &str = "use proc_macro::TokenStream;

#[proc_macro]
pub fn forty_two(_: TokenStream) -> TokenStream {
    \"42_u32\".parse().unwrap()
}
";

/// Parts of the library that are easily left out of a build.
const CRATE: &str = "
#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    #[test]
    fn a_macro_runs_in_the_compiler() {
        assert_eq!(macros::forty_two!(), 42);
    }

    #[test]
    fn a_panic_unwinds_and_drops() {
        let (sender, receiver) = channel::<u8>();
        let panicked = std::thread::spawn(move || {
            let _dropped = sender;
            panic!(\"on purpose\");
        });
        assert!(receiver.recv().is_err());
        assert!(panicked.join().is_err());
    }

    #[test]
    #[should_panic = \"overflow\"]
    fn arithmetic_is_checked() {
        let many: Vec<u8> = std::env::args().map(|_| u8::MAX).collect();
        assert_ne!(many[0] + many[0], 0);
    }

    #[test]
    fn a_backtrace_names_this_function() {
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        assert!(trace.contains(\"a_backtrace_names_this_function\"), \"{trace}\");
    }

    #[test]
    fn the_system_answers() {
        let dir = std::env::temp_dir();
        assert!(std::fs::metadata(&dir).is_ok_and(|found| found.is_dir()));
        let echo = std::process::Command::new(\"echo\").arg(\"hello\").output();
        assert_eq!(echo.unwrap().stdout, b\"hello\\n\");
        let listener = std::net::TcpListener::bind(\"127.0.0.1:0\").unwrap();
        assert!(std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok());
        assert!((2.0_f64.powf(0.5) - std::f64::consts::SQRT_2).abs() < 1e-12);
    }
}
";

fn write(dir: &Path) {
    write_crate(dir, "hosted", &[HOSTED, CRATE].concat());
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace(
        "[dependencies]\n",
        "[dependencies]\nmacros = { path = \"macros\" }\n",
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::create_dir_all(dir.join("macros/src")).unwrap();
    let manifest = "[package]\nname = \"macros\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                    [lib]\nproc-macro = true\n";
    fs::write(dir.join("macros/Cargo.toml"), manifest).unwrap();
    fs::write(dir.join("macros/src/lib.rs"), MACRO).unwrap();
}

/// What passes, by name, in the order of the names.
fn passing(sandbox: &Sandbox, dir: &Path, arguments: &[&str]) -> Vec<String> {
    let test = ["test", "--target", HOST];
    let said = user(sandbox, dir, "/usr/bin/cargo", &[&test, arguments].concat());
    let said = said.exits(0);
    let passed = said.out.lines().filter(|line| line.ends_with("... ok"));
    let mut passed: Vec<String> = passed.map(str::to_owned).collect();
    passed.sort();
    passed
}

#[test]
fn the_host_library_we_compile_passes_what_build_std_passes() {
    let mut sandbox = system();
    let project = sandbox.project(
        "ours",
        &format!(
            "[toolchain]\nchannel = \"system\"\n\n[targets.{HOST}]\nstrategy = \"build\"\n\
             crates = [\"std\"]\n"
        ),
    );
    sandbox.run(&project, &["sync"]).exits(0);
    let library = project.join(".sysroot/lib/rustlib").join(HOST).join("lib");
    let library = fs::canonicalize(library).unwrap();
    assert!(library.starts_with(sandbox.path("ours")), "{library:?}");
    write(&project);
    use_output(&project);
    let ours = passing(&sandbox, &project, &[]);

    let theirs = sandbox.path("theirs");
    write(&theirs);
    fs::copy(project.join("Cargo.lock"), theirs.join("Cargo.lock")).unwrap();
    sandbox.set("RUSTC_BOOTSTRAP", "1");
    sandbox.set("RUSTC", "/usr/bin/rustc");
    let theirs = passing(&sandbox, &theirs, &["-Zbuild-std", "--locked"]);
    assert_eq!(ours.len(), 6, "{ours:?}");
    assert_eq!(ours, theirs);
}

/// The same programs, with the same dependencies, on the same machine: with
/// what we compiled and with what cargo compiles for itself.
#[test]
fn programs_without_std_boot_with_either() {
    let mut sandbox = system();
    let target = "thumbv7m-none-eabi";
    let project = checkout(&sandbox, "channel = \"system\"", &[target]);
    sandbox.run(&project, &["sync"]).exits(0);
    // Both programs with one library, so in one way.
    let lto = ["--config", "profile.release.lto=true"];
    let runner = "target.thumbv7m-none-eabi.runner=\"qemu-system-arm -M lm3s6965evb -nographic \
                  -monitor none -serial none -semihosting-config enable=on,target=native -kernel\"";
    let words = [&lto[..], &["--config", runner, "--target", target]].concat();
    boots(&sandbox, &project, &words);
    bare_boots(&sandbox, &project, &words);

    // Without an output that could be used by mistake.
    let theirs = sandbox.path("theirs");
    fs::rename(&project, &theirs).unwrap();
    for left in [".sysroot", "target", "bare/target"] {
        fs::remove_dir_all(theirs.join(left)).unwrap();
    }
    sandbox.set("RUSTC_BOOTSTRAP", "1");
    sandbox.set("RUSTC", "/usr/bin/rustc");
    let target_dir = sandbox.path("theirs-target");
    sandbox.set("CARGO_TARGET_DIR", target_dir.to_str().unwrap());
    let std = [
        "-Zbuild-std=core,alloc,compiler_builtins",
        "-Zbuild-std-features=compiler-builtins-mem",
    ];
    let words = [&std[..], &words].concat();
    boots(&sandbox, &theirs, &words);
    bare_boots(&sandbox, &theirs, &words);
    let core = fs::read_dir(target_dir.join(target).join("release/deps")).unwrap();
    let mut names = core.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with("libcore-")));
}
