//! nginx with WebDAV.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::nginx::Nginx;
use super::{World, program};

/// A server that has everything of a world's targets.
fn filled(count: usize) -> (Nginx, World) {
    let nginx = Nginx::start();
    let mut world = World::new(count);
    let project = world.machine("a");
    world.build(&project);
    world.remote(&nginx.open(), true);
    let said = world.run(&project, &["cache", "push", "--json"]).exits(0);
    let report = said.json();
    let pushed = report["pushed"].as_array().unwrap();
    assert!(pushed.iter().all(|p| p["result"] == "new"), "{report}");
    assert_eq!(pushed.len(), count);
    (nginx, world)
}

#[test]
fn what_was_put_is_got_and_not_put_again() {
    let (nginx, mut world) = filled(3);
    assert_eq!(nginx.files("ac").len(), 3);
    // A blob and the record that the entry names.
    assert_eq!(nginx.files("cas").len(), 6);
    let puts = || nginx.log().matches("\"PUT ").count();
    let before = puts();
    let project = world.sandbox.path("project-a");
    let said = world.run(&project, &["cache", "push", "--json"]).exits(0);
    assert_eq!(said.json()["pushed"][0]["result"], "present");
    assert_eq!(puts(), before);
    world.remote(&nginx.open(), false);
    world.all_come("b");
    assert_eq!(puts(), before);
}

/// The part of the Remote Execution API's `ActionResult` that is used, written
/// from its public definition.
const ACTION_RESULT: &str = r#"
syntax = "proto3";
message Digest { string hash = 1; int64 size_bytes = 2; }
message OutputFile { string path = 1; Digest digest = 2; bool is_executable = 4; }
message ActionResult { repeated OutputFile output_files = 2; int32 exit_code = 4; }
"#;

#[test]
fn an_entry_is_an_action_result_to_the_compiler_of_the_format() {
    let (nginx, _world) = filled(1);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("action.proto"), ACTION_RESULT).unwrap();
    let [entry] = &nginx.files("ac")[..] else {
        panic!("one entry")
    };
    let output = Command::new(program("SYSROOT_TEST_PROTOC"))
        .current_dir(dir.path())
        .args(["--decode=ActionResult", "action.proto"])
        .stdin(fs::File::open(entry).unwrap())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{err}");
    // It names exactly the blobs that are there; what it does not know would
    // be shown by number.
    let mut expected = String::new();
    for path in ["record.json", "tree.tar.zst"] {
        let is_it = |file: &&PathBuf| {
            let is_record = fs::read(file).unwrap().starts_with(b"{");
            is_record == (path == "record.json")
        };
        let files = nginx.files("cas");
        let file = files.iter().find(is_it).unwrap();
        let hash = file.file_name().unwrap().to_str().unwrap();
        let size = fs::metadata(file).unwrap().len();
        write!(
            expected,
            "output_files {{\n  path: \"{path}\"\n  digest {{\n    hash: \"{hash}\"\n    \
             size_bytes: {size}\n  }}\n}}\n"
        )
        .unwrap();
    }
    assert_eq!(out, expected);
}

#[test]
fn a_target_that_is_not_there_is_a_miss_without_a_warning() {
    let nginx = Nginx::start();
    let mut world = World::new(2);
    world.signing_key();
    world.remote(&nginx.open(), false);
    let project = world.machine("a");
    let said = world.run(&project, &["sync"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    assert_eq!(world.compiler.built().len(), 2);
    assert!(nginx.log().contains("\" 404 "));
}

#[test]
fn case_125_a_blob_that_was_overwritten_is_not_used() {
    let (nginx, mut world) = filled(1);
    for file in nginx.files("cas") {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    world.remote(&nginx.open(), false);
    let project = world.machine("b");
    let said = world.run(&project, &["sync"]).exits(0);
    assert!(said.err.contains("warning"), "{}", said.err);
    assert_eq!(world.compiler.built().len(), 2, "it is built instead");
}

#[test]
fn case_127_a_record_whose_blobs_are_gone_is_a_miss() {
    let (nginx, mut world) = filled(1);
    for file in nginx.files("cas") {
        fs::remove_file(file).unwrap();
    }
    world.remote(&nginx.open(), false);
    let project = world.machine("b");
    world.run(&project, &["sync"]).exits(0);
    assert_eq!(world.compiler.built().len(), 2);
    // A push brings back what is gone.
    world.remote(&nginx.open(), true);
    world.run(&project, &["cache", "push"]).exits(0);
    world.remote(&nginx.open(), false);
    world.all_come("c");
}

#[test]
fn case_134_a_server_that_takes_nothing_is_read_and_says_so_to_writers() {
    let (nginx, mut world) = filled(1);
    world.remote(&nginx.read_only(), false);
    world.all_come("b");
    for file in nginx.files("ac") {
        fs::remove_file(file).unwrap();
    }
    // The first machine pushes: it compiled the target, and the second one has
    // only its lock's word for it.
    let project = world.sandbox.path("project-a");
    let cache = world.sandbox.path("cache-a");
    world
        .sandbox
        .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    world.remote(&nginx.read_only(), true);
    let said = world.run(&project, &["cache", "push"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("405"), "{}", said.err);
    assert!(nginx.files("ac").is_empty());
}

#[test]
fn case_134_writing_needs_the_password_and_reading_does_not() {
    let (nginx, mut world) = filled(1);
    for kind in ["ac", "cas"] {
        for file in nginx.files(kind) {
            fs::remove_file(file).unwrap();
        }
    }
    let project = world.sandbox.path("project-a");
    world.remote(&nginx.guarded(), true);
    let refused = world.run(&project, &["cache", "push"]);
    assert_ne!(refused.code, 0);
    let host = nginx.guarded().replace("http://", "");
    let token = format!("{host}=ci:s3cr3t");
    world.sandbox.set("SYSROOT_REMOTE_TOKEN", &token);
    let said = world.run(&project, &["cache", "push", "-v"]).exits(0);
    assert!(!format!("{}{}", said.out, said.err).contains("s3cr3t"));
    world.sandbox.env.remove("SYSROOT_REMOTE_TOKEN");
    world.remote(&nginx.guarded(), false);
    world.all_come("b");
}

#[test]
fn shards_build_each_target_once_where_nothing_is_written_on_condition() {
    let nginx = Nginx::start();
    let mut world = World::new(12);
    let key = world.signing_key();
    world.remote(&nginx.open(), true);
    let children: Vec<_> = (1..=3)
        .map(|shard| {
            let project = world.machine(&shard.to_string());
            let shard = format!("{shard}/3");
            let arguments = ["cache", "warm", "--shard", &shard, "--sign", &key];
            world.sandbox.command(&project, &arguments).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut built = world.compiler.built();
    built.sort();
    assert_eq!(built, world.targets);
    world.remote(&nginx.open(), false);
    world.all_come("reader");
}
