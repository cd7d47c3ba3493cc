//! The channel line of the manifest, and the date in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A calendar day of upstream's archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// The first day with a nightly in the version 2 manifest format.
const FIRST: jiff::civil::Date = jiff::civil::date(2016, 3, 7);

impl Date {
    /// Wraps a calendar date.
    pub const fn new(date: jiff::civil::Date) -> Self {
        Self(date)
    }

    /// The calendar date.
    pub const fn get(self) -> jiff::civil::Date {
        self.0
    }

    /// So many days later, or earlier if negative; `None` before upstream's
    /// first dated release, or past the calendar's end.
    pub fn plus_days(self, days: i32) -> Option<Self> {
        let date = self.0.checked_add(jiff::Span::new().days(days)).ok()?;
        (date >= FIRST).then_some(Self(date))
    }

    /// How many days later `today` is; negative for a date of the future.
    pub fn age_in_days(self, today: Self) -> i64 {
        let span = today.0.since(self.0);
        span.map_or(0, |span| i64::from(span.get_days()))
    }

    /// Whether the date is later than two days after `today`, which no honest
    /// server can serve yet, whatever its time zone.
    pub fn is_far_future(self, today: Self) -> bool {
        today.0.saturating_add(jiff::Span::new().days(2)) < self.0
    }
}

/// Why a text is no channel, release or date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// Not `YYYY-MM-DD`, or no day of the calendar.
    #[error("`{}` is not a date of the form YYYY-MM-DD", .0.escape_debug())]
    Date(String),
    /// Before upstream's first dated nightly in this format.
    #[error("{0} is before the first dated release, {first}", first = FIRST)]
    TooEarly(Date),
    /// A channel without a date moves, so it cannot be locked by name.
    #[error("`{0}` moves every day; name a date, such as `{0}-2026-05-20`")]
    Moving(String),
    /// Nothing known.
    #[error(
        "`{}` is not a channel: expected `nightly-YYYY-MM-DD`, `beta-YYYY-MM-DD`, a release such as \
         `1.96.0`, or `system`", .0.escape_debug()
    )]
    Unknown(String),
}

impl FromStr for Date {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let fail = || ChannelError::Date(text.chars().take(64).collect());
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        if !shape {
            return Err(fail());
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| fail())?;
        if date < FIRST {
            Err(ChannelError::TooEarly(Self(date)))
        } else {
            Ok(Self(date))
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A stable release, such as 1.96.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Release {
    /// The first release so many minor versions earlier, if there was one.
    pub fn minor_before(self, n: u16) -> Option<Self> {
        let minor = self.minor.checked_sub(n)?;
        Some(Self {
            minor,
            patch: 0,
            ..self
        })
    }

    /// The first release so many minor versions later.
    pub fn minor_after(self, n: u16) -> Option<Self> {
        let minor = self.minor.checked_add(n)?;
        Some(Self {
            minor,
            patch: 0,
            ..self
        })
    }
}

impl FromStr for Release {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let fail = || ChannelError::Unknown(text.chars().take(64).collect());
        let number = |part: Option<&str>| -> Option<u16> {
            let part = part?;
            let canonical = part == "0" || !part.starts_with('0');
            (canonical && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let mut parts = text.split('.');
        let release = (
            number(parts.next()),
            number(parts.next()),
            number(parts.next()),
        );
        match (release, parts.next()) {
            ((Some(major), Some(minor), Some(patch)), None) => Ok(Self {
                major,
                minor,
                patch,
            }),
            _ => Err(fail()),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which compiler a project uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `nightly-YYYY-MM-DD`.
    Nightly(Date),
    /// `beta-YYYY-MM-DD`.
    Beta(Date),
    /// A release such as `1.96.0`.
    Stable(Release),
    /// The toolchain that is already on the machine.
    System,
}

impl Channel {
    /// The channel's dated day, where its name has one.
    pub const fn date(self) -> Option<Date> {
        match self {
            Self::Nightly(date) | Self::Beta(date) => Some(date),
            Self::Stable(_) | Self::System => None,
        }
    }

    /// The path of the channel's newest manifest, whatever its date; `None`
    /// for releases and the system's toolchain, which do not move.
    pub const fn moving_path(self) -> Option<&'static str> {
        match self {
            Self::Nightly(_) => Some("dist/channel-rust-nightly.toml"),
            Self::Beta(_) => Some("dist/channel-rust-beta.toml"),
            Self::Stable(_) | Self::System => None,
        }
    }

    /// The channel manifest's path below the dist server's root, which is
    /// also rustup's; `None` for the system's toolchain.
    pub fn manifest_path(self) -> Option<String> {
        match self {
            Self::Nightly(date) => Some(format!("dist/{date}/channel-rust-nightly.toml")),
            Self::Beta(date) => Some(format!("dist/{date}/channel-rust-beta.toml")),
            Self::Stable(release) => Some(format!("dist/channel-rust-{release}.toml")),
            Self::System => None,
        }
    }
}

impl Channel {
    /// Whether a compiler of this version, such as
    /// `1.97.0-nightly (e50aa6fba 2026-05-19)`, is one of the channel: a
    /// release has its own number and nothing behind it, the others say what
    /// they are. The system's may be of any version.
    pub fn has_version(self, version: &str) -> bool {
        let number = version.split(' ').next().unwrap_or_default();
        let (number, kind) = match number.split_once('-') {
            Some((number, kind)) => (number, Some(kind)),
            None => (number, None),
        };
        let Ok(release) = number.parse::<Release>() else {
            return self == Self::System;
        };
        match self {
            Self::Nightly(_) => kind == Some("nightly"),
            Self::Beta(_) => kind.is_some_and(|kind| kind == "beta" || kind.starts_with("beta.")),
            Self::Stable(own) => kind.is_none() && release == own,
            Self::System => true,
        }
    }

    /// What the versions of the channel's compilers look like.
    pub fn version_form(self) -> String {
        match self {
            Self::Nightly(_) => "X.Y.Z-nightly".to_owned(),
            Self::Beta(_) => "X.Y.Z-beta.N".to_owned(),
            Self::Stable(release) => release.to_string(),
            Self::System => "any version".to_owned(),
        }
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        match text {
            "system" => return Ok(Self::System),
            "nightly" | "beta" => return Err(ChannelError::Moving(text.to_owned())),
            _ => {}
        }
        if let Some(date) = text.strip_prefix("nightly-") {
            Ok(Self::Nightly(date.parse()?))
        } else if let Some(date) = text.strip_prefix("beta-") {
            Ok(Self::Beta(date.parse()?))
        } else {
            Ok(Self::Stable(text.parse()?))
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nightly(date) => write!(f, "nightly-{date}"),
            Self::Beta(date) => write!(f, "beta-{date}"),
            Self::Stable(release) => write!(f, "{release}"),
            Self::System => f.write_str("system"),
        }
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Date, Release, Channel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_trip() {
        for text in ["nightly-2026-05-20", "beta-2026-05-20", "1.96.0", "system"] {
            assert_eq!(text.parse::<Channel>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn case_042_a_version_is_of_its_own_channel_only() {
        let stable = "1.96.0 (ac68faa20 2026-05-25)";
        let beta = "1.97.0-beta.3 (0123456789 2026-05-19)";
        let nightly = "1.97.0-nightly (e50aa6fba 2026-05-19)";
        for (channel, own) in [
            ("1.96.0", stable),
            ("beta-2026-05-20", beta),
            ("nightly-2026-05-20", nightly),
        ] {
            let channel: Channel = channel.parse().unwrap();
            for version in [stable, beta, nightly] {
                assert_eq!(channel.has_version(version), version == own, "{version}");
            }
            for bad in [
                "",
                "nightly",
                "1.96",
                "x-nightly",
                "1.96.0x (a b)",
                "1.96.1 (a b)",
            ] {
                assert!(!channel.has_version(bad), "{channel}: {bad:?}");
            }
        }
        let beta: Channel = "beta-2026-05-20".parse().unwrap();
        assert!(beta.has_version("1.97.0-beta (a 2016-05-19)"));
        assert!(!beta.has_version("1.97.0-betamax (a 2016-05-19)"));
    }

    #[test]
    fn case_150_texts_that_name_no_day_are_refused() {
        for bad in [
            "nightly",
            "nightly-2026-02-30",
            "nightly-2012-01-01",
            "nightly-2026-05-20\n",
            "nightly-10000-01-01",
            "nightly-+026-05-20",
            "stable",
            "1.96",
            "01.96.0",
            "",
        ] {
            assert!(bad.parse::<Channel>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn case_046_two_days_ahead_is_the_future() {
        let today: Date = "2026-05-20".parse().unwrap();
        assert!(!"2026-05-22".parse::<Date>().unwrap().is_far_future(today));
        assert!("2026-05-23".parse::<Date>().unwrap().is_far_future(today));
        assert!("9999-12-31".parse::<Date>().unwrap().is_far_future(today));
    }
}
