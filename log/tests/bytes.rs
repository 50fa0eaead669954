//! Bytes of any kind in the place of each of the formats: none makes a panic, and what is read is written as the same
//! bytes.

mod common;

use audit_log::checkpoint::SignedCheckpoint;
use audit_log::cosignature::{CosignerKey, Time};
use audit_log::note::{Note, Signature, SigningKey, VerifierKey};
use audit_log::proof::Proof;
use audit_log::tiles::Tile;
use audit_log::tree::{EMPTY_ROOT, Hash, consistency, inclusion};
use audit_log::witness::{AddCheckpoint, Answer};
use common::{leaves, log_key, signed, witness, written};
use proptest::prelude::*;

fn proof() -> Proof {
    let (edge, files) = written(&leaves(7));
    let hashes = inclusion::prove(5, 7, &mut files.tree(7)).unwrap();
    Proof::new(5, hashes, signed(7, edge.root())).unwrap().with_extra(b"more".to_vec())
}

fn request() -> AddCheckpoint {
    let (edge, files) = written(&leaves(7));
    let hashes = consistency::prove(3, 7, &mut files.tree(7)).unwrap();
    AddCheckpoint::new(3, hashes, signed(7, edge.root())).unwrap()
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
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_judged_and_what_is_read_is_written_as_the_same_bytes(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            near(proof().to_string()),
            near(signed(7, Hash::of_leaf(b"root")).to_string()),
            near(request().to_string()),
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
