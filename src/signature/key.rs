//! The keys whose signatures are accepted.

use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, KeyId};

use super::detached::Fingerprint;
use super::error::KeyError;
use super::{MAX_KEY, armor};

/// Rust's "Tag and Release Signing Key", primary key
/// 108F66205EAEB0AAA8DD5E1C85AB96E6FA1BE5FE, as the `PyPI` package romt 0.10.3
/// brings it; a test holds its fingerprints.
const RUST_KEY: &[u8] = include_bytes!("rust-signing-key.asc");

/// The keys whose signatures are accepted.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<Trusted>,
}

/// One key that may sign: a primary key or a subkey.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    pub(super) fingerprint: Fingerprint,
    pub(super) id: KeyId,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// Seconds since 1970; none where it has no end.
    pub(super) expires: Option<u64>,
    pub(super) key: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

impl Keyring {
    /// Rust's own key, compiled in.
    pub fn rust() -> Result<Self, KeyError> {
        let mut ring = Self { keys: Vec::new() };
        ring.add(RUST_KEY)?;
        Ok(ring)
    }

    /// Adds a public key's file, armored as `gpg --armor --export` writes it.
    ///
    /// A subkey counts only if the primary key's signature binds it.
    pub fn add(&mut self, file: &[u8]) -> Result<(), KeyError> {
        if file.len() as u64 > MAX_KEY {
            return Err(KeyError::TooLarge { size: file.len() });
        }
        let bytes = armor::decode(file, "PGP PUBLIC KEY BLOCK")?;
        let keys = SignedPublicKey::from_bytes_many(bytes.as_slice()).map_err(unreadable)?;
        let before = self.keys.len();
        for key in keys {
            self.add_one(key.map_err(unreadable)?)?;
        }
        if self.keys.len() == before {
            return Err(KeyError::NotAKey("there is none".to_owned()));
        }
        Ok(())
    }

    fn add_one(&mut self, key: SignedPublicKey) -> Result<(), KeyError> {
        let primary = key.primary_key;
        let name = fingerprint(&primary)?;
        if !key.details.revocation_signatures.is_empty() {
            return Err(KeyError::Revoked(name));
        }
        let users = key.details.users.iter().flat_map(|user| &user.signatures);
        let own: Vec<&Signature> = users
            .chain(&key.details.direct_signatures)
            .filter(|signature| is_by(signature, &primary))
            .collect();
        let before = self.keys.len();
        // Old keys state no use; they may sign.
        if own.iter().any(|s| s.key_flags().sign()) || own.iter().all(|s| !has_flags(s)) {
            let created = u64::from(primary.created_at().as_secs());
            self.keys.push(Trusted {
                fingerprint: name.clone(),
                id: primary.legacy_key_id(),
                created,
                expires: end(created, &own),
                key: Kind::Primary(Box::new(primary.clone())),
            });
        }
        for subkey in key.public_subkeys {
            self.add_subkey(&primary, subkey)?;
        }
        if self.keys.len() == before {
            return Err(KeyError::CannotSign(name));
        }
        Ok(())
    }

    fn add_subkey(&mut self, primary: &PublicKey, sub: SignedPublicSubKey) -> Result<(), KeyError> {
        let revoked = sub
            .signatures
            .iter()
            .any(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
        let signs = sub.signatures.iter().any(|s| s.key_flags().sign());
        // Whoever hands on a key's file can append a subkey of their own.
        if revoked || !signs || sub.verify_bindings(primary).is_err() {
            return Ok(());
        }
        let created = u64::from(sub.key.created_at().as_secs());
        self.keys.push(Trusted {
            fingerprint: fingerprint(&sub.key)?,
            id: sub.key.legacy_key_id(),
            created,
            expires: end(created, &sub.signatures.iter().collect::<Vec<_>>()),
            key: Kind::Subkey(Box::new(sub.key)),
        });
        Ok(())
    }

    /// The fingerprints of all keys that may sign, primary keys first of each.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let names = self.keys.iter().map(|key| key.fingerprint.clone());
        names.collect()
    }

    pub(super) fn keys(&self) -> &[Trusted] {
        &self.keys
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn unreadable(error: pgp::errors::Error) -> KeyError {
    let text = error.to_string();
    KeyError::NotAKey(
        text.chars()
            .take(200)
            .collect::<String>()
            .escape_debug()
            .to_string(),
    )
}

/// A key's fingerprint in our form.
pub(super) fn fingerprint(key: &impl KeyDetails) -> Result<Fingerprint, KeyError> {
    let text = format!("{:X}", key.fingerprint());
    text.parse()
        .map_err(|_| KeyError::NotAKey(format!("its fingerprint is `{text}`")))
}

fn is_by(signature: &Signature, key: &PublicKey) -> bool {
    let id = key.legacy_key_id();
    let name = key.fingerprint();
    signature.issuer_key_id().into_iter().any(|by| *by == id)
        || signature
            .issuer_fingerprint()
            .into_iter()
            .any(|by| *by == name)
}

fn has_flags(signature: &Signature) -> bool {
    let flags = signature.key_flags();
    flags.sign() || flags.certify() || flags.encrypt_comms() || flags.encrypt_storage()
}

/// The end that the newest of a key's own signatures states.
fn end(created: u64, own: &[&Signature]) -> Option<u64> {
    let newest = own.iter().max_by_key(|signature| signature.created())?;
    let lasts = u64::from(newest.key_expiration_time()?.as_secs());
    // Nothing stated and zero mean the same: no end.
    (lasts > 0).then(|| created.saturating_add(lasts))
}
