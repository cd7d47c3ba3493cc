//! Ages as people write them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// An age in whole seconds, written as `90d`, `12h`, `30m` or `45s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Age(u64);

/// Not an age.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an age: expected a number with d, h, m or s, such as 90d", .0.escape_debug())]
pub struct AgeError(String);

const DAY: u64 = 24 * 60 * 60;

impl Age {
    /// So many days.
    pub const fn days(days: u32) -> Self {
        Self(days as u64 * DAY)
    }

    /// The age in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AgeError(text.to_owned());
        let unit = match text.chars().last() {
            Some('d') => DAY,
            Some('h') => 60 * 60,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(error()),
        };
        let digits = text.get(..text.len() - 1).unwrap_or_default();
        if !digits.chars().all(|c| c.is_ascii_digit()) {
            return Err(error());
        }
        let number: u64 = digits.parse().map_err(|_| error())?;
        number.checked_mul(unit).map(Self).ok_or_else(error)
    }
}

impl TryFrom<String> for Age {
    type Error = AgeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(DAY, 'd'), (60 * 60, 'h'), (60, 'm')];
        let unit = units
            .into_iter()
            .find(|(unit, _)| self.0.is_multiple_of(*unit));
        let (unit, letter) = unit.unwrap_or((1, 's'));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_others_refused() {
        for (text, seconds) in [("90d", 90 * DAY), ("12h", 43_200), ("0s", 0), ("5m", 300)] {
            assert_eq!(text.parse(), Ok(Age(seconds)), "{text}");
            let again: Age = Age(seconds).to_string().parse().unwrap();
            assert_eq!(again, Age(seconds), "{text}");
        }
        for text in [
            "",
            "d",
            "-1d",
            "1.5d",
            "+1d",
            "1",
            "1w",
            "é",
            "99999999999999999d",
        ] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
