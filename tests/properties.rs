//! Any sequence of writes, reads and restarts of the built component has the same outcome as on a plain list.

use audit_fixtures::{assert_balanced, everything, open, read_all, start};
use audit_format::time::Timestamp;
use audit_host::{Backend, Event, Filter, Instance, Options, Order};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["", "shell", "sh\"ell\\", "検索"];

#[derive(Clone, Debug)]
enum Step {
    Write(Sketch),
    Batch(Vec<Sketch>),
    Jsonl(Vec<Sketch>),
    Restart,
    Read { filter: Sketch, use_ts: bool, use_tool: bool, use_node: bool, newest: bool, limit: u32 },
}

/// The few values of an event that matter here.
#[derive(Clone, Debug)]
struct Sketch {
    minutes: i64,
    offset_hours: i8,
    tool: usize,
    node: Option<usize>,
    valid: bool,
}

impl Sketch {
    fn at(&self) -> Timestamp {
        let new_year = Timestamp::parse("2027-01-01T00:00:00Z").unwrap().micros();
        Timestamp::clamped(new_year + self.minutes * 60_000_000)
    }

    fn ts(&self) -> String {
        if !self.valid {
            return "2026-12-31T24:00:00Z".into();
        }
        let local = Timestamp::clamped(self.at().micros() + i64::from(self.offset_hours) * 3_600_000_000);
        let sign = if self.offset_hours < 0 { '-' } else { '+' };
        format!("{}{sign}{:02}:00", local.to_string().trim_end_matches('Z'), self.offset_hours.unsigned_abs())
    }

    fn event(&self, n: usize) -> Event {
        Event {
            ts: self.ts(),
            req_id: n.to_string(),
            tool: NAMES[self.tool].into(),
            graph_node: self.node.map(|node| NAMES[node].into()),
            ..Event::default()
        }
    }
}

fn sketches() -> impl Strategy<Value = Sketch> {
    // The events are in the few minutes around a midnight, so that days change and instants repeat.
    (-3_i64..=3, -9_i8..=9, 0..4_usize, proptest::option::of(0..4_usize), prop::bool::weighted(0.93))
        .prop_map(|(minutes, offset_hours, tool, node, valid)| Sketch {
            minutes,
            offset_hours,
            tool,
            node,
            valid,
        })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => sketches().prop_map(Step::Write),
        2 => proptest::collection::vec(sketches(), 0..12).prop_map(Step::Batch),
        2 => proptest::collection::vec(sketches(), 0..12).prop_map(Step::Jsonl),
        1 => Just(Step::Restart),
        4 => (sketches(), any::<[bool; 4]>(), 0..8_u32).prop_map(|(filter, [ts, tool, node, newest], limit)| {
            Step::Read { filter, use_ts: ts, use_tool: tool, use_node: node, newest, limit }
        }),
    ]
}

/// The plain list that the store is compared with.
#[derive(Default)]
struct Plain {
    events: Vec<(Sketch, usize)>,
    written: usize,
}

impl Plain {
    fn write(&mut self, store: &mut Instance, sketches: &[Sketch], jsonl: bool) {
        let events: Vec<_> =
            sketches.iter().enumerate().map(|(n, one)| one.event(self.written + n)).collect();
        let result = if jsonl {
            let lines: String = events.iter().map(line).collect();
            store.write_jsonl(&lines)
        } else {
            store.write_batch(&events)
        };
        assert_eq!(result.is_ok(), sketches.iter().all(|one| one.valid));
        if result.is_ok() {
            self.take(sketches);
        }
        self.written += sketches.len();
    }

    fn take(&mut self, sketches: &[Sketch]) {
        let numbered = sketches.iter().cloned().enumerate().map(|(n, one)| (one, self.written + n));
        self.events.extend(numbered);
    }
}

fn line(event: &Event) -> String {
    let json = serde_json::json!({
        "tool": event.tool, "ts": event.ts, "graph_node": event.graph_node, "req_id": event.req_id,
    });
    format!("{json}\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_store_reads_like_a_plain_list(steps in proptest::collection::vec(steps(), 1..25)) {
        for kind in [Backend::Memory, Backend::Jsonl] {
            let folder = tempfile::tempdir().unwrap();
            let options = Options::new().backend(kind.name()).dir(folder.path()).warnings(|_| ());
            let mut store = start(&options);
            let mut plain = Plain::default();
            for step in &steps {
                match step {
                    Step::Write(one) => {
                        // `write` would take the clock's time in the place of an invalid one.
                        let one = Sketch { valid: true, ..one.clone() };
                        store.write(&one.event(plain.written)).unwrap();
                        plain.take(std::slice::from_ref(&one));
                        plain.written += 1;
                    }
                    Step::Batch(sketches) => plain.write(&mut store, sketches, false),
                    Step::Jsonl(sketches) => plain.write(&mut store, sketches, true),
                    Step::Restart if kind == Backend::Memory => {}
                    Step::Restart => {
                        store.close().unwrap();
                        // The identifiers of two instances are in order only if they are of different milliseconds.
                        std::thread::sleep(std::time::Duration::from_millis(2));
                        store = start(&options);
                    }
                    Step::Read { filter, use_ts, use_tool, use_node, newest, limit } => {
                        let node = filter.node.filter(|_| *use_node);
                        let asked = Filter {
                            from_ts: (*use_ts && filter.valid).then(|| filter.ts()),
                            tool: use_tool.then(|| NAMES[filter.tool].into()),
                            graph_node: node.map(|node| NAMES[node].into()),
                            ..Filter::default()
                        };
                        let mut expected: Vec<_> = plain
                            .events
                            .iter()
                            .filter(|(one, _)| asked.from_ts.is_none() || one.at() >= filter.at())
                            .filter(|(one, _)| !use_tool || one.tool == filter.tool)
                            .filter(|(one, _)| node.is_none() || one.node == node)
                            .map(|(one, n)| (one.at(), *n))
                            .collect();
                        expected.sort();
                        let order = if *newest { Order::NewestFirst } else { Order::OldestFirst };
                        if *newest {
                            expected.reverse();
                        }
                        let (entries, skipped) = read_all(&mut store, &asked, order, *limit);
                        let found: Vec<usize> =
                            entries.iter().map(|entry| entry.event.req_id.parse().unwrap()).collect();
                        prop_assert_eq!(found, expected.into_iter().map(|(_, n)| n).collect::<Vec<_>>());
                        prop_assert_eq!(skipped, 0);
                    }
                }
                assert_balanced(&store.status().unwrap().counts);
            }
        }
    }
}

#[test]
fn a_null_store_counts_its_events_and_keeps_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Backend::Null, folder.path());
    store.write(&Event::default()).unwrap();
    assert!(everything(&mut store).0.is_empty());
    assert_balanced(&store.status().unwrap().counts);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
