//! Signed notes and keys, with notes and keys that others made.

mod common;

use audit_log::cosignature::{Cosigner, CosignerKey};
use audit_log::note::{
    BadSignature, KeyError, MAX_SIGNATURES, Name, Note, NoteError, Signature, SigningKey, Text,
    Verifier as _, VerifierKey,
};
use common::log_key;
use proptest::prelude::*;

/// The keys and the note of the tests of golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

fn note(text: &str) -> Result<Note, NoteError> {
    Note::parse(text.as_bytes())
}

#[test]
fn signatures_of_known_keys_are_checked_and_others_ignored() {
    let (peter, enoch) = (key(PETER), key(ENOCH));
    let both = note(&format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}")).unwrap();
    assert_eq!(both.text().as_ref(), TEXT);
    assert_eq!(both.signatures().len(), 2);
    assert_eq!(both.verified_by(std::slice::from_ref(&peter)), Ok(vec![&peter]));
    assert_eq!(both.verified_by(&[enoch.clone(), peter.clone()]), Ok(vec![&peter, &enoch]));
    assert_eq!(both.verified_by::<VerifierKey>(&[]), Ok(vec![]));
    assert_eq!(both.verified_by(&[log_key().verifier()]), Ok(vec![]));
}

#[test]
fn a_key_counts_once_however_often_it_signed_or_is_known() {
    let peter = key(PETER);
    let twice = note(&format!("{TEXT}\n{PETER_LINE}{PETER_LINE}")).unwrap();
    assert_eq!(twice.verified_by(&[peter.clone(), peter.clone()]), Ok(vec![&peter]));
}

#[test]
fn a_wrong_signature_of_a_known_key_rejects_the_note() {
    let (peter, enoch) = (key(PETER), key(ENOCH));
    let text = TEXT.replace("problem is", "problem was");
    let changed = note(&format!("{text}\n{PETER_LINE}")).unwrap();
    let bad = BadSignature { name: peter.name().clone(), id: peter.id() };
    assert_eq!(changed.verified_by(std::slice::from_ref(&peter)), Err(bad.clone()));
    assert_eq!(
        bad.to_string(),
        "the signature of the known key PeterNeumann+c74f20a3 is not one of this text"
    );

    // Also beside right ones, before or after them, of the same key or another.
    let wrong = PETER_LINE.replace("ZJku", "ABCD");
    for lines in
        [format!("{ENOCH_LINE}{wrong}"), format!("{wrong}{PETER_LINE}"), format!("{PETER_LINE}{wrong}")]
    {
        let mixed = note(&format!("{TEXT}\n{lines}")).unwrap();
        assert_eq!(mixed.verified_by(&[peter.clone(), enoch.clone()]), Err(bad.clone()), "{lines}");
    }
    // One of another length is as wrong.
    let long = PETER_LINE.replace("nAM=", "nAMA");
    assert!(note(&format!("{TEXT}\n{long}")).unwrap().verified_by(&[peter]).is_err());
}

#[test]
fn a_signature_with_the_name_or_the_identifier_of_a_known_key_alone_is_ignored() {
    let peter = key(PETER);
    let misnamed =
        note(&format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", "CarmenSandiego"))).unwrap();
    assert_eq!(misnamed.verified_by(std::slice::from_ref(&peter)), Ok(vec![]));
    let other_id = note(&format!("{TEXT}\n{}", PETER_LINE.replace("x08g", "xxxx"))).unwrap();
    assert_eq!(other_id.verified_by(&[peter]), Ok(vec![]));
}

#[test]
fn what_is_no_note_is_refused() {
    for wrong in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        TEXT.into(),
        format!("{TEXT}\n"),
        format!("{TEXT}{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.trim_end()),
        format!("{TEXT}\n{PETER_LINE}\n"),
        format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"),
        format!("{TEXT}\nUnexpected line.\n{PETER_LINE}"),
        format!("\u{1}{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.replace('\n', "\r\n")),
        format!("{}\n{PETER_LINE}", TEXT.replace(',', "\t")),
        format!("{}\n{PETER_LINE}", TEXT.replace(',', "\0")),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", "- ")),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", "—")),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", "—  ")),
        format!("{TEXT}\n{}", PETER_LINE.replace("— ", " — ")),
        format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", "Bad Name")),
        format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", "Bad+Name")),
        format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", "Bad\u{2003}Name")),
        format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann ", "")),
        format!("{TEXT}\n{}", PETER_LINE.replace("nAM=", "nAM")),
        format!("{TEXT}\n{}", PETER_LINE.replace("nAM=", "nAN=")),
        format!("{TEXT}\n{}", PETER_LINE.replace("nAM=", "nAM= ")),
        format!("{TEXT}\n— PeterNeumann x08g\n"),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{TEXT}\n— PeterNeumann \n"),
    ] {
        assert!(note(&wrong).is_err(), "{wrong:?}");
    }
    let utf8 = [b"\xff", TEXT.as_bytes(), b"\n", PETER_LINE.as_bytes()].concat();
    assert_eq!(Note::parse(&utf8), Err(NoteError::Utf8 { valid: 0 }));
    let control = note(&format!("a\u{7}\n\n{PETER_LINE}")).unwrap_err();
    assert!(control.to_string().contains("U+0007"), "{control}");
}

#[test]
fn the_text_ends_before_the_last_empty_line() {
    for text in ["\n", "\n\n\n", "a\n\n\n", "\n\na\n", &format!("{TEXT}\n{PETER_LINE}")] {
        let signed = Note::sign(text.parse().unwrap(), &log_key());
        let read = note(&signed.to_string()).unwrap();
        assert_eq!(read, signed, "{text:?}");
        assert_eq!(read.text().as_ref(), text);
        assert_eq!(read.verified_by(&[log_key().verifier()]).unwrap().len(), 1);
    }
    for text in ["", "a", "a\n\nb", "a\r\n", "\t\n", "\0\n"] {
        assert!(text.parse::<Text>().is_err(), "{text:?}");
    }
    assert!("\u{7f}\u{85}é\n".parse::<Text>().is_ok(), "all but the characters below U+0020");
}

#[test]
fn a_hundred_signatures_are_read_and_no_more() {
    const { assert!(MAX_SIGNATURES >= 16) };
    let many = |count| note(&format!("{TEXT}\n{}", PETER_LINE.repeat(count)));
    assert_eq!(many(16).unwrap().verified_by(&[key(PETER)]).unwrap().len(), 1);
    assert_eq!(many(MAX_SIGNATURES).unwrap().signatures().len(), MAX_SIGNATURES);
    assert!(matches!(many(MAX_SIGNATURES + 1), Err(NoteError::SignatureCount { .. })));
    assert!(matches!(many(100_000), Err(NoteError::SignatureCount { .. })));
    assert!(matches!(Note::new(TEXT.parse().unwrap(), vec![]), Err(NoteError::SignatureCount { found: 0 })));

    let mut full = many(MAX_SIGNATURES).unwrap();
    let peter = full.signatures()[0].clone();
    assert_eq!(full.add(peter), Ok(()), "it is there already");
    let before = full.clone();
    let enoch: Signature = ENOCH_LINE.trim_end().parse().unwrap();
    assert_eq!(full.add(enoch), Err(NoteError::SignatureCount { found: MAX_SIGNATURES + 1 }));
    assert_eq!(full, before);
}

#[test]
fn a_key_of_another_implementation_signs_the_same() {
    let peter: SigningKey = PETER_PRIVATE.parse().unwrap();
    assert_eq!(peter.verifier().to_string(), PETER);
    assert_eq!(peter.to_private_text(), PETER_PRIVATE);
    assert_eq!(Note::sign(TEXT.parse().unwrap(), &peter).to_string(), format!("{TEXT}\n{PETER_LINE}"));
    let id = peter.verifier().id();
    assert_eq!(id.to_string(), "c74f20a3");
}

#[test]
fn a_private_key_is_not_shown() {
    let secret = PETER_PRIVATE.rsplit('+').next().unwrap();
    let shown = format!("{:?}", PETER_PRIVATE.parse::<SigningKey>().unwrap());
    assert!(shown.contains(PETER) && !shown.contains(secret), "{shown}");
    let cosigner = PETER_PRIVATE.parse::<Cosigner>().unwrap();
    let shown = format!("{cosigner:?}");
    assert!(!shown.contains(secret) && !shown.contains(&secret[2..]), "{shown}");
    let error = PETER_PRIVATE.replace("c74f20a3", "c74f20a4").parse::<SigningKey>().unwrap_err();
    assert!(matches!(error, KeyError::Id { .. }));
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[test]
fn a_key_with_any_character_changed_or_missing_is_refused() {
    for (text, private) in [(PETER, false), (PETER_PRIVATE, true)] {
        let refused = |changed: &str| {
            if private {
                changed.parse::<SigningKey>().is_err()
            } else {
                changed.parse::<VerifierKey>().is_err()
            }
        };
        assert!(!refused(text));
        for start in 0..text.len() {
            for end in start + 1..=text.len() {
                assert!(
                    (start, end) == (0, text.len()) || refused(&text[start..end]),
                    "{}",
                    &text[start..end]
                );
            }
            let mut bytes = text.as_bytes().to_vec();
            bytes[start] += 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(refused(&changed), "{changed}");
        }
    }
    // Of another length, and of an unknown type, each with the identifier that it has to have.
    for wrong in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
    assert_eq!(
        ENOCH.replace("af0cfe78", "AF0CFE78").parse::<VerifierKey>(),
        Err(KeyError::Public),
        "there is one text for each key"
    );
}

#[test]
fn a_key_for_which_anybody_can_sign_is_refused() {
    // The neutral element and the point of order two (RFC 8032 encodings of y = 1 and y = -1).
    let one = core::array::from_fn(|at| u8::from(at == 0));
    let minus_one = core::array::from_fn(|at| match at {
        0 => 0xec,
        31 => 0x7f,
        _ => 0xff,
    });
    let name: Name = "example.com/weak".parse().unwrap();
    for weak in [one, minus_one, [0; 32]] {
        assert_eq!(VerifierKey::new(name.clone(), &weak), Err(KeyError::Material));
        assert!(CosignerKey::new(name.clone(), &weak).is_err());
    }
}

#[test]
fn a_name_has_no_spaces_plus_signs_and_control_characters() {
    for wrong in
        ["", " ", "a b", "a+b", "a\nb", "a\tb", "a\0b", "a\u{a0}b", "a\u{2028}", "a\u{3000}b", "\u{85}"]
    {
        assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
    }
    for right in ["a", "example.com/audit", "sigsum.org/v1/tree/4d6d", "é", "—"] {
        assert_eq!(right.parse::<Name>().unwrap().to_string(), right);
    }
}

fn text_strategy() -> impl Strategy<Value = String> {
    "([ -~é—\n]{0,40}\n){1,4}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_note_is_read_as_it_is_written(text in text_strategy(), seeds in proptest::collection::vec(any::<[u8; 32]>(), 1..4)) {
        let text: Text = text.parse().unwrap();
        let keys: Vec<SigningKey> = seeds
            .iter()
            .enumerate()
            .map(|(n, seed)| SigningKey::from_seed(format!("example.com/{n}").parse().unwrap(), seed))
            .collect();
        let signed = Note::new(text.clone(), keys.iter().map(|key| key.sign(&text)).collect()).unwrap();
        let read = note(&signed.to_string()).unwrap();
        prop_assert_eq!(&read, &signed);
        let verifiers: Vec<VerifierKey> = keys.iter().map(SigningKey::verifier).collect();
        prop_assert_eq!(read.verified_by(&verifiers).unwrap().len(), keys.len());
        for key in &keys {
            prop_assert_eq!(key.verifier().to_string().parse::<VerifierKey>().unwrap(), key.verifier());
            let again: SigningKey = key.to_private_text().parse().unwrap();
            prop_assert_eq!(again.verifier(), key.verifier());
        }
    }

    #[test]
    fn a_note_with_any_bit_changed_is_refused_or_not_signed(bit in any::<prop::sample::Index>(), text in text_strategy()) {
        let signed = Note::sign(text.parse().unwrap(), &log_key()).to_string().into_bytes();
        let mut changed = signed.clone();
        let bit = bit.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        let verified = Note::parse(&changed).ok().and_then(|note| note.verified_by(&[log_key().verifier()]).ok().map(|keys| keys.len()));
        prop_assert!(matches!(verified, None | Some(0)), "{:?}", String::from_utf8_lossy(&changed));
    }
}
