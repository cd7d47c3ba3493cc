//! What a check found, and where: values that every format is made from.

use std::path::PathBuf;

use crate::document::{Fault, Spot, escape_controls};
use crate::lock::{Difference, LockError};
use crate::manifest::ManifestError;
use crate::ops::OpsError;
use crate::types::{Class, Diagnostic as _};

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What: the name of one of [`CHECKS`](super::CHECKS).
    pub check: &'static str,
    /// The verdict.
    pub finding: Finding,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as it shall be; how much was looked at.
    Good(String),
    /// It is not; the class of the worst problem, and all of them.
    Bad(Class, Vec<Problem>),
    /// It could not be judged, which is no verdict against it.
    NotJudged(String),
}

/// One thing that is not as it shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, one line, without the place and without the path of the
    /// checkout, so that it is the same on every machine.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Where: first the place to show it at, then others that belong to it.
    pub places: Vec<Place>,
    /// The message over the quoted line, where a text is malformed.
    pub excerpt: Option<String>,
    /// Both values, where manifest and lock differ.
    pub difference: Option<Difference>,
}

/// A place in one of the project's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line and column; the first ones for the file as a whole.
    pub spot: Spot,
}

impl Place {
    /// A file as a whole.
    pub fn whole(file: impl Into<PathBuf>) -> Self {
        let spot = Spot { line: 1, column: 1 };
        let file = file.into();
        Self { file, spot }
    }
}

impl<T: Into<String>> From<T> for Problem {
    fn from(message: T) -> Self {
        Self {
            message: escape_controls(&message.into()),
            ..Self::default()
        }
    }
}

impl Problem {
    /// The same problem, shown at these places.
    #[must_use]
    pub fn at(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.places = places.into_iter().collect();
        self
    }

    /// What an error says, with its causes and its way out.
    pub fn of_error(error: &OpsError, mut places: Vec<Place>) -> Self {
        let mut message = error.to_string();
        if let Some(fault) = fault_of(error) {
            fault.message().clone_into(&mut message);
            if let Some(place) = places.first_mut() {
                place.spot = Spot {
                    line: fault.line(),
                    column: fault.column(),
                };
            }
        }
        let mut cause = std::error::Error::source(error);
        while let Some(e) = cause {
            message = format!("{message}: {e}");
            cause = e.source();
        }
        Self {
            message: escape_controls(&message.replace('\n', ", ")),
            hint: error.hint(),
            places,
            excerpt: error.excerpt(),
            difference: None,
        }
    }
}

/// The place in a text that an error points at.
fn fault_of(error: &OpsError) -> Option<&Fault> {
    match error {
        OpsError::Manifest(ManifestError::Invalid(fault))
        | OpsError::Lock(LockError::Conflict(fault) | LockError::Malformed(fault)) => Some(fault),
        _ => None,
    }
}

impl Finding {
    /// A "no" of problems that are all of one class.
    pub fn bad(class: Class, problems: impl IntoIterator<Item = impl Into<Problem>>) -> Self {
        Self::Bad(class, problems.into_iter().map(Into::into).collect())
    }

    /// A verdict that is an error.
    pub fn of_error(error: &OpsError, places: Vec<Place>) -> Self {
        Self::Bad(error.class(), vec![Problem::of_error(error, places)])
    }
}
