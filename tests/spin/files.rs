//! The store has no files in Spin: what is mounted for the application cannot be read or written through it.

use std::fs;

use audit_spin_host::{App, Settings};
use audit_testbed::files;

use crate::site::{as_in_manifest, call, composed, page};

#[test]
fn nothing_is_readable_on_files_unless_they_are_inherited() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || {
        let mut settings = Settings::default().env("AUDIT_BACKEND", "jsonl").env("AUDIT_JSONL_DIR", "/audit");
        settings.files = Some(folder.path().to_owned());
        as_in_manifest(settings)
    };
    let name = "tool_audit_2026-11-23.jsonl";
    fs::create_dir(folder.path().join("audit")).unwrap();
    let line = r#"{"ts":"2026-11-23T12:00:00Z","workspace_id":"acme","tool":"planted"}"#;
    fs::write(folder.path().join("audit").join(name), format!("{line}\n")).unwrap();

    let inherits = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let denied = inherits(&["allowed_outbound_hosts", "environment", "variables"]);
    let app = App::new(&composed(&denied), settings()).unwrap();
    assert!(!page(&app, "acme", "").1.contains("planted"));
    let (status, answer) = call(&app, "acme", &["sum"]);
    assert_eq!((status, &answer["audit"]["lost"]), (200, &1.into()));
    assert_eq!(answer["audit"]["error"]["kind"], "access", "{answer}");
    assert_eq!(files(&folder.path().join("audit"), "").len(), 1);

    // The same with the files: else the test would find nothing anywhere.
    let app = App::new(&composed(&[denied, inherits(&["files"])].concat()), settings()).unwrap();
    assert!(page(&app, "acme", "").1.contains("planted"));
    assert_eq!(call(&app, "acme", &["sum"]).1["audit"]["recorded"], 1);
}
