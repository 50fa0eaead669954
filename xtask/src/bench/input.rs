//! The events that are written and searched: those of eleven hours of one day, as another program would send them. One in
//! 2000 is of a tool that no other event has.

use std::io::{self, Write};

/// The file in which the store keeps them.
pub(crate) const DAILY_FILE: &str = "tool_audit_2026-11-23.jsonl";

/// The tool of one event in [`RARITY`].
pub(crate) const RARE_TOOL: &str = "deploy";
const RARITY: u64 = 2000;

/// An agent of one event in five.
pub(crate) const COMMON_AGENT: &str = "planner";

/// How long they take altogether, in microseconds.
const SPAN: u64 = 11 * 3600 * 1_000_000;

/// The middle minute, for `--from` and `--to`.
pub(crate) const MINUTE: [&str; 2] = ["2026-11-23T05:30:00Z", "2026-11-23T05:30:59.999999Z"];
const MINUTE_START: u64 = (5 * 60 + 30) * 60 * 1_000_000;

const TOOLS: [&str; 8] = ["shell", "search", "fetch", "sql", "mail", "python", "fs.read", "fs.write"];
const AGENTS: [&str; 5] = [COMMON_AGENT, "coder", "reviewer", "researcher", "ops"];

/// How many of so many events are of the rare tool.
pub(crate) fn rare(events: u64) -> u64 {
    events / RARITY
}

/// How many of so many events are of the middle minute.
pub(crate) fn in_minute(events: u64) -> u64 {
    let minute = MINUTE_START..MINUTE_START + 60_000_000;
    (0..events).filter(|n| minute.contains(&instant(*n, events))).count() as u64
}

/// When the `n`-th of so many events happened, in microseconds of the day.
fn instant(n: u64, events: u64) -> u64 {
    (u128::from(n) * u128::from(SPAN) / u128::from(events)) as u64
}

/// Writes so many events as JSON lines.
pub(crate) fn write(events: u64, out: &mut impl Write) -> io::Result<()> {
    let mut state = 1_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for n in 0..events {
        let micros = instant(n, events);
        let second = micros / 1_000_000;
        let hash: String = (0..8).map(|_| format!("{:08x}", next(1 << 31))).collect();
        let (workspace, user, agent, tool) =
            (next(50), next(500), AGENTS[next(AGENTS.len())], TOOLS[next(TOOLS.len())]);
        let tool = if n % RARITY == RARITY - 1 { RARE_TOOL } else { tool };
        writeln!(
            out,
            "{{\"ts\": \"2026-11-23T{:02}:{:02}:{:02}.{:06}Z\", \"req_id\": \"req-{n:08}\", \"workspace_id\": \"ws-{workspace}\", \
             \"user_id\": \"user-{user}\", \"agent_id\": \"{agent}\", \"tool\": \"{tool}\", \"action\": \"call\", \"status\": \
             \"ok\", \"duration_ms\": {}, \"in_size\": {}, \"out_size\": {}, \"input_hash\": \"{hash}\", \"graph_run_id\": \
             null, \"graph_node\": null, \"job_id\": null}}",
            second / 3600,
            second / 60 % 60,
            second % 60,
            micros % 1_000_000,
            next(5_000),
            next(10_000),
            next(100_000),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_numbers_of_events_that_reads_find_are_those_of_the_events() {
        let mut lines = Vec::new();
        write(10_000, &mut lines).unwrap();
        let events: Vec<Value> = String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let count = |is: &dyn Fn(&Value) -> bool| events.iter().filter(|event| is(event)).count() as u64;
        assert_eq!(events.len(), 10_000);
        assert_eq!(count(&|event| event["tool"] == RARE_TOOL), rare(10_000));
        let [from, to] = MINUTE.map(|bound| bound.trim_end_matches('Z'));
        let in_it = count(&|event| event["ts"].as_str().is_some_and(|ts| ts >= from && ts <= to));
        assert_eq!(in_it, in_minute(10_000));
        assert!(count(&|event| event["agent_id"] == COMMON_AGENT) > 1_500);
    }
}
