//! A system toolchain whose compiler answers like the real one and compiles
//! nothing: each library is an archive with one object of eight bytes of code.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::dist::Release;
use crate::support::pack::Package;
use crate::support::sandbox::Sandbox;
use crate::support::sources::{Identity, debian_source};

/// The toolchain's directory; the file `drift` in it makes the compiler give
/// another `core` each time.
pub(crate) struct Fake {
    dir: PathBuf,
}

/// A shell script in the place of rustc; `DIR` is replaced.
const RUSTC: &str = r#"#!/bin/sh
case "$*" in
    '--print sysroot') echo DIR; exit;;
    *-vV*|*--print*|*build_script_build*) exec /usr/bin/rustc "$@";;
esac
last=; name=; out=; extra=
for word; do
    case "$last" in --crate-name) name=$word;; --out-dir) out=$word;; esac
    case "$word" in extra-filename=*) extra=${word#extra-filename=};; esac
    last=$word
done
echo "$name $* " >> DIR/compiled
count=0
if [ "$name" = core ] && [ -e DIR/drift ]; then
    count=$(($(cat DIR/drift) + 1))
    echo $count > DIR/drift
fi
lib="$out/lib$name$extra"
{ cat DIR/before; printf '%08d' "$count"; cat DIR/after; } > "$lib.rlib"
printf 'rust' > "$lib.rmeta"
echo "$lib.rlib:" > "$out/$name$extra.d"
"#;

/// An archive with an object, up to its code, and what comes after that.
fn archive() -> (Vec<u8>, Vec<u8>) {
    let names = b"\0.text\0.shstrtab\0";
    let mut object = b"\x7fELF\x02\x01\x01".to_vec();
    object.resize(64, 0);
    // 64 bytes of header, 8 of code, the names, and three sections' headers.
    let table = 64 + 8 + names.len() as u64;
    object[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    for (at, value) in [(0x3a, 64_u16), (0x3c, 3), (0x3e, 2)] {
        object[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let mut after = names.to_vec();
    for (name, kind, offset, size) in [(0, 0, 0, 0), (1, 1, 64, 8), (7, 3, 72, names.len() as u64)]
    {
        let mut header = [0; 64];
        header[0..4].copy_from_slice(&u32::to_le_bytes(name));
        header[4..8].copy_from_slice(&u32::to_le_bytes(kind));
        header[0x18..0x20].copy_from_slice(&u64::to_le_bytes(offset));
        header[0x20..0x28].copy_from_slice(&u64::to_le_bytes(size));
        after.extend(header);
    }
    let size = object.len() + 8 + after.len();
    let header = format!(
        "{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
        "code.o/", 0, 0, 0, 644
    );
    let before = [b"!<arch>\n", header.as_bytes(), &object].concat();
    if size % 2 == 1 {
        after.push(b'\n');
    }
    (before, after)
}

impl Fake {
    /// Makes the toolchain, and has the sandbox use it.
    pub(crate) fn new(sandbox: &mut Sandbox) -> Self {
        let dir = sandbox.path("fake");
        fs::create_dir_all(dir.join("bin")).unwrap();
        fs::create_dir_all(dir.join("lib/rustlib/src")).unwrap();
        symlink("/usr/bin/cargo", dir.join("bin/cargo")).unwrap();
        symlink(
            "/usr/lib/rustlib/src/rust",
            dir.join("lib/rustlib/src/rust"),
        )
        .unwrap();
        let (before, after) = archive();
        fs::write(dir.join("before"), before).unwrap();
        fs::write(dir.join("after"), after).unwrap();
        let rustc = dir.join("bin/rustc");
        fs::write(&rustc, RUSTC.replace("DIR", dir.to_str().unwrap())).unwrap();
        fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.set("SYSROOT_RUSTC", rustc.to_str().unwrap());
        Self { dir }
    }

    /// From now on each `core` differs from the one before.
    pub(crate) fn drift(&self) {
        fs::write(self.dir.join("drift"), "0").unwrap();
    }

    /// From now on each `core` is like the first one.
    pub(crate) fn settle(&self) {
        fs::remove_file(self.dir.join("drift")).unwrap();
    }

    /// How many crates of this name were compiled so far.
    pub(crate) fn compiled(&self, name: &str) -> usize {
        self.commands(name).len()
    }

    /// The command lines that compiled a crate.
    pub(crate) fn commands(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("compiled")).unwrap_or_default();
        let prefix = format!("{name} ");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        lines.map(str::to_owned).collect()
    }

    /// A nightly whose compiler this is, with the machine's cargo and sources.
    pub(crate) fn release(&self, date: &str) -> Release {
        let compiler = Identity::of(Path::new("/usr/bin/rustc")).unwrap();
        let host = Some(&*compiler.host);
        let package = |name: &str, target: Option<&str>| {
            Package::new(name, target).version(&compiler.version, &compiler.commit)
        };
        let rustc = fs::read(self.dir.join("bin/rustc")).unwrap();
        let cargo = b"#!/bin/sh\nexec /usr/bin/cargo \"$@\"\n";
        let std = |target: &str| {
            let path = format!("lib/rustlib/{target}/lib/libcore-0.rlib");
            package("rust-std", Some(target)).bytes(&path, target.as_bytes(), false)
        };
        Release::nightly(date).packages(vec![
            package("rustc", host).bytes("bin/rustc", &rustc, true),
            package("cargo", host).bytes("bin/cargo", cargo, true),
            package("clippy-preview", host).bytes("bin/clippy-driver", b"clippy", true),
            debian_source(package("rust-src", None)).unwrap(),
            std(&compiler.host),
            std("riscv32imac-unknown-none-elf"),
        ])
    }
}

/// A manifest for the system's toolchain with these targets compiled.
pub(crate) fn manifest(targets: &[&str]) -> String {
    let head = "[toolchain]\nchannel = \"system\"\n[defaults]\nstrategy = \"build\"\ncrates = [\"core\"]\n";
    let tables = targets.iter().map(|target| format!("[targets.{target}]\n"));
    tables.fold(head.to_owned(), |text, table| text + &table)
}

/// The pins of a lock file, in its order.
pub(crate) fn pins(project: &Path) -> Vec<String> {
    let text = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("pin = "));
    lines.map(|pin| pin.trim_matches('"').to_owned()).collect()
}
