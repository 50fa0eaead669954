//! Whatever happens to the daily files and their indexes, a read gives what a plain list of all lines gives.

use crate::host::Host;
use crate::index::{self, Zone};
use crate::store::Store;
use crate::testing::{TestHost, event_at, read_page};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::event::Field;
use audit_format::names;
use audit_format::query::{Filter, PageRequest};
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp, is_stored_text};
use proptest::prelude::*;

const TOOLS: [&str; 4] = ["shell", "search", "7", "a/b"];

#[derive(Clone, Debug)]
enum Step {
    /// A store writes events of these minutes, each of one of the tools.
    Write {
        store: usize,
        events: Vec<(i64, usize)>,
    },
    /// A new instance takes the place of a store.
    Restart(usize),
    /// Another program appends a line.
    Foreign {
        day: usize,
        minute: i64,
        form: u8,
    },
    /// Somebody changes a daily file.
    File {
        day: usize,
        change: FileChange,
    },
    /// Somebody changes an index.
    Index {
        day: usize,
        change: IndexChange,
    },
    /// The folder becomes read-only for removals, or writable.
    KeepFiles(bool),
    Read {
        store: usize,
        newest: bool,
        limit: u32,
        tool: Option<usize>,
        from: Option<i64>,
        to: Option<i64>,
    },
}

#[derive(Clone, Debug)]
enum FileChange {
    Delete,
    /// It is cut in place, to this part of its size.
    Cut(prop::sample::Index),
    /// The other day's file is copied over it in place.
    CopyOver,
    /// Bytes are inserted in its middle, in place.
    Insert(prop::sample::Index),
}

#[derive(Clone, Debug)]
enum IndexChange {
    Delete,
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    Flip(prop::sample::Index),
    /// One takes its place whose records are right by themselves, and of no file: their blocks, and what those are known by.
    Forge(Vec<(u32, Zone)>),
    /// It is kept for later.
    Keep,
    /// The one that was kept last, of whatever file and time, takes its place.
    Bring,
}

fn minutes() -> impl Strategy<Value = i64> {
    // Mostly within a day, and around the midnight between the two days.
    prop_oneof![3 => 0..1440_i64, 3 => 1430..1450_i64, 2 => 1440..2880_i64]
}

/// Records of blocks that a file may have, mostly, with any instants and checks.
fn forged() -> impl Strategy<Value = Vec<(u32, Zone)>> {
    let time = || Timestamp::MIN.micros()..=Timestamp::MAX.micros();
    let zone = (time(), time(), any::<u32>()).prop_map(|(first, last, check)| Zone {
        first: Timestamp::clamped(first),
        last: Timestamp::clamped(last),
        check,
    });
    let block = prop_oneof![9 => 0..20_u32, 1 => any::<u32>()];
    prop::collection::vec((block, zone), 1..20)
}

fn steps() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let file_change = prop_oneof![
        Just(FileChange::Delete),
        index().prop_map(FileChange::Cut),
        Just(FileChange::CopyOver),
        index().prop_map(FileChange::Insert),
    ];
    let index_change = prop_oneof![
        Just(IndexChange::Delete),
        index().prop_map(IndexChange::Cut),
        prop::collection::vec(any::<u8>(), 0..50).prop_map(IndexChange::Append),
        index().prop_map(IndexChange::Flip),
        forged().prop_map(IndexChange::Forge),
        Just(IndexChange::Keep),
        Just(IndexChange::Bring),
    ];
    let events = prop::collection::vec((minutes(), 0..TOOLS.len()), 1..20);
    let bounds = || prop::option::weighted(0.3, minutes());
    prop_oneof![
        8 => (0..3_usize, events).prop_map(|(store, mut events)| {
            // Mostly in order, with late events among them.
            let late = events.len() / 6;
            events[late..].sort_unstable();
            Step::Write { store, events }
        }),
        1 => (0..3_usize).prop_map(Step::Restart),
        3 => (0..2_usize, minutes(), 0..9_u8)
            .prop_map(|(day, minute, form)| Step::Foreign { day, minute, form }),
        1 => (0..2_usize, file_change).prop_map(|(day, change)| Step::File { day, change }),
        2 => (0..2_usize, index_change).prop_map(|(day, change)| Step::Index { day, change }),
        1 => prop::bool::weighted(0.2).prop_map(Step::KeepFiles),
        6 => (0..3_usize, any::<bool>(), 0..9_u32, prop::option::of(0..TOOLS.len()), bounds(), bounds())
            .prop_map(|(store, newest, limit, tool, from, to)| {
                Step::Read { store, newest, limit: limit * limit, tool, from, to }
            }),
    ]
}

fn day(number: usize) -> Day {
    Day::parse("2026-11-23").unwrap().plus(number as i32)
}

fn ts(minute: i64) -> String {
    Timestamp::clamped(day(0).first().micros() + minute * 60_000_000).to_string()
}

/// The folder, and who uses it.
struct World {
    host: TestHost,
    stores: Vec<Store<TestHost>>,
    kept: Vec<u8>,
    /// How many lines were made so far: no two lines are equal.
    made: u64,
}

impl World {
    fn new() -> Self {
        let host = TestHost::at("2026-11-23T12:00:00Z");
        let stores = (0..3).map(|_| Store::new(host.clone())).collect();
        Self { host, stores, kept: Vec::new(), made: 0 }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.host.0.borrow();
        state.files.get(name).map(|file| file.borrow().bytes.clone()).unwrap_or_default()
    }

    /// Changes a file in place.
    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.host.0.borrow().files.get(name).cloned();
        if let Some(file) = file {
            change(&mut file.borrow_mut().bytes);
        }
    }

    fn foreign(&mut self, name: &str, minute: i64, form: u8) {
        self.made += 1;
        let (ts, made) = (ts(minute), self.made);
        let long = format!("{made:09}").repeat(80);
        let line = match form {
            0 => format!("{{\"ts\":\"{ts}\",\"tool\":\"shell\",\"req_id\":\"{made}\"}}\n"),
            1 => format!(
                "{{ \"tool\": 7, \"req_id\": \"{made}\", \"ts\": \"{}\" }}\r\n",
                ts.trim_end_matches('Z')
            ),
            2 => format!(
                "{{\"ts\":\"{ts}\",\"tool\":\"s\\u0068ell\",\"req_id\":\"{made}\",\"x\":\"{long}\"}}\n"
            ),
            3 => format!("{{\"ts\":\"{ts}\",\"req_id\":\"{made}\",\"ts\":\"{}\"}}\n", self::ts(minute / 2)),
            4 => format!("garbage {made}\n"),
            5 => format!("{{\"tool\":\"shell\",\"req_id\":\"{long}\"}}\n\n  \n"),
            6 => format!("{{\"ts\":\"{ts}\",\"tool\":\"shell\",\"req_id\":\"torn {made}"),
            7 => format!("{{\"ts\":\"{ts}\",\"tool\":\"a\\/b\",\"req_id\":\"{made}\"}}\n"),
            _ => format!("{{\"ts\":\"{ts}\",\"tool\":\"shell\",\"req_id\":\"unended {made}\"}}"),
        };
        self.host.append(name, line.as_bytes());
    }

    fn change_file(&mut self, day_number: usize, change: &FileChange) {
        let name = names::daily(day(day_number));
        match change {
            FileChange::Delete => self.host.delete(&name),
            FileChange::Cut(part) => self.change(&name, |bytes| bytes.truncate(part.index(bytes.len() + 1))),
            FileChange::CopyOver => {
                let other = self.bytes(&names::daily(day(1 - day_number)));
                self.change(&name, |bytes| *bytes = other);
            }
            FileChange::Insert(place) => {
                self.made += 1;
                let inserted = format!("inserted {}", self.made).into_bytes();
                self.change(&name, |bytes| {
                    let at = place.index(bytes.len() + 1);
                    bytes.splice(at..at, inserted);
                });
            }
        }
    }

    fn change_index(&mut self, day_number: usize, change: &IndexChange) {
        let name = names::index(day(day_number));
        match change {
            IndexChange::Delete => self.host.delete(&name),
            IndexChange::Cut(part) => self.change(&name, |bytes| bytes.truncate(part.index(bytes.len() + 1))),
            IndexChange::Append(garbage) => self.change(&name, |bytes| bytes.extend(garbage)),
            IndexChange::Flip(place) => self.change(&name, |bytes| {
                if !bytes.is_empty() {
                    let at = place.index(bytes.len());
                    bytes[at] ^= 0x10;
                }
            }),
            IndexChange::Forge(records) => {
                self.host.delete(&name);
                let mut folder = self.host.folder("");
                for (block, zone) in records {
                    index::append(&mut folder, day(day_number), u64::from(*block), &[*zone]).unwrap();
                }
            }
            IndexChange::Keep => self.kept = self.bytes(&name),
            IndexChange::Bring => self.host.set_file(&name, self.kept.clone()),
        }
    }

    /// All events of the files with their keys, and how many lines are none.
    fn all(&self) -> (Vec<(Key, String, String)>, u64) {
        let (mut all, mut skipped) = (Vec::new(), 0);
        let files: BTreeMap<i32, Vec<u8>> =
            (0..3).map(|n| (day(n).number(), self.bytes(&names::daily(day(n))))).collect();
        for (day, bytes) in files {
            let mut offset = 0;
            for raw in bytes.split(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(raw.trim_ascii()).into_owned();
                let parsed = parse_stored(&line).ok();
                let at = parsed.as_ref().and_then(|parsed| Timestamp::parse(&parsed.event.ts).ok());
                match parsed.zip(at) {
                    Some((parsed, at)) => {
                        let stamp = parsed.stamp.filter(|_| is_stored_text(parsed.event.ts.as_bytes()));
                        let position = Position { day, offset };
                        let key = match stamp {
                            Some(stamp) => Key::of_entry(at, stamp.id),
                            None => Key::of_foreign(at, position),
                        };
                        all.push((key, parsed.event.tool.to_string(), parsed.event.req_id.to_string()));
                    }
                    None => skipped += u64::from(!line.is_empty()),
                }
                offset += raw.len() as u64 + 1;
            }
        }
        all.sort();
        (all, skipped)
    }

    fn read(&mut self, store: usize, filter: &Filter, order: Order, limit: u32) -> (Vec<String>, u64) {
        let mut request = PageRequest { order, limit, cursor: None };
        let (mut found, mut skipped) = (Vec::new(), 0);
        for pages in 0.. {
            assert!(pages < 10_000, "the read gets nowhere");
            let page = read_page(&mut self.stores[store], filter.clone(), &request).unwrap();
            assert_eq!(page.lines.lines().count(), page.events.len());
            found.extend(page.events.iter().map(|event| format!("{} {}", event.ts, event.req_id)));
            skipped += page.skipped;
            request.cursor = page.next;
            if request.cursor.is_none() {
                break;
            }
        }
        (found, skipped)
    }

    fn write(&mut self, store: usize, events: &[(i64, usize)]) {
        let mut batch = Vec::new();
        for (minute, tool) in events {
            self.made += 1;
            let event = event_at(&ts(*minute), TOOLS[*tool]);
            batch.push(audit_format::event::Event { req_id: self.made.to_string().into(), ..event });
        }
        self.host.pass_seconds(1);
        self.stores[store].write_batch(batch).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_read_gives_what_a_plain_list_gives(steps in prop::collection::vec(steps(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            match step {
                Step::Write { store, events } => world.write(*store, events),
                Step::Restart(store) => world.stores[*store] = Store::new(world.host.clone()),
                Step::Foreign { day: number, minute, form } => {
                    // Either file can have it: both are within a day of its time.
                    let name = names::daily(day(*number));
                    world.foreign(&name, *minute, *form);
                }
                Step::File { day, change } => world.change_file(*day, change),
                Step::Index { day, change } => world.change_index(*day, change),
                Step::KeepFiles(keep) => world.host.0.borrow_mut().keeps_files = *keep,
                Step::Read { store, newest, limit, tool, from, to } => {
                    let filter = Filter {
                        from_ts: from.map(ts),
                        to_ts: to.map(ts),
                        texts: tool.iter().map(|tool| (Field::Tool, TOOLS[*tool].into())).collect(),
                        ..Filter::default()
                    };
                    let (mut all, garbage) = world.all();
                    let time = |minute: i64| Timestamp::parse(&ts(minute)).unwrap();
                    all.retain(|(key, found, _)| {
                        from.is_none_or(|from| key.at >= time(from))
                            && to.is_none_or(|to| key.at <= time(to))
                            && tool.is_none_or(|tool| found == TOOLS[tool])
                    });
                    let has_copies = all.windows(2).any(|two| two[0].0 == two[1].0);
                    if *newest {
                        all.reverse();
                    }
                    let mut expected: Vec<String> =
                        all.iter().map(|(key, _, req_id)| format!("{} {req_id}", key.at)).collect();
                    let order = if *newest { Order::NewestFirst } else { Order::OldestFirst };
                    // What is stored twice can be on both sides of the end of a page.
                    let limit = if has_copies { 0 } else { *limit };
                    let (mut found, skipped) = world.read(*store, &filter, order, limit);
                    if has_copies {
                        // Lines with one key have no order among each other.
                        found.sort();
                        expected.sort();
                    }
                    prop_assert_eq!(&found, &expected);
                    let is_everything = tool.is_none() && from.is_none() && to.is_none();
                    if !has_copies {
                        prop_assert!(skipped <= garbage, "{} of {}", skipped, garbage);
                    }
                    if is_everything && limit == 0 {
                        prop_assert_eq!(skipped, garbage);
                    }
                }
            }
        }
    }
}
