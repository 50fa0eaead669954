//! A few commands recorded by the `audit` program, then the record.

use std::env;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{Workspace, setup};

struct Step {
    stdin: &'static str,
    audit: &'static [&'static str],
    /// What is recorded.
    command: &'static [&'static str],
    fails: bool,
}

const STEPS: [Step; 4] = [
    Step {
        stdin: "",
        audit: &["exec", "--tool", "shell", "--agent", "demo"],
        command: &["ls", "-l"],
        fails: false,
    },
    Step {
        stdin: "",
        audit: &["exec", "--tool", "shell", "--agent", "demo"],
        command: &["ls", "no-such-file"],
        fails: true,
    },
    Step {
        stdin: "pear\\napple\\n",
        audit: &["exec", "--tool", "sort", "--agent", "demo"],
        command: &["sort"],
        fails: false,
    },
    Step { stdin: "", audit: &["read", "--format", "table"], command: &[], fails: false },
];

/// Builds the program and records into an emptied `demo` in the target folder.
pub fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let built = workspace
        .cargo()
        .env_remove("CARGO_BUILD_TARGET")
        .args(["build", "--package", "audit-cli", "--bin", "audit"])
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("the program `audit` was not built");
    }

    let record = workspace.target_dir.join("demo");
    match fs::remove_dir_all(&record) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", record.display()));
        }
        _ => {}
    }
    let program = workspace.target_dir.join("debug").join(format!("audit{}", env::consts::EXE_SUFFIX));
    for step in &STEPS {
        step.run(&workspace.root, &program, &record)?;
    }
    println!("\nThe record is in {}", record.display());
    Ok(())
}

impl Step {
    fn run(&self, root: &Path, program: &Path, record: &Path) -> Result<()> {
        let record = record.strip_prefix(root).unwrap_or(record);
        self.echo(program.strip_prefix(root).unwrap_or(program), record);
        let mut command = Command::new(program);
        command.args(self.audit).arg("--dir").arg(record).current_dir(root);
        if !self.command.is_empty() {
            command.arg("--").args(self.command);
        }
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_setting) {
                command.env_remove(&name);
            }
        }
        let mut child = command.stdin(Stdio::piped()).spawn().context("cannot run `audit`")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.stdin.replace("\\n", "\n").as_bytes()).context("cannot write to `audit`")?;
        }
        let status = child.wait().context("cannot wait for `audit`")?;
        if status.success() == self.fails {
            bail!("`audit` ended with {status}");
        }
        if self.fails {
            println!("({status})");
        }
        Ok(())
    }

    fn echo(&self, program: &Path, record: &Path) {
        let pipe = if self.stdin.is_empty() { String::new() } else { format!("printf '{}' | ", self.stdin) };
        let dash = if self.command.is_empty() { "" } else { " -- " };
        println!(
            "\n$ {pipe}{} {} --dir {}{dash}{}",
            program.display(),
            self.audit.join(" "),
            record.display(),
            self.command.join(" ")
        );
    }
}

/// Whether a variable would lead the record elsewhere.
fn is_setting(name: &str) -> bool {
    name.starts_with("AUDIT_") || ["DATABASE_URL", "POSTGRES_DSN", "REPO_ROOT"].contains(&name)
}
