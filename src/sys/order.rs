//! The order in which locks are taken, so that no two processes wait for each
//! other in a circle. This is the whole of it; [`Rank`] has the reasons.
//!
//! Builds with assertions, or with the feature `fault-injection`, check at each
//! lock that the thread holds none of the same or a later rank, and panic if it
//! does: so every test of the suite is a test of the order, too.
//!
//! Not part of it are locks that nobody ever waits for: those of staging
//! directories and of files that are being replaced.

#[cfg(any(debug_assertions, feature = "fault-injection"))]
pub use checked::{Held, enter};
#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
pub use unchecked::{Held, enter};

/// A kind of lock; earlier ones are taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `locks/use`, shared. Once a process has it, it may be taken again at any
    /// time: a collector tries and never waits with it, so a second one in the
    /// same process is had at once.
    Use,
    /// `.sysroot/.lock` of a project.
    Output,
    /// `locks/formats-…` or `locks/recipe-…`: what to make. A thread makes one
    /// thing at a time.
    Work,
    /// `locks/component-…`: the download of one archive, which two different
    /// pieces of work may need.
    Archive,
    /// `locks/tree-…` and `locks/differs-…`: a tree is moved away. Short, and
    /// nothing else is waited for meanwhile.
    Move,
}

#[cfg(any(debug_assertions, feature = "fault-injection"))]
mod checked {
    use std::sync::{Mutex, PoisonError};
    use std::thread::ThreadId;

    use super::Rank;

    /// What is held, by the thread that took it.
    static HELD: Mutex<Vec<(ThreadId, Rank)>> = Mutex::new(Vec::new());

    /// A lock that is held, or waited for.
    #[derive(Debug)]
    pub struct Held(ThreadId, Rank);

    /// Notes that this thread is going to wait for a lock.
    ///
    /// # Panics
    ///
    /// If the thread holds a lock of the same or a later rank.
    #[expect(clippy::panic, reason = "a wrong order is a defect of this program")]
    pub fn enter(rank: Rank) -> Held {
        let thread = std::thread::current().id();
        let wrong = {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            let is_again = rank == Rank::Use && held.iter().any(|(_, held)| *held == Rank::Use);
            let mine = held.iter().filter(|(holder, _)| *holder == thread);
            let highest = mine.map(|(_, held)| *held).max();
            let wrong = highest.filter(|highest| *highest >= rank && !is_again);
            if wrong.is_none() {
                held.push((thread, rank));
            }
            wrong
        };
        match wrong {
            Some(wrong) => {
                panic!("a lock of rank {rank:?} is taken while one of {wrong:?} is held")
            }
            None => Held(thread, rank),
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = (self.0, self.1);
            if let Some(at) = held.iter().position(|held| *held == entry) {
                held.swap_remove(at);
            }
        }
    }
}

#[cfg(not(any(debug_assertions, feature = "fault-injection")))]
mod unchecked {
    /// A lock that is held, or waited for.
    #[derive(Debug)]
    pub struct Held;

    /// Notes that this thread is going to wait for a lock.
    pub fn enter(_rank: super::Rank) -> Held {
        Held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a thread of its own may take these, in this order.
    fn may(ranks: &'static [Rank]) -> bool {
        let taken = move || ranks.iter().map(|rank| enter(*rank)).collect::<Vec<_>>();
        std::thread::spawn(move || drop(taken())).join().is_ok()
    }

    #[test]
    fn case_113_locks_are_taken_in_one_order_and_never_twice() {
        use Rank::{Archive, Move, Output, Use, Work};
        assert!(may(&[Use, Output, Move]));
        assert!(may(&[Use, Work, Archive, Use]));
        for wrong in [
            &[Archive, Work][..],
            &[Work, Output],
            &[Move, Work],
            &[Work, Work],
            &[Output, Output],
            &[Move, Move],
        ] {
            assert!(!may(wrong), "{wrong:?}");
        }
        // What was given back is not held any more.
        assert!(may(&[Work]) && may(&[Work]));
    }
}
