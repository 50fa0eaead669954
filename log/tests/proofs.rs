//! Proofs in files, and what a log and a witness say to each other.

mod common;

use audit_log::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, VerifyError};
use audit_log::cosignature::{Cosigner, CosignerKey, Time};
use audit_log::note::{Note, Signature, SigningKey, Verifier as _, VerifierKey};
use audit_log::proof::{CheckError, ParseError, Policy, Proof};
use audit_log::tiles::Tile;
use audit_log::tree::{EMPTY_ROOT, Hash, ProofError, consistency, inclusion};
use audit_log::witness::{
    AcceptError, AddCheckpoint, Answer, AnswerError, MAX_HASHES, Refused, RequestError,
};
use common::{leaves, log_key, origin, reference_root, signed, witness, written};
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

/// Requests to a witness, their answers, and the log that they are of, from the tests of `litewitness`
/// (FiloSottile/torchwood at 341dc2f0f552a29816955d4834718cd741f1ca64, ISC License).
mod litewitness {
    pub const ORIGIN: &str =
        "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";

    /// The public key of the log in hexadecimal digits.
    pub const KEY: &str = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";

    pub const ONE: &str = "1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    pub const ONE_SIGNED: &str =
        "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=";
    pub const THREE: &str = "3\nRcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=\n";
    pub const THREE_SIGNED: &str =
        "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=";
    pub const FIVE: &str = "5\nQrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=\n";
    pub const FIVE_SIGNED: &str =
        "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=";

    pub const ONE_TO_THREE: &str =
        "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nKgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    pub const THREE_TO_FIVE: &str = "KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nKgMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nwgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=\nKgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

    pub fn request(old: &str, hashes: &str, head: &str, signature: &str) -> String {
        format!("old {old}\n{hashes}\n{ORIGIN}\n{head}\n— {ORIGIN} {signature}\n")
    }
}

#[test]
fn requests_are_answered_as_by_another_witness() {
    use litewitness::*;
    let bytes: Vec<u8> =
        (0..KEY.len()).step_by(2).map(|at| u8::from_str_radix(&KEY[at..at + 2], 16).unwrap()).collect();
    let key = VerifierKey::new(ORIGIN.parse().unwrap(), bytes.as_slice().try_into().unwrap()).unwrap();
    let own = witness(1);
    let mut last: Option<(u64, Hash)> = None;
    let mut answer = |body: String| {
        let request = match AddCheckpoint::parse(body.as_bytes()) {
            Ok(request) => request,
            Err(error) => return (error.status(), String::new()),
        };
        assert_eq!(request.to_string(), body);
        if request.checkpoint().verify(&ORIGIN.parse().unwrap(), std::slice::from_ref(&key)).is_err() {
            return (403, String::new());
        }
        let answer = match request.check(last) {
            Err(refused) => Answer::from(&refused),
            Ok(()) => {
                let new = request.checkpoint().unverified();
                last = Some((new.size(), new.root()));
                Answer::Cosigned(vec![own.cosign(Time::new(1).unwrap(), new)])
            }
        };
        assert_eq!(Answer::parse(answer.status(), answer.to_string().as_bytes()), Ok(answer.clone()));
        (answer.status(), answer.to_string())
    };

    assert_eq!(answer(request("0", "", ONE, ONE_SIGNED)).0, 200);
    assert_eq!(answer(request("1", ONE_TO_THREE, THREE, &THREE_SIGNED.replace("6go=", "6gx="))).0, 400);
    assert_eq!(answer(request("1", ONE_TO_THREE, THREE, &THREE_SIGNED.replace("6go=", "6gs="))).0, 403);
    assert_eq!(answer(request("1", "", THREE, THREE_SIGNED)).0, 422);
    let wrong = ONE_TO_THREE.replace("AAA=\nKgI", "ABA=\nKgI");
    assert_eq!(answer(request("1", &wrong, THREE, THREE_SIGNED)).0, 422);
    let three = answer(request("1", ONE_TO_THREE, THREE, THREE_SIGNED));
    assert_eq!(three.0, 200);
    assert!(three.1.starts_with("— witness.example/1 ") && three.1.ends_with('\n'));
    let conflict = (409, "3\n".to_string());
    assert_eq!(answer(request("1", ONE_TO_THREE, FIVE, FIVE_SIGNED)), conflict);
    assert_eq!(answer(request("3", THREE_TO_FIVE, FIVE, FIVE_SIGNED)).0, 200);
    assert_eq!(answer(request("0", "", FIVE, FIVE_SIGNED)), (409, "5\n".to_string()));
    // What the specification asks for beyond these.
    assert_eq!(answer(request("5", "", FIVE, FIVE_SIGNED)).0, 200);
    assert_eq!(answer(request("6", "", FIVE, FIVE_SIGNED)).0, 400);
    let not_empty = "0\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    assert_eq!(answer(request("0", "", not_empty, ONE_SIGNED)).0, 422);
}

#[test]
fn what_is_no_request_is_refused() {
    use litewitness::*;
    let right = request("1", ONE_TO_THREE, THREE, THREE_SIGNED);
    assert!(AddCheckpoint::parse(right.as_bytes()).is_ok());
    for wrong in [
        String::new(),
        "\n\n".into(),
        right.replace("old 1\n", ""),
        right.replace("old 1", "old  1"),
        right.replace("old 1", "old 01"),
        right.replace("old 1", "old -1"),
        right.replace("old 1", "old 1 "),
        right.replace("old 1", "old"),
        right.replace("old 1", "old 18446744073709551616"),
        right.replace("old 1", "new 1"),
        right.replace("old 1", "old 4"),
        right.replace("old 1\n", "old 1\n\n"),
        right.replace("old 1\n", "old 1\nQQ==\n"),
        right.replace("\n\n", "\n"),
        right.replace('\n', "\r\n"),
        format!("{right}\n"),
        right.trim_end().into(),
    ] {
        let error = AddCheckpoint::parse(wrong.as_bytes()).map_err(|error| error.status());
        assert_eq!(error, Err(400), "{wrong}");
    }
    let many = request("1", &ONE_TO_THREE[..45].repeat(MAX_HASHES + 1), THREE, THREE_SIGNED);
    let count = RequestError::HashCount { found: MAX_HASHES + 1 };
    assert_eq!(AddCheckpoint::parse(many.as_bytes()), Err(count));
    let most = request("1", &ONE_TO_THREE[..45].repeat(MAX_HASHES), THREE, THREE_SIGNED);
    assert!(AddCheckpoint::parse(most.as_bytes()).is_ok());
    let empty = Checkpoint::new(origin(), 0, Hash::of_leaf(b"")).unwrap_err();
    assert!(matches!(empty, CheckpointError::EmptyRoot { .. }));
}

#[test]
fn a_log_that_was_rewritten_is_not_cosigned() {
    let all = leaves(10);
    let mut rewritten = all.clone();
    rewritten[2] = Hash::of_leaf(b"another");
    let (edge, files) = written(&rewritten);
    let hashes = consistency::prove(6, 10, &mut files.tree(10)).unwrap();
    let request = AddCheckpoint::new(6, hashes, signed(10, edge.root())).unwrap();
    let refused = request.check(Some((6, reference_root(&all[..6])))).unwrap_err();
    assert!(matches!(refused, Refused::Inconsistent(ProofError::OldRoot { .. })), "{refused}");
    assert_eq!(Answer::from(&refused).status(), 422);
    assert!(request.check(Some((6, reference_root(&rewritten[..6])))).is_ok());
    // The same size with another root is the same fault.
    let same = AddCheckpoint::new(10, vec![], signed(10, edge.root())).unwrap();
    assert!(same.check(Some((10, reference_root(&all)))).is_err());
}

#[test]
fn what_a_witness_answers_is_read() {
    let body = |text: &str| text.as_bytes().to_vec();
    assert_eq!(Answer::parse(409, &body("5\n")), Ok(Answer::Conflict { size: 5 }));
    for wrong in ["", "5", "05\n", "5\n\n", "five\n", " 5\n", "5\r\n"] {
        assert!(matches!(Answer::parse(409, &body(wrong)), Err(AnswerError::Size { .. })), "{wrong:?}");
    }
    for (status, answer) in [
        (400, Answer::BadRequest),
        (403, Answer::Unsigned),
        (404, Answer::UnknownLog),
        (422, Answer::Inconsistent),
    ] {
        assert_eq!(Answer::parse(status, b"some words\xff"), Ok(answer));
    }
    for found in [0, 201, 204, 301, 429, 500, 503] {
        assert_eq!(Answer::parse(found, b""), Err(AnswerError::Status { found }));
    }
    let line = "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n";
    let Ok(Answer::Cosigned(read)) = Answer::parse(200, &body(&line.repeat(3))) else {
        panic!("the example of the specification is not read");
    };
    assert_eq!(read.len(), 3);
    assert_eq!(Answer::Cosigned(read).to_string(), line.repeat(3));
    for wrong in [
        String::new(),
        line.trim_end().into(),
        format!("\n{line}"),
        format!("{line}\n"),
        format!("{line}x\n"),
    ] {
        assert!(Answer::parse(200, &body(&wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn cosignatures_are_taken_over_from_known_witnesses_alone() {
    let before = signed(3, Hash::of_leaf(b"root"));
    let checkpoint = before.unverified().clone();
    let cosign = |number: u8, seconds| witness(number).cosign(Time::new(seconds).unwrap(), &checkpoint);
    let accept = |signatures: &[Signature]| {
        let mut after = before.clone();
        let names = after
            .accept(signatures, &known(&[1, 2]))
            .map(|cosigned| cosigned.iter().map(|one| one.key.name().to_string()).collect::<Vec<_>>());
        (names, after)
    };

    let (names, after) = accept(&[cosign(3, 7), cosign(1, 7)]);
    assert_eq!(names.unwrap(), ["witness.example/1"]);
    assert_eq!(after.note().signatures().len(), 2);
    assert_eq!(after.cosigned_by(&known(&[1, 2, 3])).unwrap().len(), 1);
    assert!(after.verify(&origin(), &[log_key().verifier()]).is_ok());

    let (unknown, same) = accept(&[cosign(3, 7)]);
    assert_eq!((unknown, &same), (Err(AcceptError::Unknown { found: 1 }), &before));
    let (no_time, same) = accept(&[cosign(2, 7), cosign(1, 0)]);
    assert!(matches!(no_time, Err(AcceptError::NoTime { .. })));
    assert_eq!(same, before);
    let other = Checkpoint::new(origin(), 4, checkpoint.root()).unwrap();
    let (bad, same) = accept(&[cosign(2, 7), witness(1).cosign(Time::new(7).unwrap(), &other)]);
    assert!(matches!(bad, Err(AcceptError::Signature(_))));
    assert_eq!(same, before);
    assert!(matches!(accept(&[]).0, Err(AcceptError::Note(_))));
}

/// Bytes that look like one of the formats in parts.
fn near(text: String) -> impl Strategy<Value = Vec<u8>> {
    let bytes = text.into_bytes();
    (
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        proptest::bool::ANY,
    )
        .prop_map(move |(changes, from, to, cut)| {
            let mut changed = bytes.clone();
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            if cut {
                let (from, to) = (from.index(changed.len()), to.index(changed.len()));
                changed.drain(from.min(to)..from.max(to));
            }
            changed
        })
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

    #[test]
    fn a_request_is_read_as_it_is_written(new in 1_usize..400, old in any::<prop::sample::Index>()) {
        let (edge, files) = written(&leaves(new));
        let (old, new) = (old.index(new + 1) as u64, new as u64);
        let hashes = consistency::prove(old, new, &mut files.tree(new)).unwrap();
        let request = AddCheckpoint::new(old, hashes, signed(new, edge.root())).unwrap();
        prop_assert_eq!(&AddCheckpoint::parse(request.to_string().as_bytes()).unwrap(), &request);
        let last = (old > 0).then(|| (old, reference_root(&leaves(old as usize))));
        prop_assert_eq!(request.check(last), Ok(()));
        let refused = request.check(Some((old + 1, EMPTY_ROOT)));
        prop_assert_eq!(refused, Err(Refused::Conflict { old, last: old + 1 }));
        if old > 0 {
            prop_assert_eq!(request.check(None), Err(Refused::Conflict { old, last: 0 }));
        }
    }

    #[test]
    fn any_bytes_are_judged_and_what_is_read_is_written_as_the_same_bytes(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            near(proof(5, 7, &[1, 2]).with_extra(b"more".to_vec()).to_string()),
            near(signed(7, Hash::of_leaf(b"root")).to_string()),
            near(litewitness::request("1", litewitness::ONE_TO_THREE, litewitness::THREE, litewitness::THREE_SIGNED)),
            near(Answer::Cosigned(vec![witness(1).cosign(Time::new(1).unwrap(), signed(7, EMPTY_ROOT).unverified())]).to_string()),
            near(log_key().to_private_text()),
            near(witness(1).verifier().to_string()),
        ],
        status in prop_oneof![Just(200_u16), Just(409), any::<u16>()],
    ) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let same = |written: String| written.as_bytes() == bytes;
        prop_assert!(Note::parse(&bytes).map_or(true, |read| same(read.to_string())));
        prop_assert!(SignedCheckpoint::parse(&bytes).map_or(true, |read| same(read.to_string())));
        prop_assert!(Proof::parse(&bytes).map_or(true, |read| same(read.to_string())));
        prop_assert!(AddCheckpoint::parse(&bytes).map_or(true, |read| same(read.to_string())));
        if let Ok(answer @ (Answer::Cosigned(_) | Answer::Conflict { .. })) = Answer::parse(status, &bytes) {
            prop_assert!(same(answer.to_string()));
        }
        prop_assert!(text.parse::<Signature>().map_or(true, |read| same(read.to_string())));
        prop_assert!(text.parse::<VerifierKey>().map_or(true, |read| same(read.to_string())));
        prop_assert!(text.parse::<CosignerKey>().map_or(true, |read| same(read.to_string())));
        prop_assert!(text.parse::<SigningKey>().map_or(true, |read| same(read.to_private_text())));
        prop_assert!(text.parse::<Tile>().map_or(true, |read| same(read.to_string())));
        prop_assert!(text.parse::<Hash>().map_or(true, |read| same(read.to_string())));
    }
}
