//! Makes a compiler for the component's target available, and PostgreSQL for the tests.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::postgres;
use xtask::toolchain::{DEBIAN_PACKAGES, TARGET, Toolchain, Way};

use crate::system;

/// Tries each allowed way in turn where no compiler is there yet.
pub fn run(root: &Path) -> Result<Toolchain> {
    if let Ok(toolchain) = Toolchain::find(root) {
        return Ok(toolchain);
    }
    for way in Way::allowed()? {
        let installed = match way {
            Way::Rustup => add_target(root),
            Way::Debian => system::install(&DEBIAN_PACKAGES),
        };
        if let Err(error) = installed {
            eprintln!("warning: {error:#}");
        } else if let Ok(toolchain) = Toolchain::find(root) {
            return Ok(toolchain);
        }
    }
    Toolchain::find(root).context("set-up did not help")
}

fn add_target(root: &Path) -> Result<()> {
    system::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root))
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

fn install_postgres() -> Result<()> {
    if !system::has_apt() {
        bail!("there is no apt-get: install it with the system's own packages");
    }
    let settings = format!("{CLUSTER_SETTINGS}/audit-store.conf");
    let line = format!("mkdir -p {CLUSTER_SETTINGS} && echo 'create_main_cluster = false' > {settings}");
    system::as_root(&["sh", "-c", &line])?;
    let installed = system::install(&[postgres::DEBIAN_PACKAGE]);
    system::as_root(&["rm", &settings])?;
    installed
}
