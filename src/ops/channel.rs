//! Channel manifests: from the cache, else from the dist servers.

use std::path::{Path, PathBuf};

use super::{Context, OpsError};
use crate::config::SignaturePolicy;
use crate::fetch::{Answer, DistServer, FetchedManifest, Mirrors, Options};
use crate::resolve::{ChannelManifest, check_channel};
use crate::signature::MAX_SIGNATURE;
use crate::store::Store;
use crate::sys::fs;
use crate::types::{Channel, RelPath, Sha256};

/// The largest channel manifest we read from the cache.
const MAX_CHANNEL_MANIFEST: u64 = 16 << 20;
/// A hash in hexadecimal and a line end, before what is kept.
const PREFIX: u64 = 65;

/// A channel manifest, and what stood beside it.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// The manifest's bytes and their hash.
    pub(super) file: FetchedManifest,
    /// The same, read.
    pub(super) manifest: ChannelManifest,
    /// The file of its signature.
    pub(super) signature: Beside,
}

/// The file of a channel manifest's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nobody asked for it.
    NotAsked,
    /// The server has none.
    Absent,
    /// Its bytes.
    File(Vec<u8>),
}

/// The configured dist servers.
pub(super) fn mirrors<'a>(cx: &Context<'a>) -> Result<Mirrors<'a>, OpsError> {
    mirrors_with(cx, Options::default())
}

/// The configured dist servers, with other limits and time-outs.
pub(super) fn mirrors_with<'a>(
    cx: &Context<'a>,
    options: Options,
) -> Result<Mirrors<'a>, OpsError> {
    let servers = cx.settings.dist_servers.iter();
    let servers: Result<Vec<DistServer>, _> = servers.map(|s| DistServer::parse(s)).collect();
    let options = Options {
        offline: cx.settings.offline,
        cancel: cx.cancel.clone(),
        proxies: cx.settings.proxy.clone(),
        ..options
    };
    Ok(Mirrors::new(servers?, &options, cx.observer)?)
}

/// Where a channel's manifest is on every dist server.
pub(super) fn path(channel: Channel) -> Result<RelPath, OpsError> {
    // Made of a checked date or release, so it always parses; the system's
    // toolchain has none, and nobody asks for it.
    let path = channel.manifest_path().unwrap_or_default();
    path.parse().map_err(OpsError::ServerPath)
}

/// Reads a channel manifest, and refuses that of another channel.
pub(super) fn read(
    cx: &Context<'_>,
    channel: Channel,
    file: &FetchedManifest,
) -> Result<ChannelManifest, OpsError> {
    let manifest = ChannelManifest::parse(&file.bytes)?;
    check_channel(channel, &manifest, cx.settings.today)?;
    Ok(manifest)
}

/// The channel manifest of a dated channel or release.
///
/// A dated manifest does not change, so the cached one is as good as the
/// server's; `refresh` asks the servers all the same. The path follows from
/// the channel, never from a lock: what is kept under a channel's name answers
/// for every project of the user.
pub(super) fn published(
    cx: &Context<'_>,
    channel: Channel,
    refresh: bool,
) -> Result<Published, OpsError> {
    let path = &path(channel)?;
    let store = cx.store()?;
    let place = |server: usize| {
        let server = cx.settings.dist_servers.get(server);
        let name = cached_name(server.map_or("", String::as_str), channel);
        store.layout().manifest(&name)
    };
    let servers = 0..cx.settings.dist_servers.len();
    let cached = servers.filter(|_| !refresh).find_map(|server| {
        let file = read_cached(&place(server))?;
        let manifest = read(cx, channel, &file).ok()?;
        Some((server, file, manifest))
    });
    if cached.is_none() && cx.settings.offline {
        return Err(OpsError::Offline {
            what: format!("the channel manifest of {channel}"),
        });
    }
    let mirrors = mirrors(cx)?;
    let (server, file, manifest, is_new) = if let Some((server, file, manifest)) = cached {
        (server, file, manifest, false)
    } else {
        let Answer { value, server } = mirrors.channel_manifest(path)?;
        // Only what can be read and is of the channel may be kept under its name.
        let manifest = read(cx, channel, &value)?;
        (server, value, manifest, true)
    };
    let place = place(server);
    if is_new {
        keep(&store, &place, file.sha256, &file.bytes)?;
    }
    let signature = beside(cx, &mirrors, server, path, &place, (&file, is_new))?;
    Ok(Published {
        file,
        manifest,
        signature,
    })
}

/// The signature beside a manifest: from the cache, else from the server that
/// sent the manifest.
fn beside(
    cx: &Context<'_>,
    mirrors: &Mirrors<'_>,
    server: usize,
    path: &RelPath,
    manifest: &Path,
    (file, is_new): (&FetchedManifest, bool),
) -> Result<Beside, OpsError> {
    let policy = cx.settings.config.dist.signature;
    if policy == SignaturePolicy::Off {
        return Ok(Beside::NotAsked);
    }
    let place = signature_place(manifest);
    if !is_new && let Some(kept) = read_signature(&place, file.sha256) {
        // Where one is required, a server may have got one meanwhile.
        let ask_again = kept.is_empty() && policy == SignaturePolicy::Require;
        if !ask_again || cx.settings.offline {
            return Ok(some_file(kept));
        }
    }
    if cx.settings.offline {
        return Ok(Beside::NotAsked);
    }
    let found = mirrors.signature(server, path)?.unwrap_or_default();
    keep(&cx.store()?, &place, file.sha256, &found)?;
    Ok(some_file(found))
}

fn some_file(bytes: Vec<u8>) -> Beside {
    if bytes.is_empty() {
        Beside::Absent
    } else {
        Beside::File(bytes)
    }
}

/// Asks the servers for a manifest and its signature, and keeps neither.
pub(super) fn asked_anew(cx: &Context<'_>, channel: Channel) -> Result<Published, OpsError> {
    let path = &path(channel)?;
    let mirrors = mirrors(cx)?;
    let Answer {
        value: file,
        server,
    } = mirrors.channel_manifest(path)?;
    let manifest = ChannelManifest::parse(&file.bytes)?;
    let found = mirrors.signature(server, path)?.unwrap_or_default();
    Ok(Published {
        file,
        manifest,
        signature: some_file(found),
    })
}

/// The bytes of a cached channel manifest of this hash, whichever server
/// they came from.
pub(super) fn cached_bytes(store: &Store, channel: Channel, sha256: Sha256) -> Option<Vec<u8>> {
    let dir = store.layout().manifests();
    let end = format!("-{channel}");
    let names = fs::list(&dir).ok()?.into_iter();
    let mut found = names
        .filter(|name| name.to_str().is_some_and(|name| name.ends_with(&end)))
        .filter_map(|name| read_cached(&dir.join(name)));
    let found = found.find(|file| file.sha256 == sha256)?;
    Some(found.bytes)
}

/// The name of a cached manifest: one a server, because what one server says
/// must not answer for another.
fn cached_name(server: &str, channel: Channel) -> String {
    let hash = blake3::hash(server.trim_end_matches('/').as_bytes()).to_hex();
    format!("{}-{channel}", hash.get(..16).unwrap_or(&hash))
}

fn signature_place(manifest: &Path) -> PathBuf {
    let mut name = manifest.as_os_str().to_owned();
    name.push(".asc");
    PathBuf::from(name)
}

/// Writes a file whose first line is the hash of the manifest it belongs to.
fn keep(store: &Store, place: &Path, manifest: Sha256, bytes: &[u8]) -> Result<(), OpsError> {
    if let Some(parent) = place.parent() {
        store.make_dir(parent)?;
    }
    let mut kept = format!("{}\n", manifest.to_hex()).into_bytes();
    kept.extend_from_slice(bytes);
    Ok(fs::replace_stored(place, &kept)?)
}

/// Reads such a file: the hash in its first line, and what is behind it.
fn read_kept(place: &Path, limit: u64) -> Option<(Sha256, Vec<u8>)> {
    let kept = fs::read(place, limit + PREFIX).ok()?;
    let hash = Sha256::from_hex(std::str::from_utf8(kept.get(..64)?).ok()?).ok()?;
    Some((hash, kept.get(64..)?.strip_prefix(b"\n")?.to_vec()))
}

/// Reads a cached manifest. The first line is the hash of the rest: a damaged
/// copy is no copy.
fn read_cached(place: &Path) -> Option<FetchedManifest> {
    let (sha256, bytes) = read_kept(place, MAX_CHANNEL_MANIFEST)?;
    (Sha256::of(&bytes) == sha256).then_some(FetchedManifest { bytes, sha256 })
}

/// Reads the cached signature of a manifest; one of another manifest is none.
fn read_signature(place: &Path, manifest: Sha256) -> Option<Vec<u8>> {
    let (of, bytes) = read_kept(place, MAX_SIGNATURE)?;
    (of == manifest).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_manifest_that_was_cut_off_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        let hash = Sha256::of(b"").to_hex();
        let other = Sha256::of(b"x").to_hex();
        for (kept, whole) in [
            (String::new(), false),
            (hash[..63].to_owned(), false),
            (hash.clone(), false),
            (format!("{hash}x"), false),
            (format!("{other}\n"), false),
            (format!("{other}\nx"), true),
            (format!("{hash}\n"), true),
        ] {
            fs::replace(&path, kept.as_bytes()).unwrap();
            assert_eq!(read_cached(&path).is_some(), whole, "{kept:?}");
        }
    }

    #[test]
    fn a_signature_of_another_manifest_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let path = store.layout().manifest("kept.asc");
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        keep(&store, &path, one, b"signature").unwrap();
        let read = |wanted| read_signature(&path, wanted);
        assert_eq!(read(one).as_deref(), Some(b"signature".as_slice()));
        assert_eq!(read(two), None);
    }
}
