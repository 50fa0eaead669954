//! The application: each request's calls are recorded once, and a tenant reads its own alone.

use std::collections::HashSet;
use std::thread;

use audit_testbed::Cluster;
use http::{Method, Request};
use serde_json::Value;

use crate::site::{app_on_shared, call, page, request};

#[test]
fn each_requests_calls_are_recorded_once_also_where_requests_come_at_once() {
    const REQUESTS: u64 = 40;
    let (app, url) = app_on_shared();
    // Nobody has made the table yet: the first requests do so at once.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..REQUESTS / 4 {
                    let (status, answer) = call(&app, "acme", &["sum", "reverse", "rm"]);
                    assert_eq!(
                        (status, &answer["audit"]),
                        (200, &serde_json::json!({"recorded": 3, "lost": 0}))
                    );
                }
            });
        }
    });
    let cluster = Cluster::shared();
    assert_eq!(cluster.stored(&url), 3 * REQUESTS);
    let distinct = "SELECT count(DISTINCT event_id) FROM tool_audit_events";
    assert_eq!(cluster.number(&url, distinct), 3 * REQUESTS);
    // An instance for each request, whose events are numbered from 0.
    let chains = "SELECT count(DISTINCT chain) FROM tool_audit_events WHERE seq = 0";
    assert_eq!(cluster.number(&url, chains), REQUESTS);
    let statuses = "SELECT DISTINCT tool || ' ' || status FROM tool_audit_events ORDER BY 1";
    assert_eq!(cluster.column(&url, statuses), ["reverse ok", "rm error", "sum ok"]);
}

#[test]
fn a_call_is_answered_and_recorded_without_its_payload() {
    let (app, url) = app_on_shared();
    let answer = request(&app, Method::POST, "/tools/reverse", "acme", "s3cret");
    assert_eq!(answer.status(), 200);
    let json: Value = serde_json::from_str(answer.body()).unwrap();
    assert_eq!((&json["output"], &json["audit"]["recorded"]), (&"terc3s".into(), &1.into()));
    let cluster = Cluster::shared();
    let row = "SELECT concat_ws(' ', workspace_id, agent_id, tool, action, status, in_size, out_size) FROM tool_audit_events";
    assert_eq!(cluster.value(&url, row), "acme planner reverse call ok 6 6");
    let whole = cluster.value(&url, "SELECT to_json(e)::text FROM tool_audit_events e");
    assert!(!whole.contains("s3cret") && !whole.contains("terc3s"), "{whole}");
}

#[test]
fn what_is_refused_is_recorded_too() {
    let (app, url) = app_on_shared();
    let large = "x".repeat((1 << 20) + 1);
    for (path, body, status) in
        [("/tools/sum", "one", 422), ("/tools", "{}", 400), ("/tools/sum", large.as_str(), 413)]
    {
        let answer = request(&app, Method::POST, path, "acme", body);
        assert_eq!(answer.status(), status, "{}", answer.body());
        let json: Value = serde_json::from_str(answer.body()).unwrap();
        assert_eq!((&json["audit"]["recorded"], json["error"].is_string()), (&1.into(), true));
    }
    let types = "SELECT attributes ->> 'error_type' FROM tool_audit_events ORDER BY 1";
    assert_eq!(Cluster::shared().column(&url, types), ["invalid_input", "invalid_request", "too_large"]);
}

#[test]
fn a_tenant_sees_nothing_of_another() {
    let (app, _) = app_on_shared();
    call(&app, "acme", &["sum"]);
    call(&app, "other", &["reverse"]);
    for query in ["", "?workspace_id=acme", "?workspace=acme&tool=sum", "?agent_id=planner", "?tool=sum"] {
        let (status, html) = page(&app, "other", query);
        assert_eq!(status, 200, "{html}");
        assert!(!html.contains("<td>sum"), "{query}: {html}");
    }
    assert!(page(&app, "other", "").1.contains("<td>reverse"));
    assert!(page(&app, "acme", "?tool=sum&status=ok").1.contains("<td>sum"));
    assert!(page(&app, "acme", "?status=error").1.contains("Nothing is recorded"));
    let without = Request::get("http://127.0.0.1:3000/audit").body(String::new()).unwrap();
    let answer = app.request(without).unwrap();
    assert!(answer.status() == 400 && answer.body().contains("x-workspace-id"), "{answer:?}");
}

/// Of two names of a tenant, the client may have sent one. Names that are not text would be shown, and found, as one.
#[test]
fn a_request_whose_tenant_is_not_clear_is_refused() {
    let (app, url) = app_on_shared();
    let values: [&[&[u8]]; 5] = [&[], &[b""], &[b"acme", b"other"], &[b"acme", b"acme"], &[b"caf\xe9"]];
    for values in values {
        for path in ["/audit", "/tools/sum"] {
            let mut request = Request::builder().uri(format!("http://127.0.0.1:3000{path}"));
            request = request.method(if path == "/audit" { Method::GET } else { Method::POST });
            for value in values {
                request = request.header("x-workspace-id", *value);
            }
            let answer = app.request(request.body("1".to_owned()).unwrap()).unwrap();
            assert!(
                answer.status() == 400 && answer.body().contains("x-workspace-id"),
                "{values:?}: {answer:?}"
            );
        }
    }
    let name = "\u{a0}caf\u{e9}";
    let request = Request::post("http://127.0.0.1:3000/tools/sum").header("x-workspace-id", name.as_bytes());
    assert_eq!(app.request(request.body("1".to_owned()).unwrap()).unwrap().status(), 200);
    assert_eq!(Cluster::shared().column(&url, "SELECT workspace_id FROM tool_audit_events"), [name]);
}

#[test]
fn the_pages_of_the_record_have_each_call_once() {
    let (app, _) = app_on_shared();
    for n in 0..3 {
        let tools: Vec<String> = (0..40).map(|tool| format!("tool-{n}-{tool}-")).collect();
        let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
        call(&app, "acme", &tools);
    }
    let (mut query, mut seen, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let (_, html) = page(&app, "acme", &query);
        seen.extend(html.split("<td>").filter(|cell| cell.starts_with("tool-")).map(str::to_owned));
        pages += 1;
        match html.split_once("<a href=\"") {
            Some((_, rest)) => query = rest.split('"').next().unwrap().replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (120, 3));
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 120);
    assert!(seen[0].starts_with("tool-2-") && seen[119].starts_with("tool-0-"), "{seen:?}");
}

#[test]
fn a_wrong_filter_is_the_callers_error() {
    let (app, _) = app_on_shared();
    let (status, html) = page(&app, "acme", "?from=yesterday");
    assert!(status == 400 && html.contains("from_ts"), "{html}");
}
