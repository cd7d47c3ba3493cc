//! OpenPGP keys and signatures made in a test.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests may fail")]

use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedKeyDetails,
    SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder, SubpacketConfig,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId};
use pgp::types::{Duration, KeyDetails as _, Password, SignedUser, Tag, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// 2026-05-01, the day of every key, in seconds since 1970.
pub(crate) const CREATED: u32 = 1_777_593_600;
/// A day in seconds.
pub(crate) const DAY: u32 = 86_400;
/// 2026-05-20, the day of every signature that names no other.
pub(crate) const MADE: u32 = CREATED + 19 * DAY;

/// A secret key with one signing subkey.
pub(crate) struct TestKey {
    secret: SignedSecretKey,
    rng: std::cell::RefCell<StdRng>,
}

/// How a signature is made.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) digest: HashAlgorithm,
    /// Seconds since 1970.
    pub(crate) made: u32,
    /// In seconds; none where it has no end.
    pub(crate) lasts: Option<u32>,
    /// With the subkey instead of the primary key.
    pub(crate) by_subkey: bool,
    pub(crate) text: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            digest: HashAlgorithm::Sha512,
            made: MADE,
            lasts: None,
            by_subkey: false,
            text: false,
        }
    }
}

impl TestKey {
    /// The same key for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(seed, KeyType::Ed25519)
    }

    /// An RSA key, which signs any digest, however short.
    pub(crate) fn rsa(seed: u64) -> Self {
        Self::of(seed, KeyType::Rsa(2048))
    }

    fn of(seed: u64, primary: KeyType) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519)
            .can_sign(true)
            .created_at(Timestamp::from_secs(CREATED))
            .build()
            .unwrap();
        let secret = SecretKeyParamsBuilder::default()
            .key_type(primary)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(CREATED))
            .primary_user_id(format!("Test {seed} <test@example.org>"))
            .subkey(subkey)
            .build()
            .unwrap()
            .generate(&mut rng)
            .unwrap();
        let rng = rng.into();
        Self { secret, rng }
    }

    /// The primary key's fingerprint, in upper case.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:X}", self.secret.primary_key.fingerprint())
    }

    /// The signing subkey's fingerprint, in upper case.
    pub(crate) fn subkey_fingerprint(&self) -> String {
        format!("{:X}", self.secret.secret_subkeys[0].key.fingerprint())
    }

    /// The public key.
    pub(crate) fn public(&self) -> SignedPublicKey {
        self.secret.to_public_key()
    }

    /// The public key's file.
    pub(crate) fn public_asc(&self) -> String {
        armored(&self.public())
    }

    /// The public key's file, without subkey and with an end.
    pub(crate) fn public_lasting(&self, seconds: u32) -> String {
        let key = &self.secret.primary_key;
        let id = self.secret.details.users[0].id.clone();
        let mut flags = KeyFlags::default();
        flags.set_sign(true);
        let part = |data| Subpacket::regular(data).unwrap();
        let mut config = SignatureConfig::v4(
            SignatureType::CertPositive,
            key.algorithm(),
            HashAlgorithm::Sha256,
        );
        config.hashed_subpackets = vec![
            part(SubpacketData::IssuerFingerprint(key.fingerprint())),
            part(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
                CREATED,
            ))),
            part(SubpacketData::KeyFlags(flags)),
            part(SubpacketData::KeyExpirationTime(Duration::from_secs(
                seconds,
            ))),
        ];
        let signature = config
            .sign_certification(key, key.public_key(), &Password::empty(), Tag::UserId, &id)
            .unwrap();
        armored(&with_user(&self.public(), id, signature))
    }

    /// An armored detached signature.
    pub(crate) fn sign(&self, data: &[u8]) -> String {
        self.sign_as(data, Manner::default())
    }

    /// An armored detached signature of this manner.
    pub(crate) fn sign_as(&self, data: &[u8], manner: Manner) -> String {
        let subkey = &self.secret.secret_subkeys[0].key;
        let name = if manner.by_subkey {
            subkey.fingerprint()
        } else {
            self.secret.primary_key.fingerprint()
        };
        let part = |data| Subpacket::regular(data).unwrap();
        let mut hashed = vec![
            part(SubpacketData::IssuerFingerprint(name)),
            part(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
                manner.made,
            ))),
        ];
        if let Some(lasts) = manner.lasts {
            let lasts = Duration::from_secs(lasts);
            hashed.push(part(SubpacketData::SignatureExpirationTime(lasts)));
        }
        let parts = SubpacketConfig::UserDefined {
            hashed,
            unhashed: Vec::new(),
        };
        let (password, mut rng) = (Password::empty(), self.rng.borrow_mut());
        macro_rules! sign {
            ($way:ident, $key:expr) => {
                DetachedSignature::$way(&mut *rng, $key, &password, manner.digest, data, parts)
            };
        }
        let signature = match (manner.by_subkey, manner.text) {
            (true, _) => sign!(sign_binary_data_with_subpackets, subkey),
            (false, true) => sign!(sign_text_data_with_subpackets, &self.secret.primary_key),
            (false, false) => sign!(sign_binary_data_with_subpackets, &self.secret.primary_key),
        };
        let options = ArmorOptions::default();
        signature.unwrap().to_armored_string(options).unwrap()
    }
}

/// The key's primary part with another user signature and no subkeys.
fn with_user(
    key: &SignedPublicKey,
    id: UserId,
    signature: pgp::packet::Signature,
) -> SignedPublicKey {
    let users = vec![SignedUser::new(id, vec![signature])];
    let details = SignedKeyDetails::new(Vec::new(), Vec::new(), users, Vec::new());
    SignedPublicKey::new(key.primary_key.clone(), details, Vec::new())
}

/// A public key's file.
pub(crate) fn armored(key: &SignedPublicKey) -> String {
    key.to_armored_string(ArmorOptions::default()).unwrap()
}
