//! What a log and its witnesses say of themselves: signed notes, checkpoints, proofs, requests.

use std::sync::LazyLock;

use audit_log::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use audit_log::cosignature::{Cosigner, CosignerKey};
use audit_log::note::{Note, SigningKey, VerifierKey};
use audit_log::proof::{Policy, Proof};
use audit_log::tiles::Tile;
use audit_log::tree::Hash;
use audit_log::witness::{AddCheckpoint, Answer};

/// What the keys of the corpora are made of: whoever has an input could have signed it with another one.
const SEED: [u8; 32] = *b"the key of the fuzzers' own log.";

/// A log of one leaf, and its keys.
struct Known {
    origin: Origin,
    key: VerifierKey,
    witness: CosignerKey,
    leaf: Hash,
    checkpoint: Checkpoint,
}

/// All that was ever signed with these keys is this one checkpoint.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let name = "example.com/audit";
    let key = SigningKey::from_seed(name.parse().expect("a name"), &SEED);
    let witness = Cosigner::from_seed("witness.example.com".parse().expect("a name"), &SEED);
    let leaf = Hash::of_leaf(b"leaf");
    let origin: Origin = name.parse().expect("an origin");
    // The root of a tree of one leaf is that leaf.
    let checkpoint = Checkpoint::new(origin.clone(), 1, leaf).expect("a checkpoint");
    Known { origin, key: key.verifier(), witness: witness.verifier(), leaf, checkpoint }
});

/// Asserts that what is read has one text, the one that it was read from.
fn assert_one_text<T: std::fmt::Display, E: std::fmt::Display>(read: Result<T, E>, text: &[u8]) -> Option<T> {
    match read {
        Ok(value) => {
            assert_eq!(value.to_string().as_bytes(), text, "it has another text");
            Some(value)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// A signed note, a checkpoint, keys and names of tiles.
///
/// Each has one text alone. No checkpoint is taken for signed but the one that was, and nothing that is added to a note takes
/// a signature from it.
pub fn notes(input: &[u8]) {
    let Known { origin, key, witness, checkpoint, .. } = &*KNOWN;
    if let Some(note) = assert_one_text(Note::parse(input), input)
        && note.verified_by(std::slice::from_ref(key)).is_ok_and(|by| !by.is_empty())
    {
        assert_eq!(note.text().as_ref(), checkpoint.text().as_ref(), "a note that nobody signed");
    }
    if let Some(signed) = assert_one_text(SignedCheckpoint::parse(input), input) {
        let parsed = Checkpoint::parse(signed.note().text());
        assert_eq!(parsed.as_ref(), Ok(signed.unverified()));
        if let Ok(verified) = signed.verify(origin, std::slice::from_ref(key)) {
            assert_eq!(verified, checkpoint, "a checkpoint that nobody signed");
        }
        if signed.cosigned_by(std::slice::from_ref(witness)).is_ok_and(|by| !by.is_empty()) {
            assert_eq!(signed.unverified(), checkpoint, "a checkpoint that no witness signed");
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        assert_one_text(text.parse::<VerifierKey>(), input);
        assert_one_text(text.parse::<CosignerKey>(), input);
        if let Ok(key) = text.parse::<SigningKey>() {
            assert_eq!(key.to_private_text(), text);
            assert!(!format!("{key:?}").contains(text), "a private key is shown");
        }
        if let Some(tile) = assert_one_text(text.parse::<Tile>(), input) {
            assert_eq!(tile.nodes().count(), usize::from(tile.width()));
        }
    }
}

/// A proof, or a request to a witness, or its answer.
///
/// Each has one text alone, and what is accepted is true: no other leaf is proved than the one that was signed, and no witness
/// signs a tree that does not go on from the one that it knows.
pub fn proofs(input: &[u8]) {
    let Known { origin, key, leaf, checkpoint, .. } = &*KNOWN;
    if let Some(proof) = assert_one_text(Proof::parse(input), input) {
        let keys = std::slice::from_ref(key);
        let policy = Policy { origin, log: keys, witnesses: &[], quorum: 0 };
        if let Ok(checked) = proof.check(*leaf, &policy) {
            assert_eq!((checked.checkpoint, checked.index), (checkpoint, 0), "a proof of what nobody signed");
        }
        assert!(
            proof.check(Hash::of_leaf(b"another"), &policy).is_err(),
            "a leaf is proved that is in no log"
        );
    }
    if let Some(request) = assert_one_text(AddCheckpoint::parse(input), input) {
        let new = request.checkpoint().unverified();
        let before = (request.old(), *leaf);
        if request.check(Some(before)).is_ok() && request.old() == new.size() {
            assert!(request.old() == 0 || new.root() == *leaf, "a tree of the same size has another root");
        }
        if request.check(None).is_ok() {
            assert_eq!(request.old(), 0);
        }
    }
    for status in [200, 404, 409] {
        if let Ok(answer) = Answer::parse(status, input) {
            assert_eq!(
                (answer.status(), Answer::parse(status, answer.to_string().as_bytes())),
                (status, Ok(answer))
            );
        }
    }
}
