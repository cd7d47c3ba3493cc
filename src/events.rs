//! What the pipeline tells its caller while it works, and how the caller
//! stops it.
//!
//! The library prints nothing: workers send [`Event`]s, and the command line
//! decides how they look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::types::{Class, Diagnostic};

/// Something worth showing while work goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// A piece of work began. `task` is unique among the ones under way.
    Started {
        /// Names the task, such as `rust-std-thumbv7em-none-eabihf`.
        task: String,
        /// What is done to it.
        stage: Stage,
        /// Total in bytes, where known.
        total: Option<u64>,
    },
    /// The size of a piece of work became known, or it begins anew.
    Sized {
        /// The task of [`Event::Started`].
        task: String,
        /// Bytes that are done already.
        have: u64,
        /// All bytes, where known.
        total: Option<u64>,
    },
    /// Bytes done since the last such event.
    Progress {
        /// The task of [`Event::Started`].
        task: String,
        /// Bytes.
        bytes: u64,
    },
    /// A piece of work ended well.
    Finished {
        /// The task of [`Event::Started`].
        task: String,
        /// What was done.
        stage: Stage,
        /// How long it took.
        elapsed: Duration,
    },
    /// A piece of work ended without a result: it failed, or something else
    /// is done instead.
    Dropped {
        /// The task of [`Event::Started`].
        task: String,
    },
    /// How far all of the work is; `None` once it has ended.
    Overall(Option<Overall>),
    /// Another process does the same work; we wait for it.
    Waiting {
        /// The task of [`Event::Started`].
        task: String,
        /// Who has it, as far as known: `process 4711, compiling`.
        holder: String,
    },
    /// Something the user should know although the work goes on.
    Warning(String),
}

/// How far all of the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overall {
    /// Archives to fetch and unpack.
    pub downloads: Count,
    /// Targets to compile.
    pub builds: Count,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Ended, well or not.
    pub done: usize,
    /// All of them.
    pub total: usize,
}

/// What is done to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The channel manifest is fetched and resolved.
    Resolve,
    /// Other channel manifests are looked into.
    Search,
    /// An archive is downloaded.
    Download,
    /// A tree is looked for on remotes, and pulled.
    Pull,
    /// A tree is compressed and sent to a remote, if the remote lacks it.
    Push,
    /// An archive is unpacked into the store.
    Unpack,
    /// A target is compiled.
    Build,
    /// Trees are linked into the output.
    Link,
}

/// Receives events, from any thread.
pub trait Observer: Sync {
    /// Takes one event; must not block for long.
    fn event(&self, event: Event);
}

/// A piece of work that is shown. Unless it is finished it counts as dropped,
/// whichever way its scope is left.
pub struct Task<'a> {
    observer: &'a dyn Observer,
    name: String,
    stage: Stage,
    finished: bool,
}

impl<'a> Task<'a> {
    /// Tells that it began; `total` is in bytes, where known.
    pub fn start(
        observer: &'a dyn Observer,
        name: String,
        stage: Stage,
        total: Option<u64>,
    ) -> Self {
        observer.event(Event::Started {
            task: name.clone(),
            stage,
            total,
        });
        Self {
            observer,
            name,
            stage,
            finished: false,
        }
    }

    /// Tells its size, in bytes.
    pub fn sized(&self, have: u64, total: Option<u64>) {
        let task = self.name.clone();
        self.observer.event(Event::Sized { task, have, total });
    }

    /// Tells that so many bytes were done.
    pub fn progress(&self, bytes: u64) {
        let task = self.name.clone();
        self.observer.event(Event::Progress { task, bytes });
    }

    /// Tells that it ended well.
    pub fn finish(mut self, elapsed: Duration) {
        self.finished = true;
        self.observer.event(Event::Finished {
            task: self.name.clone(),
            stage: self.stage,
            elapsed,
        });
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let task = std::mem::take(&mut self.name);
            self.observer.event(Event::Dropped { task });
        }
    }
}

/// Ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event) {}
}

/// Set by a signal handler, looked at by all workers between steps.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

/// The work was stopped by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cancelled {
    /// SIGINT: the user.
    #[error("interrupted")]
    Interrupt,
    /// SIGTERM or SIGHUP: somebody else.
    #[error("terminated")]
    Terminate,
}

impl Diagnostic for Cancelled {
    fn class(&self) -> Class {
        match self {
            Self::Interrupt => Class::Interrupted,
            Self::Terminate => Class::Terminated,
        }
    }
}

impl Cancel {
    /// Asks all workers to stop.
    pub fn set(&self, why: Cancelled) {
        let code = match why {
            Cancelled::Interrupt => 1,
            Cancelled::Terminate => 2,
        };
        // The first reason stays.
        let _ = self
            .0
            .compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Why to stop, if so.
    pub fn get(&self) -> Option<Cancelled> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Cancelled::Interrupt),
            _ => Some(Cancelled::Terminate),
        }
    }

    /// An error once somebody asked to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        self.get().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<&'static str>>);

    impl Observer for Heard {
        fn event(&self, event: Event) {
            self.0.lock().unwrap().push(match event {
                Event::Started { .. } => "started",
                Event::Finished { .. } => "finished",
                Event::Dropped { .. } => "dropped",
                _ => "other",
            });
        }
    }

    #[test]
    fn a_task_ends_once_whichever_way_its_scope_is_left() {
        let heard = Heard::default();
        Task::start(&heard, "a".to_owned(), Stage::Build, None).finish(Duration::ZERO);
        drop(Task::start(&heard, "b".to_owned(), Stage::Build, None));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _task = Task::start(&heard, "c".to_owned(), Stage::Build, None);
            panic!("as a worker might");
        }));
        assert!(panicked.is_err());
        let heard = heard.0.into_inner().unwrap();
        let expected = [
            "started", "finished", "started", "dropped", "started", "dropped",
        ];
        assert_eq!(heard, expected);
    }
}
