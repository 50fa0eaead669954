use super::*;
use crate::otlp::lineage::Passed;
use crate::otlp::read::SpanId;

const TRACE: [u8; 16] = [7; 16];

const WAIT: Duration = Duration::from_secs(1);

fn id(number: u8) -> SpanId {
    [0, 0, 0, 0, 0, 0, 1, number]
}

/// A collator, and a clock.
struct Site {
    names: Names,
    collator: Collator,
    now: Instant,
    tickets: Ticket,
}

impl Site {
    fn new() -> Self {
        let names = Names::default();
        Self { collator: Collator::new(WAIT, names.clone()), names, now: Instant::now(), tickets: 0 }
    }

    fn name(&self, number: u8) -> u64 {
        self.names.of_span(TRACE, id(number))
    }

    /// The sighting of a span, as an export has it.
    fn span(&self, vantage: Vantage, number: u8, parent: u8, tool: &str) -> Sighting {
        let mut sighting = Sighting::new(vantage);
        sighting.own = self.names.of(("own", self.name(number)));
        (sighting.trace, sighting.span) = (Some(TRACE), Some(id(number)));
        sighting.parent = (parent > 0).then(|| id(parent));
        sighting.texts.tool = tool.into();
        sighting
    }

    /// An export of these calls, and of other spans with their parents.
    fn take(&mut self, calls: Vec<Sighting>, others: &[(u8, u8)]) -> Taken {
        let passed = |number: u8, parent: Option<u64>| Passed {
            name: self.name(number),
            parent,
            is_agent: false,
            context: None,
        };
        let mut spans: VecDeque<Passed> = others
            .iter()
            .map(|(number, parent)| passed(*number, (*parent > 0).then(|| self.name(*parent))))
            .collect();
        for call in calls.iter().filter(|call| call.is_span()) {
            let of = |id: Option<SpanId>| id.map(|id| self.names.of_span(TRACE, id));
            let name = of(call.span).unwrap();
            spans.push_back(Passed { name, parent: of(call.parent), is_agent: false, context: None });
        }
        self.tickets += 1;
        self.collator.take(Export { calls, spans, ..Export::default() }, self.tickets, self.now)
    }

    /// Records what is due, and returns how many sightings each call has, and who has waited.
    fn record(&mut self) -> Vec<(usize, Vec<Ticket>)> {
        let due = self.collator.due(self.now);
        due.into_iter().map(|(id, sightings)| (sightings.len(), self.collator.recorded(id))).collect()
    }
}

#[test]
fn a_call_of_an_agent_waits_for_nothing() {
    let mut site = Site::new();
    let call = site.span(Vantage::Execute, 1, 9, "search");
    assert_eq!(site.take(vec![call], &[]), Taken { waits_for: 1, known: 0 });
    assert_eq!(site.record(), [(1, vec![1])]);
    assert_eq!(site.collator.next_due(), None);
}

#[test]
fn a_span_of_mcp_waits_for_what_is_above_it_but_not_for_ever() {
    let mut site = Site::new();
    let server = site.span(Vantage::McpServer, 3, 2, "search");
    site.take(vec![server], &[]);
    assert_eq!(site.record(), []);
    let client = site.span(Vantage::McpClient, 2, 1, "search");
    site.now += WAIT / 2;
    site.take(vec![client], &[]);
    assert_eq!(site.record(), []);
    site.now += WAIT / 2;
    assert_eq!(site.record(), [(2, vec![1, 2])]);
    // The agent's span comes too late, and is no new call.
    let agent = site.span(Vantage::Execute, 1, 0, "search");
    assert_eq!(site.take(vec![agent], &[]), Taken { waits_for: 0, known: 1 });
    assert_eq!(site.record(), []);
}

#[test]
fn the_span_of_the_agent_ends_the_wait() {
    let mut site = Site::new();
    let (server, client) =
        (site.span(Vantage::McpServer, 3, 2, "search"), site.span(Vantage::McpClient, 2, 1, "search"));
    site.take(vec![server], &[]);
    site.take(vec![client], &[]);
    let agent = site.span(Vantage::Execute, 1, 0, "mcp__web__search");
    site.take(vec![agent], &[]);
    assert_eq!(site.record(), [(3, vec![1, 2, 3])]);
}

#[test]
fn spans_between_do_not_part_a_call_whenever_they_come() {
    // 4 is the server, 3 and 2 are no calls, 1 is the agent's call.
    for exports in
        [vec![vec![4, 3, 2, 1]], vec![vec![4], vec![3, 2], vec![1]], vec![vec![4], vec![3], vec![2, 1]]]
    {
        let mut site = Site::new();
        for export in &exports {
            let call = |number: &u8| match number {
                4 => Some(site.span(Vantage::McpServer, 4, 3, "search")),
                1 => Some(site.span(Vantage::Execute, 1, 0, "search")),
                _ => None,
            };
            let calls = export.iter().filter_map(call).collect();
            let others: Vec<_> = export.iter().filter(|n| [2, 3].contains(*n)).map(|n| (*n, n - 1)).collect();
            site.take(calls, &others);
        }
        let recorded = site.record();
        assert_eq!(recorded.iter().map(|(sightings, _)| *sightings).collect::<Vec<_>>(), [2], "{exports:?}");
    }
}

#[test]
fn several_calls_below_one_span_stay_several() {
    let mut site = Site::new();
    let calls = |site: &Site| {
        vec![
            site.span(Vantage::McpClient, 2, 1, "search"),
            site.span(Vantage::McpClient, 3, 1, "search"),
            site.span(Vantage::McpServer, 4, 2, "search"),
            site.span(Vantage::McpServer, 5, 3, "search"),
        ]
    };
    let all = calls(&site);
    assert_eq!(site.take(all, &[(1, 0)]), Taken { waits_for: 2, known: 0 });
    assert_eq!(site.record(), [(2, vec![1]), (2, vec![1])]);
    // An agent that is a tool calls others, and none of them is its own call.
    let outer = site.span(Vantage::Execute, 10, 0, "research");
    let inner = site.span(Vantage::McpClient, 11, 10, "search");
    site.take(vec![inner, outer], &[]);
    assert_eq!(site.record().len(), 2);
}

#[test]
fn what_is_sent_again_is_recorded_once() {
    let mut site = Site::new();
    let call = site.span(Vantage::McpClient, 1, 9, "search");
    site.take(vec![call.clone()], &[]);
    // Its sender did not wait for the answer.
    assert_eq!(site.take(vec![call.clone()], &[]), Taken { waits_for: 1, known: 0 });
    site.now += WAIT;
    assert_eq!(site.record(), [(1, vec![1, 2])]);
    assert_eq!(site.take(vec![call], &[]), Taken { waits_for: 0, known: 1 });
}

#[test]
fn what_could_not_be_recorded_is_taken_when_it_comes_again() {
    let mut site = Site::new();
    let call = site.span(Vantage::Execute, 1, 0, "search");
    site.take(vec![call.clone()], &[]);
    let due = site.collator.due(site.now);
    assert_eq!(site.collator.failed(due[0].0), [1]);
    assert_eq!(site.take(vec![call], &[]), Taken { waits_for: 1, known: 0 });
    assert_eq!(site.record(), [(1, vec![2])]);
}

fn identified(mut sighting: Sighting, conversation: &str, call_id: &str) -> Sighting {
    sighting.texts.conversation = conversation.into();
    sighting.texts.call_id = call_id.into();
    sighting
}

#[test]
fn an_identifier_joins_a_span_and_a_log_record_of_one_conversation_alone() {
    let mut site = Site::new();
    let log = |own, conversation: &str| {
        let mut log = Sighting::new(Vantage::Log);
        log.own = own;
        identified(log, conversation, "call_1")
    };
    let span = identified(site.span(Vantage::Execute, 1, 0, "shell"), "a", "call_1");
    site.take(vec![log(1, "a"), log(2, "b"), span], &[]);
    let mut recorded: Vec<usize> = site.record().into_iter().map(|(sightings, _)| sightings).collect();
    recorded.sort_unstable();
    assert_eq!(recorded, [1, 2]);
}

#[test]
fn an_identifier_that_is_used_again_is_another_call() {
    let mut site = Site::new();
    for number in [1, 2] {
        let call = identified(site.span(Vantage::Execute, number, 0, "search"), "a", "call_0");
        assert_eq!(site.take(vec![call], &[]), Taken { waits_for: 1, known: 0 });
        assert_eq!(site.record().len(), 1);
    }
}

#[test]
fn memory_is_bounded() {
    let mut site = Site::new();
    for number in 0..MAX_RECORDED as u64 + 100 {
        let mut log = Sighting::new(Vantage::Log);
        log.own = number;
        site.take(vec![identified(log, "a", &number.to_string())], &[]);
        site.record();
        let mut allowed = Sighting::new(Vantage::Decision);
        allowed.texts.decision = "accept".into();
        let allowed = identified(allowed, "b", &number.to_string());
        site.collator.take(Export { allowed: vec![allowed], ..Export::default() }, 0, site.now);
    }
    let collator = &site.collator;
    assert_eq!((collator.groups.len(), collator.recorded.len()), (MAX_RECORDED, MAX_RECORDED));
    assert_eq!(collator.links.len(), 2 * MAX_RECORDED);
    assert_eq!((collator.allowed.len(), collator.due.len()), (MAX_ALLOWED, 0));
}

#[test]
fn what_comes_again_and_again_takes_no_more_memory() {
    let mut site = Site::new();
    let [one, other] =
        [1, 2].map(|number| identified(site.span(Vantage::Execute, number, 0, "t"), "a", "call_0"));
    for _ in 0..100 {
        site.take(vec![one.clone(), other.clone()], &[]);
        site.record();
    }
    assert_eq!(site.collator.groups.len(), 2);
    assert!(site.collator.groups.values().all(|group| group.links.len() < 6), "{:?}", site.collator.groups);
    // Whatever it tells of itself then.
    for number in 0..100 {
        let mut again = identified(one.clone(), "a", &format!("call_{number}"));
        again.texts.tool = format!("t{number}").into();
        site.take(vec![again], &[]);
    }
    assert_eq!(site.collator.groups.len(), 2);
    let is_small = |group: &Group| group.links.len() < 6 && group.traits.len() < 2;
    assert!(site.collator.groups.values().all(is_small), "{:?}", site.collator.groups);
    // A chain that grows upwards has an end too.
    site.take(vec![site.span(Vantage::McpClient, 255, 254, "t")], &[]);
    for number in (1..255).rev() {
        site.take(Vec::new(), &[(number, number - 1)]);
    }
    assert!(site.collator.groups.values().all(|group| group.links.len() <= MAX_LINKS + 4));
}
