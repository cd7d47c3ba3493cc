//! Every operation of every scenario, with every kind of fault.

use std::fs;

use super::bed::{Bed, Observed};
use super::check;
use super::scenarios::{
    BUILD, DOWNLOAD, EVICT, EXPORT, GC, HARD_LINKS, HEAL, IMPORT, LOCK, NO_EXCHANGE, PULL, PUSH,
    RELINK, REPAIR, SWITCH, Scenario,
};
use crate::support::sandbox::Said;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// The other ways in which a system refuses: ENOMEM, EACCES, EXDEV, ENFILE,
/// EMFILE, EFBIG, EROFS, EDQUOT.
const OTHERS: [i32; 8] = [12, 13, 18, 23, 24, 27, 30, 122];

/// Every scenario with the least number of operations that it has. Each is run
/// with each kind of fault at each of its operations, by the tests below.
const ALL: [(&Scenario, usize); 15] = [
    (&DOWNLOAD, 150),
    (&BUILD, 80),
    (&LOCK, 8),
    (&RELINK, 30),
    (&HEAL, 60),
    (&GC, 12),
    (&EVICT, 12),
    (&PUSH, 12),
    (&EXPORT, 8),
    (&IMPORT, 60),
    (&REPAIR, 8),
    (&SWITCH, 60),
    (&PULL, 30),
    (&HARD_LINKS, 30),
    (&NO_EXCHANGE, 60),
];

/// How many of them, at the end, are others once more on another file system:
/// killed, out of space and with I/O errors like all, else only if
/// `SYSROOT_TEST_ALL` is set.
const VARIANTS: usize = 2;

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
        if self.scenario.switches {
            check::mix_is_told(&self.bed, &self.want, fault);
        }
        check::heals(&self.bed, self.scenario, &self.want, fault);
        said
    }

    fn killed(&self) {
        for label in &self.labels {
            let said = self.strike(&format!("kill@{label}"), |code| matches!(code, -1 | 0));
            assert!(
                said.code == -1 || is_luck(label),
                "{label} is never reached"
            );
        }
    }

    fn refused(&self, errno: i32) {
        for label in &self.labels {
            let said = self.strike(&format!("{errno}@{label}"), |code| matches!(code, 0 | 9));
            // No system says so of a lock; a collector takes it for having none.
            let is_full = errno == ENOSPC && !label.starts_with("lock ");
            if is_full && said.code == 9 && said.err.contains("error:") {
                let hint =
                    said.err.contains("No space left") && said.err.contains("free some space");
                assert!(hint, "{label}: {}", said.err);
            }
        }
    }

    fn refused_otherwise(&self) {
        for errno in OTHERS {
            self.refused(errno);
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

/// Whether an operation that one run has may be missing in the next.
fn is_luck(label: &str) -> bool {
    let is_first = label.ends_with(" #1");
    // How many pieces a download arrives in is the network's business.
    label.contains("/partials/")
        // Two threads may both find a directory missing, or one of them.
        || (label.starts_with("create directory ") && !is_first)
        // How much was copied when one thread found a damaged file, is removed
        // again, and copied a second time.
        || (label.contains("/.stage-") && (label.starts_with("remove ") || !is_first))
}

/// Lets every scenario but the one of a download suffer a kind of fault; that
/// one is the longest, and has tests of its own, which run beside these.
fn others(strike: fn(&Enumerator)) {
    for (scenario, at_least) in &ALL[1..] {
        strike(&Enumerator::new(scenario, *at_least));
    }
}

/// The same without the variants, unless all is asked for.
fn most_others(strike: fn(&Enumerator)) {
    let end = match std::env::var_os("SYSROOT_TEST_ALL") {
        Some(_) => ALL.len(),
        None => ALL.len() - VARIANTS,
    };
    for (scenario, at_least) in &ALL[1..end] {
        strike(&Enumerator::new(scenario, *at_least));
    }
}

fn download() -> Enumerator {
    let (scenario, at_least) = ALL[0];
    Enumerator::new(scenario, at_least)
}

#[test]
fn case_079_killed_before_every_file_operation_of_a_download() {
    download().killed();
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
    Enumerator::new(&REPAIR, 8).killed();
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
fn case_080_killed_before_every_file_operation_of_import() {
    Enumerator::new(&IMPORT, 60).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_linking_by_hard_links() {
    Enumerator::new(&HARD_LINKS, 30).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_a_change_of_the_toolchain() {
    Enumerator::new(&SWITCH, 60).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_a_change_without_the_exchange_call() {
    Enumerator::new(&NO_EXCHANGE, 60).killed();
}

#[test]
fn case_080_killed_before_every_file_operation_of_a_pull() {
    Enumerator::new(&PULL, 30).killed();
}

#[test]
fn case_087_an_io_error_at_every_file_operation_of_a_download() {
    download().refused(EIO);
}

#[test]
fn case_087_an_io_error_at_every_file_operation_of_the_others() {
    others(|scenario| scenario.refused(EIO));
}

#[test]
fn case_088_no_space_at_every_file_operation_of_a_download() {
    download().refused(ENOSPC);
}

#[test]
fn case_088_no_space_at_every_file_operation_of_the_others() {
    others(|scenario| scenario.refused(ENOSPC));
}

#[test]
fn case_088_a_disk_that_stays_full_from_any_operation_of_a_download_on() {
    download().full_from_there_on();
}

#[test]
fn case_088_a_disk_that_stays_full_from_any_operation_on() {
    others(Enumerator::full_from_there_on);
}

#[test]
fn case_090_and_095_other_errors_at_every_file_operation_of_a_download() {
    download().refused_otherwise();
}

#[test]
fn case_090_and_095_other_errors_at_every_file_operation() {
    most_others(Enumerator::refused_otherwise);
}

#[test]
fn case_092_an_interrupted_call_is_repeated() {
    download().interrupted();
    most_others(Enumerator::interrupted);
}

#[test]
fn case_094_writes_that_are_cut_short() {
    download().cut_short();
    most_others(Enumerator::cut_short);
}
