//! Checkpoints and cosignatures, with checkpoints and keys that others made.

mod common;

use audit_log::checkpoint::{Checkpoint, CheckpointError, Origin, SignedCheckpoint, VerifyError};
use audit_log::cosignature::{Cosigner, CosignerKey, Time};
use audit_log::note::{KeyError, Name, Signature, SigningKey, Text, Verifier as _, VerifierKey};
use audit_log::tree::{EMPTY_ROOT, Hash};
use common::{flipped, log_key, origin, signed, witness};
use proptest::prelude::*;

/// A key of the tests of golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

/// A checkpoint of the Go checksum database, which its key signed.
const SUMDB: &str = "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n";
const SUMDB_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

#[test]
fn a_checkpoint_of_a_public_log_is_verified() {
    let signed = SignedCheckpoint::parse(SUMDB.as_bytes()).unwrap();
    let origin: Origin = "go.sum database tree".parse().unwrap();
    let keys = [key(SUMDB_KEY)];
    let checkpoint = signed.verify(&origin, &keys).unwrap();
    assert_eq!(checkpoint.size(), 35_225_469);
    assert_eq!(checkpoint.root().to_string(), "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=");
    assert_eq!(signed.to_string(), SUMDB);

    let larger = SUMDB.replace("35225469", "35225470");
    let bad = SignedCheckpoint::parse(larger.as_bytes()).unwrap().verify(&origin, &keys).unwrap_err();
    assert!(matches!(bad, VerifyError::Signature(_)), "{bad}");
    let unsigned = signed.verify(&origin, &[log_key().verifier()]).unwrap_err();
    assert_eq!(unsigned, VerifyError::Unsigned { origin: origin.clone() });
    let other = signed.verify(&common::origin(), &keys).unwrap_err();
    assert_eq!(other, VerifyError::Origin { found: origin, accepted: common::origin() });
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let root = EMPTY_ROOT;
    let parse = |text: &str| Checkpoint::parse(&text.parse().unwrap());
    assert_eq!(parse(&format!("a\n0\n{root}\n")).unwrap().to_string(), format!("a\n0\n{root}\n"));
    for wrong in [
        "\n".to_string(),
        "a\n".into(),
        "a\n1\n".into(),
        format!("\n1\n{root}\n"),
        format!("a\n\n{root}\n"),
        "a\n1\n\n".into(),
        format!("a\nb\n{root}\n"),
        format!("a\n-1\n{root}\n"),
        format!("a\n+1\n{root}\n"),
        format!("a\n01\n{root}\n"),
        format!("a\n00\n{root}\n"),
        format!("a\n 1\n{root}\n"),
        format!("a\n1 \n{root}\n"),
        format!("a\n18446744073709551616\n{root}\n"),
        format!("a\n0\n{}\n", flipped(root, 0)),
        "a\n1\nYmFuYW5hcw==\n".into(),
        format!("a\n1\n{}\n", root.to_string().trim_end_matches('=')),
        format!("a\n1\n{root} \n"),
        "a\n1\nThisIsn'tBase64\n".into(),
        format!("a\n1\n{root}\n\n"),
        format!("a\n1\n{root}\nb\n\nc\n"),
        format!("a\n1\n{root}\n\n\n\n"),
    ] {
        assert!(parse(&wrong).is_err(), "{wrong:?}");
    }
    let with_lines = parse(&format!("a b\n1\n{root}\nb\n c\n")).unwrap();
    assert_eq!(with_lines.extensions(), ["b", " c"]);
    let few = parse("a\n1\n").unwrap_err();
    assert_eq!(few, CheckpointError::Lines { found: 2 });
    assert!("".parse::<Origin>().is_err() && "a\nb".parse::<Origin>().is_err());
    let checkpoint = Checkpoint::new(origin(), 1, root).unwrap();
    for wrong in ["", "a\nb", "\r"] {
        let refused = checkpoint.clone().with_extensions(vec!["ok".into(), wrong.into()]);
        assert_eq!(refused, Err(CheckpointError::Extension { found: wrong.into() }));
    }
}

#[test]
fn what_a_witness_signs_is_the_text_of_the_specification() {
    let checkpoint = Checkpoint::new(
        "example.com/behind-the-sofa".parse().unwrap(),
        20_852_163,
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".parse().unwrap(),
    )
    .unwrap();
    let message = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let seed = [9; 32];
    let name: Name = "witness.example.com/w1".parse().unwrap();
    let cosigner = Cosigner::from_seed(name.clone(), &seed);
    let cosignature = cosigner.cosign(Time::new(1_679_315_147).unwrap(), &checkpoint);
    // Ed25519 signs the same text the same way.
    let plain = SigningKey::from_seed(name, &seed).sign(&message.parse().unwrap());
    assert_eq!(cosignature.bytes()[..8], [0, 0, 0, 0, 0x64, 0x18, 0x50, 0xcb]);
    assert_eq!(cosignature.bytes()[8..], *plain.bytes());
    assert_ne!(cosignature.id(), plain.id());
    assert_eq!(cosignature.id(), cosigner.verifier().id());
}

#[test]
fn a_cosigner_key_has_the_identifier_of_its_own_type() {
    // A key of this type, from the tests of transparency-dev/formats.
    let text = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    let key: CosignerKey = text.parse().unwrap();
    assert_eq!(key.to_string(), text);
    assert!(matches!(text.parse::<VerifierKey>(), Err(KeyError::Algorithm { found: 4, .. })));
    assert!(matches!(PETER.parse::<CosignerKey>(), Err(KeyError::Algorithm { found: 1, .. })));

    let cosigner: Cosigner = PETER_PRIVATE.parse().unwrap();
    assert_eq!(cosigner.verifier(), CosignerKey::try_from(&self::key(PETER)).unwrap());
    let own = cosigner.to_private_text();
    assert_eq!(own.parse::<Cosigner>().unwrap().verifier(), cosigner.verifier());
    assert!(matches!(own.parse::<SigningKey>(), Err(KeyError::Algorithm { found: 4, .. })));
    assert_eq!(cosigner.verifier().to_string().parse::<CosignerKey>().unwrap(), cosigner.verifier());
}

#[test]
fn a_signature_of_the_log_is_no_cosignature_and_the_other_way_round() {
    let seed = [5; 32];
    let name: Name = origin().to_string().parse().unwrap();
    let (log, cosigner) = (SigningKey::from_seed(name.clone(), &seed), Cosigner::from_seed(name, &seed));
    let checkpoint = Checkpoint::new(origin(), 1, EMPTY_ROOT).unwrap();
    let signed = SignedCheckpoint::sign(checkpoint.clone(), &log);
    assert_eq!(signed.cosigned_by(&[cosigner.verifier()]), Ok(vec![]));
    let cosignature = cosigner.cosign(Time::new(1).unwrap(), &checkpoint);
    let cosigned_alone =
        SignedCheckpoint::parse(format!("{checkpoint}\n{cosignature}\n").as_bytes()).unwrap();
    assert_eq!(cosigned_alone.cosigned_by(&[cosigner.verifier()]).unwrap().len(), 1);
    assert!(matches!(cosigned_alone.verify(&origin(), &[log.verifier()]), Err(VerifyError::Unsigned { .. })));
}

#[test]
fn a_witness_counts_once_with_its_latest_time() {
    let mut signed = signed(7, Hash::of_leaf(b"root"));
    let (one, two) = (witness(1), witness(2));
    for (cosigner, seconds) in [(&one, 20), (&two, 15), (&one, 30), (&one, 10)] {
        let cosignature = cosigner.cosign(Time::new(seconds).unwrap(), signed.unverified());
        signed.add(cosignature).unwrap();
    }
    let known = [two.verifier(), one.verifier(), witness(3).verifier(), one.verifier()];
    let cosigned = signed.cosigned_by(&known).unwrap();
    let seen: Vec<_> = cosigned.iter().map(|one| (one.key.name().to_string(), one.time.seconds())).collect();
    assert_eq!(seen, [("witness.example/1".to_string(), 30), ("witness.example/2".to_string(), 15)]);
}

#[test]
fn a_cosignature_of_another_checkpoint_or_time_is_wrong() {
    let signed = signed(7, Hash::of_leaf(b"root"));
    let one = witness(1);
    let known = [one.verifier()];
    let judge = |cosignature: Signature| {
        let mut signed = signed.clone();
        signed.add(cosignature).unwrap();
        signed.cosigned_by(&known).map(|cosigned| cosigned.len())
    };
    let time = Time::new(1_700_000_000).unwrap();
    let right = one.cosign(time, signed.unverified());
    assert_eq!(judge(right.clone()), Ok(1));
    for bit in 0..72 * 8 {
        let mut line = right.bytes().to_vec();
        line[bit / 8] ^= 1 << (bit % 8);
        let changed = format!("{}", right).replace(&encoded(&right), &encode(right.id().0, &line));
        assert!(judge(changed.parse().unwrap()).is_err(), "bit {bit}");
    }
    let other = Checkpoint::new(origin(), 8, Hash::of_leaf(b"root")).unwrap();
    assert!(judge(one.cosign(time, &other)).is_err());
    assert!(Time::new(1 << 63).is_err());
    assert!(Time::new((1 << 63) - 1).is_ok());
}

fn encoded(signature: &Signature) -> String {
    encode(signature.id().0, signature.bytes())
}

fn encode(id: [u8; 4], bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(&[&id[..], bytes].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_checkpoint_is_read_as_it_is_written(
        origin in "[ -*,-~é]{1,30}",
        size in any::<u64>(),
        root in any::<[u8; 32]>().prop_map(Hash),
        extensions in proptest::collection::vec("[ -~é]{1,10}", 0..3),
    ) {
        let root = if size == 0 { EMPTY_ROOT } else { root };
        let checkpoint = Checkpoint::new(origin.parse().unwrap(), size, root).unwrap().with_extensions(extensions).unwrap();
        prop_assert_eq!(&Checkpoint::parse(&checkpoint.text()).unwrap(), &checkpoint);
        prop_assert_eq!(&checkpoint.to_string().parse::<Text>().unwrap(), &checkpoint.text());
        let signed = SignedCheckpoint::sign(checkpoint, &log_key());
        prop_assert_eq!(SignedCheckpoint::parse(signed.to_string().as_bytes()), Ok(signed));
    }
}
