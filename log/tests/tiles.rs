//! Tiles: names, which there are, growing trees, and reading.

mod common;

use audit_log::tiles::{self, Edge, Tile, TileBytes, TileError, Tiled, TiledError, WIDTH};
use audit_log::tree::{CompactRange, Hash, Node, NodeReader as _, TreeFull, consistency, inclusion, root};
use common::{Files, leaves, reference_root, written};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn paths(tiles: impl Iterator<Item = Tile>) -> Vec<String> {
    tiles.map(|tile| tile.to_string()).collect()
}

#[test]
fn a_tile_has_the_path_of_the_specification() {
    let path = |level, index, width| Tile::new(level, index, width).unwrap().to_string();
    assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(0, 0, 256), "tile/0/000");
    assert_eq!(path(1, 999, 1), "tile/1/999.p/1");
    assert_eq!(path(2, 1000, 255), "tile/2/x001/000.p/255");
    assert_eq!(path(0, (1 << 56) - 1, 255), "tile/0/x072/x057/x594/x037/x927/935.p/255");
}

#[test]
fn a_path_that_no_tile_has_is_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/8/000",
        "tile/64/000",
        "tile/256/000",
        "tile/entries/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0/x1/000",
        "tile/0/x0001/000",
        "tile/0/x001//000",
        "tile/0/+12",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/65537",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/../000",
        "tile/0/\u{0660}\u{0660}\u{0660}",
        "tile/7/001.p/1",
        "tile/7/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
    assert!(matches!("tile/0/x".parse::<Tile>(), Err(TileError::Path { found }) if found == "tile/0/x"));
}

#[test]
fn a_tile_that_no_tree_can_have_is_none() {
    assert_eq!(Tile::new(0, 0, 0), Err(TileError::Width { found: 0 }));
    assert_eq!(Tile::new(0, 0, 257), Err(TileError::Width { found: 257 }));
    assert!(Tile::new(7, 0, 255).is_ok());
    for (level, index, width) in [
        (7, 0, 256),
        (7, 1, 1),
        (8, 0, 1),
        (63, 0, 1),
        (255, 0, 1),
        (0, (1 << 56) - 1, 256),
        (0, 1 << 56, 1),
        (0, u64::MAX, 256),
        (7, u64::MAX, 256),
        (6, 1 << 56, 1),
    ] {
        assert_eq!(Tile::new(level, index, width), Err(TileError::Outside { level, index, width }));
    }
}

#[test]
fn a_tree_of_70_000_leaves_has_the_tiles_of_the_specification() {
    let tiles: Vec<Tile> = tiles::added(0, 70_000).collect();
    let full = |level| tiles.iter().filter(|tile| tile.level() == level && tile.is_full()).count();
    assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
    assert_eq!(paths(tiles::edge(70_000)), ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(tiles.len(), 274 + 3);
    assert_eq!(paths(tiles::added(0, 256)), ["tile/0/000", "tile/1/000.p/1"]);

    let all = leaves(70_000);
    let (edge, files) = written(&all);
    let named: BTreeSet<String> = tiles.iter().map(Tile::to_string).collect();
    assert_eq!(files.0.keys().cloned().collect::<BTreeSet<_>>(), named);
    let mut range = CompactRange::new();
    range.extend(all.iter().copied()).unwrap();
    assert_eq!(edge.root(), range.root());
    assert_eq!(root(70_000, &mut files.tree(70_000)), Ok(range.root()));

    // Proofs over three levels of tiles, also at sizes that the tree had earlier.
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        let proof = inclusion::prove(index, 70_000, &mut files.tree(70_000)).unwrap();
        inclusion::verify(index, 70_000, all[index as usize], &proof, range.root()).unwrap();
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999] {
        let old_root = root(old, &mut files.tree(70_000)).unwrap();
        assert_eq!(old_root, reference_root(&all[..old as usize]));
        let proof = consistency::prove(old, 70_000, &mut files.tree(70_000)).unwrap();
        consistency::verify(old, 70_000, &proof, old_root, range.root()).unwrap();
    }
}

#[test]
fn a_tile_that_was_removed_is_read_from_the_full_one_in_its_place() {
    let all = leaves(700);
    let (_, mut files) = written(&all[..300]);
    let (_, grown) = written(&all);
    files.0.extend(grown.0);
    assert!(files.0.remove("tile/0/001.p/44").is_some());
    assert_eq!(root(300, &mut files.tree(300)), Ok(reference_root(&all[..300])));
    assert_eq!(Edge::read(300, &mut &files).unwrap().root(), reference_root(&all[..300]));

    assert!(files.0.remove("tile/0/001").is_some());
    let missing = Tile::new(0, 1, 44).unwrap();
    assert_eq!(root(300, &mut files.tree(300)), Err(TiledError::Missing { tile: missing }));
    assert_eq!(Edge::read(300, &mut &files), Err(TiledError::Missing { tile: missing }));
}

#[test]
fn what_is_not_in_the_tree_or_not_a_tile_is_an_error() {
    let (_, mut files) = written(&leaves(300));
    for node in [
        Node { level: 0, index: 300 },
        Node { level: 8, index: 1 },
        Node { level: 2, index: 75 },
        Node { level: 3, index: 37 },
        Node { level: 64, index: 0 },
        Node { level: 255, index: 0 },
        Node { level: 7, index: u64::MAX },
        Node { level: 0, index: u64::MAX },
        Node { level: 8, index: 256 },
    ] {
        let outside = Err(TiledError::Outside { node, size: 300 });
        assert_eq!(files.tree(300).node(node), outside);
    }
    assert!(files.tree(300).node(Node { level: 2, index: 74 }).is_ok());
    // Also where the next hash would be the first of a tile.
    let node = Node { level: 0, index: 256 };
    assert_eq!(files.tree(256).node(node), Err(TiledError::Outside { node, size: 256 }));

    let short = files.0.get_mut("tile/0/001.p/44").unwrap();
    short.pop();
    let tile = Tile::new(0, 1, 44).unwrap();
    let content = TileError::Content { tile, found: 44 * 32 - 1 };
    assert_eq!(
        files.tree(300).node(Node { level: 0, index: 299 }),
        Err(TiledError::Content(content.clone()))
    );
    assert!(content.to_string().contains("accepted are 1408"), "{content}");

    let mut broken = Tiled::new(300, |_| Err::<Option<Vec<u8>>, _>("disk"));
    let failed = broken.node(Node { level: 0, index: 0 });
    let tile = Tile::new(0, 0, WIDTH).unwrap();
    assert_eq!(failed, Err(TiledError::Read { tile, source: "disk" }));
}

#[test]
fn a_tile_is_read_once_for_a_proof() {
    let (_, files) = written(&leaves(1000));
    let mut reads = Vec::new();
    let mut tree = Tiled::new(1000, |tile: Tile| {
        reads.push(tile.to_string());
        Ok::<_, std::convert::Infallible>(files.0.get(&tile.to_string()).cloned())
    });
    inclusion::prove(10, 1000, &mut tree).unwrap();
    reads.sort();
    assert_eq!(reads, ["tile/0/000", "tile/0/003.p/232", "tile/1/000.p/3"]);
}

#[test]
fn a_full_tree_takes_no_more_leaves() {
    let same = Hash::of_leaf(b"");
    let mut filled = |tile: Tile| Ok::<_, std::convert::Infallible>(Some(same.0.repeat(tile.width().into())));
    let mut edge = Edge::read(u64::MAX, &mut filled).unwrap();
    assert_eq!(edge.tiles().count(), 8);
    let before = edge.clone();
    assert_eq!(edge.append(&[same]), Err(TreeFull));
    assert_eq!(edge, before);
    assert_eq!(edge.append(&[]), Ok(Vec::new()));
    let mut last = Edge::read(u64::MAX - 1, &mut filled).unwrap();
    assert_eq!(last.append(&[same]), Ok(Vec::new()));
    assert_eq!(last.root(), edge.root());
}

/// Sizes around those at which tiles become full, and others.
fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..2000_u64,
        (0..64_u32, 0..4_u64).prop_map(|(bits, more)| (1_u64 << bits).saturating_add(more).saturating_sub(2)),
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_that_grew_in_any_steps_has_the_same_tiles_as_one_from_nothing(
        steps in proptest::collection::vec(0_usize..600, 1..7),
    ) {
        let all = leaves(steps.iter().sum());
        let (mut edge, mut files) = (Edge::new(), Files::default());
        let mut size = 0;
        for step in steps {
            let full = edge.append(&all[size..size + step]).unwrap();
            let now: Vec<TileBytes> = full.into_iter().chain(edge.tiles()).collect();
            // Those that are new are among those that were written.
            let added: BTreeSet<String> = tiles::added(size as u64, (size + step) as u64).map(|tile| tile.to_string()).collect();
            let written_now: BTreeSet<String> = now.iter().map(|one| one.tile.to_string()).collect();
            prop_assert!(added.is_subset(&written_now));
            prop_assert!(written_now.difference(&added).all(|path| files.0.contains_key(path)));
            files.write(now);
            size += step;

            let (at_once, from_nothing) = written(&all[..size]);
            prop_assert_eq!(&edge, &at_once);
            prop_assert!(from_nothing.0.iter().all(|(path, bytes)| files.0.get(path) == Some(bytes)));
            prop_assert_eq!(edge.root(), reference_root(&all[..size]));
            prop_assert_eq!(root(size as u64, &mut files.tree(size as u64)), Ok(edge.root()));
            // It goes on from what was written.
            edge = Edge::read(size as u64, &mut &files).unwrap();
            prop_assert_eq!(&edge, &at_once);
            for tile in tiles::added(0, size as u64) {
                let mut tree = files.tree(size as u64);
                prop_assert_eq!(Some(&tile.content(&mut tree).unwrap()), files.0.get(&tile.to_string()));
            }
        }
    }

    #[test]
    fn proofs_from_tiles_are_accepted(
        size in 1_usize..1500,
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
    ) {
        let all = leaves(size);
        let (edge, files) = written(&all);
        let (index, old) = (index.index(size), old.index(size + 1));
        let n = size as u64;
        let proof = inclusion::prove(index as u64, n, &mut files.tree(n)).unwrap();
        prop_assert_eq!(inclusion::verify(index as u64, n, all[index], &proof, edge.root()), Ok(()));
        let proof = consistency::prove(old as u64, n, &mut files.tree(n)).unwrap();
        prop_assert_eq!(consistency::verify(old as u64, n, &proof, reference_root(&all[..old]), edge.root()), Ok(()));
        prop_assert_eq!(CompactRange::read(n, &mut files.tree(n)).unwrap().root(), edge.root());
    }

    #[test]
    fn the_path_of_a_tile_is_read_as_that_tile(size in sizes(), level in 0_usize..8) {
        for tile in tiles::edge(size) {
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
            prop_assert_eq!(Tile::new(tile.level(), tile.index(), tile.width()), Ok(tile));
        }
        if let Some(tile) = tiles::edge(size).nth(level).and_then(Tile::full) {
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }
    }

    #[test]
    fn a_path_that_is_read_is_written_as_the_same_path(
        path in "tile/[0-9]{1,2}/(x[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?",
    ) {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn any_text_as_a_path_is_judged(path in ".*") {
        prop_assert!(path.parse::<Tile>().is_err());
    }
}
