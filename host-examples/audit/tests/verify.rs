//! `audit verify`, as whole processes.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Output;

use common::{Workspace, lines, run, run_with_input, text};
use serde_json::Value;

/// A record of some events that are sealed, with its key.
struct Site {
    workspace: Workspace,
    public: String,
}

impl Site {
    fn new() -> Self {
        let workspace = Workspace::new();
        let made = run(workspace.audit(["keygen", "example.com/audit"]));
        let public = text(&made.stdout).trim().to_owned();
        let site = Self { workspace, public };
        site.write(&lines(0..10));
        site.seal();
        site
    }

    fn write(&self, lines: &str) {
        assert!(run_with_input(self.workspace.audit(["write"]), lines).status.success());
    }

    fn seal(&self) {
        let sealed = run(self.workspace.audit(["seal", "--key", "audit-seal.key"]));
        assert_eq!(sealed.status.code(), Some(0), "{sealed:?}");
    }

    fn verify(&self, options: &[&str]) -> Output {
        run(self.workspace.audit([&["verify"], options].concat()))
    }

    #[track_caller]
    fn verdict(&self, options: &[&str], code: i32) -> Value {
        let output = self.verify(&[&["--json", "--pubkey", &self.public], options].concat());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(code), ""), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn change(&self, change: impl Fn(&str) -> String) {
        let path = self.workspace.daily_file();
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, change(&before)).unwrap();
    }
}

#[test]
fn a_record_that_nobody_has_changed_has_exit_status_0_and_what_is_not_proved() {
    let site = Site::new();
    let verdict = site.verdict(&[], 0);
    assert_eq!(verdict["unaltered"]["holds"], "yes");
    assert_eq!(verdict["not_removed"]["holds"], "not-proved");
    assert_eq!(verdict["counts"]["as_sealed"], 10);
    let kept = site.workspace.path().join("kept");
    fs::copy(site.workspace.events_dir().join("log/checkpoint"), &kept).unwrap();
    site.write(&lines(10..12));
    let verdict = site.verdict(&["--against", "kept"], 0);
    assert_eq!(verdict["not_removed"]["holds"], "yes");
    assert_eq!((&verdict["counts"]["unsealed"], &verdict["counts"]["sealed"]), (&2.into(), &10.into()));
    let said = site.verify(&["--pubkey", &site.public, "--against", "kept"]);
    assert_eq!(said.status.code(), Some(0));
    for part in [
        "unaltered    yes",
        "not removed  yes: kept, which was kept elsewhere, has 10 events",
        "captured     never proved",
    ] {
        assert!(text(&said.stdout).contains(part), "{part}: {}", text(&said.stdout));
    }
    // Nothing is written.
    assert!(!text(&said.stdout).contains("FOUND"), "{}", text(&said.stdout));
}

#[test]
fn what_is_found_is_named_with_its_line_and_has_exit_status_1() {
    let site = Site::new();
    site.change(|text| text.replacen("\"t3\"", "\"x3\"", 1));
    let verdict = site.verdict(&[], 1);
    let findings = verdict["findings"].as_array().unwrap();
    let file = site.workspace.daily_file();
    let file = file.file_name().unwrap().to_str().unwrap();
    assert_eq!(findings.len(), 1, "{verdict:#}");
    assert_eq!(
        (&findings[0]["kind"], &findings[0]["file"]),
        (&"changed".into(), &file.into()),
        "{verdict:#}"
    );
    assert_eq!((&findings[0]["line"], &findings[0]["leaf"]), (&4.into(), &3.into()));
    let said = site.verify(&["--pubkey", &site.public]);
    assert!(text(&said.stdout).contains(&format!("FOUND        {file}:4: changed (leaf 3)")), "{said:?}");
    assert!(text(&said.stdout).contains("unaltered    NO"), "{said:?}");
}

#[test]
fn what_cannot_be_checked_has_exit_status_2() {
    let site = Site::new();
    for options in [
        &["--log", "nowhere"] as &[&str],
        &["--against", "nowhere"],
        &["--against", "audit-seal.key"],
        &["--pubkey", "example.com/audit"],
        &["--since", "soon"],
    ] {
        let refused = site.verify(options);
        assert_eq!(refused.status.code(), Some(2), "{options:?}: {refused:?}");
        assert!(text(&refused.stdout).is_empty() && !refused.stderr.is_empty(), "{refused:?}");
    }
    // Its private key is not told.
    let refused = site.verify(&["--against", "audit-seal.key"]);
    assert!(!text(&refused.stderr).contains("PRIVATE"), "{refused:?}");
}

#[test]
fn a_checkpoint_from_elsewhere_shows_that_record_and_log_were_set_back() {
    let site = Site::new();
    let (log, kept) = (site.workspace.events_dir().join("log"), site.workspace.path().join("kept"));
    let before = site.workspace.path().join("before");
    assert!(std::process::Command::new("cp").arg("-r").arg(&log).arg(&before).status().unwrap().success());
    let record = fs::read(site.workspace.daily_file()).unwrap();
    site.write(&lines(10..15));
    site.seal();
    fs::copy(log.join("checkpoint"), &kept).unwrap();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&before, &log).unwrap();
    fs::write(site.workspace.daily_file(), record).unwrap();
    assert_eq!(site.verdict(&[], 0)["counts"]["sealed"], 10);
    let verdict = site.verdict(&["--against", "kept"], 1);
    assert_eq!(verdict["findings"][0]["kind"], "rolled-back", "{verdict:#}");
}

#[test]
fn days_before_since_are_not_read() {
    let site = Site::new();
    site.change(|text| text.replacen("\"t3\"", "\"x3\"", 1));
    let verdict = site.verdict(&["--since", "9000-01-01"], 0);
    assert_eq!(verdict["counts"]["not_looked_at"], 10);
    site.verdict(&["--since", "1970-01-01"], 1);
}

#[test]
fn the_checkpoint_of_the_log_is_not_one_from_elsewhere() {
    let site = Site::new();
    let own = site.workspace.events_dir().join("log/checkpoint");
    let key = ["--pubkey", site.public.as_str()];
    let verified = site.verify(&[&key[..], &["--against", own.to_str().unwrap()]].concat());
    assert_eq!(verified.status.code(), Some(2), "{verified:?}");
    assert!(text(&verified.stderr).contains("it is the checkpoint of the log itself"), "{verified:?}");
    let kept = site.workspace.path().join("kept");
    fs::copy(own, &kept).unwrap();
    let verified = site.verify(&[&key[..], &["--against", kept.to_str().unwrap()]].concat());
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}
