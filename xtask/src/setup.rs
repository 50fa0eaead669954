//! Makes a compiler for the component's target available, and what the tests need: PostgreSQL and PgBouncer, and packages of
//! npm and PyPI.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::toolchain::{self, DEBIAN_PACKAGES, TARGET, Toolchain, VARIABLE, Way};
use xtask::{node, peers, postgres, python};

use crate::{Workspace, system};

/// Chooses the compiler of the component, installs it where it is missing, records the choice for the builds to
/// come, and says so.
pub fn run(workspace: &Workspace) -> Result<()> {
    let Workspace { root, target_dir, .. } = workspace;
    if let Some(way) = Way::required()? {
        provide(way, root)?;
        println!("{VARIABLE}={way}: {} builds the component wherever this is set", compiler(way));
        return Ok(());
    }
    let (way, why) = choose(root, target_dir)?;
    way.choose(target_dir)?;
    let record = toolchain::choice_file(target_dir);
    let record = record.strip_prefix(root).unwrap_or(&record);
    println!("{why}: {} builds the component; recorded in {}", compiler(way), record.display());
    Ok(())
}

/// Rustup's compiler wherever it is or can be complete. A choice of Debian's holds without another try to reach a
/// server that could not be reached before.
fn choose(root: &Path, target_dir: &Path) -> Result<(Way, String)> {
    if Toolchain::installed(Way::Rustup, root)?.is_some() {
        return Ok((Way::Rustup, format!("{TARGET} is there")));
    }
    let chosen_before = Way::chosen(target_dir).is_ok_and(|way| way == Some(Way::Debian));
    if chosen_before && Toolchain::installed(Way::Debian, root)?.is_some() {
        return Ok((
            Way::Debian,
            format!("{TARGET} is still missing (`rustup target add {TARGET}` gets it)"),
        ));
    }
    match provide(Way::Rustup, root) {
        Ok(()) => Ok((Way::Rustup, format!("{TARGET} was added"))),
        Err(error) => {
            eprintln!("warning: {error:#}");
            provide(Way::Debian, root)?;
            Ok((Way::Debian, format!("rustup cannot add {TARGET}")))
        }
    }
}

/// Installs what a way needs where it is missing.
fn provide(way: Way, root: &Path) -> Result<()> {
    if Toolchain::installed(way, root)?.is_some() {
        return Ok(());
    }
    match way {
        Way::Rustup => {
            system::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root))?;
        }
        Way::Debian => system::install(&DEBIAN_PACKAGES)?,
    }
    if Toolchain::installed(way, root)?.is_none() {
        bail!("{} is installed, but is not found to be complete", compiler(way));
    }
    Ok(())
}

fn compiler(way: Way) -> &'static str {
    match way {
        Way::Rustup => "rustup's compiler",
        Way::Debian => "Debian's compiler",
    }
}

/// Here Debian's package looks whether it is to set a server up, and start it.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.d";

/// Installs PostgreSQL where it is not: its programs alone, no service.
pub fn postgres() -> Result<()> {
    if postgres::programs().is_some() {
        return Ok(());
    }
    install_postgres().context("the tests need PostgreSQL: `initdb`, `pg_ctl` and `postgres` on PATH")?;
    postgres::programs().map(drop).context("PostgreSQL is installed, but its programs are not found")
}

/// Here Debian's packages ask whether they may start a service; 101 means that they may not.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs PgBouncer where it is not: its program alone, no service.
pub fn pooler() -> Result<()> {
    if postgres::pooler().is_some() {
        return Ok(());
    }
    install_pooler().context("the tests need PgBouncer: `pgbouncer` on PATH")?;
    postgres::pooler().map(drop).context("PgBouncer is installed, but its program is not found")
}

fn install_pooler() -> Result<()> {
    need_apt()?;
    if Path::new(SERVICE_POLICY).exists() {
        return system::install(&[postgres::DEBIAN_POOLER]);
    }
    let line = format!("printf '#!/bin/sh\\nexit 101\\n' > {SERVICE_POLICY} && chmod 755 {SERVICE_POLICY}");
    system::as_root(&["sh", "-c", &line])?;
    let installed = system::install(&[postgres::DEBIAN_POOLER]);
    system::as_root(&["rm", SERVICE_POLICY])?;
    installed
}

fn need_apt() -> Result<()> {
    if !system::has_apt() {
        bail!("there is no apt-get: install it with the system's own packages");
    }
    Ok(())
}

fn install_postgres() -> Result<()> {
    need_apt()?;
    let settings = format!("{CLUSTER_SETTINGS}/audit-store.conf");
    let line = format!("mkdir -p {CLUSTER_SETTINGS} && echo 'create_main_cluster = false' > {settings}");
    system::as_root(&["sh", "-c", &line])?;
    let installed = system::install(&[postgres::DEBIAN_PACKAGE]);
    system::as_root(&["rm", &settings])?;
    installed
}

/// Installs the packages of npm and PyPI where they are not those that are wanted.
pub fn peers(workspace: &Workspace) -> Result<()> {
    let programs = ["node", "npm", "python3"];
    if programs.iter().any(|program| peers::on_path(program).is_none()) {
        need_apt()?;
        system::install(&peers::DEBIAN_PACKAGES)
            .context("the tests need `node`, `npm` and `python3` on PATH")?;
    }
    npm(workspace)?;
    let target_dir = &workspace.target_dir;
    let of_peers = pypi(&peers::venv(target_dir), &peers::wanted().join("requirements.txt"));
    let both = of_peers.and_then(|()| pypi(&python::venv(target_dir), &python::requirements()));
    both.context("the packages of PyPI were not installed")
}

/// Installs what the package for Node.js needs, to be built and tested: a Node.js where that of the machine is too old, the
/// packages of npm that it names, and a browser. To be called after [`peers`], which installs npm.
pub fn node(workspace: &Workspace) -> Result<()> {
    let package = node::package();
    if node::program(&workspace.target_dir).is_none() {
        install_npm(&package.join("runtime"), &node::runtime(&workspace.target_dir)).context(
            "the package for Node.js needs Node.js 20 or later, and it was not installed from npm",
        )?;
    }
    // The lock file is there as it was installed, so that a change of it is seen.
    let installed = package.join("node_modules/installed-lock.json");
    if !same(&package.join("package-lock.json"), &installed) {
        ci(&package).context("the packages of npm for host-examples/node were not installed")?;
        fs::copy(package.join("package-lock.json"), &installed)?;
    }
    if peers::on_path(node::DEBIAN_BROWSER).is_none() {
        need_apt()?;
        system::install(&[node::DEBIAN_BROWSER]).context("the tests need Chromium: `chromium` on PATH")?;
    }
    Ok(())
}

/// Installs the packages of npm where they are not those that are wanted.
pub fn npm(workspace: &Workspace) -> Result<()> {
    install_npm(&peers::wanted(), &peers::npm(&workspace.target_dir))
        .context("the packages of npm were not installed")
}

/// Installs into `folder` what the lock file in `wanted` names.
pub fn install_npm(wanted: &Path, folder: &Path) -> Result<()> {
    let names = ["package.json", "package-lock.json"];
    let is_same = |name: &&str| same(&wanted.join(name), &folder.join(name));
    if folder.join("node_modules/.package-lock.json").is_file() && names.iter().all(is_same) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    // `npm ci` needs both, and begins by removing `node_modules`.
    for name in names {
        fs::copy(wanted.join(name), folder.join(name))?;
    }
    ci(folder)
}

fn ci(folder: &Path) -> Result<()> {
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    system::run(Command::new("npm").args(arguments).current_dir(folder))
}

/// Makes a Python in this folder with the packages that the file names, where it is not there.
pub fn pypi(folder: &Path, wanted: &Path) -> Result<()> {
    let installed = folder.join("requirements.txt");
    if same(wanted, &installed) {
        return Ok(());
    }
    let make = || system::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    if make().is_err() {
        // Debian's Python has the module in a package of its own.
        need_apt()?;
        system::install(&peers::DEBIAN_PACKAGES)?;
        make()?;
    }
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    system::run(Command::new(folder.join("bin/python")).args(arguments).arg(wanted))?;
    fs::copy(wanted, &installed)?;
    Ok(())
}

/// Whether both files are there, and have the same contents.
fn same(one: &Path, other: &Path) -> bool {
    fs::read(one).is_ok_and(|contents| fs::read(other).is_ok_and(|others| others == contents))
}
