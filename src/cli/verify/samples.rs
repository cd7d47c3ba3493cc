//! What the formats' tests share.

use std::path::Path;

use super::paths::Paths;
use crate::document::Spot;
use crate::ops::{Finding, Judgement, Place, Problem, VerifyReport};
use crate::types::Class;

/// A project `p` in a repository; neither has to exist.
pub(super) fn paths() -> Paths {
    Paths::new(Path::new("/repo/p"), Path::new("/repo"), None)
}

/// A problem with a message that nothing was escaped in.
pub(super) fn problem(message: &str, file: &str) -> Problem {
    Problem {
        message: message.to_owned(),
        places: vec![Place {
            file: file.into(),
            spot: Spot { line: 3, column: 7 },
        }],
        ..Problem::default()
    }
}

/// A report of one bad check.
pub(super) fn bad(problems: Vec<Problem>) -> VerifyReport {
    VerifyReport {
        judgements: vec![Judgement {
            check: "manifest",
            finding: Finding::Bad(Class::CheckFailed, problems),
        }],
    }
}
