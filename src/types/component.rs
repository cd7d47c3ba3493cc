//! Components: upstream's unit of distribution, one archive each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::triple::{Triple, TripleError};

/// A package name of the channel manifest, such as `rust-std`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentName(String);

impl ComponentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ComponentName {
    type Err = TripleError;

    /// Component names obey the same rules as target names.
    fn from_str(name: &str) -> Result<Self, TripleError> {
        name.parse::<Triple>()
            .map(|name| Self(name.as_str().to_owned()))
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ComponentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ComponentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One archive: a package, for one target or (`rust-src`) for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// The package name, after renames: `clippy-preview`, not `clippy`.
    pub name: ComponentName,
    /// The target it is for; `None` stands for the manifest's `*`.
    pub target: Option<Triple>,
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{}-{target}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}
