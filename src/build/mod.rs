//! rust-src to rlibs.
//!
//! ```text
//! Toolchain + rust-src -> workspace (links, stubs, lock) -> cargo, isolated -> messages -> collect
//! ```
//!
//! The result depends on the recipe alone: not on the user's environment or
//! configuration, on directories, or on how many jobs or other builds there
//! are. Nothing is linked for the target, and nothing outlives its builder:
//! every process of a build dies with us. What a recipe means is decided in
//! [`crate::recipe`]; publishing the result is the store's.

mod cargo;
mod cargo_lock;
mod collect;
pub mod error;
mod features;
mod front_end;
pub mod jobs;
mod messages;
mod run;
pub mod source_tree;
pub mod toolchain;
pub mod vendor;
mod workspace;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::events::{Cancel, Observer, Stage, Task};
use crate::recipe::BuildOptions;
use crate::sys::{fs, process};
use crate::types::{CrateSet, Listing, RecipeKey, Triple};

pub(crate) use cargo::PATH as PROGRAM_PATH;
pub use cargo_lock::std_crates;
pub use error::BuildError;
pub use toolchain::{RustcVersion, Toolchain, ToolchainError};

use cargo::{Invocation, Places, Spec};
use features::Selected;
use jobs::{Jobs, NoSlot};
use workspace::Workspace;

/// How a [`Builder`] works; nothing here changes what it builds.
#[derive(Clone, Debug)]
pub struct BuilderOptions {
    /// How many jobs run at once, over all builds; at least 1.
    pub jobs: usize,
    /// How many builds the caller is going to ask for, about; with fewer of
    /// them than jobs, each compiler uses several threads.
    pub builds: usize,
    /// A private directory, for this builder alone.
    pub work_root: PathBuf,
    /// Where each build's log goes, as
    /// `<target>-<first 12 digits of the key>.log`.
    pub log_dir: PathBuf,
    /// Whether cargo may fetch what the sources lack.
    pub offline: bool,
}

/// A custom target.
#[derive(Clone, Copy, Debug)]
pub struct TargetSpec<'a> {
    /// The raw bytes of the JSON, which are what rustc identifies it by.
    pub bytes: &'a [u8],
}

/// One target to build.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// A built-in target, or the file stem of the spec.
    pub target: &'a Triple,
    /// The spec of a custom target.
    pub spec: Option<TargetSpec<'a>>,
    /// How.
    pub options: &'a BuildOptions,
    /// The key of the recipe; it goes into the symbols.
    pub key: RecipeKey,
    /// An existing directory that receives `lib/rustlib/<target>/lib`.
    pub out: &'a Path,
}

/// Builds targets, several at once if asked from several threads.
pub struct Builder<'a> {
    toolchain: Toolchain,
    options: BuilderOptions,
    root: PathBuf,
    places: Places,
    jobs: Jobs,
    /// What cargo starts instead of the compiler, if that is not itself.
    wrapper: Option<PathBuf>,
    workspaces: Mutex<Workspaces>,
    cancel: Cancel,
    observer: &'a dyn Observer,
}

/// How many threads each compiler's front end gets: the jobs shared out among
/// the builds. The jobserver sees to it that they are never more than there are
/// jobs, but threads that only wait still cost time. One where there is no
/// shell to ask for more.
fn threads(options: &BuilderOptions, jobs: &Jobs) -> usize {
    if cfg!(not(unix)) {
        return 1;
    }
    let builds = options.builds.clamp(1, jobs.at_once());
    (jobs.jobs() / builds).clamp(1, 8)
}

/// The workspaces made so far: one with every dependency in place, and one
/// that the network completes.
#[derive(Debug, Default)]
struct Workspaces {
    vendored: Option<std::sync::Arc<Workspace>>,
    fetched: Option<std::sync::Arc<Workspace>>,
}

impl<'a> Builder<'a> {
    /// Prepares the private directories.
    pub fn new(
        toolchain: Toolchain,
        options: BuilderOptions,
        cancel: Cancel,
        observer: &'a dyn Observer,
    ) -> Result<Self, BuildError> {
        refuse_root_configuration(Path::new("/"))?;
        fs::create_private_dir_all(&options.work_root)?;
        fs::create_dir_all(&options.log_dir)?;
        // Cargo and the compiler see resolved paths, and the remapping must
        // name the same ones.
        let root = options.work_root.canonicalize();
        let root = fs::at("resolve", &options.work_root, root)?;
        let places = Places {
            home: root.join("home"),
            tmp: root.join("tmp"),
        };
        fs::create_dir_all(&places.home)?;
        fs::create_dir_all(&places.tmp)?;
        let jobs = Jobs::new(options.jobs, jobs::available_memory())?;
        let threads = threads(&options, &jobs);
        let wrapper = (threads > 1).then(|| front_end::write_wrapper(&root, threads));
        Ok(Self {
            wrapper: wrapper.transpose()?,
            toolchain,
            options,
            root,
            places,
            jobs,
            workspaces: Mutex::default(),
            cancel,
            observer,
        })
    }

    /// The toolchain it builds with.
    pub fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }

    /// How many builds run at once at most; more threads than that only wait.
    pub fn at_once(&self) -> usize {
        self.jobs.at_once()
    }

    /// Builds one target, and lists what it put into [`Job::out`].
    ///
    /// Waits until a job and memory are free. On an error `out` may hold a
    /// part of the files.
    pub fn build(&self, job: &Job<'_>) -> Result<Listing, BuildError> {
        let features = self.features(job)?;
        let workspace = self.workspace(job.options.crates)?;
        let slot = self.jobs.wait(&self.cancel).map_err(|e| match e {
            NoSlot::Cancelled(e) => BuildError::Cancelled(e),
            NoSlot::Jobs(e) => BuildError::Jobs(e),
        })?;
        let start = Instant::now();
        let shown = Task::start(self.observer, job.target.to_string(), Stage::Build, None);
        let listing = self.compile(job, &workspace, &features)?;
        drop(slot);
        shown.finish(start.elapsed());
        Ok(listing)
    }

    fn compile(
        &self,
        job: &Job<'_>,
        workspace: &Workspace,
        features: &[String],
    ) -> Result<Listing, BuildError> {
        let dir = self.root.join("target").join(job.key.to_hex());
        fs::remove_dir_all(&dir)?;
        fs::create_dir_all(&dir)?;
        let (target, spec) = self.target(job, &dir)?;
        let invocation = Invocation {
            toolchain: &self.toolchain,
            workspace,
            places: &self.places,
            options: job.options,
            key: job.key,
            target: &target,
            spec,
            target_dir: &dir,
            features,
            wrapper: self.wrapper.as_deref(),
        };
        let mut command = invocation.command();
        self.jobs.configure(&mut command);
        // Two recipes of one target may be built at once, for two projects.
        let key = job.key.to_hex();
        let short = key.get(..12).unwrap_or(&key);
        let log = format!("{}-{short}.log", job.target);
        let log = self.options.log_dir.join(log);
        let built = run::run(self, job, &mut command, &log)?;
        let listing = collect::collect(job.target, &built, job.out)?;
        fs::remove_dir_all(&dir)?;
        Ok(listing)
    }

    /// What `--target` is given: the name, or a copy of the spec, byte by
    /// byte, under the name that the users' file has.
    fn target(&self, job: &Job<'_>, dir: &Path) -> Result<(PathBuf, Spec), BuildError> {
        let Some(spec) = job.spec else {
            return Ok((PathBuf::from(job.target.as_str()), Spec::BuiltIn));
        };
        let path = dir.join(format!("{}.json", job.target));
        fs::write_new(&path, spec.bytes)?;
        let kind = if self.toolchain.wants_json_target_spec()? {
            Spec::JsonUnstable
        } else {
            Spec::Json
        };
        Ok((path, kind))
    }

    fn features(&self, job: &Job<'_>) -> Result<Vec<String>, BuildError> {
        let library = self.toolchain.library();
        let selected = features::select(&library, job.options.crates, &job.options.features);
        match selected.map_err(BuildError::Vendor)? {
            Selected::All(features) => Ok(features),
            Selected::Unknown { feature, known } => Err(BuildError::Feature {
                target: job.target.clone(),
                feature,
                known,
            }),
        }
    }

    /// The workspace for a crate set; the first to ask lays it out.
    fn workspace(&self, crates: CrateSet) -> Result<std::sync::Arc<Workspace>, BuildError> {
        let mut made = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rust_src = &self.toolchain.rust_src;
        let fetch = crates == CrateSet::Std
            && workspace::lacks_vendor(rust_src).map_err(BuildError::Vendor)?;
        if fetch && self.options.offline {
            return Err(BuildError::OfflineWithoutVendor);
        }
        let (name, slot) = if fetch {
            ("fetched", &mut made.fetched)
        } else {
            ("vendored", &mut made.vendored)
        };
        if let Some(workspace) = slot {
            return Ok(workspace.clone());
        }
        let workspace = Workspace::lay_out(rust_src, &self.root.join(name), fetch);
        let workspace = workspace.map_err(BuildError::Vendor)?;
        self.resolve(&workspace)?;
        Ok(slot.insert(std::sync::Arc::new(workspace)).clone())
    }

    /// Lets cargo resolve the workspace, and checks that it kept to the lock.
    fn resolve(&self, workspace: &Workspace) -> Result<(), BuildError> {
        let mut command = self.toolchain.cargo_fetch(workspace, &self.places);
        let limit = Duration::from_secs(if workspace.vendored { 60 } else { 600 });
        let stop = || self.cancel.get().is_some();
        let said = process::ask_unless(&mut command, limit, stop);
        self.cancel.check()?;
        let said = said.map_err(|source| BuildError::Run {
            program: self.toolchain.cargo.clone(),
            source,
        })?;
        if !said.status.success() {
            return Err(BuildError::Resolve {
                status: said.status,
                message: run::tail(said.stderr.as_bytes()),
            });
        }
        workspace.check_lock().map_err(BuildError::Vendor)
    }
}

/// Cargo reads the configuration of its working directory's every parent; we
/// run it in `/`, so that is the only one left.
fn refuse_root_configuration(root: &Path) -> Result<(), BuildError> {
    for name in ["config.toml", "config"] {
        let path = root.join(".cargo").join(name);
        if fs::metadata_if_exists(&path)?.is_some() {
            return Err(BuildError::RootConfig(path));
        }
    }
    Ok(())
}
