//! Tiles that are not as they were. Where a tile of leaves was changed, the record may still have what it was made of: then
//! the tile alone is at fault, and the check of the record goes on with what is right.

use std::ops::Range;

use audit_log::checkpoint::SignedCheckpoint;
use audit_log::tiles::WIDTH;
use audit_log::tree::Hash;

use super::Options;
use super::heads::{self, finding};
use super::item::Item;
use super::source::{Flow, Source, parts};
use super::tree::{self, Computed, Damaged, Instead, Mended, root_of};
use super::verdict::{Finding, FindingKind};
use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;
use crate::segment::Segments;

/// Of how many hashes it is tried which of the tile and of the record is right.
const MAX_TRIED: usize = 8;

/// Checks the tiles of a log against its checkpoint and those that were kept elsewhere. Returns what stands for tiles that
/// are not as they were.
pub fn check_tree<F: Folder, S: Source + ?Sized>(
    log: &Log<F>,
    signed: &SignedCheckpoint,
    source: &mut S,
    segments: &Segments,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
    tick: &mut dyn FnMut(u64),
) -> Result<Mended, Error> {
    let head = signed.unverified();
    let sizes: Vec<u64> = options.against.iter().map(|(_, kept)| kept.unverified().size()).collect();
    let mut computed = tree::compute(log, head.size(), &Mended::new(), &sizes, tick)?;
    let mut mended = Mended::new();
    if computed.root != Some(head.root()) {
        let tried = mend(log, &computed, head.size(), head.root(), source, segments)?;
        let again = tree::compute(log, head.size(), &tried, &sizes, &mut |_| {})?;
        if again.root == Some(head.root()) {
            tell(&computed.leaves, findings);
            tell_edge(&computed, &tried, findings);
            (computed, mended) = (again, tried);
        } else {
            tell(&computed.leaves, findings);
            if computed.leaves.is_empty() {
                let detail = match computed.root {
                    Some(root) => {
                        format!("the tiles of the log make the root {root}, it has {}", head.root())
                    }
                    None => "the tiles of the log make no root".into(),
                };
                findings.push(finding(FindingKind::Changed, "checkpoint", detail));
            }
            computed.above.clear();
        }
    }
    tell(&computed.above, findings);
    heads::compare(signed, &computed.roots, options, findings);
    Ok(mended)
}

fn tell(damaged: &[Damaged], findings: &mut Vec<Finding>) {
    for Damaged { tile, is_gone, .. } in damaged {
        let kind = if *is_gone { FindingKind::Missing } else { FindingKind::Changed };
        findings.push(finding(kind, &tile.to_string(), "it is not what the checkpoint was made of".into()));
    }
}

/// The last tile of leaves has none above it, so it shows only once something stands for it.
fn tell_edge(computed: &Computed, mended: &Mended, findings: &mut Vec<Finding>) {
    let is_told = |index: u64| computed.leaves.iter().any(|one| one.tile.index() == index);
    for (index, instead) in mended.iter().filter(|(index, _)| !is_told(**index)) {
        if let Instead::Leaves(leaves) = instead
            && let Some(tile) = tree::leaf_tile(*index, index * u64::from(WIDTH) + leaves.len() as u64)
        {
            let detail = "it is not what the checkpoint was made of".into();
            findings.push(finding(FindingKind::Changed, &tile.to_string(), detail));
        }
    }
}

/// What can stand for tiles of leaves that are not as they were, from the record.
fn mend<F: Folder, S: Source + ?Sized>(
    log: &Log<F>,
    computed: &Computed,
    size: u64,
    root: Hash,
    source: &mut S,
    segments: &Segments,
) -> Result<Mended, Error> {
    let mut mended = Mended::new();
    for damaged in &computed.leaves {
        let tile = damaged.tile;
        let stored = tree::read(log, tile)?;
        let recorded = recorded(tile.index(), size, source, segments)?;
        let is_right = |leaves: &[Hash]| damaged.above.is_none_or(|above| root_of(leaves) == above);
        let leaves = recorded.as_deref().and_then(|recorded| mix(stored.as_deref(), recorded, &is_right));
        match (leaves, damaged.above) {
            (Some(leaves), _) => mended.insert(tile.index(), Instead::Leaves(leaves)),
            (None, Some(above)) => mended.insert(tile.index(), Instead::Root(above)),
            (None, None) => None,
        };
    }
    let edge = size / u64::from(WIDTH);
    if size.is_multiple_of(u64::from(WIDTH)) || mended.contains_key(&edge) {
        return Ok(mended);
    }
    if tree::compute(log, size, &mended, &[], &mut |_| {})?.root == Some(root) {
        return Ok(mended);
    }
    // Nothing but the checkpoint itself says what the last tile was.
    let stored = tree::leaf_tile(edge, size).map(|tile| tree::read(log, tile)).transpose()?.flatten();
    if let Some(recorded) = recorded(edge, size, source, segments)? {
        let is_right = |leaves: &[Hash]| -> bool {
            let mut tried = mended.clone();
            tried.insert(edge, Instead::Leaves(leaves.to_vec()));
            tree::compute(log, size, &tried, &[], &mut |_| {}).is_ok_and(|tree| tree.root == Some(root))
        };
        if is_right(&recorded) {
            mended.insert(edge, Instead::Leaves(recorded));
        } else if size < u64::from(WIDTH)
            && let Some(leaves) = mix(stored.as_deref(), &recorded, &|leaves| root_of(leaves) == root)
        {
            mended.insert(edge, Instead::Leaves(leaves));
        }
    }
    Ok(mended)
}

/// Of the tile and of the record, what is right: some of both may have been changed.
fn mix(stored: Option<&[Hash]>, recorded: &[Hash], is_right: &dyn Fn(&[Hash]) -> bool) -> Option<Vec<Hash>> {
    let stored = stored.filter(|stored| stored.len() == recorded.len()).unwrap_or(recorded);
    let differ: Vec<usize> = (0..recorded.len()).filter(|place| stored[*place] != recorded[*place]).collect();
    if differ.len() > MAX_TRIED {
        return is_right(recorded).then(|| recorded.to_vec());
    }
    // From all of the record on.
    (0..1_u32 << differ.len())
        .map(|choice| {
            let mut leaves = recorded.to_vec();
            for (bit, place) in differ.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1) {
                let _ = bit;
                leaves[*place] = stored[*place];
            }
            leaves
        })
        .find(|leaves| is_right(leaves))
}

/// The leaves of a tile as the record has them where they should be; none: it has others there, or fewer.
fn recorded<S: Source + ?Sized>(
    tile: u64,
    size: u64,
    source: &mut S,
    segments: &Segments,
) -> Result<Option<Vec<Hash>>, Error> {
    let Some(of) = tree::leaf_tile(tile, size) else { return Ok(None) };
    let wanted: Range<u64> = tile * u64::from(WIDTH)..tile * u64::from(WIDTH) + u64::from(of.width());
    let streams = source.streams()?;
    let kind = source.kind();
    let mut leaves = Vec::with_capacity(of.width().into());
    for segment in segments
        .iter()
        .filter(|segment| segment.index < wanted.end && wanted.start < segment.index + segment.count)
    {
        let (name, parts) = parts(&segment.place);
        let Some(stream) = streams.iter().find(|stream| stream.name == name) else { return Ok(None) };
        let mut index = segment.index;
        let end = wanted.end.min(segment.index + segment.count);
        for (from, to) in parts {
            source.read(stream, from, to, &mut |standing| {
                if let Item::Event { leaf, .. } = Item::of(standing.text, kind) {
                    if wanted.contains(&index) && index < end {
                        leaves.push(leaf);
                    }
                    index += 1;
                }
                Ok(if index < end { Flow::GoOn } else { Flow::Stop })
            })?;
        }
    }
    Ok(Some(leaves).filter(|leaves| leaves.len() == usize::from(of.width())))
}
