//! The package for Node.js and browsers, `host-examples/node`: it is built with the component, and its own tests are run.
//! They are in JavaScript, in `host-examples/node/test`. The contract is tested with those of the other hosts.

#![cfg(unix)]

#[path = "common/node.rs"]
mod node;

use audit_testbed::Cluster;

/// Runs these tests of the package, and shows what they say where one fails.
fn run(names: &[&str]) {
    let mut tests = node::command();
    tests.args(["--test", "--test-reporter=spec"]);
    tests.args(names.iter().map(|name| format!("test/{name}.test.mjs")));
    tests.env("AUDIT_TEST_DATABASE_URL", Cluster::shared().database());
    let output = tests.output().expect("Node.js runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("pass ") && !said.contains("pass 0\n"), "no test was run: {said}");
}

#[test]
fn the_package_for_node_keeps_its_promises() {
    run(&["store", "engine", "wrappers", "types", "package"]);
}

#[test]
fn the_package_for_node_keeps_a_database() {
    run(&["postgres"]);
}

#[test]
fn the_package_runs_in_a_browser() {
    run(&["browser"]);
}
