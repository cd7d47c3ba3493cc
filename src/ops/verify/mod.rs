//! `verify`: is everything what the lock says? Offline, and read-only.
//!
//! One judgement for each of [`CHECKS`]. None depends on another's verdict: a
//! manifest that cannot be read does not hide a damaged output. Whatever a
//! check cannot do because a file is missing or wrong is "not judged" and told
//! by the check that is about that file.
//!
//! `lock --check` is the first two of them plus, for the system's toolchain,
//! the machine's word; `sync --check` is [`output::compare`].

mod files;
mod finding;
pub(super) mod output;
pub(super) mod shorten;
mod subject;

pub use finding::{Finding, Judgement, Place, Problem};

use self::shorten::Shorten;
use self::subject::Subject;
use super::project::ProjectFiles;
use super::signature::SignatureCheck;
use super::{Context, OpsError};
use crate::types::Class;

/// How thorough to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Read every byte of the output, and of the store's trees it is made of;
    /// an output that is not there is then a "no".
    pub deep: bool,
    /// How to judge the channel manifest's signature.
    pub signature: SignatureCheck,
}

/// One thing that `verify` judges.
pub struct Check {
    /// Its name in every format.
    pub name: &'static str,
    /// What it asks, as a sentence.
    pub asks: &'static str,
    /// What to do about a "no".
    pub remedy: &'static str,
    /// The verdict; `None` leaves it out.
    judge: fn(&Subject<'_>) -> Result<Option<Finding>, OpsError>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Everything that is judged, in the order in which it is told.
pub const CHECKS: &[Check] = &[
    Check {
        name: "lock",
        asks: "The lock is present and well-formed.",
        remedy: "Run `sysroot lock` and commit the file.",
        judge: files::lock,
    },
    Check {
        name: "manifest",
        asks: "The manifest is well-formed, and asks for what the lock answers.",
        remedy: "Run `sysroot lock` and commit the result.",
        judge: files::manifest,
    },
    Check {
        name: "specs",
        asks: "The target specs have the bytes that were locked.",
        remedy: "Run `sysroot lock` and commit the result, or restore the spec.",
        judge: files::specs,
    },
    Check {
        name: "signature",
        asks: "The channel manifest was signed by a trusted key, and holds what is locked.",
        remedy: "Find out who changed the lock before you run `sysroot lock --refresh`.",
        judge: output::signature,
    },
    Check {
        name: "output",
        asks: "The output is complete and equal to the lock.",
        remedy: "Run `sysroot sync`.",
        judge: output::output,
    },
    Check {
        name: "store",
        asks: "The stored trees that the output is made of are undamaged.",
        remedy: "Run `sysroot sync`, which makes damaged trees anew.",
        judge: output::store,
    },
    Check {
        name: "pins",
        asks: "What was compiled is what the lock pins.",
        remedy: "Find out which build is right before you change a pin.",
        judge: output::pins,
    },
    Check {
        name: super::rebuild::CHECK,
        asks: "Compiling again gives what the lock pins.",
        remedy: "Find out which build is right before you run `sysroot lock --repin`.",
        // It starts compilers, so only `super::rebuild` makes it, when asked to.
        judge: |_| Ok(None),
    },
];

/// All verdicts, in the order they were reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The verdicts.
    pub judgements: Vec<Judgement>,
}

impl VerifyReport {
    /// A report of nothing but an error that came before any check.
    pub fn refused(error: &OpsError) -> Self {
        Self {
            judgements: vec![Judgement {
                check: "manifest",
                finding: Finding::of_error(error, Vec::new()),
            }],
        }
    }

    /// The class of the worst verdict; `None` if all is well. It decides the
    /// exit code.
    pub fn worst(&self) -> Option<Class> {
        let classes = self.judgements.iter().filter_map(|j| match &j.finding {
            Finding::Bad(class, _) => Some(*class),
            Finding::Good(_) | Finding::NotJudged(_) => None,
        });
        classes.max_by_key(|class| severity(*class))
    }
}

/// How much a class weighs against another: a plain "no" least, then files
/// that are wrong in themselves, then what could not be read, damaged bytes,
/// and broken trust. The order of the exit codes is not that of the weight.
const fn severity(class: Class) -> u8 {
    match class {
        Class::CheckFailed => 0,
        Class::Build => 1,
        Class::Unresolvable => 2,
        Class::Network => 3,
        Class::Busy => 4,
        Class::Usage => 5,
        Class::FileSystem => 6,
        Class::Integrity => 7,
        Class::Trust => 8,
        Class::Bug => 9,
        Class::Interrupted | Class::Terminated => 10,
    }
}

/// Makes every judgement of [`CHECKS`]. An error is returned only when the
/// user stopped the work; every other one is a verdict.
pub fn verify(
    cx: &Context<'_>,
    files: &ProjectFiles,
    options: VerifyOptions,
) -> Result<VerifyReport, OpsError> {
    let subject = Subject::read(cx, files, options);
    let shorten = Shorten::new(cx, files);
    let mut report = VerifyReport::default();
    for check in CHECKS {
        let finding = match (check.judge)(&subject) {
            Ok(None) => continue,
            Ok(Some(finding)) => finding,
            Err(e @ OpsError::Cancelled(_)) => return Err(e),
            Err(e) => Finding::of_error(&e, subject.place_of_error(&e)),
        };
        report.judgements.push(Judgement {
            check: check.name,
            finding: shorten.finding(finding),
        });
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(classes: &[Class]) -> VerifyReport {
        let bad = |class: &Class| Judgement {
            check: "lock",
            finding: Finding::Bad(*class, Vec::new()),
        };
        VerifyReport {
            judgements: classes.iter().map(bad).collect(),
        }
    }

    #[test]
    fn the_most_severe_verdict_decides() {
        use Class::{CheckFailed, FileSystem, Integrity, Trust, Usage};
        assert_eq!(report(&[]).worst(), None);
        let order = [CheckFailed, Usage, FileSystem, Integrity, Trust];
        for (at, weak) in order.into_iter().enumerate() {
            for strong in order.into_iter().skip(at) {
                assert_eq!(report(&[weak, strong]).worst(), Some(strong));
                assert_eq!(report(&[strong, weak]).worst(), Some(strong));
            }
        }
    }

    #[test]
    fn check_names_are_words_of_their_own() {
        let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
