//! Is there a signature of these bytes by a trusted key?

use pgp::composed::DetachedSignature;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    Packet, PacketParser, Signature, SignatureType, SignatureVersion, SubpacketData,
};
use pgp::ser::Serialize as _;

use super::detached::{Detached, Fingerprint};
use super::error::SignatureError;
use super::key::{Keyring, Kind, Trusted};
use super::{MAX_SIGNATURE, armor};
use crate::types::Date;

/// How many signatures one file may hold; real ones hold one.
const MAX_PACKETS: usize = 16;

/// A signature that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key that made it: a primary key, or a subkey of one.
    pub signer: Fingerprint,
    /// The signature.
    pub detached: Detached,
}

/// Checks an armored file of detached signatures against the signed bytes.
///
/// One good signature is enough. With none, the error tells about the one
/// that came furthest. `today` decides about signatures that end.
pub fn verify(
    asc: &[u8],
    data: &[u8],
    keys: &Keyring,
    today: Date,
) -> Result<Verified, SignatureError> {
    if asc.len() as u64 > MAX_SIGNATURE {
        return Err(SignatureError::TooLarge { size: asc.len() });
    }
    judge_all(
        &armor::decode(asc, "PGP SIGNATURE")?,
        data,
        keys,
        Some(today),
    )
}

/// Checks a lock's signature against the signed bytes.
///
/// Without a `today`, the answer is the same on every day: whether the
/// signature's own end had come was judged when it was locked.
pub fn check(
    detached: &Detached,
    data: &[u8],
    keys: &Keyring,
    today: Option<Date>,
) -> Result<Verified, SignatureError> {
    judge_all(detached.as_bytes(), data, keys, today)
}

fn judge_all(
    packets: &[u8],
    data: &[u8],
    keys: &Keyring,
    today: Option<Date>,
) -> Result<Verified, SignatureError> {
    let mut told: Option<SignatureError> = None;
    for packet in PacketParser::new(packets).take(MAX_PACKETS) {
        let signature = match packet {
            Ok(Packet::Signature(signature)) => signature,
            Ok(_) => return Err(SignatureError::NotSignatures),
            Err(error) if is_cut(&error) => return Err(SignatureError::CutShort),
            Err(_) => return Err(SignatureError::NotSignatures),
        };
        match judge(&signature, data, keys, today) {
            Ok(signer) => {
                let whole = DetachedSignature::new(signature).to_bytes();
                let packet = whole.map_err(|_| SignatureError::NotSignatures)?;
                let detached = Detached::new(packet);
                return Ok(Verified { signer, detached });
            }
            // One of a key we know tells more than a stranger's.
            Err(error) => {
                let stranger = matches!(error, SignatureError::ForeignKey { .. });
                if told.is_none() || !stranger {
                    told = Some(error);
                }
            }
        }
    }
    // Not even one packet's header was whole.
    Err(told.unwrap_or(SignatureError::CutShort))
}

/// Whether the bytes ended too early, as far as the parser's causes tell.
/// Reading from memory has no other way to fail than to end.
fn is_cut(error: &pgp::errors::Error) -> bool {
    use pgp::errors::Error;
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let ended = error.is::<std::io::Error>()
            || error.downcast_ref::<Error>().is_some_and(|error| {
                matches!(error, Error::PacketIncomplete { .. } | Error::IO { .. })
            });
        if ended {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Who made a signature, if it is one of these bytes by a trusted key.
fn judge(
    signature: &Signature,
    data: &[u8],
    keys: &Keyring,
    today: Option<Date>,
) -> Result<Fingerprint, SignatureError> {
    let unsupported = SignatureError::Unsupported;
    let config = signature
        .config()
        .ok_or(unsupported("its format is not known"))?;
    if !matches!(
        signature.version(),
        SignatureVersion::V4 | SignatureVersion::V6
    ) {
        return Err(unsupported("its format is out of date"));
    }
    if config.typ() != SignatureType::Binary {
        return Err(unsupported("it is not one of a file's bytes"));
    }
    let unknown = config.hashed_subpackets().any(|part| {
        let opaque = matches!(
            part.data,
            SubpacketData::Experimental(..) | SubpacketData::Other(..) | SubpacketData::Notation(_)
        );
        part.is_critical && opaque
    });
    if unknown {
        return Err(unsupported("it has a critical part that is not understood"));
    }
    let candidates = named(signature, keys);
    let Some(first) = candidates.first() else {
        return Err(foreign(signature, keys));
    };
    if !is_strong(config.hash_alg) {
        let digest = config.hash_alg.to_string();
        return Err(SignatureError::WeakDigest { digest });
    }
    let fits = |key: &&&Trusted| match &key.key {
        Kind::Primary(key) => signature.verify(&**key, data).is_ok(),
        Kind::Subkey(key) => signature.verify(&**key, data).is_ok(),
    };
    let Some(signer) = candidates.iter().find(fits) else {
        let signer = first.fingerprint.clone();
        return Err(SignatureError::Mismatch { signer });
    };
    check_times(signature, signer, today)?;
    Ok(signer.fingerprint.clone())
}

/// The digests that nobody can forge.
fn is_strong(digest: HashAlgorithm) -> bool {
    matches!(
        digest,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// The trusted keys that a signature may be of: the ones it names, or all if
/// it names none.
fn named<'k>(signature: &Signature, keys: &'k Keyring) -> Vec<&'k Trusted> {
    let ids = signature.issuer_key_id();
    let names: Vec<String> = signature
        .issuer_fingerprint()
        .into_iter()
        .map(|name| format!("{name:X}"))
        .collect();
    let anonymous = ids.is_empty() && names.is_empty();
    let is_named = |key: &&Trusted| {
        anonymous
            || ids.contains(&&key.id)
            || names
                .iter()
                .any(|name| *name == key.fingerprint.to_string())
    };
    keys.keys().iter().filter(is_named).collect()
}

fn foreign(signature: &Signature, keys: &Keyring) -> SignatureError {
    let names = signature.issuer_fingerprint();
    let name = names.first().map(|name| format!("{name:X}"));
    let ids = signature.issuer_key_id();
    let id = || ids.first().map(|id| id.to_string().to_uppercase());
    SignatureError::ForeignKey {
        issuer: name.or_else(id).unwrap_or_else(|| "of no name".to_owned()),
        trusted: keys.fingerprints(),
    }
}

/// The key must have been valid when it signed; the signature must not have
/// ended today.
fn check_times(
    signature: &Signature,
    key: &Trusted,
    today: Option<Date>,
) -> Result<(), SignatureError> {
    let made_at = signature
        .created()
        .ok_or(SignatureError::Unsupported("it does not state its time"))?;
    let made_at = u64::from(made_at.as_secs());
    let (signer, made) = (key.fingerprint.clone(), day(made_at));
    if made_at < key.created {
        let created = day(key.created);
        return Err(SignatureError::BeforeKey {
            signer,
            made,
            created,
        });
    }
    if let Some(end) = key.expires.filter(|end| made_at >= *end) {
        let expired = day(end);
        return Err(SignatureError::KeyExpired {
            signer,
            made,
            expired,
        });
    }
    let Some(today) = today else { return Ok(()) };
    if made.is_far_future(today) {
        return Err(SignatureError::FromFuture { made, today });
    }
    let lasts = signature.signature_expiration_time();
    let lasts = lasts.map_or(0, |time| u64::from(time.as_secs()));
    let expired = day(made_at.saturating_add(lasts));
    if lasts > 0 && expired < today {
        return Err(SignatureError::Expired {
            made,
            expired,
            today,
        });
    }
    Ok(())
}

/// The day in UTC of a time in seconds since 1970.
fn day(seconds: u64) -> Date {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or(jiff::Timestamp::MAX);
    Date::new(jiff::tz::TimeZone::UTC.to_datetime(time).date())
}
