//! How much time a server may waste in one run, over all its requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A budget of lost time, shared by everything that asks the same server.
///
/// Looks are made by many threads at once. The time of each that was lost adds
/// up; one that is under way counts as lost as long as it runs, except for what
/// its bytes so far are worth. So once a look has waited for what is left, all
/// of them end, and the time in which nothing but lost looks were under way and
/// nothing came is never longer than the limit.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: Duration,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    lost: Duration,
    /// The looks that are under way.
    running: Vec<Running>,
    /// How many looks there were.
    looks: u64,
}

#[derive(Debug)]
struct Running {
    look: u64,
    begun: Instant,
    /// What came so far is worth this much time.
    worth: Duration,
}

impl Running {
    fn lost(&self) -> Duration {
        self.begun.elapsed().saturating_sub(self.worth)
    }
}

/// One look that is under way; it counts as lost unless it says otherwise.
#[derive(Debug)]
pub struct Look<'a> {
    budget: &'a Budget,
    id: u64,
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
        let mut spent = self.spent();
        spent.looks += 1;
        let id = spent.looks;
        spent.running.push(Running {
            look: id,
            begun,
            worth: Duration::ZERO,
        });
        drop(spent);
        Look {
            budget: self,
            id,
            begun,
            useful: Duration::ZERO,
        }
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        let spent = self.spent();
        let running = spent.running.iter().map(Running::lost).max();
        spent.lost + running.unwrap_or_default() >= self.limit
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look<'_> {
    /// Tells what all that came so far is worth: so much of its time does not
    /// count as long as it runs. If it ends without use, all of it does.
    pub fn progress(&self, worth: Duration) {
        let mut spent = self.budget.spent();
        if let Some(own) = spent.running.iter_mut().find(|r| r.look == self.id) {
            own.worth = worth;
        }
    }

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
        spent.running.retain(|running| running.look != self.id);
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
        // Long enough that the second look loses far less on any machine.
        let limit = Duration::from_secs(1);
        let budget = Budget::new(limit);
        let first = budget.begin();
        std::thread::sleep(limit);
        let second = budget.begin();
        assert!(budget.is_spent());
        drop(second);
        first.was_useful(HOUR);
        assert!(!budget.is_spent());
    }

    #[test]
    fn case_131_bytes_that_come_keep_a_look_under_way_from_spending() {
        let limit = Duration::from_millis(20);
        let budget = Budget::new(limit);
        let good = budget.begin();
        good.progress(HOUR);
        std::thread::sleep(limit);
        assert!(!budget.is_spent());
        // They speak for their own look only.
        let bad = budget.begin();
        std::thread::sleep(limit);
        assert!(budget.is_spent());
        good.was_useful(HOUR);
        drop(bad);
        assert!(budget.is_spent());
    }

    #[test]
    fn case_131_a_look_whose_bytes_were_of_no_use_is_lost_after_all() {
        let limit = Duration::from_millis(20);
        let budget = Budget::new(limit);
        let look = budget.begin();
        look.progress(HOUR);
        std::thread::sleep(limit);
        drop(look);
        assert!(budget.is_spent());
    }
}
