//! How fast the store is, beside programs that do the same: groups of programs that are run in turn, whose figures are the rows
//! of one table, on the terminal and in a file.

mod chart;
pub(crate) mod docs;
mod files;
mod hosts;
mod input;
mod machine;
pub(crate) mod mcp;
mod measure;
mod options;
mod peers;
mod programs;
mod results;
mod rows;
mod show;

use std::cell::Cell;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::machine::Machine;
use self::options::Options;
use self::peers::Peers;
use self::results::{Measurement, Results};
use self::rows::Group;
use crate::{Workspace, setup};

/// What is measured, in this order.
const PLANS: [Plan; 12] = [
    Plan {
        examples: &[("audit-format", "native_loop")],
        prepare: files::make_input,
        ..Plan::new("write", files::write)
    },
    Plan { examples: &[("audit-host", "bench_handle")], ..Plan::new("handle", programs::handle) },
    Plan { prepare: files::make_record, ..Plan::new("search", files::search) },
    Plan { prepare: files::make_record, ..Plan::new("page", files::page) },
    Plan { prepare: files::make_large, end: files::remove_large, ..Plan::new(LARGE, files::large_page) },
    Plan { prepare: files::make_record, ..Plan::new("everything", files::everything) },
    Plan::new("start", files::start),
    Plan { examples: &[("audit-host", "bench_store")], ..Plan::new("component", programs::component) },
    Plan { examples: &[("audit-host", "bench_write")], ..Plan::new("phases", programs::phases) },
    Plan { pooled: true, ..Plan::new("instance", programs::instance) },
    Plan {
        examples: &[("audit-host", "bench_postgres")],
        prepare: programs::need_postgres,
        ..Plan::new("postgres", programs::postgres)
    },
    Plan {
        examples: &[
            ("audit-host", "bench_handle"),
            ("audit-host", "bench_guest"),
            ("audit-spin-host", "rows"),
            ("audit-testbed", "with_database"),
        ],
        prepare: hosts::prepare,
        ..Plan::new(HOSTS, hosts::hosts)
    },
];

/// The group that is measured only where it is asked for.
const LARGE: &str = "large";

/// The group that is shown with a line for each host.
const HOSTS: &str = "hosts";

/// A group, with what it needs.
struct Plan {
    name: &'static str,
    /// Packages and their examples.
    examples: &'static [(&'static str, &'static str)],
    /// Whether it runs the example that needs wasmtime with pools.
    pooled: bool,
    prepare: fn(&Bench<'_>) -> Result<()>,
    group: fn(&Bench<'_>) -> Group,
    end: fn(&Bench<'_>) -> Result<()>,
}

impl Plan {
    const fn new(name: &'static str, group: fn(&Bench<'_>) -> Group) -> Self {
        Self { name, examples: &[], pooled: false, prepare: |_| Ok(()), group, end: |_| Ok(()) }
    }

    /// The group with the rows that are asked for; none: there are none.
    fn wanted(&self, bench: &Bench<'_>, options: &Options) -> Option<Group> {
        let mut group = (self.group)(bench);
        match &options.only {
            None if self.name == LARGE && !options.large => return None,
            None => {}
            Some(word) if self.name == word => {}
            Some(word) if PLANS.iter().any(|plan| plan.name == word) => return None,
            Some(word) => group.select(|row| row.id.contains(word.as_str())),
        }
        (!group.rows.is_empty()).then_some(group)
    }
}

/// What groups are made of.
struct Bench<'w> {
    workspace: &'w Workspace,
    folder: PathBuf,
    events: u64,
    rounds: usize,
    /// The program, and another build of it that may stand beside it, with their names.
    programs: Vec<(String, PathBuf)>,
    peers: Peers,
    /// Whether the record that is read is there.
    recorded: Cell<bool>,
}

impl Bench<'_> {
    fn example(&self, name: &str) -> PathBuf {
        self.workspace.target_dir.join("release/examples").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    fn shown_events(&self) -> String {
        show::number(self.events as f64)
    }
}

/// Measures what the arguments ask for.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments, &workspace.target_dir)?;
    setup::run(workspace)?;
    let audit = workspace.target_dir.join("release").join(format!("audit{}", env::consts::EXE_SUFFIX));
    let other = options.against.iter().map(|path| (format!("audit at {}", path.display()), path.clone()));
    let bench = Bench {
        workspace,
        folder: workspace.target_dir.join("bench"),
        events: options.events,
        rounds: options.rounds,
        programs: [("audit".to_owned(), audit)].into_iter().chain(other).collect(),
        peers: Peers::install(workspace),
        recorded: Cell::new(false),
    };
    let plans: Vec<&Plan> = PLANS.iter().filter(|plan| plan.wanted(&bench, &options).is_some()).collect();
    if plans.is_empty() {
        bail!("no row has {:?} in its name: see `cargo xtask help`", options.only.unwrap_or_default());
    }
    build(workspace, &plans)?;
    for folder in [bench.folder.clone(), bench.folder.join("empty")] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut results = if options.json.exists() { Results::read(&options.json)? } else { Results::default() };
    for plan in plans {
        let measured = measure(&bench, &options, plan)?;
        show(plan.name, &measured.rows);
        results.replace(measured).with_context(|| options.json.display().to_string())?;
        results.write(&options.json)?;
    }
    println!("\n{}", show::goals(results.rows.iter()).aligned());
    println!("The results are in {}", options.json.display());
    Ok(())
}

/// Measures a group.
fn measure(bench: &Bench<'_>, options: &Options, plan: &Plan) -> Result<Results> {
    (plan.prepare)(bench)?;
    // What was prepared may have changed where programs are.
    let mut group = plan.wanted(bench, options).context("the group has no rows")?;
    let measured = measure::in_turn(&mut group.runs, group.rounds)?;
    (plan.end)(bench)?;
    let date = machine::said("date", &["-u", "+%F"]).unwrap_or_default();
    let rows = group.rows.iter().map(|row| Measurement::of(plan.name, row, &measured, &date));
    Ok(Results {
        machine: Machine::here(),
        versions: machine::versions(bench.workspace, &bench.peers),
        rows: rows.collect::<Result<_>>()?,
    })
}

fn show(group: &str, rows: &[Measurement]) {
    let table = if group == HOSTS { show::by_host(rows.iter()) } else { show::rows(rows.iter(), "  ") };
    println!("\n{group}\n{}", table.aligned());
}

/// Builds the program, and the examples that are run. The program is always built with the same examples, and those of other
/// packages by themselves: cargo would compile some of its dependencies with other features otherwise, and once more.
fn build(workspace: &Workspace, plans: &[&Plan]) -> Result<()> {
    const WITH_PROGRAM: &str = "audit-host";
    let mut program = vec!["build", "--package", "audit-cli", "--bin", "audit", "--package", WITH_PROGRAM];
    let with_program =
        PLANS.iter().flat_map(|plan| plan.examples).filter(|(package, _)| *package == WITH_PROGRAM);
    program.extend(with_program.flat_map(|(_, name)| ["--example", name]));
    release(workspace, &program)?;
    for (package, example) in plans.iter().flat_map(|plan| plan.examples) {
        if *package != WITH_PROGRAM {
            release(workspace, &["build", "--package", package, "--example", example])?;
        }
    }
    if plans.iter().any(|plan| plan.pooled) {
        let pooled = ["--features", "pooling-allocator", "--example", "bench_instantiate"];
        release(workspace, &[&["build", "--package", WITH_PROGRAM], &pooled[..]].concat())?;
    }
    Ok(())
}

/// Builds the program and its example `bench_otlp` for release, and runs the example.
pub fn otlp(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    release(workspace, &["build", "--package", "audit-cli", "--bin", "audit"])?;
    release(workspace, &["run", "--package", "audit-cli", "--example", "bench_otlp"])
}

/// Runs this command of cargo for release.
fn release(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let (command, options) = arguments.split_at(1);
    succeed(workspace.cargo().env_remove("CARGO_BUILD_TARGET").args(command).arg("--release").args(options))
}

/// Runs a command, which has to succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
