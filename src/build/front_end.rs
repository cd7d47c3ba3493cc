//! More threads for the compiler's front end, for `core` alone.
//!
//! Three quarters of a compilation of `core` are front end, and serial unless
//! it is told otherwise. A crate that reads other crates' metadata gets other
//! bytes depending on which thread was faster (seen with `alloc`, see
//! rust-lang/rust#129094). `core` reads none, and is what takes the time, so
//! the flag is for `core` alone. Cargo's flags are for all crates; therefore
//! it starts the compiler through a script, and never sees the flag.

use std::path::{Path, PathBuf};

use crate::sys::fs;

/// Writes what cargo shall start instead of the compiler, which it names as
/// the first argument; `--crate-name` comes next, except when it only asks.
pub(super) fn write_wrapper(dir: &Path, threads: usize) -> fs::Result<PathBuf> {
    let path = dir.join("front-end");
    let text = format!(
        "#!/bin/sh\n\
         if [ \"$2 $3\" = '--crate-name core' ]; then\n\
         \texec \"$@\" -Zthreads={threads}\n\
         fi\n\
         exec \"$@\"\n"
    );
    let mut file = fs::create_read_only(&path, true)?;
    fs::write_all(&mut file, &path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn only_core_gets_threads() {
        let dir = tempfile::tempdir().unwrap();
        let wrapper = write_wrapper(dir.path(), 3).unwrap();
        let said = |arguments: &[&str]| {
            // By the shell: a child of another test may still have the file
            // open for writing, which keeps it from being started itself.
            let mut command = process::isolated(Path::new("/bin/sh"));
            command.arg(&wrapper).arg("/bin/echo").args(arguments);
            let output = command.output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(
            said(&["--crate-name", "core", "a b"]),
            "--crate-name core a b -Zthreads=3\n"
        );
        for other in ["alloc", "core2", "build_script_build"] {
            assert!(!said(&["--crate-name", other]).contains("threads"));
        }
        assert_eq!(said(&["-vV"]), "-vV\n");
    }
}
