//! Compiling `core`, `alloc` and `compiler_builtins`: our build step beside
//! `cargo -Zbuild-std`, with the same compiler and sources, in turns.
//!
//! ```text
//! cargo bench --bench build_core -- [ROUNDS [TARGET...]]
//! ```
//!
//! Each round compiles all the targets once in each way, from nothing. CPU
//! time is that of all finished child processes and of this one, so it is
//! comparable even when the machine has other things to do; wall time is not.
//!
//! Cargo is measured twice. By its defaults it compiles each crate in 16 code
//! generation units and without bitcode. Our defaults are upstream's for what it
//! ships: `core` and `alloc` in one unit, with bitcode, and `compiler_builtins`
//! in as many as it has functions. The other time cargo is told to do the same.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops at the first surprise"
)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use sysroot::build::{Builder, BuilderOptions, Job, Toolchain};
use sysroot::events::{Cancel, Silent};
use sysroot::recipe::BuildOptions;
use sysroot::types::{CrateSet, Profile, RecipeKey, Triple};

#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s wall {:.1} s cpu", self.wall, self.cpu)
    }
}

/// CPU seconds of this process and of all children that were waited for.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    let ticks = fields.split_whitespace().skip(11).take(4);
    // The kernel reports in hundredths of a second to every program.
    ticks.map(|t| t.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn measure(work: impl FnOnce()) -> Cost {
    let (start, before) = (Instant::now(), cpu());
    work();
    Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: cpu() - before,
    }
}

fn ours(toolchain: &Toolchain, targets: &[Triple], jobs: usize) {
    let dir = tempfile::tempdir().unwrap();
    let options = BuilderOptions {
        jobs,
        builds: targets.len(),
        work_root: dir.path().join("work"),
        log_dir: dir.path().join("log"),
        offline: true,
    };
    let builder = Builder::new(toolchain.clone(), options, Cancel::default(), &Silent).unwrap();
    let features = BTreeSet::from(["compiler-builtins-mem".to_owned()]);
    let recipe = BuildOptions::new(Some(CrateSet::Alloc), features, Profile::default(), vec![]);
    std::thread::scope(|scope| {
        for (i, target) in targets.iter().enumerate() {
            let (builder, recipe, out) = (&builder, &recipe, dir.path().join(target.as_str()));
            std::fs::create_dir(&out).unwrap();
            let key = RecipeKey::from_bytes([u8::try_from(i).unwrap(); 32]);
            scope.spawn(move || {
                let job = Job {
                    target,
                    spec: None,
                    options: recipe,
                    key,
                    out: &out,
                };
                builder.build(&job).unwrap();
            });
        }
    });
}

/// How cargo is told to compile the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// Not at all.
    Defaults,
    /// As we and upstream compile it.
    Shipped,
}

const EMPTY: &str = "[package]\nname = \"empty\"\nedition = \"2024\"\n";
const SHIPPED: &str = "
[profile.release]
codegen-units = 1
[profile.release.package.compiler_builtins]
codegen-units = 10000
";

fn theirs(toolchain: &Toolchain, targets: &[Triple], settings: Settings) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    let mut manifest = EMPTY.to_owned();
    if settings == Settings::Shipped {
        manifest.push_str(SHIPPED);
    }
    std::fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::write(dir.path().join("src/lib.rs"), "#![no_std]\n").unwrap();
    let mut command = Command::new(&toolchain.cargo);
    command
        .current_dir(dir.path())
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTUP_TOOLCHAIN")
        .args(["build", "--quiet", "--release"])
        .arg("-Zbuild-std=core,alloc,compiler_builtins")
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .stdout(Stdio::null());
    if settings == Settings::Shipped {
        command.env("RUSTFLAGS", "-Cembed-bitcode=yes");
    }
    for target in targets {
        command.args(["--target", target.as_str()]);
    }
    assert!(command.status().unwrap().success());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let rounds: usize = words
        .next()
        .map_or(3, |n| n.parse().expect("a number of rounds"));
    let mut targets: Vec<Triple> = words.map(|t| t.parse().expect("a target")).collect();
    if targets.is_empty() {
        targets = vec!["thumbv7em-none-eabihf".parse().unwrap()];
    }
    let rustc = std::env::var_os("SYSROOT_TEST_RUSTC").unwrap_or("/usr/bin/rustc".into());
    let toolchain = Toolchain::probe(Path::new(&rustc), &[]).expect("a toolchain with rust-src");
    let jobs = std::thread::available_parallelism().unwrap().get();
    println!("{}, {jobs} jobs, {targets:?}", toolchain.version.first_line);
    let mut ratios = [(); 2].map(|()| (Vec::new(), Vec::new()));
    for round in 1..=rounds {
        let defaults = measure(|| theirs(&toolchain, &targets, Settings::Defaults));
        let shipped = measure(|| theirs(&toolchain, &targets, Settings::Shipped));
        let here = measure(|| ours(&toolchain, &targets, jobs));
        let busy = here.wall * f64::from(u32::try_from(jobs).unwrap()) / here.cpu;
        println!(
            "round {round}: -Zbuild-std {defaults}, as shipped {shipped}, sysroot {here}, wall x \
             jobs / cpu {busy:.2}"
        );
        for (theirs, ratios) in [defaults, shipped].iter().zip(&mut ratios) {
            ratios.0.push(here.wall / theirs.wall);
            ratios.1.push(here.cpu / theirs.cpu);
        }
    }
    for (name, (wall, cpu)) in ["its defaults", "what is shipped"].iter().zip(ratios) {
        println!(
            "median ratio to {name}: wall {:.2}, cpu {:.2}",
            median(wall),
            median(cpu)
        );
    }
}
