//! Downloads that wait for a worker, and builds that wait for downloads.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::OpsError;
use super::failures::FailedTargets;
use crate::events::{Count, Event, Observer, Overall};
use crate::fetch::{Fault, FetchError};
use crate::plan::{Fetch, Plan, UnitSource};
use crate::types::{ComponentId, Triple};

/// The downloads of one run.
pub(super) struct Queue<'a> {
    plan: &'a Plan,
    tally: &'a Tally<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: VecDeque<Fetch>,
    /// Downloads that builds wait for and that are not done yet.
    inputs_left: usize,
    /// Why downloads failed, in the order in which they did.
    failed: Vec<Failure>,
    /// How much of the rest is hopeless.
    lost: Lost,
}

struct Failure {
    id: ComponentId,
    lost: Lost,
    error: OpsError,
}

/// How far the failure of a download reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    /// To what needs this archive.
    Archive,
    /// To all archives that are not here yet.
    Downloads,
    /// To the whole run.
    Everything,
}

impl<'a> Queue<'a> {
    pub(super) fn new(plan: &'a Plan, tally: &'a Tally<'a>) -> Self {
        let inputs_left = plan.fetch.iter().filter(|fetch| fetch.for_build).count();
        let state = State {
            waiting: plan.fetch.iter().cloned().collect(),
            inputs_left,
            failed: Vec::new(),
            lost: Lost::Archive,
        };
        Self {
            plan,
            tally,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement, also in a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next download, unless there is no hope for it.
    pub(super) fn next(&self) -> Option<Turn<'_, 'a>> {
        let mut state = self.lock();
        if state.lost > Lost::Archive {
            return None;
        }
        let fetch = state.waiting.pop_front()?;
        Some(Turn {
            queue: self,
            fetch,
            ended: false,
        })
    }

    /// Waits until builds can start; `false` if they never can.
    pub(super) fn wait_for_inputs(&self) -> bool {
        let hopeless = |state: &State| {
            state.lost == Lost::Everything
                || state
                    .failed
                    .iter()
                    .any(|failure| self.is_input(&failure.id))
                || state.lost == Lost::Downloads && state.waiting.iter().any(|f| f.for_build)
        };
        let wait = |state: &mut State| state.inputs_left > 0 && !hopeless(state);
        let state = self.changed.wait_while(self.lock(), wait);
        !hopeless(&state.unwrap_or_else(PoisonError::into_inner))
    }

    fn is_input(&self, id: &ComponentId) -> bool {
        let mut fetches = self.plan.fetch.iter();
        fetches.any(|fetch| fetch.for_build && fetch.id == *id)
    }

    /// How far this failure reaches.
    fn reach(&self, id: &ComponentId, error: &OpsError) -> Lost {
        let of_toolchain = self.plan.units.iter().any(|unit| {
            let of_host = unit
                .target
                .as_ref()
                .is_none_or(|target| *target == self.plan.host);
            of_host && matches!(&unit.source, UnitSource::Component(c) if c == id)
        });
        if of_toolchain {
            // There is no output without it.
            return Lost::Everything;
        }
        match error {
            OpsError::Archive { .. } => Lost::Archive,
            OpsError::Fetch(error) => match error {
                FetchError::Gone { .. }
                | FetchError::TooLarge { .. }
                | FetchError::Mismatch { .. }
                | FetchError::Transfer {
                    source: Fault::Status { .. } | Fault::Redirect { .. } | Fault::Encoding(_),
                    ..
                } => Lost::Archive,
                // The server is out of reach; to find that again for each
                // archive takes minutes.
                FetchError::Transfer { .. } | FetchError::Offline { .. } => Lost::Downloads,
                _ => Lost::Everything,
            },
            _ => Lost::Everything,
        }
    }

    /// The failed downloads and what fails with them, once all workers ended;
    /// an error if that is everything. The first of the failures that reach
    /// farthest is the error; `tell` is given the others.
    pub(super) fn failures(
        self,
        tell: &dyn Fn(&OpsError),
    ) -> Result<Option<FailedTargets>, OpsError> {
        let state = self.state.into_inner();
        let State {
            waiting,
            mut failed,
            ..
        } = state.unwrap_or_else(PoisonError::into_inner);
        let Some(lost) = failed.iter().map(|failure| failure.lost).max() else {
            return Ok(None);
        };
        let mut missing: BTreeSet<ComponentId> = failed.iter().map(|f| f.id.clone()).collect();
        missing.extend(waiting.into_iter().map(|fetch| fetch.id));
        let worst = failed.iter().position(|failure| failure.lost == lost);
        let error = failed.remove(worst.unwrap_or(0)).error;
        for failure in &failed {
            tell(&failure.error);
        }
        match without(self.plan, &missing) {
            Some(targets) if lost < Lost::Everything => Ok(Some(FailedTargets { targets, error })),
            _ => Err(error),
        }
    }
}

/// The targets that there cannot be without these archives; `None` if there
/// can be no output at all.
fn without(plan: &Plan, missing: &BTreeSet<ComponentId>) -> Option<BTreeSet<Triple>> {
    let mut targets = BTreeSet::new();
    for unit in &plan.units {
        if matches!(&unit.source, UnitSource::Component(id) if missing.contains(id)) {
            let target = unit.target.clone().filter(|target| *target != plan.host);
            targets.insert(target?);
        }
    }
    let inputs = plan.fetch.iter().filter(|fetch| fetch.for_build);
    if inputs.into_iter().any(|fetch| missing.contains(&fetch.id)) {
        targets.extend(plan.build.iter().map(|build| build.target.clone()));
    }
    Some(targets)
}

/// A download under way. Everything is lost unless told otherwise: a panic
/// must not leave the builds waiting for it.
pub(super) struct Turn<'q, 'a> {
    queue: &'q Queue<'a>,
    fetch: Fetch,
    ended: bool,
}

impl Turn<'_, '_> {
    /// What to download.
    pub(super) fn id(&self) -> &ComponentId {
        &self.fetch.id
    }

    /// Ends the turn; with the error if it failed.
    pub(super) fn end(mut self, error: Option<OpsError>) {
        let id = self.fetch.id.clone();
        if let Some(error) = error {
            let lost = self.queue.reach(&id, &error);
            let mut state = self.queue.lock();
            state.lost = state.lost.max(lost);
            state.failed.push(Failure { id, lost, error });
        }
        self.ended = true;
    }
}

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        if !self.ended {
            state.lost = Lost::Everything;
        }
        state.inputs_left -= usize::from(self.fetch.for_build);
        drop(state);
        self.queue.changed.notify_all();
        self.queue.tally.downloaded();
    }
}

/// How far all of the work is, told whenever that changes.
pub(super) struct Tally<'a> {
    observer: &'a dyn Observer,
    overall: Mutex<Overall>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(observer: &'a dyn Observer, plan: &Plan) -> Self {
        let count = |total| Count { done: 0, total };
        let overall = Overall {
            downloads: count(plan.fetch.len()),
            builds: count(plan.build.len()),
        };
        // One piece of work shows itself how far it is.
        if plan.fetch.len() + plan.build.len() > 1 {
            observer.event(Event::Overall(Some(overall)));
        }
        let overall = Mutex::new(overall);
        Self { observer, overall }
    }

    fn downloaded(&self) {
        self.change(|overall| overall.downloads.done += 1);
    }

    pub(super) fn built(&self) {
        self.change(|overall| overall.builds.done += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Overall)) {
        // The numbers are consistent after every statement.
        let mut overall = self.overall.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut overall);
        if overall.downloads.total + overall.builds.total > 1 {
            self.observer.event(Event::Overall(Some(*overall)));
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.observer.event(Event::Overall(None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;
    use crate::plan::component_id;

    #[test]
    fn a_panic_in_a_download_does_not_leave_the_builds_waiting() {
        let plan = Plan {
            host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            fetch: vec![Fetch {
                id: component_id("rust-src", None).unwrap(),
                for_build: true,
            }],
            build: Vec::new(),
            units: Vec::new(),
        };
        let tally = Tally::new(&Silent, &plan);
        let queue = Queue::new(&plan, &tally);
        let panicked = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _turn = queue.next();
                panic!("as a worker might");
            });
            worker.join().is_err()
        });
        assert!(panicked);
        assert!(!queue.wait_for_inputs());
        assert!(queue.next().is_none());
    }
}
