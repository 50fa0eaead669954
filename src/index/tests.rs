use super::*;
use crate::testing::{NOON, TestHost};
use alloc::vec;
use proptest::prelude::*;

fn zones() -> impl Strategy<Value = Zone> {
    let time = Timestamp::MIN.micros()..=Timestamp::MAX.micros();
    (time.clone(), time, any::<u32>()).prop_map(|(first, last, check)| Zone {
        first: Timestamp::clamped(first),
        last: Timestamp::clamped(last),
        check,
    })
}

proptest! {
    #[test]
    fn what_is_torn_costs_no_other_record(
        zones in prop::collection::vec(zones(), 1..12),
        torn in prop::collection::vec((any::<prop::sample::Index>(), 0..RECORD_BYTES), 0..4),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut kept = vec![RECORD_BYTES; zones.len()];
        for (place, len) in torn {
            kept[place.index(zones.len())] = len;
        }
        let mut bytes = garbage;
        for (block, zone) in (7..).zip(&zones) {
            let record = zone.record(block);
            bytes.extend(&record[..kept[block as usize - 7]]);
        }
        let whole = (7..).zip(&zones).zip(&kept).filter(|(_, len)| **len == RECORD_BYTES);
        let expected: Vec<(u64, Zone)> = whole.map(|((block, zone), _)| (block, *zone)).collect();
        prop_assert_eq!(records(&bytes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_record_that_was_changed_is_none(zone in zones(), at in 0..RECORD_BYTES, bit in 0..8_u32) {
        let mut record = zone.record(3);
        record[at] ^= 1 << bit;
        prop_assert_eq!(Zone::of_record(&record), None);
    }
}

const DAY: &str = "tool_audit_2026-11-23.jsonl";

/// A file of so many blocks, whose bytes differ everywhere from those of another seed.
fn fill(host: &TestHost, blocks: usize, seed: u64) {
    let mut random = seed;
    let mut byte = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as u8
    };
    let bytes: Vec<u8> = (0..blocks * BLOCK_BYTES as usize + 5).map(|_| byte()).collect();
    host.set_file(DAY, bytes);
}

fn indexed(host: &TestHost, blocks: u64) -> Vec<Zone> {
    use crate::host::Host;
    let mut folder = host.folder("");
    let file = folder.open(DAY).unwrap();
    let zone = |block| Zone { check: check(&file, block).unwrap().unwrap(), ..Zone::ALL };
    let zones: Vec<Zone> = (0..blocks).map(zone).collect();
    append(&mut folder, Day::parse("2026-11-23").unwrap(), 0, &zones).unwrap();
    zones
}

#[test]
fn an_index_goes_on_where_it_ends_and_one_of_another_file_is_removed() {
    use crate::host::Host;
    let host = TestHost::at(NOON);
    fill(&host, 200, 1);
    let mut folder = host.folder("");
    let day = Day::parse("2026-11-23").unwrap();
    let end = |folder: &mut _, host: &TestHost| {
        let file = host.folder("").open(DAY).unwrap();
        super::end(folder, day, &file).unwrap()
    };
    assert_eq!(end(&mut folder, &host), 0);
    let zones = indexed(&host, 190);
    assert_eq!(end(&mut folder, &host), 190);
    let file = folder.open(DAY).unwrap();
    let loaded = load(&mut folder, day, &file).unwrap().unwrap();
    assert_eq!(loaded, zones.into_iter().map(Some).collect::<Vec<_>>());
    assert!(is_of_file(&file, &loaded).unwrap());
    for (blocks, seed) in [(300, 2), (100, 1), (189, 1)] {
        fill(&host, blocks, seed);
        assert_eq!(end(&mut folder, &host), 0);
        assert!(host.files() == [DAY]);
        fill(&host, 200, 1);
        indexed(&host, 190);
        fill(&host, blocks, seed);
        let file = folder.open(DAY).unwrap();
        let loaded = load(&mut folder, day, &file).unwrap();
        assert!(loaded.is_none_or(|zones| !is_of_file(&file, &zones).unwrap()));
    }
}

#[test]
fn an_index_that_is_far_too_large_is_not_read() {
    use crate::host::Host;
    // As many as the file could need, and as many as fit into memory.
    for (blocks, most) in [(10, 10 * 512), (1000, MOST_BYTES)] {
        let host = TestHost::at(NOON);
        fill(&host, blocks, 1);
        let mut folder = host.folder("");
        let day = Day::parse("2026-11-23").unwrap();
        host.set_file(&names::index(day), vec![0; most as usize + 1]);
        let file = folder.open(DAY).unwrap();
        assert!(load(&mut folder, day, &file).unwrap().is_none());
        assert_eq!(host.0.borrow().bytes_read, 0);
        assert_eq!(end(&mut folder, day, &file).unwrap(), 0);
        assert_eq!(host.files(), [DAY]);
    }
}
