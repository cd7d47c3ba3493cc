//! Signatures of Rust's own key, and of keys made here.

#[path = "../../tests/support/openpgp.rs"]
mod openpgp;

use pgp::crypto::hash::HashAlgorithm;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::types::{Class, Date, Diagnostic as _};
use openpgp::{CREATED, DAY, MADE, Manner, TestKey, armored};

const DATA: &[u8] = b"manifest-version = \"2\"\n";
/// Two tags of rust-lang/cargo, which Rust's release process signed with its
/// primary key and, earlier, with its subkey.
const BY_PRIMARY: [&[u8]; 2] = [
    include_bytes!("testdata/cargo-0.96.0.tag"),
    include_bytes!("testdata/cargo-0.96.0.tag.asc"),
];
const BY_SUBKEY: [&[u8]; 2] = [
    include_bytes!("testdata/cargo-0.72.1.tag"),
    include_bytes!("testdata/cargo-0.72.1.tag.asc"),
];
const PRIMARY: &str = "108F66205EAEB0AAA8DD5E1C85AB96E6FA1BE5FE";
const SUBKEY: &str = "C13466B7E169A085188632165CB4A9347B3B09DC";

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn today() -> Date {
    day("2026-05-21")
}

fn ring(keys: &[&TestKey]) -> Keyring {
    let mut ring = Keyring::rust().unwrap();
    for key in keys {
        ring.add(key.public_asc().as_bytes()).unwrap();
    }
    ring
}

fn judged(asc: &str, keys: &Keyring) -> Result<Verified, SignatureError> {
    verify(asc.as_bytes(), DATA, keys, today())
}

#[track_caller]
fn refused(asc: &str, keys: &Keyring, message: &str) {
    let error = judged(asc, keys).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(error.class(), Class::Trust);
    assert!(error.hint().is_some());
}

#[test]
fn the_compiled_in_key_has_rusts_fingerprints() {
    let names: Vec<String> = Keyring::rust()
        .unwrap()
        .fingerprints()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, [PRIMARY, SUBKEY]);
}

#[test]
fn real_signatures_of_rusts_key_are_accepted_and_of_nothing_else() {
    let keys = Keyring::rust().unwrap();
    for ([data, asc], signer) in [(BY_PRIMARY, PRIMARY), (BY_SUBKEY, SUBKEY)] {
        let verified = verify(asc, data, &keys, today()).unwrap();
        assert_eq!(verified.signer.to_string(), signer);
        // The lock's form is the same signature, on any day.
        let text = verified.detached.to_string();
        let detached: Detached = text.parse().unwrap();
        let again = check(&detached, data, &keys, None).unwrap();
        assert_eq!(again, verified);
        for at in 0..data.len() {
            let mut other = data.to_vec();
            other[at] ^= 1;
            let error = verify(asc, &other, &keys, today()).unwrap_err();
            assert!(matches!(error, SignatureError::Mismatch { .. }), "{error}");
        }
    }
    let swapped = verify(BY_SUBKEY[1], BY_PRIMARY[0], &keys, today());
    assert!(matches!(swapped, Err(SignatureError::Mismatch { .. })));
}

#[test]
fn no_flipped_bit_of_a_real_signature_is_accepted_as_another_one() {
    let keys = Keyring::rust().unwrap();
    let [data, asc] = BY_PRIMARY;
    let good = verify(asc, data, &keys, today()).unwrap();
    let packet = good.detached.as_bytes();
    for at in 0..packet.len() {
        let mut bytes = packet.to_vec();
        bytes[at] ^= 1;
        // The unhashed part is a hint only; who signed never changes.
        if let Ok(verified) = check(&Detached::new(bytes), data, &keys, None) {
            assert_eq!(verified.signer, good.signer, "{at}");
        }
        assert!(check(&Detached::new(packet[..at].to_vec()), data, &keys, None).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_reader_panic_or_are_accepted(
        bytes in vec(any::<u8>(), 0..600),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        head in prop::sample::select(vec![0xc2_u8, 0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xd1]),
    ) {
        let keys = Keyring::rust().unwrap();
        let mut framed = vec![head];
        framed.extend_from_slice(&bytes);
        for packet in [bytes, framed] {
            prop_assert!(check(&Detached::new(packet.clone()), DATA, &keys, None).is_err());
            let armor = format!(
                "-----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
                Detached::new(packet.clone())
            );
            prop_assert!(verify(armor.as_bytes(), DATA, &keys, today()).is_err());
            prop_assert!(verify(&packet, DATA, &keys, today()).is_err());
        }
        // A real signature with some bytes changed is of its signer, or none.
        let mut asc = BY_SUBKEY[1].to_vec();
        for (at, byte) in edits {
            let at = at.index(asc.len());
            asc[at] = byte;
        }
        if let Ok(verified) = verify(&asc, BY_SUBKEY[0], &keys, today()) {
            prop_assert_eq!(verified.signer.to_string(), SUBKEY);
        }
    }
}

#[test]
fn both_keys_of_an_added_key_sign() {
    let key = TestKey::new(1);
    let keys = ring(&[&key]);
    let by_subkey = Manner {
        by_subkey: true,
        ..Manner::default()
    };
    for (asc, signer) in [
        (key.sign(DATA), key.fingerprint()),
        (key.sign_as(DATA, by_subkey), key.subkey_fingerprint()),
    ] {
        assert_eq!(judged(&asc, &keys).unwrap().signer.to_string(), signer);
        // Other headers and line lengths, the same signature.
        let again = asc.replacen("\n\n", "\nComment: hello\n\n", 1);
        let (a, b) = (judged(&asc, &keys), judged(&again, &keys));
        assert_eq!(a.unwrap().detached, b.unwrap().detached);
    }
}

#[test]
fn case_048_a_foreign_key_is_named_with_the_trusted_ones() {
    let (known, stranger) = (TestKey::new(1), TestKey::new(2));
    let asc = stranger.sign(DATA);
    refused(&asc, &ring(&[&known]), &stranger.fingerprint());
    refused(&asc, &ring(&[&known]), PRIMARY);
    // A subkey of somebody else in a trusted key's file is no trusted key.
    let mut forged = known.public();
    forged.public_subkeys = stranger.public().public_subkeys;
    let mut keys = Keyring::rust().unwrap();
    keys.add(armored(&forged).as_bytes()).unwrap();
    let by_subkey = Manner {
        by_subkey: true,
        ..Manner::default()
    };
    let asc = stranger.sign_as(DATA, by_subkey);
    refused(&asc, &keys, &stranger.subkey_fingerprint());
}

#[test]
fn case_048_a_signature_of_another_file_is_told() {
    let key = TestKey::new(1);
    refused(
        &key.sign(b"another file"),
        &ring(&[&key]),
        "it is of another file",
    );
}

#[test]
fn case_048_weak_digests_are_told_by_name() {
    let key = TestKey::rsa(1);
    let keys = ring(&[&key]);
    for (digest, name) in [
        (HashAlgorithm::Sha1, "SHA1"),
        (HashAlgorithm::Md5, "MD5"),
        (HashAlgorithm::Ripemd160, "RIPEMD160"),
        (HashAlgorithm::Sha224, "SHA224"),
    ] {
        let manner = Manner {
            digest,
            ..Manner::default()
        };
        let asc = key.sign_as(DATA, manner);
        refused(&asc, &keys, name);
        refused(&asc, &keys, "SHA-256 or better is required");
    }
    // The same key and bytes with a strong one.
    assert!(judged(&key.sign(DATA), &keys).is_ok());
}

#[test]
fn case_048_an_expired_key_and_an_expired_signature_are_told_with_their_days() {
    let key = TestKey::new(1);
    let mut keys = Keyring::rust().unwrap();
    keys.add(key.public_lasting(10 * DAY).as_bytes()).unwrap();
    refused(&key.sign(DATA), &keys, "which expired on 2026-05-11");
    let early = Manner {
        made: CREATED + DAY,
        ..Manner::default()
    };
    assert!(judged(&key.sign_as(DATA, early), &keys).is_ok());

    let keys = ring(&[&key]);
    let short = Manner {
        made: MADE - 5 * DAY,
        lasts: Some(DAY),
        ..Manner::default()
    };
    let asc = key.sign_as(DATA, short);
    refused(
        &asc,
        &keys,
        "made on 2026-05-15 and expired on 2026-05-16; today is 2026-05-21",
    );
    // Locked in time, it stays good.
    let verified = verify(asc.as_bytes(), DATA, &keys, day("2026-05-15")).unwrap();
    assert!(check(&verified.detached, DATA, &keys, None).is_ok());
}

#[test]
fn case_048_signatures_from_before_the_key_and_from_the_future_are_refused() {
    let key = TestKey::new(1);
    let keys = ring(&[&key]);
    let at = |made| {
        let manner = Manner {
            made,
            ..Manner::default()
        };
        key.sign_as(DATA, manner)
    };
    refused(&at(CREATED - DAY), &keys, "which is of 2026-05-01");
    refused(&at(MADE + 100 * DAY), &keys, "today is 2026-05-21");
}

#[test]
fn case_048_truncated_armor_and_packets_are_told_apart_from_garbage() {
    let key = TestKey::new(1);
    let keys = ring(&[&key]);
    let asc = key.sign(DATA);
    for cut in 0..asc.trim_end().len() {
        assert!(judged(&asc[..cut], &keys).is_err(), "{cut}");
    }
    refused(&asc[..asc.len() / 2], &keys, "it is cut short");
    let packet = judged(&asc, &keys).unwrap().detached.as_bytes().to_vec();
    for cut in 1..packet.len() {
        let error = check(&Detached::new(packet[..cut].to_vec()), DATA, &keys, None);
        assert_eq!(error, Err(SignatureError::CutShort), "{cut}");
    }
    refused(
        "<!DOCTYPE html>",
        &keys,
        "there is no line `-----BEGIN PGP SIGNATURE-----`",
    );
    refused("", &keys, "there is no line");
    refused(&key.public_asc(), &keys, "there is no line");
    let wrong = key.public_asc().replace("PUBLIC KEY BLOCK", "SIGNATURE");
    refused(&wrong, &keys, "does not consist of OpenPGP signatures");
}

#[test]
fn case_048_a_megabyte_of_armor_is_not_parsed() {
    let key = TestKey::new(1);
    let asc = key
        .sign(DATA)
        .replace("\n\n", &format!("\n\n{}", "A\n".repeat(1 << 19)));
    refused(&asc, &ring(&[&key]), "at most 16384 are accepted");
}

#[test]
fn case_048_a_signature_of_text_is_not_one_of_bytes() {
    let key = TestKey::new(1);
    let text = Manner {
        text: true,
        ..Manner::default()
    };
    refused(
        &key.sign_as(DATA, text),
        &ring(&[&key]),
        "not one of a file's bytes",
    );
}

#[test]
fn keys_that_are_none_are_refused() {
    let key = TestKey::new(1);
    let asc = key.public_asc();
    for (file, message) in [
        ("", "there is no line"),
        (&asc[..asc.len() / 2], "it is cut short"),
        (&key.sign(DATA), "there is no line"),
        (
            &key.sign(DATA).replace("SIGNATURE", "PUBLIC KEY BLOCK"),
            "no OpenPGP public key",
        ),
        (&"x".repeat(300_000), "at most"),
    ] {
        let error = Keyring::rust().unwrap().add(file.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().is_some());
    }
}
