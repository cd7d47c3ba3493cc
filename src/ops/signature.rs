//! Upstream's signature of the channel manifest: taken over when locking,
//! judged again when verifying.

use super::channel::{self, Beside, Published};
use super::trust::TrustError;
use super::verify::Finding;
use super::{Context, OpsError};
use crate::config::SignaturePolicy;
use crate::lock::{Lock, LockedToolchain, ManifestSignature};
use crate::resolve::{ChannelManifest, departures};
use crate::signature::{self, Detached, Fingerprint, Keyring, MAX_KEY};
use crate::sys::owner::{self, Owned};
use crate::types::{Channel, Class, Date, Sha256, counted};

/// The keys whose signatures are accepted: Rust's and the configured ones.
fn keyring(cx: &Context<'_>) -> Result<Keyring, OpsError> {
    let mut keys = Keyring::rust().map_err(TrustError::OwnKey)?;
    for path in &cx.settings.config.dist.signing_keys {
        let file = match owner::read(path, MAX_KEY)? {
            Owned::Ours(bytes) => bytes,
            Owned::Foreign(reason) => {
                let path = path.clone();
                return Err(TrustError::ForeignKey { path, reason }.into());
            }
        };
        keys.add(&file).map_err(|source| TrustError::Key {
            path: path.clone(),
            source,
        })?;
    }
    Ok(keys)
}

/// What a new lock records about a channel manifest's signature.
///
/// A signature that is there and bad is an error under every policy but
/// `off`. From signed to unsigned only if `allow_unsigned`; a server that has
/// the very bytes that are signed in the old lock needs no signature of its own.
pub(super) fn to_lock(
    cx: &Context<'_>,
    channel: Channel,
    published: &Published,
    old: Option<&Lock>,
    allow_unsigned: bool,
) -> Result<ManifestSignature, OpsError> {
    let keys = keyring(cx)?;
    let bytes = &published.file.bytes;
    let found = match &published.signature {
        Beside::File(asc) => {
            let verified = signature::verify(asc, bytes, &keys, cx.settings.today);
            let verified = verified.map_err(|source| TrustError::Refused { channel, source })?;
            return Ok(ManifestSignature::Good {
                signer: verified.signer,
                detached: verified.detached,
            });
        }
        Beside::Absent => ManifestSignature::Missing,
        Beside::NotAsked => ManifestSignature::NotAsked,
    };
    if let Some((signer, detached, sha256)) = old.and_then(signed) {
        let same = sha256 == published.file.sha256;
        if same && signature::check(detached, bytes, &keys, None).is_ok() {
            return Ok(ManifestSignature::Good {
                signer: signer.clone(),
                detached: detached.clone(),
            });
        }
        if !allow_unsigned {
            let signer = signer.clone();
            return Err(TrustError::Lost { signer, channel }.into());
        }
    }
    if cx.settings.config.dist.signature == SignaturePolicy::Require {
        return Err(TrustError::Unsigned { channel }.into());
    }
    Ok(found)
}

/// A signed lock's signer, signature, and the hash of what is signed.
fn signed(lock: &Lock) -> Option<(&Fingerprint, &Detached, Sha256)> {
    match &lock.toolchain {
        LockedToolchain::Dist {
            signature: ManifestSignature::Good { signer, detached },
            manifest_sha256,
            ..
        } => Some((signer, detached, *manifest_sha256)),
        LockedToolchain::Dist { .. } | LockedToolchain::System { .. } => None,
    }
}

/// Whether a lock records what the user's policy asks for. The system's
/// toolchain has nothing to be signed.
pub(super) fn satisfies_policy(cx: &Context<'_>, lock: &Lock) -> bool {
    cx.settings.config.dist.signature != SignaturePolicy::Require
        || lock.channel == Channel::System
        || signed(lock).is_some()
}

/// Where the user's policy requires a signature: proves, before anything is
/// downloaded or compiled, that a lock holds what a trusted key signed.
///
/// What the lock claims is not enough, because its author may be anybody. The
/// channel manifest comes from the cache, else from the dist servers.
pub(super) fn prove(cx: &Context<'_>, lock: &Lock) -> Result<(), OpsError> {
    if lock.channel == Channel::System {
        return Ok(());
    }
    if cx.settings.config.dist.signature != SignaturePolicy::Require {
        return Ok(());
    }
    let how = SignatureCheck {
        upstream: false,
        require: true,
    };
    let unproven = |finding| match finding {
        Finding::Good(_) => Ok(()),
        Finding::Bad(_, problems) => {
            let lines = problems
                .into_iter()
                .map(|problem| problem.message)
                .collect();
            Err(TrustError::Unproven { lines }.into())
        }
        Finding::NotJudged(line) => Err(TrustError::Unproven { lines: vec![line] }.into()),
    };
    let cached = cx
        .existing_store()
        .zip(signed(lock))
        .is_some_and(|(store, (.., sha256))| {
            channel::cached_bytes(&store, lock.channel, sha256).is_some()
        });
    if cached || cx.settings.offline {
        return unproven(judge(cx, lock, how)?);
    }
    let published = channel::published(cx, lock.channel, true)?;
    unproven(judge_upstream(cx, lock, &published, true)?)
}

/// How to judge a lock's signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureCheck {
    /// Ask the dist servers for manifest and signature instead of the cache.
    pub upstream: bool,
    /// A lock that is not provably signed is bad, whatever the policy.
    pub require: bool,
}

/// Judges whether a lock holds what a trusted key signed: the signature over
/// the channel manifest's bytes, and the lock's archives against that manifest.
///
/// Offline unless `upstream`; the manifest's bytes then come from the cache.
pub fn judge(cx: &Context<'_>, lock: &Lock, how: SignatureCheck) -> Result<Finding, OpsError> {
    let policy = cx.settings.config.dist.signature;
    let require = how.require || policy == SignaturePolicy::Require;
    let undecided = |why: String| {
        if require {
            Finding::bad(
                Class::Trust,
                [format!("{why}, and a signature is required")],
            )
        } else {
            Finding::NotJudged(why)
        }
    };
    let LockedToolchain::Dist {
        manifest_sha256,
        signature,
        ..
    } = &lock.toolchain
    else {
        let why = "the system's toolchain has no channel manifest";
        return Ok(undecided(why.to_owned()));
    };
    if policy == SignaturePolicy::Off && !how.require && !how.upstream {
        let why = "your configuration says `signature = \"off\"`";
        return Ok(Finding::NotJudged(why.to_owned()));
    }
    if how.upstream {
        let published = channel::asked_anew(cx, lock.channel)?;
        return judge_upstream(cx, lock, &published, require);
    }
    let ManifestSignature::Good { signer, detached } = signature else {
        return Ok(undecided(without(signature).to_owned()));
    };
    let store = cx.existing_store();
    let Some(bytes) =
        store.and_then(|store| channel::cached_bytes(&store, lock.channel, *manifest_sha256))
    else {
        let why = "not checked: the channel manifest is not cached (`--upstream` fetches it)";
        return Ok(undecided(why.to_owned()));
    };
    judge_bytes(cx, lock, &bytes, (signer, detached), None)
}

/// Why there is nothing to check.
fn without(signature: &ManifestSignature) -> &'static str {
    match signature {
        ManifestSignature::NotAsked => "nobody asked for a signature when this was locked",
        ManifestSignature::Missing => "the server had no signature when this was locked",
        ManifestSignature::Good { .. } => "it is signed",
    }
}

/// Judges a signature, and the lock's archives by what is signed.
fn judge_bytes(
    cx: &Context<'_>,
    lock: &Lock,
    bytes: &[u8],
    (signer, detached): (&Fingerprint, &Detached),
    today: Option<Date>,
) -> Result<Finding, OpsError> {
    let bad = |line: String| Ok(Finding::bad(Class::Trust, [line]));
    let verified = match signature::check(detached, bytes, &keyring(cx)?, today) {
        Ok(verified) => verified,
        Err(e) => return bad(format!("the signature is refused: {e}")),
    };
    if verified.signer != *signer {
        let found = &verified.signer;
        return bad(format!(
            "toolchain.signer: lock {signer}, signature by {found}"
        ));
    }
    let manifest = ChannelManifest::parse(bytes)?;
    let differences = departures(lock, &manifest);
    if differences.is_empty() {
        let archives = counted(lock.archives.len(), "archive");
        return Ok(Finding::Good(format!(
            "signed by {signer}, with {archives} as locked"
        )));
    }
    Ok(Finding::bad(Class::Trust, differences))
}

/// Judges a lock by what the servers have now: its facts by their channel
/// manifest, and its own signature by the bytes that it is of.
///
/// Two signatures are at hand, the server's and the lock's. The first proves
/// what the lock says; that does not make the second one good.
fn judge_upstream(
    cx: &Context<'_>,
    lock: &Lock,
    published: &Published,
    require: bool,
) -> Result<Finding, OpsError> {
    let differences = departures(lock, &published.manifest);
    if !differences.is_empty() {
        return Ok(Finding::bad(Class::Integrity, differences));
    }
    let bytes = &published.file.bytes;
    let bad = |line: String| Ok(Finding::bad(Class::Trust, [line]));
    let served = match &published.signature {
        Beside::File(asc) => {
            match signature::verify(asc, bytes, &keyring(cx)?, cx.settings.today) {
                Ok(verified) => Some(verified.signer),
                Err(e) => return bad(format!("the server's signature is refused: {e}")),
            }
        }
        Beside::Absent | Beside::NotAsked => None,
    };
    let Some((signer, detached, sha256)) = signed(lock) else {
        return Ok(match served {
            Some(served) => Finding::Good(format!(
                "the server has what is locked, signed by {served} (the lock records no signature)"
            )),
            None if require => {
                let why = "the server has what is locked, without a signature";
                Finding::bad(Class::Trust, [format!("{why}, and one is required")])
            }
            None => Finding::Good("the server has what is locked, without a signature".to_owned()),
        });
    };
    if let Some(served) = served.as_ref().filter(|served| *served != signer) {
        return bad(format!("toolchain.signer: server {served}, lock {signer}"));
    }
    let store = cx.existing_store();
    let own = if sha256 == published.file.sha256 {
        Some(bytes.clone())
    } else {
        store.and_then(|store| channel::cached_bytes(&store, lock.channel, sha256))
    };
    if let Some(own) = own {
        let finding = judge_bytes(cx, lock, &own, (signer, detached), None)?;
        return Ok(match (finding, served) {
            (Finding::Good(_), Some(served)) => Finding::Good(format!(
                "the server has what is locked, signed by {served} (as locked)"
            )),
            (finding, _) => finding,
        });
    }
    // What the lock's own signature is of is nowhere.
    let own = "the lock's own signature is not checked: the server has a channel manifest with \
               other bytes";
    Ok(match served {
        Some(served) => Finding::Good(format!(
            "the server has what is locked, signed by {served}; {own}"
        )),
        None if require => Finding::bad(
            Class::Trust,
            [format!("{own} and no signature, and one is required")],
        ),
        None => Finding::NotJudged(format!("{own} and no signature")),
    })
}
