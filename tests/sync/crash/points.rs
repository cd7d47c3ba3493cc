//! Every operation of every scenario, with every kind of fault.

use std::fs;

use super::bed::{Bed, Observed};
use super::check;
use super::scenarios::{BUILD, DOWNLOAD, EVICT, EXPORT, GC, HEAL, LOCK, PUSH, RELINK, Scenario};
use crate::support::sandbox::Said;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// The other ways in which a system refuses: ENOMEM, EACCES, EXDEV, ENFILE,
/// EMFILE, EFBIG, EROFS, EDQUOT.
const OTHERS: [i32; 8] = [12, 13, 18, 23, 24, 27, 30, 122];

/// A scenario with its operations, and what it begins and ends with.
struct Enumerator {
    bed: Bed,
    scenario: &'static Scenario,
    labels: Vec<String>,
    before: Observed,
    want: Observed,
}

impl Enumerator {
    /// Runs the scenario once, undisturbed.
    fn new(scenario: &'static Scenario, at_least: usize) -> Self {
        let bed = Bed::new();
        (scenario.prepare)(&bed);
        // Once more, because the first time fills what later ones copy.
        (scenario.prepare)(&bed);
        let before = bed.observe_for(scenario);
        let count = bed.sandbox.path("count");
        let env = [("SYSROOT_FAULT_COUNT", count.to_str().unwrap())];
        bed.play(scenario, &env).exits(0);
        let labels = fs::read_to_string(&count).unwrap();
        let labels: Vec<_> = labels.lines().map(str::to_owned).collect();
        assert!(
            labels.len() >= at_least,
            "{} operations: {labels:#?}",
            labels.len()
        );
        let want = bed.observe_for(scenario);
        assert_ne!(before, want);
        Self {
            bed,
            scenario,
            labels,
            before,
            want,
        }
    }

    /// Runs it with one fault from the same beginning, and checks everything.
    fn strike(&self, fault: &str, may_end: fn(i32) -> bool) -> Said {
        (self.scenario.prepare)(&self.bed);
        let said = self.bed.play(self.scenario, &[("SYSROOT_FAULT", fault)]);
        check::told(&said, fault);
        assert!(may_end(said.code), "{fault}: {} {}", said.code, said.err);
        if said.code == 0 {
            // I8: no success without the goal.
            assert_eq!(self.bed.observe_for(self.scenario), self.want, "{fault}");
        }
        check::store(&self.bed.sandbox, fault);
        check::between(&self.bed, self.scenario, (&self.before, &self.want), fault);
        check::heals(&self.bed, self.scenario, &self.want, fault);
        said
    }

    fn killed(&self) {
        for label in &self.labels {
            let said = self.strike(&format!("kill@{label}"), |code| matches!(code, -1 | 0));
            // How many pieces a download arrives in is the network's business.
            assert!(
                said.code == -1 || label.contains("/partials/"),
                "{label} is never reached"
            );
        }
    }

    fn refused(&self, errno: i32) {
        for label in &self.labels {
            let said = self.strike(&format!("{errno}@{label}"), |code| matches!(code, 0 | 9));
            if errno == ENOSPC && said.code == 9 {
                let hint =
                    said.err.contains("No space left") && said.err.contains("free some space");
                assert!(hint, "{label}: {}", said.err);
            }
        }
    }

    /// Each operation with one of the other errors, or with all if
    /// `SYSROOT_TEST_ALL` is set.
    fn refused_otherwise(&self) {
        let all = std::env::var_os("SYSROOT_TEST_ALL").is_some();
        for (index, label) in self.labels.iter().enumerate() {
            for (nth, errno) in OTHERS.iter().enumerate() {
                if all || index % OTHERS.len() == nth {
                    self.strike(&format!("{errno}@{label}"), |code| matches!(code, 0 | 9));
                }
            }
        }
    }

    /// A disk that is full stays full: everything from each operation on fails.
    fn full_from_there_on(&self) {
        for label in &self.labels {
            self.strike(&format!("{ENOSPC}+{label}"), |code| matches!(code, 0 | 9));
        }
    }

    fn interrupted(&self) {
        for label in &self.labels {
            self.strike(&format!("{EINTR}@{label}"), |code| code == 0);
        }
    }

    /// Half of a write, then death or an error; and a write of nothing.
    fn cut_short(&self) {
        for label in self
            .labels
            .iter()
            .filter(|label| label.starts_with("write "))
        {
            self.strike(&format!("half-kill@{label}"), |code| matches!(code, -1 | 0));
            self.strike(&format!("half-{ENOSPC}@{label}"), |code| {
                matches!(code, 0 | 9)
            });
            self.strike(&format!("zero@{label}"), |code| matches!(code, 0 | 9));
        }
    }
}

#[test]
fn case_079_killed_before_every_file_operation_of_a_download() {
    Enumerator::new(&DOWNLOAD, 150).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_a_build() {
    Enumerator::new(&BUILD, 80).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_lock() {
    Enumerator::new(&LOCK, 8).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_relinking() {
    Enumerator::new(&RELINK, 30).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_healing() {
    Enumerator::new(&HEAL, 60).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_collecting() {
    Enumerator::new(&GC, 12).killed();
    Enumerator::new(&EVICT, 12).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_push() {
    Enumerator::new(&PUSH, 12).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_export() {
    Enumerator::new(&EXPORT, 8).killed();
}

#[test]
fn case_088_no_space_at_every_file_operation_of_push_and_export() {
    Enumerator::new(&PUSH, 12).refused(ENOSPC);
    Enumerator::new(&EXPORT, 8).refused(ENOSPC);
}

#[test]
fn case_087_an_io_error_at_every_file_operation_of_a_download() {
    Enumerator::new(&DOWNLOAD, 150).refused(EIO);
}

#[test]
fn case_087_an_io_error_at_every_file_operation_of_the_others() {
    Enumerator::new(&BUILD, 80).refused(EIO);
    Enumerator::new(&LOCK, 8).refused(EIO);
    Enumerator::new(&RELINK, 30).refused(EIO);
}

#[test]
fn case_088_no_space_at_every_file_operation_of_a_download() {
    Enumerator::new(&DOWNLOAD, 150).refused(ENOSPC);
}

#[test]
fn case_088_no_space_at_every_file_operation_of_the_others() {
    Enumerator::new(&BUILD, 80).refused(ENOSPC);
    Enumerator::new(&LOCK, 8).refused(ENOSPC);
    Enumerator::new(&RELINK, 30).refused(ENOSPC);
}

#[test]
fn case_088_a_disk_that_stays_full_from_any_operation_on() {
    Enumerator::new(&LOCK, 8).full_from_there_on();
    Enumerator::new(&RELINK, 30).full_from_there_on();
}

#[test]
fn case_090_and_095_other_errors_at_every_file_operation() {
    Enumerator::new(&DOWNLOAD, 150).refused_otherwise();
    Enumerator::new(&BUILD, 80).refused_otherwise();
    Enumerator::new(&LOCK, 8).refused_otherwise();
    Enumerator::new(&RELINK, 30).refused_otherwise();
}

#[test]
fn case_092_an_interrupted_call_is_repeated() {
    Enumerator::new(&LOCK, 8).interrupted();
    Enumerator::new(&RELINK, 30).interrupted();
}

#[test]
fn case_094_writes_that_are_cut_short() {
    Enumerator::new(&LOCK, 8).cut_short();
    Enumerator::new(&RELINK, 30).cut_short();
    Enumerator::new(&BUILD, 80).cut_short();
}
