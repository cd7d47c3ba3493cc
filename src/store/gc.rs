//! What goes and why. Pure: a survey, the time and limits to a plan.

use std::collections::BTreeSet;

use super::survey::{Leftover, LeftoverKind, Survey, SurveyedTree};
use super::usage::EPOCH_OF_TRUST;
use super::{Gone, Root, RootState};
use crate::types::TreeDigest;

const DAY: u64 = 24 * 60 * 60;

/// What may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Seconds that a tree stays that no project uses.
    pub max_age: u64,
    /// Bytes that all trees together may have. What projects use stays, also
    /// if that alone is more.
    pub max_size: Option<u64>,
    /// The most files to remove in one go: automatic runs must be short.
    pub max_files: Option<u64>,
    /// Exactly these trees go, whatever uses them, and nothing else.
    pub asked: Option<BTreeSet<TreeDigest>>,
}

/// Why a tree goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No project uses it, and nothing has for so many seconds.
    Unused(u64),
    /// No project uses it, and the trees take more than they may.
    OverSize,
    /// It has no listing, so it cannot be used.
    Unusable,
    /// Somebody asked for it.
    Asked,
}

/// A tree that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// The tree.
    pub tree: SurveyedTree,
    /// Why.
    pub reason: Reason,
}

/// What a collection is going to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcPlan {
    /// Projects that are gone, and so no longer keep anything.
    pub roots: Vec<(Root, Gone)>,
    /// Trees that go, in this order.
    pub trees: Vec<Doomed>,
    /// Other things that go.
    pub leftovers: Vec<Leftover>,
    /// Trees whose age counts from now on: their last use is not known, lies in
    /// the future, or was by a project that is gone now.
    pub touch: Vec<TreeDigest>,
    /// Number of trees that stay.
    pub kept: usize,
    /// Their size, in bytes.
    pub kept_bytes: u64,
    /// The part of it that projects use, in bytes.
    pub used_bytes: u64,
    /// Trees were left for the next run because of [`Limits::max_files`].
    pub unfinished: bool,
    /// Projects whose state could not be told, with the reason; they keep what
    /// they use.
    pub unknown: Vec<(Root, String)>,
}

impl GcPlan {
    /// Decides what goes; `now` is in seconds since 1970.
    pub fn new(survey: &Survey, now: u64, limits: &Limits) -> Self {
        let mut plan = Self::default();
        let (in_use, just_freed) = plan.judge_roots(survey);
        let clock_is_right = now >= EPOCH_OF_TRUST;
        let mut unused = Vec::new();
        for tree in &survey.trees {
            let is_asked = limits.asked.as_ref().map(|all| all.contains(&tree.tree));
            if is_asked == Some(true) {
                let (tree, reason) = (tree.clone(), Reason::Asked);
                plan.trees.push(Doomed { tree, reason });
                continue;
            }
            if in_use.contains(&tree.tree) {
                plan.keep(tree);
                plan.used_bytes += tree.bytes;
                continue;
            }
            if is_asked.is_some() {
                plan.keep(tree);
                continue;
            }
            let known = tree.used.filter(|used| *used <= now + DAY);
            let known = known.filter(|_| !just_freed.contains(&tree.tree));
            if known.is_none() && clock_is_right {
                plan.touch.push(tree.tree);
            }
            let age = match known {
                Some(used) if clock_is_right => now.saturating_sub(used),
                _ => 0,
            };
            unused.push((age, tree));
        }
        if limits.asked.is_some() {
            // Nothing else was asked for.
            plan.roots.clear();
            plan.unknown.clear();
            return plan;
        }
        // The oldest first; of equally old ones the largest.
        unused.sort_by_key(|(age, tree)| {
            let reverse = std::cmp::Reverse((*age, tree.bytes));
            (tree.usable, reverse, tree.tree)
        });
        plan.take_unused(&unused, limits);
        let doomed: BTreeSet<TreeDigest> = plan.trees.iter().map(|d| d.tree.tree).collect();
        plan.touch.retain(|tree| !doomed.contains(tree));
        let goes = |leftover: &&Leftover| leftover_goes(leftover, now, clock_is_right);
        plan.leftovers = survey.leftovers.iter().filter(goes).cloned().collect();
        plan
    }

    /// Sorts the projects; the trees that some project uses, and those that
    /// projects used that are gone.
    fn judge_roots(&mut self, survey: &Survey) -> (BTreeSet<TreeDigest>, BTreeSet<TreeDigest>) {
        let (mut in_use, mut just_freed) = (BTreeSet::new(), BTreeSet::new());
        for one in &survey.roots {
            let trees = one.root.trees.iter().copied();
            match &one.state {
                RootState::There => in_use.extend(trees),
                RootState::Unknown(why) => {
                    in_use.extend(trees);
                    self.unknown.push((one.root.clone(), why.clone()));
                }
                RootState::Gone(gone) => {
                    just_freed.extend(trees);
                    self.roots.push((one.root.clone(), *gone));
                }
            }
        }
        (in_use, just_freed)
    }

    fn take_unused(&mut self, unused: &[(u64, &SurveyedTree)], limits: &Limits) {
        let mut total: u64 = self.kept_bytes + unused.iter().map(|(_, t)| t.bytes).sum::<u64>();
        let mut files = 0;
        for &(age, tree) in unused {
            let reason = if !tree.usable {
                Some(Reason::Unusable)
            } else if age >= limits.max_age {
                Some(Reason::Unused(age))
            } else if limits.max_size.is_some_and(|max| total > max) {
                Some(Reason::OverSize)
            } else {
                None
            };
            let Some(reason) = reason else {
                self.keep(tree);
                continue;
            };
            // One tree goes in any case, so that runs get to an end.
            let is_too_much = limits.max_files.is_some_and(|max| files + tree.files > max);
            if is_too_much && !self.trees.is_empty() {
                self.unfinished = true;
                self.keep(tree);
                continue;
            }
            files += tree.files;
            total -= tree.bytes;
            self.trees.push(Doomed {
                tree: tree.clone(),
                reason,
            });
        }
    }

    fn keep(&mut self, tree: &SurveyedTree) {
        self.kept += 1;
        self.kept_bytes += tree.bytes;
    }

    /// Bytes that go with the trees and the leftovers.
    pub fn freed_bytes(&self) -> u64 {
        let trees: u64 = self.trees.iter().map(|doomed| doomed.tree.bytes).sum();
        let leftovers: u64 = self.leftovers.iter().map(|leftover| leftover.bytes).sum();
        trees + leftovers
    }

    /// Whether nothing at all goes.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.trees.is_empty() && self.leftovers.is_empty()
    }
}

/// How long a leftover of a kind stays, in seconds.
fn stays(kind: LeftoverKind) -> u64 {
    match kind {
        LeftoverKind::Staging | LeftoverKind::Dangling => 0,
        LeftoverKind::Temporary | LeftoverKind::Lock => DAY,
        LeftoverKind::Partial => 7 * DAY,
        LeftoverKind::Quarantine | LeftoverKind::Log | LeftoverKind::Damaged => 30 * DAY,
        // Small, and without it nothing can be locked anew offline.
        LeftoverKind::Manifest => 365 * DAY,
    }
}

fn leftover_goes(leftover: &Leftover, now: u64, clock_is_right: bool) -> bool {
    let stays = stays(leftover.kind);
    if stays == 0 {
        return true;
    }
    // Nothing was changed in the future: such a time says nothing, and nobody
    // has use for a leftover while the collector is alone.
    let is_absurd = leftover.modified > now + DAY;
    clock_is_right && (is_absurd || now.saturating_sub(leftover.modified) >= stays)
}

#[cfg(test)]
mod tests {
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
}
