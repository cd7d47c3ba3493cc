//! How much time a server may waste in one run, over all its requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A budget of lost time, shared by everything that asks the same server.
///
/// Looks are made by many threads at once. The time of each that was lost adds
/// up; one that is under way counts as lost as long as it runs. So once a look
/// has waited for what is left, all of them end, and the time in which nothing
/// but lost looks were under way is never longer than the limit.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: Duration,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    lost: Duration,
    /// When each look that is under way began.
    running: Vec<Instant>,
}

/// One look that is under way; it counts as lost unless it says otherwise.
#[derive(Debug)]
pub struct Look<'a> {
    budget: &'a Budget,
    begun: Instant,
    useful: Duration,
}

impl Budget {
    /// A budget of this much time.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            spent: Arc::default(),
        }
    }

    /// All of it.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Begins a look.
    pub fn begin(&self) -> Look<'_> {
        let begun = Instant::now();
        self.spent().running.push(begun);
        Look {
            budget: self,
            begun,
            useful: Duration::ZERO,
        }
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        let spent = self.spent();
        let oldest = spent.running.iter().min();
        let running = oldest.map_or(Duration::ZERO, Instant::elapsed);
        spent.lost + running >= self.limit
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look<'_> {
    /// Ends a look that brought something: only what it took beyond `fair` is
    /// lost.
    pub fn was_useful(mut self, fair: Duration) {
        self.useful = fair;
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let lost = self.begun.elapsed().saturating_sub(self.useful);
        let mut spent = self.budget.spent();
        spent.lost += lost;
        let at = spent.running.iter().position(|begun| *begun == self.begun);
        if let Some(at) = at {
            spent.running.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn case_131_lost_time_adds_up_and_useful_time_does_not() {
        let budget = Budget::new(Duration::from_millis(30));
        for _ in 0..10 {
            let look = budget.begin();
            std::thread::sleep(Duration::from_millis(10));
            look.was_useful(HOUR);
        }
        assert!(!budget.is_spent());
        for _ in 0..3 {
            let _look = budget.begin();
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(budget.is_spent());
    }

    #[test]
    fn case_131_a_look_that_is_slower_than_fair_loses_the_rest() {
        let budget = Budget::new(Duration::from_millis(20));
        let look = budget.begin();
        std::thread::sleep(Duration::from_millis(25));
        look.was_useful(Duration::from_millis(1));
        assert!(budget.is_spent());
    }

    #[test]
    fn case_131_one_look_under_way_spends_for_all() {
        let budget = Budget::new(Duration::from_millis(20));
        let first = budget.begin();
        std::thread::sleep(Duration::from_millis(25));
        let second = budget.begin();
        assert!(budget.is_spent());
        drop(second);
        first.was_useful(HOUR);
        assert!(!budget.is_spent());
    }
}
