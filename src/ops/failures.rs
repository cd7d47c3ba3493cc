//! Failed builds: each one told, and one error of them all.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Context, OpsError};
use crate::build::BuildError;
use crate::events::Event;
use crate::plan::Build;
use crate::types::{Diagnostic, TreeDigest, Triple};

/// Failed builds. Each is told as soon as it happens, but for the first one,
/// which becomes the error of them all.
pub(super) struct Failures<'a> {
    cx: &'a Context<'a>,
    first: Mutex<Option<Triple>>,
}

/// What became of several builds.
pub(super) struct Outcome {
    pub(super) done: Vec<(Build, TreeDigest)>,
    pub(super) failed: Option<FailedTargets>,
}

impl Outcome {
    /// The same with failed downloads, whose error comes before the builds'.
    pub(super) fn with(mut self, downloads: Option<FailedTargets>) -> Self {
        if let Some(mut downloads) = downloads {
            let builds = self.failed.take();
            downloads
                .targets
                .extend(builds.into_iter().flat_map(|builds| builds.targets));
            self.failed = Some(downloads);
        }
        self
    }

    /// The trees of all; a failed build is an error.
    pub(super) fn all(self) -> Result<Vec<(Build, TreeDigest)>, OpsError> {
        match self.failed {
            None => Ok(self.done),
            Some(failed) => Err(failed.error),
        }
    }
}

/// Targets that could not be fetched or compiled, with one error of them all.
pub(super) struct FailedTargets {
    pub(super) targets: BTreeSet<Triple>,
    pub(super) error: OpsError,
}

impl<'a> Failures<'a> {
    pub(super) fn new(cx: &'a Context<'a>) -> Self {
        let first = Mutex::default();
        Self { cx, first }
    }

    fn first(&self) -> MutexGuard<'_, Option<Triple>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, build: &Build, result: &Result<TreeDigest, OpsError>) {
        let Err(OpsError::Build(e)) = result else {
            return;
        };
        let mut first = self.first();
        if first.is_none() {
            *first = Some(build.target.clone());
        } else if self.cx.cancel.get().is_none() {
            self.cx.observer.event(Event::Warning(whole(e)));
        }
    }

    /// The trees, and the failed builds. An error that is no compiler's comes
    /// before all else, and hides no failed build: the one that was kept back
    /// is told then.
    pub(super) fn sum_up(
        &self,
        results: Vec<(Build, Result<TreeDigest, OpsError>)>,
    ) -> Result<Outcome, OpsError> {
        let mut done = Vec::new();
        let mut failed: Vec<(Triple, Box<BuildError>)> = Vec::new();
        let mut other = None;
        for (build, result) in results {
            match result {
                Ok(tree) => done.push((build, tree)),
                Err(OpsError::Build(e)) => failed.push((build.target, Box::new(e))),
                Err(e) if other.is_none() => other = Some(e),
                Err(e) => self.cx.observer.event(Event::Warning(whole(&e))),
            }
        }
        let targets: Vec<Triple> = failed.iter().map(|(target, _)| target.clone()).collect();
        let first = self.first().clone();
        let mut kept = (failed.into_iter()).filter(|(target, _)| first.as_ref() == Some(target));
        match (other, kept.next()) {
            (None, kept) => {
                let failed = kept.map(|(_, first)| FailedTargets {
                    targets: targets.iter().cloned().collect(),
                    error: match targets.len() {
                        1 => (*first).into(),
                        _ => OpsError::Builds { targets, first },
                    },
                });
                Ok(Outcome { done, failed })
            }
            (Some(e), kept) => {
                if let Some((_, first)) = kept {
                    self.cx.observer.event(Event::Warning(whole(&*first)));
                }
                Err(e)
            }
        }
    }
}

/// An error with its causes and where to read on, in one text.
pub(super) fn whole(error: &impl Diagnostic) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let _ = write!(text, "\n  because: {e}");
        cause = e.source();
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\n  {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::events::{Cancel, Observer};
    use crate::ops::Settings;
    use crate::types::RecipeKey;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn event(&self, event: Event) {
            if let Event::Warning(text) = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }

    fn settings() -> Settings {
        Settings {
            config: crate::config::Config::default(),
            cache: PathBuf::new(),
            dist_servers: Vec::new(),
            offline: true,
            jobs: 1,
            link_mode: crate::materialize::LinkMode::Copy,
            host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            rustc: None,
            search_path: Vec::new(),
            remotes: crate::remote::RemoteSettings::default(),
            proxy: crate::fetch::Proxies::default(),
            today: "2026-05-20".parse().unwrap(),
            now: 0,
        }
    }

    fn failed(target: &str) -> (Build, Result<TreeDigest, OpsError>) {
        let build = Build {
            target: target.parse().unwrap(),
            key: RecipeKey::from_bytes([0; 32]),
            pin: None,
            reason: crate::plan::BuildReason::NotStored,
        };
        let e = BuildError::Incomplete {
            target: build.target.clone(),
            missing: "core".to_owned(),
            log: PathBuf::from(format!("{target}.log")),
        };
        (build, Err(e.into()))
    }

    /// What is told, and the error, when these fail in this order.
    fn outcome(results: Vec<(Build, Result<TreeDigest, OpsError>)>) -> (Vec<String>, OpsError) {
        let (heard, cancel, settings) = (Heard::default(), Cancel::default(), settings());
        let cx = Context {
            settings: &settings,
            observer: &heard,
            cancel: &cancel,
        };
        let failures = Failures::new(&cx);
        for (build, result) in &results {
            failures.tell(build, result);
        }
        let error = match failures.sum_up(results) {
            Ok(built) => built.failed.unwrap().error,
            Err(e) => e,
        };
        (heard.0.into_inner().unwrap(), error)
    }

    #[test]
    fn every_failed_build_is_told_with_its_log() {
        let (told, error) = outcome(vec![failed("b-none"), failed("a-none")]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("`a-none`") && told[0].contains("a-none.log"));
        let text = crate::types::Diagnostic::hint(&error).unwrap();
        assert!(text.contains("b-none.log"), "{text}");
    }

    #[test]
    fn another_error_hides_no_failed_build() {
        let (build, _) = failed("c-none");
        let other = OpsError::Offline {
            what: "c".to_owned(),
        };
        let (told, error) = outcome(vec![(build, Err(other)), failed("b-none")]);
        assert!(matches!(error, OpsError::Offline { .. }));
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("b-none.log"));
    }
}
