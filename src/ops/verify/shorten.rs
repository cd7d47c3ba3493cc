//! Messages without the machine's paths: the same bytes give the same answer
//! wherever they stand.

use std::borrow::Cow;
use std::path::Path;

use super::finding::{Finding, Problem};
use crate::ops::Context;
use crate::ops::project::ProjectFiles;

/// What the cache is called in messages.
const CACHE: &str = "<cache>";

/// Takes the checkout's and the cache's path out of messages.
pub(in crate::ops) struct Shorten {
    /// The project's directory as it was named, and as it is.
    dirs: [String; 2],
    cache: String,
}

impl Shorten {
    pub(in crate::ops) fn new(cx: &Context<'_>, files: &ProjectFiles) -> Self {
        let real = std::fs::canonicalize(&files.dir).unwrap_or_default();
        let text = |path: &Path| path.display().to_string();
        Self {
            dirs: [text(&files.dir), text(&real)],
            cache: text(&cx.settings.cache),
        }
    }

    /// The finding with short messages.
    pub(in crate::ops) fn finding(&self, finding: Finding) -> Finding {
        match finding {
            Finding::Good(_) => finding,
            Finding::NotJudged(text) => Finding::NotJudged(self.text(&text)),
            Finding::Bad(class, problems) => {
                let problems = problems.into_iter().map(|problem| Problem {
                    message: self.text(&problem.message),
                    hint: problem.hint.map(|hint| self.text(&hint)),
                    ..problem
                });
                Finding::Bad(class, problems.collect())
            }
        }
    }

    fn text(&self, text: &str) -> String {
        // The cache may lie in the project, so it goes first.
        let mut short = replace(text, &self.cache, Some(CACHE)).into_owned();
        for dir in &self.dirs {
            short = replace(&short, dir, None).into_owned();
        }
        short
    }
}

/// Replaces a directory's path where it stands as a whole, and not where it is
/// the beginning or the end of another one's; without a name it is taken away,
/// with the slash behind it.
fn replace<'t>(text: &'t str, dir: &str, name: Option<&str>) -> Cow<'t, str> {
    let dir = dir.trim_end_matches('/');
    if dir.is_empty() || !text.contains(dir) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(dir) {
        out.push_str(before);
        let begins = !out.ends_with(|c: char| is_of_name(c) || c == '/');
        match (begins && ends(after), name) {
            (false, _) => out.push_str(dir),
            (true, Some(name)) => out.push_str(name),
            // The directory itself stays, as `.`.
            (true, None) if !after.starts_with('/') => out.push('.'),
            (true, None) => {
                rest = after.strip_prefix('/').unwrap_or(after);
                continue;
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a path's last name ends before this text.
fn ends(after: &str) -> bool {
    let mut next = after.chars();
    match next.next() {
        // A full stop, or the beginning of an extension.
        Some('.') => !next.next().is_some_and(is_of_name),
        next => !next.is_some_and(is_of_name),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str) -> String {
        let shorten = Shorten {
            dirs: ["/w/p".to_owned(), "/real/p".to_owned()],
            cache: "/w/p/c".to_owned(),
        };
        shorten.text(text)
    }

    #[test]
    fn paths_are_replaced_as_wholes_only() {
        for (text, want) in [
            (
                "cannot read `/w/p/c/v1/trees`",
                "cannot read `<cache>/v1/trees`",
            ),
            ("cannot read `/w/p/c`: no", "cannot read `<cache>`: no"),
            ("it is in /w/p/c.", "it is in <cache>."),
            ("/w/p/sysroot.lock and /real/p/a", "sysroot.lock and a"),
            ("in /w/p, and /w/p", "in ., and ."),
            // Neighbours of either, and paths that end like them.
            ("/w/p/c2/x /w/p/c.old /w/p/c-d", "c2/x c.old c-d"),
            ("/w/pp/x /w/p2 /w/p.bak/c", "/w/pp/x /w/p2 /w/p.bak/c"),
            ("/other/w/p/x /tmp/w/p/c", "/other/w/p/x /tmp/w/p/c"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(short(text), want, "{text}");
        }
        // An empty path is everywhere, and the root is in every path.
        assert_eq!(replace("/a b", "", Some(CACHE)), "/a b");
        assert_eq!(replace("/a b", "/", Some(CACHE)), "/a b");
    }
}
