//! `audit reconcile --add` into a database.

use std::fs::File;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::Site;
use crate::common::run;

const CLAUDE: &str = include_str!("../transcripts/claude.jsonl");

#[test]
fn each_call_is_added_once_however_many_add_at_the_same_time() {
    let site = Site::new();
    let path = site.workspace.file("claude.jsonl", CLAUDE);
    let two_days_ago = SystemTime::now() - Duration::from_secs(172_800);
    File::options().write(true).open(&path).unwrap().set_modified(two_days_ago).unwrap();
    let add = || {
        let arguments = ["--backend", "auto", "reconcile", "claude", "--add", path.to_str().unwrap()];
        run(site.audit(arguments)).status.code()
    };
    thread::scope(|scope| {
        let adding: Vec<_> = (0..4).map(|_| scope.spawn(add)).collect();
        assert!(adding.into_iter().all(|adding| adding.join().unwrap() == Some(0)));
    });
    assert_eq!(add(), Some(0));
    assert_eq!(site.stored(), 5);
    let sources = site.sql("SELECT DISTINCT attributes ->> 'source' FROM tool_audit_events");
    assert_eq!(sources, ["transcript"]);
    let kept = site
        .sql("SELECT count(*)::text FROM tool_audit_events WHERE tool_audit_events::text LIKE '%sleep 100%'");
    assert_eq!(kept, ["0"]);
}
