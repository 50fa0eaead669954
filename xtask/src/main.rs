//! `cargo xtask`: the workspace's own commands.

mod bench;
mod demo;
mod fuzz;
mod package;
mod setup;
mod soak;
mod system;
mod test;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::components::{self, World};
use xtask::{spin, toolchain};

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  setup          Choose the compiler of the components, and make it available: that of the active toolchain
                 with the target wasm32-wasip2 (`rustup target add`), or, where Rust's download server cannot
                 be reached, Debian's (apt-get). The choice is recorded in target/component-toolchain
  components     Build both components into target/components:
                   audit-store.wasm        for hosts that provide a database
                   audit-store-local.wasm  for hosts that have none
  spin           Build what runs in Spin into target/components:
                   audit-store-spin.wasm   the store with its database plugged in
                   audit-spin-app.wasm     the example application of host-examples/spin
  demo           Record a few commands through the `audit` program, and read the record
  test [--fast] [ARG]...
                 Build the components and run `cargo test --workspace ARG...`. The tests start servers of
                 their own with PostgreSQL's programs, and run packages of npm and PyPI: what is missing is
                 installed, as Debian's packages (apt-get) and into target/peers.
                 --fast leaves out the slow tests, and takes less than three minutes once all is built
  soak [--minutes N] [--seed S]
                 Build for release, and let everything write, read and fail at once for N minutes (10): processes are
                 killed, the database is away, disks are full. Then check that what was acknowledged is there once
  bench [OPTION]...
                 Build for release, run the program `audit`, the libraries and their peers in turn, and print one
                 table: medians, spread, how many times as fast as each peer, and the most memory at once. The
                 results are also in target/bench/results.json, in the place of earlier ones of the same rows.
                 DuckDB (PyPI), pino (npm) and tracing-appender (crates.io) are installed into target/peers; grep,
                 jq and cat are those of the machine. The groups are
                   write       `audit write`; a loop in Rust without the component, a loop in Python
                   handle      `write` of the Rust library; tracing-appender, pino, Python's logging
                   search      `audit read --tool`, one event in 2000; DuckDB, grep, jq, a loop in Python
                   page        reads of a small part: the newest, a minute, a common agent; without their start
                   large       the same of 10 million events, which takes 7 GB of disk; with --large alone
                   everything  all events as JSON lines, CSV and a table, cat, DuckDB
                   start       `audit read` of nothing, `audit exec -- true`, `audit hook`; `true`, a hook in Python
                   component   the component in the Rust library's instance, and its size
                   phases      where the time of a written event goes, in the component and natively
                   instance    starting an instance for each request, with a pool of instances and without
                   postgres    rows into PostgreSQL; COPY, single INSERTs; `write` while the database hangs
                   hosts       every host, on files and PostgreSQL: Rust, guests of another runtime, Python,
                               Node.js, Spin
                 --events N      how many events are written and read [default: 1000000]
                 --rounds N      how often; short runs five times as often [default: 5]
                 --only WORD     this group, or the rows that have this in their name
                 --large         also the group `large`
                 --against AUDIT times another build of the program too
                 --json FILE     the results, in the place of target/bench/results.json
  bench-postgres, bench-hosts [OPTION]...
                 `bench --only postgres`, `bench --only hosts`
  bench-docs     Make the tables of docs/performance.md and its charts from docs/performance.json, which is what
                 `bench --large --json docs/performance.json` has written
  bench-otlp     Build for release, and have 16 clients send spans to `audit otlp`: how many it takes a second, how
                 long its answers take, and how much memory it needs at most
  bench-mcp      Time calls of an MCP server (release): without a proxy, behind `audit mcp`, and with --fail-closed
  fuzz [--minutes N] [FUZZER]
                 Build the fuzzers of fuzz/, and run all of them, or one, for N minutes in all (10). Their inputs begin
                 with those of fuzz/corpus. What they find is left in target/fuzz/found, and the status is 1. cargo-fuzz
                 is installed into target/ where it is missing
  package        Run `cargo package` for the crates that are published, the component included, and compile
                 each from its package. They are left in target/package; uncommitted changes are packed too
  help           Print this

`demo`, `test` and the benchmarks do what they need of the first two themselves.

Environment:
  CARGO_TARGET_DIR       The target folder, in the place of `target`
  AUDIT_STORE_TOOLCHAIN  `rustup` or `debian`: compile the components with this one, whatever was chosen
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let (command, rest) = match arguments {
        [] => ("help", arguments),
        [command, rest @ ..] => (command.as_str(), rest),
    };
    if !rest.is_empty()
        && !["bench", "bench-hosts", "bench-postgres", "fuzz", "soak", "test"].contains(&command)
    {
        bail!("`{command}` takes no arguments: see `cargo xtask help`");
    }
    let workspace = Workspace::find()?;
    match command {
        "setup" => setup::run(&workspace)?,
        "components" => workspace.components()?,
        "spin" => workspace.spin()?,
        "demo" => demo::run(&workspace)?,
        "bench" => bench::run(&workspace, rest)?,
        "bench-postgres" | "bench-hosts" => {
            let group = command.trim_start_matches("bench-").to_owned();
            bench::run(&workspace, &[&["--only".to_owned(), group], rest].concat())?;
        }
        "bench-docs" => bench::docs::run(&workspace.root)?,
        "bench-otlp" => bench::otlp(&workspace)?,
        "bench-mcp" => bench::mcp::run(&workspace)?,
        "package" => package::run(&workspace)?,
        "soak" => return soak::run(&workspace, rest),
        "fuzz" => return fuzz::run(&workspace, rest),
        "test" => return test::run(&workspace, rest),
        "help" | "--help" | "-h" => print!("{HELP}"),
        other => bail!("there is no command `{other}`: see `cargo xtask help`"),
    }
    Ok(ExitCode::SUCCESS)
}

struct Workspace {
    root: PathBuf,
    target_dir: PathBuf,
    /// As `cargo metadata` describes them.
    packages: Vec<Value>,
}

impl Workspace {
    fn find() -> Result<Self> {
        let root = xtask::root();
        let metadata = metadata(root).context("cannot read the workspace")?;
        let target_dir = metadata["target_directory"].as_str().context("it has no target folder")?;
        let packages = metadata["packages"].as_array().context("it has no packages")?;
        Ok(Self { root: root.to_owned(), target_dir: target_dir.into(), packages: packages.clone() })
    }

    fn components(&self) -> Result<()> {
        for world in World::ALL {
            show(&components::artifact(&self.root, &self.target_dir, world)?)?;
        }
        Ok(())
    }

    fn spin(&self) -> Result<()> {
        spin::artifacts(&self.root, &self.target_dir)?.iter().try_for_each(|path| show(path))
    }

    /// A cargo for the host's programs, in the root.
    fn cargo(&self) -> Command {
        let mut cargo = Command::new(toolchain::active_cargo());
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target_dir);
        cargo
    }
}

fn show(path: &Path) -> Result<()> {
    println!("{} ({} bytes)", path.display(), fs::metadata(path)?.len());
    Ok(())
}

/// What cargo says of the workspace: its packages, and the target folder, which a setting of the user's may move.
fn metadata(root: &Path) -> Result<Value> {
    let mut cargo = Command::new(toolchain::active_cargo());
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root).stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`cargo metadata` ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the answer of `cargo metadata` is not JSON")
}
