//! What a log and a witness say to each other.

mod common;

use audit_log::checkpoint::{Checkpoint, CheckpointError};
use audit_log::cosignature::{CosignerKey, Time};
use audit_log::note::{Signature, Verifier as _, VerifierKey};
use audit_log::tree::{EMPTY_ROOT, Hash, ProofError, consistency};
use audit_log::witness::{
    AcceptError, AddCheckpoint, Answer, AnswerError, MAX_HASHES, Refused, RequestError,
};
use common::{leaves, log_key, origin, reference_root, signed, witness, written};
use proptest::prelude::*;

fn known(numbers: &[u8]) -> Vec<CosignerKey> {
    numbers.iter().map(|number| witness(*number).verifier()).collect()
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

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
}
