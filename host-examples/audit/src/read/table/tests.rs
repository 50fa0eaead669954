use super::*;
use proptest::prelude::*;

fn shown(width: Option<usize>, events: &[Event<'_>]) -> (String, Vec<&'static str>) {
    let mut table = Table::of_width(width);
    let mut out = String::new();
    table.show(events, &mut out);
    (out, table.left_out())
}

fn of_agent(tool: &'static str, action: &'static str, ts: &'static str) -> Event<'static> {
    Event {
        ts: ts.into(),
        req_id: "toolu_01A09q90qw90lq917835lq9".into(),
        workspace_id: "audit-store".into(),
        user_id: "somebody".into(),
        agent_id: "claude-code:reviewer".into(),
        tool: tool.into(),
        action: action.into(),
        status: "ok".into(),
        duration_ms: 12_345,
        in_size: 120,
        out_size: 48_000,
        graph_run_id: Some("5f0c3f6e-8b57-4d0c-9f0e-0d7a1c2b3d4e".into()),
        attributes: vec![
            Attribute::new("error_type", "timeout"),
            Attribute::new("model", "large-4-20261101"),
            Attribute::new("source", "hook"),
        ],
        ..Event::default()
    }
}

#[test]
fn calls_of_agents_stay_readable_in_eighty_columns() {
    let events = [
        of_agent("mcp__github__create_pull_request", "call", "2026-11-23T06:30:00.123456Z"),
        of_agent("Bash", "call", "2026-11-23T06:31:00.123456Z"),
    ];
    let (table, left_out) = shown(Some(80), &events);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 6, "{table}");
    assert!(lines.iter().all(|line| line.width() <= 80), "{table}");
    for part in ["2026-11-23", "06:30:00", "mcp__github_", "Bash", "ok", "12345", "5f0c3f6e…", "claude-…"]
    {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    assert_eq!(left_out, ["in", "out", "workspace", "user", "request", "attributes"]);
    let (table, left_out) = shown(Some(120), &events);
    assert!(table.contains("error_type=ti") && left_out.len() < 6, "{table}{left_out:?}");
}

#[test]
fn a_wide_table_has_everything() {
    let event = of_agent("mcp__github__create_pull_request", "call", "2026-11-23T06:30:00.123456Z");
    let (table, left_out) = shown(None, std::slice::from_ref(&event));
    assert!(left_out.is_empty() && !table.contains('…'), "{table}");
    for part in [&*event.req_id, "2026-11-23 06:30:00.123", "model=large-4-20261101 source=hook", "somebody"]
    {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}

#[test]
fn a_table_has_no_empty_columns_and_keeps_its_width() {
    let ts = "2026-11-23T06:30:00.123456Z";
    let long = Event { ts: ts.into(), tool: "a tool with a long name ".repeat(9).into(), ..Event::default() };
    let other = Event { ts: ts.into(), user_id: "somebody".into(), duration_ms: 5, ..Event::default() };
    let (table, _) = shown(Some(80), &[long, other]);
    assert!(table.contains("2026-11-23") && table.contains("somebody") && table.contains('…'), "{table}");
    assert!(table.contains("ms") && !table.contains("agent") && !table.contains("session"), "{table}");
    assert!(table.lines().all(|line| line.width() <= 80), "{table}");
}

#[test]
fn a_table_has_no_characters_that_control_the_terminal() {
    let event = Event {
        tool: "a\u{1b}[2Jb\rc\u{202E}d".into(),
        attributes: vec![Attribute::new("model", "m\u{9b}"), Attribute::new("server", "s")],
        ..Event::default()
    };
    let (table, _) = shown(Some(120), &[event]);
    assert!(table.contains(r"a\u001b[2Jb\rc\u202ed") && table.contains(r"model=m\u009b server=s"), "{table}");
    assert_eq!(Clock::Millis.shown("2026-11-23T06:30:00.123456Z"), "2026-11-23 06:30:00.123");
    assert_eq!(Clock::Millis.shown("ä\nb"), r"ä\nb");
}

#[test]
fn a_table_shows_what_is_not_seen_and_few_marks() {
    let hidden = "a\u{200b}\u{200d}\u{feff}\u{ad}\u{3164}\u{e0041}";
    let marks = "e".to_owned() + &"\u{301}".repeat(300);
    let event = Event {
        ts: hidden.into(),
        tool: hidden.into(),
        action: marks.into(),
        graph_run_id: Some(hidden.into()),
        attributes: vec![Attribute::new("k", hidden)],
        ..Event::default()
    };
    let (table, _) = shown(None, &[event]);
    assert!(table.contains(r"a\u200b\u200d\ufeff\u00ad\u3164\ue0041"), "{table}");
    assert!(!table.chars().any(|char| hidden[1..].contains(char)), "{table}");
    assert!(table.matches('\u{301}').count() <= 4, "{table}");
}

#[test]
fn a_long_duration_takes_no_column_of_others() {
    let mut event = of_agent("mcp__github__create_pull_request", "call", "2026-11-23T06:30:00.123456Z");
    event.duration_ms = 123_456_789;
    event.in_size = 999_999_999;
    let (table, left_out) = shown(Some(80), std::slice::from_ref(&event));
    assert!(table.contains(" 34h ") && table.contains("agent"), "{table}");
    assert_eq!(left_out, ["in", "out", "workspace", "user", "request", "attributes"]);
    let (table, _) = shown(None, &[event]);
    assert!(table.contains("123456789") && table.contains("999999999"), "{table}");
}

#[test]
fn rows_that_come_later_have_no_title_of_their_own() {
    let mut table = Table::of_width(Some(80)).going_on();
    let mut out = String::new();
    let event = of_agent("Bash", "call", "2026-11-23T06:30:00.123456Z");
    for _ in 0..3 {
        table.show(std::slice::from_ref(&event), &mut out);
    }
    assert_eq!((out.matches("status").count(), out.lines().count()), (1, 6), "{out}");
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_terminal(
        texts in proptest::collection::vec(".{0,30}", 1..40),
        width in 0..200_usize,
    ) {
        let events: Vec<Event<'_>> = texts
            .iter()
            .map(|text| Event {
                ts: text.into(), tool: text.into(), graph_run_id: Some(text.into()), job_id: Some(text.into()),
                attributes: vec![Attribute::new("k", text)], ..Event::default()
            })
            .collect();
        let (table, _) = shown(Some(width), &events);
        let width = width.max(LEAST_WIDTH);
        prop_assert!(table.lines().all(|line| line.width() <= width), "{}", table);
    }
}
