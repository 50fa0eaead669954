//! Runs the fuzzers in `fuzz/`, each for the same part of the time, and says what they have found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use xtask::toolchain;

use crate::{Workspace, metadata, system};

/// How long all fuzzers run together, unless something else is asked for.
const MINUTES: u64 = 10;

/// An input that takes a fuzzer longer, in seconds, is one that it has found.
const SLOW: u64 = 10;

/// The most memory of a fuzzer, in MiB. An input that needs more is one that it has found.
const MEMORY: u64 = 2048;

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    minutes: u64,
    /// None: all.
    fuzzer: Option<String>,
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Self> {
        let (mut minutes, mut fuzzer) = (MINUTES, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--minutes" {
                let number =
                    arguments.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                minutes = number.context("--minutes: accepted is a whole number from 1")?;
            } else if argument.starts_with('-') || fuzzer.is_some() {
                bail!("`{argument}` is none of its arguments: see `cargo xtask help`");
            } else {
                fuzzer = Some(argument.clone());
            }
        }
        Ok(Self { minutes, fuzzer })
    }
}

/// Runs the fuzzers. The status is 1 if one of them has found something.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let Asked { minutes, fuzzer } = Asked::of(arguments)?;
    let mut fuzzers = all(&workspace.root.join("fuzz"))?;
    if let Some(name) = fuzzer {
        if !fuzzers.contains(&name) {
            bail!("there is no fuzzer `{name}`; there are {}", fuzzers.join(", "));
        }
        fuzzers = vec![name];
    }
    let built = build(workspace)?;
    let seconds = (60 * minutes / fuzzers.len() as u64).max(1);
    let mut found = Vec::new();
    for name in &fuzzers {
        println!("\n==> {name}, for {seconds} s");
        found.extend(fuzz(workspace, &built, name, seconds)?);
    }
    if found.is_empty() {
        println!("\nThe fuzzers have found nothing.");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\nThe fuzzers have found inputs that break a promise. Mend it, and move the input into fuzz/corpus:"
    );
    found.iter().for_each(|path| println!("  {}", path.display()));
    Ok(ExitCode::FAILURE)
}

/// The names of the fuzzers.
fn all(folder: &Path) -> Result<Vec<String>> {
    let metadata = metadata(folder).context("cannot read the package of the fuzzers")?;
    let targets = metadata["packages"][0]["targets"].as_array().context("it has no targets")?;
    let names = targets
        .iter()
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Builds the fuzzers. Returns the folder that has them.
///
/// No code of theirs is unsafe, so there is no sanitizer, and the stable compiler can build them.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let target_dir = workspace.target_dir.join("fuzz");
    let host = host_triple()?;
    let mut cargo_fuzz = Command::new(cargo_fuzz(workspace)?);
    cargo_fuzz
        .current_dir(&workspace.root)
        .args(["fuzz", "build", "--sanitizer", "none", "--target", &host, "--target-dir"])
        .arg(&target_dir);
    system::run(&mut cargo_fuzz)?;
    Ok(target_dir.join(host).join("release"))
}

/// The program cargo-fuzz. Where there is none, it is installed into the target folder.
fn cargo_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = xtask::peers::on_path("cargo-fuzz") {
        return Ok(program);
    }
    let root = workspace.target_dir.join("cargo-fuzz");
    let program = root.join("bin/cargo-fuzz");
    if !program.is_file() {
        let mut cargo = Command::new(toolchain::active_cargo());
        // Its own target folder is a temporary one, unless that is set.
        cargo.env_remove("CARGO_TARGET_DIR").args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&root);
        system::run(&mut cargo)?;
    }
    Ok(program)
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say which host it is for")
}

/// Runs a fuzzer. Returns the inputs that it has found.
fn fuzz(workspace: &Workspace, built: &Path, name: &str, seconds: u64) -> Result<Vec<PathBuf>> {
    let of_fuzzer = |kind: &str| workspace.target_dir.join("fuzz").join(kind).join(name);
    let (corpus, artifacts) = (of_fuzzer("corpus"), of_fuzzer("found"));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let before = files(&artifacts)?;
    let mut fuzzer = Command::new(built.join(name));
    fuzzer
        .current_dir(&artifacts)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOW}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // What the program itself says on stderr is not of interest here.
        .args(["-close_fd_mask=2", "-print_final_stats=1"])
        // What is new goes into the first folder.
        .args([&corpus, &workspace.root.join("fuzz/corpus").join(name)]);
    let status = fuzzer.status().with_context(|| format!("cannot run the fuzzer {name}"))?;
    let mut found = files(&artifacts)?;
    found.retain(|path| !before.contains(path));
    for path in &found {
        println!("\n==> {name} with {}", path.display());
        let _ =
            Command::new(built.join(name)).current_dir(&artifacts).arg(path).stdin(Stdio::null()).status();
    }
    if !status.success() && found.is_empty() {
        bail!("the fuzzer {name} ended with {status}, and left no input");
    }
    Ok(found)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

#[cfg(test)]
mod tests {
    use super::Asked;

    fn asked(arguments: &str) -> Option<(u64, Option<String>)> {
        let arguments: Vec<String> = arguments.split_whitespace().map(String::from).collect();
        Asked::of(&arguments).ok().map(|asked| (asked.minutes, asked.fuzzer))
    }

    #[test]
    fn minutes_and_one_fuzzer_can_be_asked_for() {
        assert_eq!(asked(""), Some((super::MINUTES, None)));
        assert_eq!(asked("--minutes 3 jsonl"), Some((3, Some("jsonl".into()))));
        assert_eq!(asked("jsonl --minutes 3"), Some((3, Some("jsonl".into()))));
        for wrong in ["--minutes", "--minutes 0", "--minutes soon", "jsonl hooks", "--fast"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }
}
