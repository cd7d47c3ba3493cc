//! How the formats call the project's files.

use std::path::{Component, Path, PathBuf};

use crate::ops::{Place, Problem};

/// The project's directory and the repository it is in.
pub(super) struct Paths {
    /// As the problems' places have it.
    dir: PathBuf,
    /// From the repository's root to the project.
    below_root: PathBuf,
    has_lock: bool,
}

impl Paths {
    /// `start` is the working directory. The repository's root is GitHub's
    /// workspace if the project is in it, else the working directory if the
    /// project is there or below, else the project's own directory.
    pub(super) fn new(dir: &Path, start: &Path, workspace: Option<&Path>) -> Self {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or(path.to_owned());
        let project = real(dir);
        let below_root = [workspace, Some(start)]
            .into_iter()
            .flatten()
            .find_map(|root| project.strip_prefix(real(root)).ok().map(Path::to_owned));
        Self {
            dir: dir.to_owned(),
            below_root: below_root.unwrap_or_default(),
            has_lock: dir.join("sysroot.lock").exists(),
        }
    }

    /// Where to show a problem that has no place of its own, because viewers
    /// drop what has none: the lock as a whole, or the manifest where that is
    /// what was judged, or all there is.
    pub(super) fn place_of(&self, check: &str, problem: &Problem) -> Place {
        let file = if check == "manifest" || !self.has_lock {
            "sysroot.toml"
        } else {
            "sysroot.lock"
        };
        let first = problem.places.first().cloned();
        first.unwrap_or_else(|| Place::whole(self.dir.join(file)))
    }

    /// A file by its path below the project: the same wherever the project is.
    pub(super) fn in_project(&self, file: &Path) -> String {
        slashes(file.strip_prefix(&self.dir).unwrap_or(file))
    }

    /// A file by its path below the repository's root.
    pub(super) fn in_repository(&self, file: &Path) -> String {
        match file.strip_prefix(&self.dir) {
            Ok(below) => slashes(&self.below_root.join(below)),
            Err(_) => slashes(file),
        }
    }
}

/// A path with `/` between its parts. What is not UTF-8 is replaced: these
/// formats have no other way to say it.
fn slashes(path: &Path) -> String {
    let mut text = String::new();
    for part in path.components() {
        if !text.is_empty() && !text.ends_with('/') {
            text.push('/');
        }
        match part {
            Component::RootDir => text.push('/'),
            other => text.push_str(&other.as_os_str().to_string_lossy()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_from_the_repositorys_root() {
        let file = Path::new("/no/repo/a b/p/sysroot.toml");
        let dir = file.parent().unwrap();
        for (start, workspace, want) in [
            ("/no/repo", None, "a b/p/sysroot.toml"),
            ("/no/repo/a b/p", Some("/no/repo"), "a b/p/sysroot.toml"),
            ("/no/repo/a b/p", None, "sysroot.toml"),
            // Neither is above the project.
            ("/no/repo/a b/p/below", Some("/other"), "sysroot.toml"),
        ] {
            let paths = Paths::new(dir, Path::new(start), workspace.map(Path::new));
            assert_eq!(paths.in_repository(file), want);
            assert_eq!(paths.in_project(file), "sysroot.toml");
        }
        let paths = Paths::new(dir, Path::new("/no/repo"), None);
        assert_eq!(paths.in_repository(Path::new("/x/y")), "/x/y");
    }
}
