//! A release whose compiler is made of shell scripts: it "compiles" a target
//! in a moment, counts what it did, and can be told to give another result.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "what the tests do is no business of the tool's file layer, and they may fail"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::dist::{DistTree, Release};
use super::pack::{Package, Packer};

pub(crate) const HOST: &str = "x86_64-unknown-linux-gnu";
pub(crate) const DATE: &str = "2026-05-20";
const COMMIT: &str = "e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a";
const VERSION: &str = "1.97.0-nightly (e50aa6fba 2026-05-19)";

/// What rustc says who it is.
const ANSWER: &str = "printf 'rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\\nbinary: rustc\\n\
commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a\\ncommit-date: 2026-05-19\\n\
host: x86_64-unknown-linux-gnu\\nrelease: 1.97.0-nightly\\nLLVM version: 22.1.0\\n'";
/// Where the library's sources are in a toolchain.
const LIBRARY: &str = "lib/rustlib/src/rust/library";

/// The library's sources, by their paths.
fn library() -> Vec<(&'static str, String)> {
    let manifest = |name: &str| format!("[package]\nname = \"{name}\"\n");
    vec![
        ("Cargo.lock", "version = 4\n".to_owned()),
        ("Cargo.toml", "[workspace]\n".to_owned()),
        ("core/Cargo.toml", manifest("core")),
        ("core/src/lib.rs", "#![no_core]\n".to_owned()),
        ("alloc/Cargo.toml", manifest("alloc")),
        ("std/Cargo.toml", manifest("std")),
        (
            "compiler-builtins/compiler-builtins/Cargo.toml",
            manifest("compiler_builtins"),
        ),
    ]
}

/// What the scripts leave behind, and look for.
pub(crate) struct FakeCompiler {
    dir: PathBuf,
}

impl FakeCompiler {
    /// Writes a dist tree with such a compiler below `dir`, and returns its
    /// root beside the handle. The compiler weighs as much as `ballast`.
    pub(crate) fn write_with(dir: &Path, ballast: &[u8]) -> (Self, PathBuf) {
        let fake = Self {
            dir: dir.join("compiler"),
        };
        fs::create_dir_all(&fake.dir).unwrap();
        let packer = Packer {
            cache: dir.join("packed"),
            level: 1,
        };
        let release = Release::nightly(DATE).packages(fake.packages(ballast));
        let tree = DistTree::builder().release(release);
        let tree = tree.write(&packer, &dir.join("dist-root")).unwrap();
        (fake, tree.root().to_owned())
    }

    /// The targets that were compiled so far, in order.
    pub(crate) fn built(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("built")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// From now on compiled files hold this text, too: another result for the
    /// same recipe.
    pub(crate) fn salt(&self, text: &str) {
        fs::write(self.dir.join("salt"), text).unwrap();
    }

    /// The targets whose compilation began so far, in order.
    pub(crate) fn begun(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("begun")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// From now on the compilation of this target does not end, or goes on.
    pub(crate) fn hold(&self, target: &str, hold: bool) {
        let file = self.dir.join(format!("hold-{target}"));
        if hold {
            fs::write(file, "").unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
    }

    /// From now on this target cannot be compiled.
    pub(crate) fn fail(&self, target: &str) {
        fs::write(self.dir.join(format!("fail-{target}")), "").unwrap();
    }

    /// Writes a toolchain of the machine with such a compiler below `dir`, and
    /// returns its rustc beside the handle.
    pub(crate) fn system(dir: &Path) -> (Self, PathBuf) {
        let fake = Self {
            dir: dir.join("compiler"),
        };
        fs::create_dir_all(&fake.dir).unwrap();
        let root = dir.join("tool");
        let program = |name: &str, text: &str| {
            let path = root.join("bin").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let rustc = format!(
            "#!/bin/sh\ncase \"$*\" in\n*'--print sysroot') echo '{}';;\n\
             *'--print target-list') printf '{HOST}\\nthumbv7em-none-eabihf\\n';;\n*) {ANSWER};;\nesac\n",
            root.display()
        );
        program("cargo", &fake.cargo());
        let rustc = program("rustc", &rustc);
        let std = format!("lib/rustlib/{HOST}/lib/libcore-1.rlib");
        let sources = library().into_iter();
        let sources = sources.map(|(path, text)| (format!("{LIBRARY}/{path}"), text));
        for (path, text) in sources.chain([(std, "core of the host".to_owned())]) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (fake, rustc)
    }

    /// From now on each compilation takes so many seconds, whatever else the
    /// machine does.
    pub(crate) fn pace(&self, seconds: &str) {
        fs::write(self.dir.join("pace"), seconds).unwrap();
    }

    fn packages(&self, ballast: &[u8]) -> Vec<Package> {
        let package =
            |name: &str, target: Option<&str>| Package::new(name, target).version(VERSION, COMMIT);
        let rustc = format!("#!/bin/sh\n{ANSWER}\n");
        let mut sources = package("rust-src", None);
        for (path, text) in library() {
            sources = sources.bytes(&format!("{LIBRARY}/{path}"), text.as_bytes(), false);
        }
        let std = format!("lib/rustlib/{HOST}/lib/libcore-1.rlib");
        vec![
            package("rustc", Some(HOST))
                .bytes("bin/rustc", rustc.as_bytes(), true)
                .bytes("lib/librustc_driver-0.so", ballast, false),
            package("cargo", Some(HOST)).bytes("bin/cargo", self.cargo().as_bytes(), true),
            package("rust-std", Some(HOST)).bytes(&std, b"core of the host", false),
            sources,
        ]
    }

    /// A cargo that writes one small library for each crate.
    fn cargo(&self) -> String {
        let dir = self.dir.display();
        format!(
            r#"#!/bin/sh
case "$1" in
-V) echo 'cargo 1.97.0-nightly (aaaaaaaaa 2026-05-15)'; exit ;;
fetch | -Z) exit ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in --target) target=$2 ;; --target-dir) out=$2 ;; esac
    shift
done
target=${{target##*/}} target=${{target%.json}}
echo "$target" >> '{dir}/begun'
while [ -e '{dir}/hold-'"$target" ]; do sleep 0.05; done
[ -e '{dir}/pace' ] && sleep "$(cat '{dir}/pace')"
[ -e '{dir}/fail-'"$target" ] && {{ echo 'error: as it was told' >&2; exit 101; }}
echo "$target" >> '{dir}/built'
for crate in core alloc compiler_builtins; do
    file="$out/lib$crate-0123456789abcdef.rlib"
    {{
        echo "$crate of $target"
        cat '{dir}/salt' 2>/dev/null
        i=0; while [ $i -lt 400 ]; do echo "$crate $target line $i of the code"; i=$((i + 1)); done
    }} > "$file"
    echo '{{"reason":"compiler-artifact","target":{{"name":"'$crate'","kind":["lib"]}},"filenames":["'$file'"]}}'
done
"#
        )
    }
}

/// A manifest whose targets are all compiled.
pub(crate) fn manifest(targets: &[&str]) -> String {
    let mut text = format!("[toolchain]\nchannel = \"nightly-{DATE}\"\nhosts = [\"{HOST}\"]\n");
    for target in targets {
        text.push_str(&["[targets.", target, "]\nstrategy = \"build\"\n"].concat());
    }
    text
}
