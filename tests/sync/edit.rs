//! `add` and `remove`: only the targets change, and only in the manifest.

use std::fs;
use std::path::Path;

use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::snapshot;

/// A spec that rustc would take.
const SPEC: &str = "{\"arch\":\"arm\",\"data-layout\":\"e\",\"llvm-target\":\"thumbv7em-none-eabi\",\
                    \"target-pointer-width\":32}\n";

fn text(project: &Path) -> String {
    fs::read_to_string(project.join("sysroot.toml")).unwrap()
}

#[test]
fn a_target_is_added_and_removed_and_the_rest_of_the_file_stays() {
    let (sandbox, server) = served();
    let start = format!("# ours\n{}\n# end\n", manifest(&[THUMB]));
    let project = sandbox.project("p", &start);
    let said = sandbox.run(&project, &["add", RISCV]).exits(0);
    said.mentions(&format!("added `{RISCV}`; next: `sysroot sync`"));
    let added = format!(
        "# ours\n{}\n[targets.{RISCV}]\n\n# end\n",
        manifest(&[THUMB])
    );
    assert_eq!(text(&project), added);
    // Nothing but the manifest was made, and nobody was asked.
    let names: Vec<String> = snapshot(&project).into_keys().collect();
    assert_eq!(names, ["sysroot.toml"]);
    assert_eq!(server.requests(), [""; 0]);
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(super::core(&project, RISCV).exists());
    let said = sandbox.run(&project, &["remove", RISCV]).exits(0);
    said.mentions(&format!("removed `{RISCV}`"));
    assert_eq!(text(&project), start);
    sandbox
        .run(&project, &["lock", "--check"])
        .exits(1)
        .mentions(RISCV);
}

#[test]
fn keys_of_the_command_line_become_keys_of_the_table() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[]));
    let all = [
        "add",
        RISCV,
        THUMB,
        "--strategy",
        "build",
        "--crates",
        "core,alloc",
    ];
    sandbox.run(&project, &all).exits(0);
    for target in [RISCV, THUMB] {
        let table =
            format!("\n[targets.{target}]\nstrategy = \"build\"\ncrates = [\"core\", \"alloc\"]\n");
        assert!(text(&project).contains(&table), "{}", text(&project));
    }
    for (flag, value, names) in [
        ("--strategy", "bild", "`download`"),
        (
            "--crates",
            "core,test",
            "`test` is none of `core`, `alloc`, `std`",
        ),
    ] {
        sandbox
            .run(&project, &["add", "x", flag, value])
            .exits(2)
            .mentions(names);
    }
    // What the keys forbid together is told before anything is written.
    let before = text(&project);
    let both = [
        "add",
        "aarch64-unknown-none",
        "--strategy",
        "download",
        "--crates",
        "core",
    ];
    sandbox.run(&project, &both).exits(2).mentions("crates");
    assert_eq!(text(&project), before);
}

#[test]
fn a_spec_names_its_target_and_must_lie_in_the_project() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[]));
    fs::create_dir(project.join("targets")).unwrap();
    fs::write(project.join("targets/my-os.json"), SPEC).unwrap();
    // The path is the user's, relative to where they stand.
    let below = project.join("targets");
    sandbox
        .run(&below, &["add", "--spec", "my-os.json", "--crates", "core"])
        .exits(0);
    let table = "[targets.my-os]\nspec = \"targets/my-os.json\"\ncrates = [\"core\"]\n";
    assert!(text(&project).contains(table), "{}", text(&project));
    let before = text(&project);
    fs::write(sandbox.path("other.json"), SPEC).unwrap();
    fs::write(below.join("broken.json"), "{").unwrap();
    std::os::unix::fs::symlink("my-os.json", below.join("alias.json")).unwrap();
    for (arguments, code, why) in [
        (
            &["--spec", "../../other.json"][..],
            2,
            "outside of the project",
        ),
        (&["--spec", "none.json"], 2, "none.json"),
        (&["--spec", "broken.json"], 2, "broken.json"),
        (
            &["a", "b", "--spec", "my-os.json"],
            2,
            "each custom target by itself",
        ),
        (
            &["other", "--spec", "my-os.json"],
            2,
            "is not the target's name",
        ),
        (&["--spec", "alias.json"], 2, "is a link to"),
        (&["--spec", "my-os.json"], 2, "is there already"),
        (&[], 2, "TARGET"),
    ] {
        let arguments = [&["add"], arguments].concat();
        sandbox.run(&below, &arguments).exits(code).mentions(why);
        assert_eq!(text(&project), before, "{arguments:?}");
    }
}

#[test]
fn a_manifest_that_a_flag_names_and_that_is_not_there_is_a_wrong_command_line() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    for verb in ["lock", "sync", "verify", "status"] {
        let said = sandbox
            .run(&project, &[verb, "--manifest-path", "nope.toml"])
            .exits(2);
        said.mentions("there is no manifest `")
            .mentions("nope.toml`")
            .mentions("sysroot init");
    }
}

#[test]
fn errors_name_what_is_there_and_what_is_near() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let before = text(&project);
    let said = sandbox.run(&project, &["add", THUMB]).exits(2);
    said.mentions("sysroot.toml:5:10")
        .mentions("is there already");
    let slip = "thumbv7em-none-eabihff";
    sandbox
        .run(&project, &["remove", slip])
        .exits(2)
        .mentions(&format!("did you mean `{THUMB}`?"));
    // What upstream ships is known once the project was locked.
    sandbox.run(&project, &["lock"]).exits(0);
    sandbox
        .run(&project, &["add", slip])
        .exits(3)
        .mentions(THUMB);
    sandbox
        .run(
            &project,
            &[
                "add",
                RISCV,
                "aarch64-unknown-none",
                "--strategy",
                "download",
            ],
        )
        .exits(3)
        .mentions("aarch64-unknown-none");
    assert_eq!(text(&project), before);
    // What upstream does not ship may be a custom target without its spec.
    for (arguments, told) in [
        (&["my-os", RISCV][..], true),
        (&["my-other", "--strategy", "build"], false),
    ] {
        let arguments = [&["add"], arguments].concat();
        let said = sandbox.run(&project, &arguments).exits(0);
        let hint = "does not ship `my-os`, so it is compiled, if rustc knows the name";
        assert_eq!(said.err.contains(hint), told, "{}", said.err);
        assert_eq!(said.err.contains("`--spec FILE`"), told, "{}", said.err);
        assert!(!said.err.contains(&format!("ship `{RISCV}`")));
    }
}
