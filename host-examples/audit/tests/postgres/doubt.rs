//! Where the database's answer is lost, nobody is told that events are not recorded, and there is a way to write them that
//! can be repeated.

use audit_testbed::Proxy;

use crate::Site;
use crate::common::{assert_summary, field, lines, run, run_with_input, text};
use crate::import::assert_import;

#[test]
fn lines_that_may_be_recorded_are_named() {
    let site = Site::new();
    site.done("migrate");
    let proxy = Proxy::to(site.cluster.port());
    let url = proxy.url(&site.url);
    proxy.swallow_answers(1);
    let input = format!("{}\n\nno event\n{}", lines(0..4), lines(4..6));
    let command = site.audit_at(&url, ["write", "--backend", "postgres", "--batch-size", "100"]);
    let output = run_with_input(command, input);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains(
            "the last 6 events that were taken, from line 1 on, may be recorded or not; writing them again"
        ),
        "{said}"
    );
    assert!(said.contains("\n0 accepted, 1 rejected\n") && !said.contains("not recorded"), "{said}");
    assert_eq!(site.stored(), 6);

    let output = run(site.audit_at(&url, ["exec", "--backend", "postgres", "--", "true"]));
    let said = text(&output.stderr);
    assert!(
        said.contains("audit: the call may be recorded or not") && !said.contains("not recorded"),
        "{said}"
    );
    assert_eq!(site.stored(), 7);

    // What certainly failed is told as before, from the line on at which it begins.
    proxy.pass();
    proxy.refuse();
    let command = site.audit_at(&url, ["write", "--backend", "postgres"]);
    let said = run_with_input(command, format!("\n{}", lines(0..2))).stderr;
    let expected = "the last 2 events that were taken, from line 2 on, were not recorded";
    assert!(text(&said).contains(expected), "{said:?}");
}

#[test]
fn a_file_that_is_written_once_can_be_written_again() {
    let site = Site::new();
    site.done("migrate");
    let proxy = Proxy::to(site.cluster.port());
    let write =
        |backend: &str| site.audit_at(&proxy.url(&site.url), ["write", "--once", "--backend", backend]);
    // Without a time, with the same contents as another line, with a text that is too long, and with an invalid one.
    let long = format!("{{\"tool\":\"{}\"}}\n", "x".repeat(5_000));
    let file = format!("{}{{\"tool\":\"now\"}}\n{{\"tool\":\"now\"}}\n{long}{{\"bogus\":1}}\n", lines(0..40));

    // The answer to the first try is lost twice, and a third one finds all there.
    proxy.swallow_next(2);
    let output = run_with_input(write("auto"), file.clone());
    assert_summary(
        &output,
        &[(43, "read"), (0, "stored"), (43, "there"), (0, "refused"), (1, "passed over")],
        1,
    );
    assert!(text(&output.stderr).contains("stdin:44: \"bogus\": "), "{output:?}");
    assert_eq!(site.stored(), 43);
    for backend in ["postgres", "auto"] {
        let output = run_with_input(write(backend), file.clone());
        assert!(text(&output.stderr).contains("43 were there already"), "{output:?}");
    }
    // What is added behind is new.
    let output = run_with_input(write("postgres"), file.replace("{\"bogus\":1}", "{\"tool\":\"now\"}"));
    assert_import(&output, [44, 1, 43, 0, 0]);
    assert_eq!(site.stored(), 44);
    let read = site.done("read --backend postgres --tool now");
    assert_eq!(field(read.as_bytes(), "status").len(), 3);
}

#[test]
fn writing_once_needs_a_database() {
    let site = Site::new();
    let output = run_with_input(site.audit(["write", "--once"]), lines(0..1));
    assert_eq!((output.status.code(), site.stored()), (Some(2), 0));
    assert!(text(&output.stderr).contains("--once needs a database"), "{output:?}");
}
