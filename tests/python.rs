//! The host for Python: its checks and its tests, which run with the package as it is installed, against a PostgreSQL of
//! the tests' own.

use std::path::{Path, PathBuf};
use std::process::Command;

use audit_testbed::Cluster;
use xtask::python;

/// A command of that Python in the folder of the package, which leaves nothing there.
fn module(name: &str, arguments: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let python = python::with_host(target).expect("the package is installed");
    let caches = |tool: &str| -> PathBuf { target.join("tmp").join(tool) };
    let mut command = Command::new(python);
    command
        .args(["-m", name])
        .args(arguments)
        .current_dir(python::package())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MYPY_CACHE_DIR", caches("mypy"))
        .env("RUFF_CACHE_DIR", caches("ruff"));
    command
}

fn assert_passes(mut command: Command) {
    let output = command.output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{err}", output.status);
}

#[test]
fn the_python_code_is_formatted_checked_and_typed() {
    assert_passes(module("ruff", &["format", "--check", "."]));
    assert_passes(module("ruff", &["check", "."]));
    assert_passes(module("mypy", &[]));
}

#[test]
fn the_python_package_keeps_its_promises() {
    let mut pytest = module("pytest", &["-p", "no:cacheprovider"]);
    pytest.env("AUDIT_TEST_DATABASE_URL", Cluster::shared().url("postgres"));
    assert_passes(pytest);
}
