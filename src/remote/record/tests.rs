//! Records: what is signed, and what is refused.

use super::*;

fn subject() -> Subject {
    Subject::Recipe(RecipeSubject {
        key: RecipeKey::from_bytes([1; 32]),
        target: "thumbv7em-none-eabihf".parse().unwrap(),
        host: "x86_64-unknown-linux-gnu".parse().unwrap(),
        rustc: "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)".to_owned(),
    })
}

fn record() -> Record {
    let blob = Blob {
        sha256: Sha256::from_bytes([2; 32]),
        size: 10,
    };
    let tree = TreeDigest::from_bytes([3; 32]);
    Record::new(Namespace::default(), subject(), tree, 20, blob)
}

fn parse(text: &str) -> Result<Record, RecordError> {
    Record::parse(text.as_bytes(), &Namespace::default(), &subject())
}

fn json() -> String {
    String::from_utf8(record().to_json()).unwrap()
}

#[test]
fn the_statement_is_pinned() {
    let expected = format!(
        "sysroot-record-v1\nnamespace \nrecipe blake3:{}\ntarget thumbv7em-none-eabihf\nhost \
         x86_64-unknown-linux-gnu\nrustc rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\ntree \
         blake3:{}\nunpacked 20\nblob sha256:{} 10\n",
        "01".repeat(32),
        "03".repeat(32),
        "02".repeat(32)
    );
    assert_eq!(String::from_utf8(record().statement()).unwrap(), expected);
}

#[test]
fn a_components_record_says_which_archive_was_unpacked() {
    let hash = |byte| Sha256::from_bytes([byte; 32]);
    let subject = |archive| {
        Subject::Component(ComponentSubject {
            name: "rust-src".parse().unwrap(),
            archive: hash(archive),
            formats: vec![hash(1), hash(2)],
        })
    };
    let parse = |archive| {
        let record = Record {
            subject: subject(archive),
            ..record()
        };
        Record::parse(&record.to_json(), &Namespace::default(), &subject(1))
    };
    let statement = String::from_utf8(parse(2).unwrap().statement()).unwrap();
    let lines: Vec<&str> = statement.lines().skip(2).take(4).collect();
    let hash = |byte| hash(byte).to_string();
    assert_eq!(
        lines,
        [
            "component rust-src".to_owned(),
            format!("archive {}", hash(2)),
            format!("format {}", hash(1)),
            format!("format {}", hash(2)),
        ]
    );
    assert_eq!(
        parse(3).unwrap_err(),
        RecordError::OtherSubject("component")
    );
}

#[test]
fn case_126_each_field_is_under_the_signature() {
    let key = SecretKey::generate().unwrap();
    let trusted = [key.public()];
    let mut record = record();
    record.sign(&key);
    let read = parse(&String::from_utf8(record.to_json()).unwrap()).unwrap();
    assert_eq!(read.signer(&trusted), Some(key.public()));
    assert_eq!(read.signer(&[]), None);
    let changes: Vec<fn(&mut Record)> = vec![
        |r| r.namespace = "x".parse().unwrap(),
        |r| r.tree = TreeDigest::from_bytes([4; 32]),
        |r| r.unpacked += 1,
        |r| r.blob.size += 1,
        |r| r.blob.sha256 = Sha256::of(b""),
        |r| match &mut r.subject {
            Subject::Recipe(s) => s.key = RecipeKey::from_bytes([9; 32]),
            Subject::Component(_) => unreachable!(),
        },
        |r| match &mut r.subject {
            Subject::Recipe(s) => s.target = "other".parse().unwrap(),
            Subject::Component(_) => unreachable!(),
        },
        |r| match &mut r.subject {
            Subject::Recipe(s) => s.host = "other".parse().unwrap(),
            Subject::Component(_) => unreachable!(),
        },
        |r| match &mut r.subject {
            Subject::Recipe(s) => s.rustc.push('x'),
            Subject::Component(_) => unreachable!(),
        },
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut other = record.clone();
        change(&mut other);
        assert_eq!(other.signer(&trusted), None, "change {i}");
    }
}

#[test]
fn case_128_a_record_about_something_else_is_refused() {
    let text = json();
    assert!(parse(&text).is_ok());
    for (from, to) in [
        ("thumbv7em-none-eabihf", "thumbv6m-none-eabi"),
        ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
        (&"01".repeat(32), &"05".repeat(32)),
    ] {
        let error = parse(&text.replace(from, to)).unwrap_err();
        assert_eq!(error, RecordError::OtherSubject("recipe"), "{from}");
    }
    let other = "salt".parse().unwrap();
    let error = Record::parse(text.as_bytes(), &other, &subject()).unwrap_err();
    assert_eq!(error, RecordError::Namespace(Namespace::default()));
}

#[test]
fn case_129_texts_that_are_no_records_are_refused() {
    let text = json();
    let many = format!(
        "\"signatures\":[{}]",
        vec![
            format!(
                "{{\"key\":\"{}\",\"signature\":\"ed25519:{}\"}}",
                SecretKey::generate().unwrap().public(),
                "A".repeat(86) + "=="
            );
            17
        ]
        .join(",")
    );
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"unpacked\":20", "\"unpacked\":9223372036854775808"),
        ("\"unpacked\":20", "\"unpacked\":-1"),
        ("\"size\":10", "\"size\":18446744073709551616"),
        ("\"size\":10", "\"size\":4294967296"),
        ("thumbv7em-none-eabihf", "../../etc"),
        ("rustc 1.97", "rustc\\n1.97"),
        ("\"unpacked\":20", "\"unpacked\":20,\"more\":1"),
        ("\"unpacked\":20", "\"unpacked\":20,\"unpacked\":20"),
        ("\"signatures\":[]", &many),
        ("sha256:", "blake3:"),
    ] {
        let bad = text.replace(from, to);
        assert_ne!(bad, text, "{from}");
        assert!(parse(&bad).is_err(), "{from} -> {to}");
    }
    for at in 0..text.trim_end().len() {
        assert!(parse(&text[..at]).is_err(), "cut at {at}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}
