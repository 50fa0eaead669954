//! Proofs in files.

mod common;

use audit_log::checkpoint::{Checkpoint, SignedCheckpoint, VerifyError};
use audit_log::cosignature::{Cosigner, CosignerKey, Time};
use audit_log::note::SigningKey;
use audit_log::proof::{CheckError, ParseError, Policy, Proof};
use audit_log::tree::{Hash, ProofError, inclusion};
use common::{leaves, log_key, origin, signed, witness, written};
use proptest::prelude::*;

/// The proof of a leaf in a tree of some size, with some witnesses.
fn proof(index: u64, size: usize, witnesses: &[u8]) -> Proof {
    let (edge, files) = written(&leaves(size));
    let mut checkpoint = signed(edge.size(), edge.root());
    for number in witnesses {
        let time = Time::new(1_700_000_000 + u64::from(*number)).unwrap();
        checkpoint.add(witness(*number).cosign(time, checkpoint.unverified())).unwrap();
    }
    let hashes = inclusion::prove(index, edge.size(), &mut files.tree(edge.size())).unwrap();
    Proof::new(index, hashes, checkpoint).unwrap()
}

fn known(numbers: &[u8]) -> Vec<CosignerKey> {
    numbers.iter().map(|number| witness(*number).verifier()).collect()
}

#[test]
fn a_proof_shows_what_the_policy_asks_for() {
    let (origin, log) = (origin(), [log_key().verifier()]);
    let leaf = leaves(300)[17];
    let with_two = proof(17, 300, &[1, 2]);
    let witnesses = known(&[1, 2, 3]);
    let policy = |quorum| Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum };
    let checked = with_two.check(leaf, &policy(2)).unwrap();
    assert_eq!((checked.index, checked.checkpoint.size()), (17, 300));
    let times: Vec<u64> = checked.cosigned.iter().map(|one| one.time.seconds()).collect();
    assert_eq!(times, [1_700_000_001, 1_700_000_002]);

    assert_eq!(with_two.check(leaf, &policy(3)), Err(CheckError::Quorum { found: 2, accepted: 3 }));
    let other = with_two.check(leaves(300)[18], &policy(0));
    assert!(matches!(other, Err(CheckError::Inclusion(ProofError::Root { .. }))));
    let another = "example.com/another".parse().unwrap();
    let wrong_log = with_two.check(leaf, &Policy { origin: &another, ..policy(0) });
    assert!(matches!(wrong_log, Err(CheckError::Checkpoint(VerifyError::Origin { .. }))));
    let wrong_key = with_two.check(leaf, &Policy { log: &[], ..policy(0) });
    assert!(matches!(wrong_key, Err(CheckError::Checkpoint(VerifyError::Unsigned { .. }))));
}

#[test]
fn a_witness_that_is_known_twice_counts_once() {
    let (origin, log, witnesses) = (origin(), [log_key().verifier()], known(&[1, 1]));
    let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 2 };
    let one = proof(0, 1, &[1]);
    assert_eq!(one.check(leaves(1)[0], &policy), Err(CheckError::Quorum { found: 1, accepted: 2 }));
}

#[test]
fn a_witness_under_several_names_counts_once_and_the_log_is_none() {
    let (origin, log) = (origin(), [log_key().verifier()]);
    let cosigner = |name: &str, seed| Cosigner::from_seed(name.parse().unwrap(), &[seed; 32]);
    let log_seed = 1;
    let cosigners = [
        cosigner("witness.example/a", 50),
        cosigner("witness.example/b", 50),
        cosigner("witness.example/c", log_seed),
    ];
    assert_eq!(cosigners[2].verifier().bytes(), log[0].bytes());
    let mut checkpoint = signed(1, leaves(1)[0]);
    for one in &cosigners {
        checkpoint.add(one.cosign(Time::new(9).unwrap(), checkpoint.unverified())).unwrap();
    }
    let witnesses = cosigners.map(|one| one.verifier());
    let proof = Proof::new(0, vec![], checkpoint).unwrap();
    let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 1 };
    assert_eq!(proof.check(leaves(1)[0], &policy).unwrap().cosigned.len(), 1);
    let two = proof.check(leaves(1)[0], &Policy { quorum: 2, ..policy });
    assert_eq!(two, Err(CheckError::Quorum { found: 1, accepted: 2 }));
}

#[test]
fn a_wrong_cosignature_of_a_known_witness_rejects_the_proof() {
    let (origin, log, witnesses) = (origin(), [log_key().verifier()], known(&[1]));
    let mut checkpoint = signed(1, leaves(1)[0]);
    let other = Checkpoint::new(origin.clone(), 2, leaves(1)[0]).unwrap();
    checkpoint.add(witness(1).cosign(Time::new(5).unwrap(), &other)).unwrap();
    let proof = Proof::new(0, vec![], checkpoint).unwrap();
    let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 0 };
    assert!(matches!(proof.check(leaves(1)[0], &policy), Err(CheckError::Cosignature(_))));
    assert!(proof.check(leaves(1)[0], &Policy { witnesses: &[], ..policy }).is_ok());
}

#[test]
fn a_proof_has_the_text_of_the_specification() {
    let made = proof(5, 7, &[1]).with_extra(b"extra information".to_vec());
    let hashes: String = made.hashes().iter().map(|hash| format!("{hash}\n")).collect();
    let text = format!(
        "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 5\n{hashes}\n{}",
        made.checkpoint()
    );
    assert_eq!(made.hashes().len(), 3);
    assert_eq!(made.to_string(), text);
    assert_eq!(Proof::parse(text.as_bytes()).unwrap().extra(), b"extra information");
    let alone = proof(0, 1, &[]);
    assert_eq!(alone.to_string(), format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{}", alone.checkpoint()));
}

#[test]
fn a_proof_that_another_implementation_wrote_is_the_same() {
    let text = include_str!("vectors/proofbundle.tlog-proof");
    let contents: Vec<Hash> = (0..300).map(|n| Hash::of_leaf(format!("event {n}").as_bytes())).collect();
    let (edge, files) = written(&contents);
    let key = SigningKey::from_seed("example.com/audit".parse().unwrap(), &[7; 32]);
    let cosigner = Cosigner::from_seed("witness.example/w".parse().unwrap(), &[8; 32]);
    let mut checkpoint = SignedCheckpoint::sign(Checkpoint::new(origin(), 300, edge.root()).unwrap(), &key);
    checkpoint.add(cosigner.cosign(Time::new(1_700_000_000).unwrap(), checkpoint.unverified())).unwrap();
    let hashes = inclusion::prove(17, 300, &mut files.tree(300)).unwrap();
    let ours = Proof::new(17, hashes, checkpoint).unwrap().with_extra(b"abc".to_vec());
    assert_eq!(ours.to_string(), text);

    let (origin, log, witnesses) = (origin(), [key.verifier()], [cosigner.verifier()]);
    let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 1 };
    assert!(Proof::parse(text.as_bytes()).unwrap().check(contents[17], &policy).is_ok());
}

#[test]
fn what_is_no_proof_is_refused() {
    let right = proof(5, 7, &[1]).to_string();
    let (head, checkpoint) = right.split_once("\n\n").unwrap();
    let first = head.lines().nth(2).unwrap();
    assert!(Proof::parse(right.as_bytes()).is_ok());
    let long = format!("{head}\n{first}\n\n{checkpoint}");
    for wrong in [
        String::new(),
        "\n\n".into(),
        head.into(),
        format!("{head}\n{checkpoint}"),
        format!("\n{right}"),
        format!("{head}\n\n"),
        format!("{head}\n\n\n{checkpoint}"),
        format!("{right}\n"),
        right.trim_end().into(),
        right.replace('\n', "\r\n"),
        right.replace("proof@v1", "proof@v2"),
        right.replace("c2sp", "https://c2sp"),
        right.replace("index 5", "index 05"),
        right.replace("index 5", "index +5"),
        right.replace("index 5", "index -5"),
        right.replace("index 5", "index  5"),
        right.replace("index 5", "index 5 "),
        right.replace("index 5", "index five"),
        right.replace("index 5", "index 18446744073709551616"),
        right.replace("index 5", "Index 5"),
        right.replace("index 5", "index"),
        right.replace("index 5\n", ""),
        right.replace("index 5", "index 7"),
        right.replace("index 5", "index 6"),
        right.replace("index 5", "index 5\nindex 5"),
        right.replace("index 5", "extra \nindex 5"),
        right.replace("index 5", "extra\nindex 5"),
        right.replace("index 5", "extra !!notbase64!!\nindex 5"),
        right.replace("index 5", "extra QQ\nindex 5"),
        right.replace("index 5", "extra QQ==\nextra QQ==\nindex 5"),
        right.replace("index 5", "index 5\nextra QQ=="),
        right.replace(first, &first[..40]),
        right.replace(first, &format!(" {first}")),
        right.replace(first, "!!notbase64!!"),
        right.replace(&format!("{first}\n"), ""),
        long,
        right.replace("\n7\n", "\n2\n"),
    ] {
        assert!(Proof::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let not_text = [right.as_bytes(), b"\xff"].concat();
    assert!(matches!(Proof::parse(&not_text), Err(ParseError::Utf8(_))));
    let bad = Proof::parse(right.replace(first, "x").as_bytes()).unwrap_err();
    assert_eq!(bad, ParseError::Hash { number: 1, found: "x".into() });
    let outside = Proof::parse(right.replace("index 5", "index 7").as_bytes()).unwrap_err();
    assert_eq!(outside, ParseError::Shape(ProofError::Index { index: 7, size: 7 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_proof_is_read_as_it_is_written(
        size in 1_usize..600,
        index in any::<prop::sample::Index>(),
        witnesses in proptest::collection::vec(1_u8..9, 0..3),
        extra in proptest::collection::vec(any::<u8>(), 0..30),
    ) {
        let index = index.index(size) as u64;
        let made = proof(index, size, &witnesses).with_extra(extra);
        let read = Proof::parse(made.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&read, &made);
        let (origin, log, witnesses) = (origin(), [log_key().verifier()], known(&witnesses));
        let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 0 };
        prop_assert!(read.check(leaves(size)[index as usize], &policy).is_ok());
    }

    #[test]
    fn a_proof_with_any_bit_changed_is_refused(
        size in 2_usize..100,
        index in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let index = index.index(size);
        let mut text = proof(index as u64, size, &[1]).to_string().into_bytes();
        let bit = bit.index(text.len() * 8);
        text[bit / 8] ^= 1 << (bit % 8);
        let (origin, log, witnesses) = (origin(), [log_key().verifier()], known(&[1]));
        let policy = Policy { origin: &origin, log: &log, witnesses: &witnesses, quorum: 1 };
        let passed = Proof::parse(&text).is_ok_and(|read| read.check(leaves(size)[index], &policy).is_ok());
        prop_assert!(!passed, "{}", String::from_utf8_lossy(&text));
    }
}
