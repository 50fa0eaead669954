//! Trees and proofs, against RFC 6962 and the vectors of others.

mod common;

use audit_log::tree::{
    CompactRange, EMPTY_ROOT, Hash, Node, ProofError, ProveError, TreeFull, consistency, inclusion, root,
};
use common::{flipped, leaves, reference_path, reference_root, reference_subproof};
use proptest::prelude::*;
use serde::Deserialize;
use std::convert::Infallible;

/// The leaves of the examples that Certificate Transparency has always been tested with.
const CONTENTS: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// Their roots at each size, from transparency-dev/merkle.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hash(hex: &str) -> Hash {
    Hash::try_from(&*bytes(hex)).unwrap()
}

/// The hashes of a tree from its leaves alone.
fn nodes(leaves: &[Hash]) -> impl FnMut(Node) -> Result<Hash, Infallible> {
    |node| {
        let first = (node.index as usize) << node.level;
        Ok(reference_root(&leaves[first..first + (1 << node.level)]))
    }
}

#[test]
fn the_known_leaves_have_the_known_roots_at_each_size() {
    let leaves: Vec<Hash> = CONTENTS.iter().map(|content| Hash::of_leaf(&bytes(content))).collect();
    let mut tree = CompactRange::new();
    assert_eq!(tree.root(), EMPTY_ROOT);
    for (size, known) in ROOTS.iter().enumerate() {
        assert_eq!(tree.root(), hash(known), "size {size}");
        assert_eq!(root(size as u64, &mut nodes(&leaves)), Ok(hash(known)), "size {size}");
        assert_eq!(reference_root(&leaves[..size]), hash(known), "size {size}");
        if let Some(leaf) = leaves.get(size) {
            tree.append(*leaf).unwrap();
        }
    }
}

#[test]
fn the_known_leaves_have_the_known_inner_nodes() {
    let leaves: Vec<Hash> = CONTENTS.iter().map(|content| Hash::of_leaf(&bytes(content))).collect();
    assert_eq!(leaves[7], hash("46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1"));
    assert_eq!(
        Hash::of_node(leaves[6], leaves[7]),
        hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0")
    );
    let six = CompactRange::read(6, &mut nodes(&leaves)).unwrap();
    assert_eq!(
        six.nodes(),
        [
            hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
        ]
    );
}

/// A case of transparency-dev/merkle: see vectors/README.md.
#[derive(Deserialize)]
struct Inclusion {
    name: String,
    index: u64,
    size: u64,
    leaf: String,
    root: String,
    proof: Vec<String>,
    accepted: bool,
}

#[derive(Deserialize)]
struct Consistency {
    name: String,
    old: u64,
    new: u64,
    old_root: String,
    new_root: String,
    proof: Vec<String>,
    accepted: bool,
}

fn hashes(proof: &[String]) -> Option<Vec<Hash>> {
    proof.iter().map(|hash| hash.parse().ok()).collect()
}

#[test]
fn inclusion_proofs_are_judged_as_by_another_implementation() {
    let cases: Vec<Inclusion> = serde_json::from_str(include_str!("vectors/inclusion.json")).unwrap();
    assert_eq!(cases.len(), 98);
    for case in cases {
        let judge = || {
            let (leaf, root) = (case.leaf.parse().ok()?, case.root.parse().ok()?);
            inclusion::verify(case.index, case.size, leaf, &hashes(&case.proof)?, root).ok()
        };
        assert_eq!(judge().is_some(), case.accepted, "{}", case.name);
    }
}

#[test]
fn consistency_proofs_are_judged_as_by_another_implementation() {
    let cases: Vec<Consistency> = serde_json::from_str(include_str!("vectors/consistency.json")).unwrap();
    assert_eq!(cases.len(), 98);
    for case in cases {
        let judge = || {
            let (old, new) = (case.old_root.parse().ok()?, case.new_root.parse().ok()?);
            consistency::verify(case.old, case.new, &hashes(&case.proof)?, old, new).ok()
        };
        // Every tree begins with the leaves of the tree without leaves.
        let accepted = case.accepted || case.name == "additional/size1-is-zero-and-size2-is-not-zero";
        assert_eq!(judge().is_some(), accepted, "{}", case.name);
    }
}

#[test]
fn every_proof_in_small_trees_is_the_one_of_the_rfc_and_is_accepted() {
    let all = leaves(40);
    for size in 0..=all.len() {
        let now = &all[..size];
        let (size, root_now) = (size as u64, reference_root(now));
        for index in 0..size {
            let proof = inclusion::prove(index, size, &mut nodes(now)).unwrap();
            assert_eq!(proof, reference_path(index as usize, now), "{index} of {size}");
            assert_eq!(inclusion::verify(index, size, now[index as usize], &proof, root_now), Ok(()));
        }
        for old in 0..=size {
            let proof = consistency::prove(old, size, &mut nodes(now)).unwrap();
            let expected = if old == 0 { Vec::new() } else { reference_subproof(old as usize, now, true) };
            assert_eq!(proof, expected, "{old} to {size}");
            let old_root = reference_root(&now[..old as usize]);
            assert_eq!(consistency::verify(old, size, &proof, old_root, root_now), Ok(()), "{old} to {size}");
        }
    }
}

#[test]
fn a_proof_is_made_only_of_what_is_in_the_tree() {
    let all = leaves(5);
    assert_eq!(inclusion::prove(5, 5, &mut nodes(&all)), Err(ProveError::Index { index: 5, size: 5 }));
    assert_eq!(inclusion::prove(0, 0, &mut nodes(&all)), Err(ProveError::Index { index: 0, size: 0 }));
    assert_eq!(consistency::prove(5, 4, &mut nodes(&all)), Err(ProveError::Sizes { old: 5, new: 4 }));
    let broken = |_| Err::<Hash, _>("disk");
    assert_eq!(inclusion::prove(0, 5, &mut { broken }), Err(ProveError::Read("disk")));
    assert_eq!(consistency::prove(1, 5, &mut { broken }), Err(ProveError::Read("disk")));
}

#[test]
fn errors_say_what_was_found_and_what_is_accepted() {
    let all = leaves(7);
    let proof = inclusion::prove(3, 7, &mut nodes(&all)).unwrap();
    let root = reference_root(&all);
    assert_eq!(
        inclusion::verify(3, 7, all[3], &proof[1..], root),
        Err(ProofError::Length { found: 2, accepted: 3 })
    );
    let other = inclusion::verify(3, 7, all[4], &proof, root).unwrap_err();
    assert!(matches!(other, ProofError::Root { given, .. } if given == root), "{other}");
    assert!(other.to_string().contains(&root.to_string()));
    let old = consistency::verify(7, 7, &[], all[0], root).unwrap_err();
    assert!(matches!(old, ProofError::Root { computed, .. } if computed == all[0]), "{old}");
    assert!("QQ==".parse::<Hash>().unwrap_err().to_string().contains("32 bytes"));
}

#[test]
fn the_largest_sizes_are_judged_and_not_panicked_at() {
    let leaf = Hash::of_leaf(b"");
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        for index in [0, 1, size / 2, size - 2, size - 1] {
            let mut made_up = |node: Node| Ok::<_, Infallible>(Hash::of_leaf(format!("{node:?}").as_bytes()));
            let proof = inclusion::prove(index, size, &mut made_up).unwrap();
            assert!(proof.len() <= 64);
            let root = inclusion::root(index, size, leaf, &proof).unwrap();
            assert_eq!(inclusion::verify(index, size, leaf, &proof, root), Ok(()));
            let proof = consistency::prove(index, size, &mut made_up).unwrap();
            assert!(proof.len() <= 65);
            assert!(consistency::verify(index, size, &proof, leaf, root).is_err(), "{index} to {size}");
        }
    }
    let mut full = CompactRange::from_nodes(u64::MAX, vec![leaf; 64]).unwrap();
    let before = full.clone();
    assert_eq!(full.append(leaf), Err(TreeFull));
    assert_eq!(full, before);
    assert!(CompactRange::from_nodes(3, vec![leaf]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_is_the_same_in_whatever_steps_it_grew(steps in proptest::collection::vec(0_usize..60, 0..12)) {
        let all = leaves(steps.iter().sum());
        let mut tree = CompactRange::new();
        let mut size = 0;
        for step in steps {
            tree.extend(all[size..size + step].iter().copied()).unwrap();
            size += step;
            // It goes on from what was kept of it.
            tree = CompactRange::from_nodes(tree.size(), tree.nodes().to_vec()).unwrap();
            prop_assert_eq!(tree.root(), reference_root(&all[..size]));
            prop_assert_eq!(&tree, &CompactRange::read(size as u64, &mut nodes(&all)).unwrap());
        }
    }

    #[test]
    fn an_inclusion_proof_with_any_bit_changed_is_refused(
        size in 1_usize..300,
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let all = leaves(size);
        let index = index.index(size);
        let (size, leaf, root) = (size as u64, all[index], reference_root(&all));
        let proof = inclusion::prove(index as u64, size, &mut nodes(&all)).unwrap();
        let judge = |leaf, proof: &[Hash], root| inclusion::verify(index as u64, size, leaf, proof, root);
        prop_assert_eq!(judge(leaf, &proof, root), Ok(()));
        prop_assert!(judge(flipped(leaf, bit), &proof, root).is_err());
        prop_assert!(judge(leaf, &proof, flipped(root, bit)).is_err());
        prop_assert!(judge(leaf, &[&proof[..], &[leaf]].concat(), root).is_err());
        for other in 0..size {
            if other != index as u64 {
                prop_assert!(inclusion::verify(other, size, leaf, &proof, root).is_err());
            }
        }
        if !proof.is_empty() {
            let at = at.index(proof.len());
            let mut changed = proof.clone();
            changed[at] = flipped(changed[at], bit);
            prop_assert!(judge(leaf, &changed, root).is_err());
            changed.remove(at);
            prop_assert!(judge(leaf, &changed, root).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_with_any_bit_changed_is_refused(
        new in 1_usize..300,
        old in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let all = leaves(new);
        let old = 1 + old.index(new);
        let (old_root, new_root) = (reference_root(&all[..old]), reference_root(&all));
        let (old, new) = (old as u64, new as u64);
        let proof = consistency::prove(old, new, &mut nodes(&all)).unwrap();
        let judge = |proof: &[Hash], before, after| consistency::verify(old, new, proof, before, after);
        prop_assert_eq!(judge(&proof, old_root, new_root), Ok(()));
        prop_assert!(judge(&proof, flipped(old_root, bit), new_root).is_err());
        prop_assert!(judge(&proof, old_root, flipped(new_root, bit)).is_err());
        prop_assert!(judge(&[&proof[..], &[old_root]].concat(), old_root, new_root).is_err());
        if !proof.is_empty() {
            let at = at.index(proof.len());
            let mut changed = proof.clone();
            changed[at] = flipped(changed[at], bit);
            prop_assert!(judge(&changed, old_root, new_root).is_err());
            changed.remove(at);
            prop_assert!(judge(&changed, old_root, new_root).is_err());
        }
    }

    #[test]
    fn a_tree_in_which_an_old_leaf_changed_is_consistent_with_none_before(
        new in 2_usize..200,
        old in any::<prop::sample::Index>(),
        changed in any::<prop::sample::Index>(),
    ) {
        let all = leaves(new);
        let old = 1 + old.index(new - 1);
        let mut rewritten = all.clone();
        rewritten[changed.index(old)] = Hash::of_leaf(b"another");
        let proof = consistency::prove(old as u64, new as u64, &mut nodes(&rewritten)).unwrap();
        let old_root = reference_root(&all[..old]);
        let new_root = reference_root(&rewritten);
        prop_assert!(consistency::verify(old as u64, new as u64, &proof, old_root, new_root).is_err());
    }

    #[test]
    fn whatever_is_given_as_a_proof_is_judged(
        a in any::<u64>(),
        b in any::<u64>(),
        proof in proptest::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
        leaf in any::<[u8; 32]>().prop_map(Hash),
        root in any::<[u8; 32]>().prop_map(Hash),
    ) {
        prop_assert!(inclusion::verify(a, b, leaf, &proof, root).is_err());
        prop_assert!(consistency::verify(a, b, &proof, leaf, root).is_err());
    }

    #[test]
    fn a_hash_is_read_as_it_is_written(hash in any::<[u8; 32]>().prop_map(Hash)) {
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        prop_assert_eq!(Hash::from_hex(&hash.to_hex()), Ok(hash));
        prop_assert!(hash.to_hex().bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        prop_assert!(Hash::from_hex(&hash.to_hex()[1..]).is_err());
        prop_assert!(Hash::from_hex(&hash.to_hex().replace(|c: char| c.is_ascii_digit(), "A")).is_err());
        prop_assert_eq!(Hash::try_from(&hash.0[..]), Ok(hash));
        prop_assert!(Hash::try_from(&hash.0[1..]).is_err());
    }
}
