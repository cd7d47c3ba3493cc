//! Real limits instead of injected errors: small file systems, few handles,
//! small files, a disk that cannot be read.

use std::fs;
use std::process::Command;

use super::super::THUMB;
use super::bed::{Bed, DOWNLOADED};
use crate::support::sandbox::{Said, Sandbox, said};

/// A shell with the bed's environment, in the project `p`.
fn shell(bed: &Bed, script: &str) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(bed.dir("p"));
    command.env_clear().envs(&bed.sandbox.env);
    command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"));
    said(&mut command)
}

/// Syncs with `place` being a file system of its own that is too small, then
/// makes it large enough and syncs again.
fn on_a_small_file_system(place: &str, small: &str, large: &str) -> Said {
    let bed = Bed::new();
    bed.locked("p", DOWNLOADED);
    let mount = bed.sandbox.path(place);
    fs::create_dir_all(&mount).unwrap();
    let mount = mount.display();
    let script = format!(
        "mount -t tmpfs -o mode=700,{small} none '{mount}' || exit 99
         cd . # The project itself may be what was mounted over.
         $SYSROOT sync; code=$?
         left=$(ls -A '{mount}/v1/tmp' 2>/dev/null)
         mount -o remount,{large} '{mount}' || exit 99
         [ -z \"$left\" ] || {{ echo \"staging is left: $left\"; exit 98; }}
         $SYSROOT sync || exit 97
         $SYSROOT verify --deep || exit 96
         exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", &script]);
    command.env_clear().envs(&bed.sandbox.env);
    command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"));
    said(command.current_dir(bed.dir("p")))
}

#[test]
fn case_088_a_full_cache_is_told_with_its_file_system_and_heals() {
    let said = on_a_small_file_system("cache", "size=1m", "size=64m").exits(9);
    let said = said
        .mentions("No space left on device")
        .mentions("/cache` has 0 MiB");
    said.mentions(" has 0 MiB left of 1")
        .mentions("free some space");
}

#[test]
fn case_088_a_full_output_is_told_with_its_file_system_and_heals() {
    // An output of ours that is empty, on a file system of its own.
    let said = on_a_small_file_system("p/.sysroot", "size=1m", "size=64m").exits(9);
    said.mentions(" has 0 MiB left of 1")
        .mentions("free some space");
}

#[test]
fn case_089_no_inodes_are_told_apart_from_no_space() {
    let said = on_a_small_file_system("cache", "nr_inodes=40", "nr_inodes=4000").exits(9);
    said.mentions("has no inode left of 40");
}

#[test]
fn case_090_few_file_handles_are_enough_or_told() {
    for handles in [6, 8, 12, 16, 20, 24, 32, 48] {
        let bed = Bed::new();
        bed.locked("p", DOWNLOADED);
        let said = shell(
            &bed,
            &format!("ulimit -n {handles}; exec timeout 60 $SYSROOT sync"),
        );
        let all = format!("{handles}: {}{}", said.out, said.err);
        assert!(!all.contains("panicked"), "{all}");
        // Without a handle for a socket or a program it is theirs to say so.
        assert!(matches!(said.code, 0 | 4 | 7 | 9), "{} {all}", said.code);
        assert!(said.code == 0 || all.contains("error:"), "{all}");
        assert!(handles < 48 || said.code == 0, "{} {all}", said.code);
        bed.run("p", &["sync"], &[]).exits(0);
        bed.run("p", &["verify", "--deep"], &[]).exits(0);
    }
}

#[test]
fn case_091_a_limit_on_the_size_of_files_is_an_error_and_not_a_death() {
    let bed = Bed::new();
    bed.locked("p", DOWNLOADED);
    // In blocks of 512 bytes; the largest file has a little over one MiB.
    let said = shell(&bed, "ulimit -f 1024; exec $SYSROOT sync").exits(9);
    said.mentions("File too large").mentions("ulimit -f");
    bed.run("p", &["sync"], &[]).exits(0);
    bed.run("p", &["verify", "--deep"], &[]).exits(0);
}

#[test]
fn case_093_a_stored_file_that_cannot_be_read_is_no_short_file() {
    let bed = Bed::new();
    bed.locked("p", DOWNLOADED);
    bed.run("p", &["sync"], &[]).exits(0);
    for file in [
        "lib/librustc_driver-0.so".to_owned(),
        format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib"),
    ] {
        let trees = fs::read_dir(bed.sandbox.cache().join("trees")).unwrap();
        let mut paths = trees.map(|tree| tree.unwrap().path().join(&file));
        let path = paths.find(|path| path.exists()).unwrap();
        let script = format!(
            "exec strace -f -qq -o /dev/null -P '{}' \
             -e inject=read,pread64,copy_file_range,sendfile:error=EIO $SYSROOT",
            path.display()
        );
        let said = shell(&bed, &format!("{script} verify --deep"));
        assert!(
            matches!(said.code, 5 | 9),
            "{} {}{}",
            said.code,
            said.out,
            said.err
        );
        super::bed::erase(&bed.dir("p").join(".sysroot"));
        let said = shell(&bed, &format!("{script} sync"));
        said.exits(9).mentions("Input/output error");
        assert!(
            path.exists(),
            "a disk that fails is no reason to throw away"
        );
        bed.run("p", &["sync"], &[]).exits(0);
        bed.run("p", &["verify", "--deep"], &[]).exits(0);
    }
}

#[test]
fn case_096_an_ordinary_user_can_do_it_all() {
    // Root may do what modes forbid, so the tests above prove nothing here.
    let sandbox = Sandbox::in_memory();
    let bed = Bed::within(sandbox);
    bed.locked("p", DOWNLOADED);
    let binary = bed.sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    let script = format!(
        "chmod 755 '{0}' && chown -R 4712 '{0}'/p '{0}'/home && mkdir -m 700 '{0}'/cache && \
         chown 4712 '{0}'/cache && \
         run() {{ setpriv --reuid 4712 --regid 4712 --clear-groups '{0}/sysroot' \"$@\"; }} && \
         run sync && printf x >.sysroot/lib/librustc_driver-0.so.new && \
         run sync && run verify --deep && rm -rf .sysroot && run sync && run verify --deep",
        bed.sandbox.path("").display()
    );
    shell(&bed, &script).exits(0);
}
