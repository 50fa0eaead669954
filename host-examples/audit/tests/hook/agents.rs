//! What the hooks of each agent tell becomes the right events.

use std::path::Path;

use serde_json::Value;

use crate::common::Workspace;
use crate::{hook, log, send};

/// Sends each case's hooks, and checks its events, each of which has at least the fields that are expected.
fn check(agent: &str, named: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hook/fixtures/{agent}.json"));
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in cases {
        let workspace = Workspace::new();
        let line =
            if named { format!("hook {agent} --dir ops/audit") } else { "hook --dir ops/audit".to_owned() };
        for sent in case["sends"].as_array().unwrap() {
            send(hook(&workspace, &line), sent.to_string());
        }
        let expected = case["events"].as_array().unwrap();
        let events = if expected.is_empty() { Vec::new() } else { workspace.events() };
        assert_eq!(events.len(), expected.len(), "{agent}: {case}: {events:?} {}", log(&workspace));
        for (event, expected) in events.iter().zip(expected) {
            assert_has(event, expected, &format!("{agent}: {}", case["name"]));
        }
        assert_eq!(workspace.events_dir().exists(), !expected.is_empty() || workspace.events_dir().exists());
    }
}

fn assert_has(event: &Value, expected: &Value, what: &str) {
    for (name, value) in expected.as_object().unwrap() {
        match value {
            Value::Object(_) => assert_has(&event[name], value, what),
            _ => assert_eq!(&event[name], value, "{what}: {name} of {event}"),
        }
    }
}

/// The same hook with a value of 17,000 items in each object that an agent's model or tools make, and these objects first.
fn enlarged(sent: &Value) -> String {
    let many = format!("[{}1]", "[1],".repeat(17_000));
    let mut members: Vec<(&String, &Value)> = sent.as_object().unwrap().iter().collect();
    members.sort_by_key(|(_, value)| !value.is_object());
    let member = |(key, value): (&String, &Value)| {
        let text = match value {
            Value::Object(inner) if !inner.is_empty() => {
                value.to_string().replacen('{', &format!("{{\"many\":{many},"), 1)
            }
            _ => value.to_string(),
        };
        format!("{}:{text}", Value::from(key.as_str()))
    };
    format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
}

#[test]
fn what_a_model_or_a_tool_makes_large_hides_nothing() {
    for agent in
        ["claude", "codex", "cursor", "gemini", "copilot", "kiro", "windsurf", "goose", "cline", "opencode"]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hook/fixtures/{agent}.json"));
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in cases {
            let workspace = Workspace::new();
            for sent in case["sends"].as_array().unwrap() {
                send(hook(&workspace, &format!("hook {agent} --dir ops/audit")), enlarged(sent));
            }
            let mut expected = case["events"].as_array().unwrap().clone();
            let events = if expected.is_empty() { Vec::new() } else { workspace.events() };
            assert_eq!(events.len(), expected.len(), "{agent}: {case}: {events:?} {}", log(&workspace));
            for (event, expected) in events.iter().zip(&mut expected) {
                let sizes = ["in_size", "out_size", "input_hash"];
                expected.as_object_mut().unwrap().retain(|name, _| !sizes.contains(&name.as_str()));
                assert_has(event, expected, &format!("{agent}: {}", case["name"]));
            }
        }
    }
}

macro_rules! agents {
    ($($agent:ident)*) => {
        $(
            #[test]
            fn $agent() {
                check(stringify!($agent), true);
            }
        )*

        #[test]
        fn an_agent_is_recognised_by_what_its_hooks_say() {
            $(check(stringify!($agent), false);)*
        }

        #[test]
        fn every_agent_has_fixtures() {
            let output = crate::common::run(hook(&Workspace::new(), "hook --list"));
            let listed = String::from_utf8(output.stdout).unwrap();
            let listed: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
            assert_eq!(listed, [$(stringify!($agent)),*]);
        }
    };
}

agents! { claude codex cursor gemini copilot kiro windsurf goose cline opencode }
