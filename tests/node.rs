//! The package for Node.js and browsers, `host-examples/node`: it is built with the component, and its own tests are run.
//! They are in JavaScript, in `host-examples/node/test`.

#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use audit_testbed::Cluster;
use common::artifact;
use xtask::components::World;
use xtask::node;

/// Builds the package, once in a test process, and returns the Node.js that runs it.
fn built() -> &'static Path {
    static NODE: OnceLock<std::path::PathBuf> = OnceLock::new();
    NODE.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        node::build(target, &artifact(World::Full)).unwrap_or_else(|error| panic!("{error:#}"))
    })
}

/// Runs these tests of the package, and shows what they say where one fails.
fn run(names: &[&str]) {
    let mut tests = Command::new(built());
    tests.args(["--test", "--test-reporter=spec"]).current_dir(node::package());
    tests.args(names.iter().map(|name| format!("test/{name}.test.mjs")));
    let cluster = Cluster::shared();
    tests.env("AUDIT_TEST_DATABASE_URL", cluster.database());
    // Those of the test run are not the store's.
    for name in ["DATABASE_URL", "POSTGRES_DSN", "AUDIT_BACKEND", "AUDIT_JSONL_DIR", "NODE_OPTIONS"] {
        tests.env_remove(name);
    }
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
fn the_package_for_node_keeps_the_contract_and_a_database() {
    run(&["contract", "postgres"]);
}

#[test]
fn the_package_runs_in_a_browser() {
    run(&["browser"]);
}
