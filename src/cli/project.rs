//! Which project a command is about.

use super::error::CliError;
use super::{Session, settings};
use crate::ops::{Project, ProjectFiles};

impl Session<'_> {
    /// The files of the project that the flags or the working directory name.
    pub(super) fn files(&self) -> Result<ProjectFiles, CliError> {
        let start = settings::start_directory(self.global)?;
        match &self.global.manifest_path {
            Some(path) => Ok(ProjectFiles::of_manifest(&start.join(path))),
            None => Ok(ProjectFiles::find(&start, settings::sudo_user())?),
        }
    }

    /// The project, its manifest and specs read.
    pub(super) fn project(&self) -> Result<Project, CliError> {
        Ok(self.files()?.load()?)
    }
}
