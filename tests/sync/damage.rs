//! Files of a project and of the user, damaged at random: every command ends
//! in one of the stated ways.

use std::fs;

use super::{THUMB, manifest, served};

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's constants for 64 bits.
        self.0 = (self.0.wrapping_mul(6_364_136_223_846_793_005))
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Cuts, flips, repeats or replaces some bytes.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len().max(1));
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {
                    let odd: [&[u8]; 6] =
                        [b"[[", b"\"\"\"", b"\xff\xfe", b"\0", b"[a.b]\n", b"9e999"];
                    let odd = odd[self.below(odd.len())];
                    bytes.splice(at..end, odd.iter().copied()).for_each(drop);
                }
            }
        }
        bytes
    }
}

#[test]
fn p16_damaged_files_end_in_a_stated_way_and_never_in_a_panic() {
    let (mut sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let config = sandbox.path("config.toml");
    fs::write(
        &config,
        "[dist]\nsignature = \"prefer\"\n[cache]\nmax-size = \"1G\"\n",
    )
    .unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    sandbox.run(&project, &["sync"]).exits(0);
    let asked = server.requests().len();
    let mut numbers = Numbers(16);
    let (mut fine, mut refused) = (0, 0);
    let files = [
        project.join("sysroot.toml"),
        project.join("sysroot.lock"),
        project.join(".sysroot/.state"),
        config,
    ];
    for round in 0..50 {
        for file in &files {
            let whole = fs::read(file).unwrap();
            fs::write(file, numbers.damage(&whole)).unwrap();
            let command: &[&str] = [&["verify"][..], &["status"], &["sync", "--check"]][round % 3];
            let said = sandbox.run(&project, command);
            let stated = [0, 1, 2, 5, 6, 9].contains(&said.code);
            let told = said.code == 0 || !format!("{}{}", said.out, said.err).is_empty();
            assert!(
                stated && told && !said.err.contains("panicked"),
                "{command:?}: {said:?}\n{}",
                String::from_utf8_lossy(&fs::read(file).unwrap())
            );
            if said.code == 0 {
                fine += 1;
            } else {
                refused += 1;
            }
            fs::write(file, whole).unwrap();
        }
    }
    assert!(fine > 10 && refused > 50, "{fine} {refused}");
    assert_eq!(server.requests().len(), asked);
}

/// In the main thread, and in one that writes a tree's files.
#[cfg(feature = "fault-injection")]
#[test]
fn p16_a_panic_is_a_bug_with_70_and_the_next_run_goes_on() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    for fault in ["panic:1", "panic%write", "panic%rename to"] {
        sandbox.set("SYSROOT_FAULT", fault);
        let said = sandbox.run(&project, &["sync"]);
        assert_eq!(said.code, 70, "{fault}: {}", said.err);
        let said = said.mentions("error: this is a bug in sysroot: as a test asked for");
        said.mentions("please report it");
        assert!(!project.join(".sysroot/lib").exists(), "{fault}");
    }
    sandbox.env.remove("SYSROOT_FAULT");
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
}
