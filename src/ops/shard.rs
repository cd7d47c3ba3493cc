//! Which part of the work is whose.

use std::fmt;
use std::str::FromStr;

/// One of several machines that share work: `2/8` is the second of eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: usize,
    count: usize,
}

/// Not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a shard: expected I/N with I from 1 to N, and N at most 10000", .0.escape_debug())]
pub struct ShardError(String);

impl Default for Shard {
    /// The only one.
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let error = || ShardError(text.chars().take(80).collect());
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| digits)
        };
        let (index, count) = text.split_once('/').ok_or_else(error)?;
        let (index, count) = number(index).zip(number(count)).ok_or_else(error)?;
        if index == 0 || index > count || count > 10_000 {
            return Err(error());
        }
        let index = index - 1;
        Ok(Self { index, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// The order in which this shard looks at the work: every `count`-th item
    /// is its own and comes first. Then come the others' items, from their
    /// ends and beginning with another neighbour for each shard, so that
    /// helpers meet neither the owner nor each other before they must.
    pub fn order<T: Clone>(&self, items: &[T]) -> Vec<T> {
        let of = |shard: usize| items.iter().skip(shard).step_by(self.count).cloned();
        let mut order: Vec<T> = of(self.index).collect();
        for distance in 1..self.count {
            let mut others: Vec<T> = of((self.index + distance) % self.count).collect();
            others.reverse();
            order.extend(others);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    #[test]
    fn every_shard_sees_everything_and_its_own_first() {
        let items: Vec<usize> = (0..203).collect();
        let mut own = Vec::new();
        for index in 1..=8 {
            let order = shard(&format!("{index}/8")).order(&items);
            let share = if index <= 3 { 26 } else { 25 };
            own.extend_from_slice(&order[..share]);
            let mut all = order;
            all.sort_unstable();
            assert_eq!(all, items);
        }
        // Nothing is of two shards, and nothing of none.
        own.sort_unstable();
        assert_eq!(own, items);
        assert_eq!(Shard::default().order(&items), items);
        assert_eq!(shard("2/2").order(&[1, 2]), [2, 1]);
        // More shards than work: those without any of their own help.
        assert_eq!(shard("3/8").order(&[1, 2]), [1, 2]);
    }

    #[test]
    fn texts_that_are_no_shards_are_refused() {
        assert_eq!(shard("2/8").to_string(), "2/8");
        for bad in [
            "", "1", "0/8", "9/8", "1/0", "+1/2", "1/2/3", "a/b", "1/99999", " 1/2",
        ] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
