//! Events with a value in every field: what JSON and SQL have to quote, and the largest numbers.

use audit_format::time::Timestamp;
use audit_host::Event;
use audit_testbed::Rng;

const TEXTS: [&str; 12] = [
    "",
    "planner",
    "shell",
    "ok",
    "\"quoted\" \\ and \\n",
    "'; DROP TABLE tool_audit_events; --",
    "{NULL,\"\",a}",
    "\\N",
    "café\u{a0}検索 😀",
    "%s $1 ?",
    " spaces ",
    "null",
];

const NUMBERS: [u64; 5] = [0, 1, 4_800, 1 << 53, u64::MAX];

const TIMES: [&str; 5] = [
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999999Z",
    "2026-11-23T23:30:00.5-01:00",
    "2026-11-23T12:00:00+05:45",
    "9999-12-31T23:59:59.999999Z",
];

/// An event like no other: its `req_id` is given, the rest is random.
pub fn event(rng: &mut Rng, req_id: String) -> Event {
    let text = |rng: &mut Rng| TEXTS[rng.usize(..TEXTS.len())].to_owned();
    let number = |rng: &mut Rng| NUMBERS[rng.usize(..NUMBERS.len())];
    let option = |rng: &mut Rng| rng.bool().then(|| text(rng));
    let ts = match rng.usize(..20) {
        n if n < TIMES.len() => TIMES[n].to_owned(),
        _ => format!("2026-11-23T12:00:{:02}.{:06}Z", rng.u32(..60), rng.u32(..1_000_000)),
    };
    Event {
        ts,
        req_id,
        workspace_id: text(rng),
        user_id: text(rng),
        agent_id: text(rng),
        tool: text(rng),
        action: text(rng),
        status: text(rng),
        duration_ms: number(rng),
        in_size: number(rng),
        out_size: number(rng),
        input_hash: text(rng),
        graph_run_id: option(rng),
        graph_node: option(rng),
        job_id: option(rng),
    }
}

/// The `n`-th event of a writer, the same in each process.
pub fn numbered(writer: &str, n: u64) -> Event {
    event(&mut Rng::with_seed(n), format!("{writer}-{n}"))
}

pub fn all_numbered(writer: &str, numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|n| numbered(writer, n)).collect()
}

/// The event as it is stored: its `ts` in UTC with microseconds.
pub fn stored(event: &Event) -> Event {
    let at = Timestamp::parse(&event.ts).expect("the time is one");
    Event { ts: at.to_string(), ..event.clone() }
}
