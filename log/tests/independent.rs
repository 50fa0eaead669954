//! The same trees, proofs, tiles, notes and checkpoints by other implementations: the crates `ct-merkle`,
//! `tlog_tiles` and `signed_note`.

mod common;

use audit_log::checkpoint::{Checkpoint, SignedCheckpoint};
use audit_log::note::{Note, SigningKey, VerifierKey};
use audit_log::tiles;
use audit_log::tree::{Hash, consistency, inclusion};
use common::{Files, log_key, origin, written};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;
use signed_note::{Signer as _, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::TileHashReader;

fn contents(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("leaf {n}").into_bytes()).collect()
}

fn leaves(contents: &[Vec<u8>]) -> Vec<Hash> {
    contents.iter().map(|content| Hash::of_leaf(content)).collect()
}

fn digests(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Our tiles as `tlog_tiles` reads them: it checks each against the root.
struct Theirs<'a>(&'a Files);

impl tlog_tiles::TileReader for Theirs<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.0.0[&path(tile)].clone()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Their paths begin with the height of tiles, which C2SP leaves out.
fn path(tile: &tlog_tiles::Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

/// By how much a tree grows: often by so little that most levels stay as they are.
fn more() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..300_u64, 0..70_000_u64, 0..2_000_000_u64]
}

#[test]
fn a_line_of_the_record_is_a_leaf_by_its_hash() {
    // What is hashed ends with the value of `seq`.
    let line = concat!(
        r#"{"ts":"2026-11-26T02:00:05.165796Z","req_id":"","workspace_id":"","user_id":"","agent_id":"coder","#,
        r#""tool":"sort","action":"exec","status":"0","duration_ms":3,"in_size":11,"out_size":11,"#,
        r#""input_hash":"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f","#,
        r#""graph_run_id":null,"graph_node":null,"job_id":null,"id":"01a21594-d536-7194-8ba4-be78c551b196","#,
        r#""chain":"01a21594-d536-7194-8ba4-be78c551b195","seq":0,"#,
        r#""hash":"1ee78bff3b8f9a72b0afa272143735859a14ed44a3e28dcc0e6d4576bd0fc3aa"}"#,
    );
    let (body, rest) = line.split_once(",\"hash\":\"").unwrap();
    let hex = Hash::of_leaf(format!("{body}}}").as_bytes()).to_hex();
    assert_eq!(Hash::from_hex(&hex), Ok(Hash::of_leaf(format!("{body}}}").as_bytes())));
    assert_eq!(rest, format!("{hex}\"}}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn ct_merkle_has_the_same_roots_and_proofs(
        size in 1_usize..300,
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
    ) {
        let contents = contents(size);
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let (index, old) = (index.index(size), 1 + old.index(size));
        let mut old_root = None;
        for (n, content) in contents.iter().enumerate() {
            theirs.push(content.clone());
            if n + 1 == old {
                old_root = Some(theirs.root());
            }
        }
        let old_root = old_root.unwrap();
        let (edge, files) = written(&leaves(&contents));
        let n = size as u64;
        prop_assert_eq!(Ok(edge.root()), Hash::try_from(theirs.root().as_bytes().as_slice()));

        let proof = inclusion::prove(index as u64, n, &mut files.tree(n)).unwrap();
        let bytes = digests(&proof);
        let their_proof = theirs.prove_inclusion(index);
        prop_assert_eq!(their_proof.as_bytes(), &bytes[..]);
        let their_root = RootHash::<Sha256>::new(edge.root().0.into(), n);
        let read = InclusionProof::try_from_bytes(bytes).unwrap();
        prop_assert!(their_root.verify_inclusion(&contents[index], index as u64, &read).is_ok());

        let proof = consistency::prove(old as u64, n, &mut files.tree(n)).unwrap();
        let bytes = digests(&proof);
        let their_proof = theirs.prove_consistency(size - old);
        prop_assert_eq!(their_proof.as_bytes(), &bytes[..]);
        let read = ConsistencyProof::try_from_bytes(bytes).unwrap();
        prop_assert!(their_root.verify_consistency(&old_root, &read).is_ok());
        let old_root = Hash::try_from(old_root.as_bytes().as_slice()).unwrap();
        prop_assert_eq!(consistency::verify(old as u64, n, &proof, old_root, edge.root()), Ok(()));
    }

    #[test]
    fn tlog_tiles_reads_our_tiles_and_makes_the_same_proofs(
        size in 1_usize..1200,
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
    ) {
        let all = leaves(&contents(size));
        let (edge, files) = written(&all);
        let (index, old, n) = (index.index(size) as u64, 1 + old.index(size) as u64, size as u64);
        let root = tlog_tiles::Hash(edge.root().0);
        let theirs = Theirs(&files);
        let reader = TileHashReader::new(n, root, &theirs);
        prop_assert_eq!(tlog_tiles::tree_hash(n, &reader).unwrap(), root);

        let proof = tlog_tiles::prove_record(n, index, &reader).unwrap();
        let ours = inclusion::prove(index, n, &mut files.tree(n)).unwrap();
        prop_assert_eq!(proof.iter().map(|hash| Hash(hash.0)).collect::<Vec<_>>(), ours);
        let leaf = tlog_tiles::Hash(all[index as usize].0);
        prop_assert!(tlog_tiles::check_record(&proof, n, root, index, leaf).is_ok());

        let ours = consistency::prove(old, n, &mut files.tree(n)).unwrap();
        let ours: Vec<_> = ours.iter().map(|hash| tlog_tiles::Hash(hash.0)).collect();
        let old_root = audit_log::tree::root(old, &mut files.tree(n)).unwrap();
        prop_assert!(tlog_tiles::check_tree(&ours, n, root, old, tlog_tiles::Hash(old_root.0)).is_ok());
        prop_assert_eq!(tlog_tiles::prove_tree(n, old, &reader).unwrap(), ours);
    }

    #[test]
    fn tlog_tiles_has_the_same_tiles_with_the_same_paths(old in 0..1_000_000_u64, more in more()) {
        let new = old + more;
        let ours: Vec<String> = tiles::added(old, new).map(|tile| tile.to_string()).collect();
        let theirs: Vec<String> = tlog_tiles::Tile::new_tiles(8, old, new).iter().map(path).collect();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn signed_note_reads_our_keys_and_notes_and_signs_the_same(
        seed in any::<[u8; 32]>(),
        name in "[a-z./]{1,20}",
        text in "([ -~é]{0,30}\n){1,4}",
    ) {
        let key = SigningKey::from_seed(name.parse().unwrap(), &seed);
        let theirs = StandardSigner::new(&key.to_private_text()).unwrap();
        let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
        let text = text.parse().unwrap();
        let ours = Note::sign(text, &key);
        let read = signed_note::Note::from_bytes(ours.to_string().as_bytes()).unwrap();
        prop_assert_eq!(read.text(), ours.text().as_ref().as_bytes());
        let (verified, unverified) = read.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        prop_assert_eq!((verified.len(), unverified.len()), (1, 0));

        let mut signed = signed_note::Note::new(ours.text().as_ref().as_bytes(), &[]).unwrap();
        signed.add_sigs(&[&theirs]).unwrap();
        prop_assert_eq!(String::from_utf8(signed.to_bytes()).unwrap(), ours.to_string());
        prop_assert_eq!(u32::from_be_bytes(ours.signatures()[0].id().0), theirs.key_id());
        let keys: [VerifierKey; 1] = [key.verifier()];
        prop_assert_eq!(Note::parse(&signed.to_bytes()).unwrap().verified_by(&keys).unwrap().len(), 1);
    }

    #[test]
    fn tlog_tiles_reads_our_checkpoints_and_writes_the_same(
        size in 1..u64::MAX,
        root in any::<[u8; 32]>(),
        extensions in proptest::collection::vec("[ -~]{1,10}", 0..3),
    ) {
        let extension: String = extensions.iter().map(|line| format!("{line}\n")).collect();
        let ours = Checkpoint::new(origin(), size, Hash(root)).unwrap().with_extensions(extensions).unwrap();
        let theirs = tlog_tiles::Checkpoint::new("example.com/audit", size, tlog_tiles::Hash(root), &extension).unwrap();
        prop_assert_eq!(String::from_utf8(theirs.to_bytes()).unwrap(), ours.to_string());
        let read = tlog_tiles::Checkpoint::from_bytes(ours.text().as_ref().as_bytes()).unwrap();
        prop_assert_eq!(read, theirs);
        let signed = SignedCheckpoint::sign(ours, &log_key());
        prop_assert!(signed.verify(&origin(), &[log_key().verifier()]).is_ok());
    }
}
