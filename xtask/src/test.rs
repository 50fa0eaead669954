//! The tests of the workspace: all of them, or the fast ones.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{Workspace, setup};

/// The tests in modules of this name take several seconds each, because they wait for timeouts or go through many
/// random faults.
const SLOW: &str = "slow::";

/// The tests with a fault at each message to the server, which take minutes.
const MESSAGES: &str = "messages::";

/// How many tests against databases run at once in the second run. Most of them wait for a server most of the time.
const THREADS: &str = "4";

/// The tests against databases, which a whole run repeats on servers whose settings no program expects, but for those that
/// take long: what they wait for does not depend on settings. As all packages are named, nothing is compiled again.
const DATABASE_TESTS: [&str; 4] = ["test", "--workspace", "--test", "database"];

/// Builds the components, makes available what the tests need, and runs `cargo test` with these arguments. With
/// `--fast` among them, the slow tests are left out. A run of all tests repeats those against databases on servers with odd
/// settings.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    setup::run(workspace)?;
    setup::postgres()?;
    setup::pooler()?;
    setup::peers(workspace)?;
    setup::node(workspace)?;
    workspace.components()?;
    let status = workspace.cargo().args(cargo_arguments(arguments)).status().context("cannot run cargo")?;
    if !status.success() || !is_whole(arguments) {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    println!("The tests against databases again, on servers with odd settings:");
    let mut again = workspace.cargo();
    again
        .args(DATABASE_TESTS)
        .args(arguments)
        .args(["--", "--skip", SLOW, "--skip", MESSAGES])
        .env("AUDIT_TESTBED_SETTINGS", "odd")
        .env("RUST_TEST_THREADS", THREADS);
    let status = again.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether all tests are run.
fn is_whole(arguments: &[String]) -> bool {
    arguments.iter().all(|argument| argument == "--no-fail-fast")
}

/// The arguments of cargo. Those behind `--` are for the test programs.
fn cargo_arguments(arguments: &[String]) -> Vec<&str> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
    let (mut cargo, programs) = (arguments[..end].to_vec(), &arguments[end..]);
    let all = cargo.len();
    cargo.retain(|argument| *argument != "--fast");
    let fast = cargo.len() < all;
    let separator: &[&str] = if fast && programs.is_empty() { &["--"] } else { &[] };
    let skip: &[&str] = if fast { &["--skip", SLOW] } else { &[] };
    [&["test", "--workspace"], &cargo[..], separator, programs, skip].concat()
}

#[cfg(test)]
mod tests {
    use super::cargo_arguments;

    fn assert_cargo(arguments: &str, expected: &str) {
        let arguments: Vec<String> = arguments.split_whitespace().map(String::from).collect();
        assert_eq!(cargo_arguments(&arguments).join(" "), expected);
    }

    #[test]
    fn only_a_fast_run_skips_the_slow_tests() {
        assert_cargo("", "test --workspace");
        assert_cargo("--no-fail-fast -- a", "test --workspace --no-fail-fast -- a");
        assert_cargo("--fast", "test --workspace -- --skip slow::");
        assert_cargo("--fast --no-fail-fast", "test --workspace --no-fail-fast -- --skip slow::");
        assert_cargo("-p a --fast -- b --exact", "test --workspace -p a -- b --exact --skip slow::");
        assert_cargo("-- --fast", "test --workspace -- --fast");
    }
}
