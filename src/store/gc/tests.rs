//! What a plan of the collector takes and leaves.

use super::*;
use crate::store::SurveyedRoot;

const NOW: u64 = EPOCH_OF_TRUST + 1000 * DAY;

fn digest(byte: u8) -> TreeDigest {
    TreeDigest::from_bytes([byte; 32])
}

fn tree(byte: u8, used: Option<u64>) -> SurveyedTree {
    SurveyedTree {
        tree: digest(byte),
        bytes: 100,
        files: 10,
        used,
        usable: true,
        records: Vec::new(),
    }
}

fn root(byte: u8, state: RootState) -> SurveyedRoot {
    let root = Root {
        project: "/p".into(),
        trees: vec![digest(byte)],
        used: 0,
        place: Vec::new(),
        births: Vec::new(),
    };
    SurveyedRoot { root, state }
}

fn limits() -> Limits {
    Limits {
        max_age: 90 * DAY,
        max_size: None,
        max_files: None,
        asked: None,
    }
}

fn doomed(plan: &GcPlan) -> Vec<(u8, Reason)> {
    let one = |d: &Doomed| (d.tree.tree.as_bytes()[0], d.reason);
    plan.trees.iter().map(one).collect()
}

#[test]
fn what_projects_use_stays_and_the_rest_goes_by_age() {
    let old = Some(NOW - 91 * DAY);
    let survey = Survey {
        roots: vec![
            root(1, RootState::There),
            root(2, RootState::Unknown("not mounted".to_owned())),
            root(3, RootState::Gone(Gone::Output)),
        ],
        trees: vec![
            tree(1, old),
            tree(2, old),
            tree(3, old),
            tree(4, old),
            tree(5, Some(NOW - 89 * DAY)),
            tree(6, None),
        ],
        ..Survey::default()
    };
    let plan = GcPlan::new(&survey, NOW, &limits());
    assert_eq!(doomed(&plan), [(4, Reason::Unused(91 * DAY))]);
    // A project's end is a use: its trees are young from now on.
    assert_eq!(plan.touch, [digest(3), digest(6)]);
    assert_eq!(plan.roots.len(), 1);
    assert_eq!((plan.kept, plan.kept_bytes, plan.used_bytes), (5, 500, 200));
}

#[test]
fn case_099_no_jump_of_the_clock_takes_what_is_in_use_or_keeps_garbage_for_ever() {
    for now in [
        0,
        1,
        EPOCH_OF_TRUST - 1,
        NOW - 3650 * DAY,
        NOW,
        4_291_747_200,
    ] {
        let survey = Survey {
            roots: vec![root(1, RootState::There)],
            trees: vec![
                tree(1, Some(0)),
                tree(2, Some(4_291_747_200)),
                tree(3, Some(now)),
            ],
            ..Survey::default()
        };
        let plan = GcPlan::new(&survey, now, &limits());
        assert_eq!(doomed(&plan), [], "at {now}");
        // A use in the future is put right as soon as the clock is.
        let put_right = (EPOCH_OF_TRUST..4_291_747_200 - DAY).contains(&now);
        assert_eq!(plan.touch == [digest(2)], put_right, "at {now}");
    }
}

#[test]
fn over_size_the_least_recently_used_goes_first() {
    let survey = Survey {
        roots: vec![root(1, RootState::There)],
        trees: vec![
            tree(1, Some(0)),
            tree(2, Some(NOW - 5)),
            tree(3, Some(NOW - 9)),
            tree(4, Some(NOW - 7)),
        ],
        ..Survey::default()
    };
    for (max, gone) in [
        (400, vec![]),
        (399, vec![3]),
        (300, vec![3]),
        (200, vec![3, 4]),
        (0, vec![3, 4, 2]),
    ] {
        let limits = Limits {
            max_size: Some(max),
            ..limits()
        };
        let plan = GcPlan::new(&survey, NOW, &limits);
        let want: Vec<_> = gone.into_iter().map(|n| (n, Reason::OverSize)).collect();
        assert_eq!(doomed(&plan), want, "at most {max}");
    }
}

#[test]
fn a_bounded_run_takes_the_oldest_and_says_that_more_is_left() {
    let trees = (1..=5).map(|n| tree(n, Some(NOW - (100 + u64::from(n)) * DAY)));
    let survey = Survey {
        trees: trees.collect(),
        ..Survey::default()
    };
    let limits = Limits {
        max_files: Some(25),
        ..limits()
    };
    let plan = GcPlan::new(&survey, NOW, &limits);
    let gone: Vec<u8> = doomed(&plan).into_iter().map(|(n, _)| n).collect();
    assert_eq!(gone, [5, 4]);
    assert!(plan.unfinished);
    assert_eq!(plan.kept, 3);
}

#[test]
fn leftovers_go_by_the_age_of_their_kind() {
    let leftover = |kind, modified| Leftover {
        kind,
        path: format!("/{kind:?}/{modified}").into(),
        bytes: 1,
        modified,
    };
    let survey = Survey {
        leftovers: vec![
            leftover(LeftoverKind::Staging, NOW),
            leftover(LeftoverKind::Partial, NOW - 6 * DAY),
            leftover(LeftoverKind::Partial, NOW - 7 * DAY),
            leftover(LeftoverKind::Partial, NOW + 30 * DAY),
            leftover(LeftoverKind::Quarantine, NOW - 29 * DAY),
            leftover(LeftoverKind::Log, NOW - 30 * DAY),
        ],
        ..Survey::default()
    };
    let plan = GcPlan::new(&survey, NOW, &limits());
    let gone: Vec<_> = plan
        .leftovers
        .iter()
        .map(|l| (l.kind, l.modified))
        .collect();
    let want = [
        (LeftoverKind::Staging, NOW),
        (LeftoverKind::Partial, NOW - 7 * DAY),
        (LeftoverKind::Partial, NOW + 30 * DAY),
        (LeftoverKind::Log, NOW - 30 * DAY),
    ];
    assert_eq!(gone, want);
    // With a clock that cannot be right only what is sure goes.
    let plan = GcPlan::new(&survey, 5, &limits());
    assert_eq!(plan.leftovers.len(), 1);
}
