//! One archive after the other, from a dist server into the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::OpsError;
use super::execute::Run;
use super::queue::Queue;
use crate::events::{Stage, Task};
use crate::fetch::archive::{Limits, unpack};
use crate::fetch::{Arrival, Download, Format, Mirrors, choose_format};
use crate::lock::{LockedArchive, LockedComponent};
use crate::store::{ComponentRecord, Known};
use crate::sys::fs;
use crate::types::{ComponentId, Sha256, TreeDigest};

/// The largest archive we accept; upstream's largest has about 0.4 GB.
const MAX_ARCHIVE: u64 = 2 << 30;

impl Run<'_> {
    /// Takes archives from the queue until it is empty.
    pub(super) fn fetch_all(
        &self,
        mirrors: &Mirrors<'_>,
        queue: &Queue<'_>,
    ) -> Vec<(ComponentId, TreeDigest)> {
        let mut done = Vec::new();
        while let Some(turn) = queue.next() {
            let fetched = self.fetch(mirrors, turn.id());
            match fetched {
                Ok(tree) => {
                    done.push((turn.id().clone(), tree));
                    turn.end(None);
                }
                Err(error) => turn.end(Some(error)),
            }
        }
        done
    }

    /// Brings one archive's tree into the store, unless another process just did.
    fn fetch(&self, mirrors: &Mirrors<'_>, id: &ComponentId) -> Result<TreeDigest, OpsError> {
        let (cx, store) = (self.cx, self.store);
        let missing = || crate::plan::PlanError::MissingArchive(id.clone());
        let component = self.lock.archives.get(id).ok_or_else(missing)?;
        let hashes = component.hashes();
        let first = hashes.first().ok_or_else(missing)?;
        let lock = |key: String| {
            store.lock_key(&key, &format!("downloading {id}"), cx.observer, cx.cancel)
        };
        // Of those who lock the same formats one works, whatever format each
        // of them would choose.
        let _component = lock(format!("formats-{}", first.to_hex()))?;
        let chosen = match store.component(&hashes) {
            Known::Tree(tree) => return Ok(tree),
            Known::AllBut(unknown) => only_format(component, unknown),
            Known::Nothing => choose_format(component, mirrors.observed_rate()),
        };
        let (format, archive) = chosen.ok_or_else(missing)?;
        // Another lock may pair this archive with other formats; the partial
        // file is named by the archive, so its lock is, too. Whoever holds one
        // waits for no lock of formats, so nobody waits in a circle.
        let alone = lock(format!("component-{}", archive.sha256.to_hex()))?;
        if let Known::Tree(tree) = store.component(&hashes) {
            return Ok(tree);
        }
        let partial = self.partial(archive.sha256, alone.is_exclusive())?;
        let file = self.download(mirrors, id, archive, &partial)?;
        let tree = self.unpack(id, format, file, |tree| ComponentRecord {
            name: id.to_string(),
            archive: archive.sha256,
            claimed: hashes,
            tree,
        })?;
        fs::remove_file(&partial)?;
        Ok(tree)
    }

    /// Where an archive is downloaded to, so that a later run can go on.
    fn partial(&self, archive: Sha256, alone: bool) -> Result<PathBuf, OpsError> {
        let partial = self.store.layout().partial(archive);
        let Some(parent) = partial.parent() else {
            return Ok(partial);
        };
        self.store.make_dir(parent)?;
        if alone {
            return Ok(partial);
        }
        // Without file locks somebody else may be writing to that one.
        let own = format!("{}.", archive.to_hex());
        Ok(fs::create_unique(parent, &own, "", fs::create_new)?.0)
    }

    /// The whole archive, with the locked hash.
    fn download(
        &self,
        mirrors: &Mirrors<'_>,
        id: &ComponentId,
        archive: &LockedArchive,
        partial: &Path,
    ) -> Result<File, OpsError> {
        let begun = Instant::now();
        let task = Task::start(self.cx.observer, id.to_string(), Stage::Download, None);
        let request = Download {
            path: &archive.path,
            sha256: archive.sha256,
            limit: MAX_ARCHIVE,
        };
        let arrived = |arrival| match arrival {
            Arrival::Begins { have, total } => task.sized(have, total),
            Arrival::Bytes(bytes) => task.progress(bytes),
        };
        let file = mirrors.download(&request, partial, &arrived)?;
        task.finish(begun.elapsed());
        Ok(file)
    }

    /// Unpacks an archive and publishes its tree with the record of it.
    fn unpack(
        &self,
        id: &ComponentId,
        format: Format,
        file: File,
        record: impl FnOnce(TreeDigest) -> ComponentRecord,
    ) -> Result<TreeDigest, OpsError> {
        let (cx, store) = (self.cx, self.store);
        let begun = Instant::now();
        let size = file.metadata().ok().map(|metadata| metadata.len());
        let task = Task::start(cx.observer, id.to_string(), Stage::Unpack, size);
        let staging = store.stage(cx.observer, cx.cancel)?;
        let read = |bytes| task.progress(bytes);
        let limits = Limits::default();
        let listing =
            unpack(file, format, id, staging.path(), &limits, &read).map_err(|source| {
                OpsError::Archive {
                    id: id.clone(),
                    source,
                }
            })?;
        let tree = store.publish(&staging, &listing)?;
        store.record_component(&record(tree))?;
        task.finish(begun.elapsed());
        Ok(tree)
    }
}

/// The archive of a component that has this hash.
fn only_format(component: &LockedComponent, hash: Sha256) -> Option<(Format, &LockedArchive)> {
    let xz = component.xz.iter().map(|archive| (Format::Xz, archive));
    let gz = component.gz.iter().map(|archive| (Format::Gz, archive));
    xz.chain(gz).find(|(_, archive)| archive.sha256 == hash)
}
