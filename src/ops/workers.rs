//! The same work for many items, by a few threads.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What became of an item at its turn.
pub(super) enum Turn<R> {
    Done(R),
    /// Somebody else is at it: it has another turn when all others had theirs.
    Later,
}

/// Does the work for each item, in at most `workers` threads, of which the
/// caller's is one. Results come in the order of the items.
///
/// `work` is told whether it is the item's last turn, which must not put it
/// off again. Where the system gives no more threads, fewer do all the work.
/// A panic of `work` goes on in the caller's thread once the others are done.
pub(super) fn each<T, R>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T, bool) -> Turn<R> + Sync,
) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let waiting: VecDeque<(usize, bool)> = (0..items.len()).map(|n| (n, false)).collect();
    let waiting = Mutex::new(waiting);
    let results: Mutex<Vec<(usize, R)>> = Mutex::default();
    let run = || {
        loop {
            let Some((n, last)) = lock(&waiting).pop_front() else {
                return;
            };
            match items.get(n).map(|item| work(item, last)) {
                Some(Turn::Done(result)) => lock(&results).push((n, result)),
                Some(Turn::Later) => lock(&waiting).push_back((n, true)),
                None => {}
            }
        }
    };
    std::thread::scope(|scope| {
        let mut helpers = Vec::new();
        for _ in 1..workers.min(items.len()) {
            match std::thread::Builder::new().spawn_scoped(scope, run) {
                Ok(helper) => helpers.push(helper),
                Err(_) => break,
            }
        }
        run();
        for helper in helpers {
            // The scope's own panic would not tell what happened.
            if let Err(panic) = helper.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call that cannot be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn four_thousand_items_take_no_more_threads_than_asked_for() {
        let items: Vec<usize> = (0..4096).collect();
        let threads = Mutex::new(BTreeSet::new());
        let results = each(&items, 3, |n, _| {
            let id = format!("{:?}", std::thread::current().id());
            threads.lock().unwrap().insert(id);
            Turn::Done(n * 2)
        });
        assert_eq!(results, (0..4096).map(|n| n * 2).collect::<Vec<_>>());
        assert!((1..=3).contains(&threads.into_inner().unwrap().len()));
    }

    #[test]
    fn workers_run_at_once() {
        let (running, most) = (Mutex::new(0), Mutex::new(0));
        each(&[0; 8], 4, |_, _| {
            let now = {
                let mut running = running.lock().unwrap();
                *running += 1;
                *running
            };
            let mut most = most.lock().unwrap();
            *most = now.max(*most);
            drop(most);
            std::thread::sleep(Duration::from_millis(20));
            *running.lock().unwrap() -= 1;
            Turn::Done(())
        });
        assert!((2..=4).contains(&*most.lock().unwrap()));
    }

    #[test]
    fn a_panic_of_any_thread_says_what_happened() {
        let caller = std::thread::current().id();
        let (both, waiting) = (std::sync::Barrier::new(2), [0; 2]);
        for own in [true, false] {
            let result = std::panic::catch_unwind(|| {
                each(&waiting, 2, |_, _| {
                    both.wait();
                    assert!(own != (std::thread::current().id() == caller), "the reason");
                    Turn::Done(())
                })
            });
            let panic = result.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"the reason"), "{own}");
        }
    }

    #[test]
    fn what_others_are_at_comes_last() {
        let order = Mutex::new(Vec::new());
        let results = each(&["busy", "b", "c"], 1, |name, last| {
            order.lock().unwrap().push((*name, last));
            if *name == "busy" && !last {
                return Turn::Later;
            }
            Turn::Done(*name)
        });
        assert_eq!(results, ["busy", "b", "c"]);
        let order = order.into_inner().unwrap();
        let first = [("busy", false), ("b", false), ("c", false)];
        assert_eq!(order, [&first[..], &[("busy", true)]].concat());
    }
}
