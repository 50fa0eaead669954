//! The compilers that can build the component: the active toolchain where it has the target, and Debian's, which
//! builds `core` and `alloc` for it where Rust's download server cannot be reached. `cargo xtask setup` chooses.

use std::env;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment;

/// The target of the component.
pub const TARGET: &str = "wasm32-wasip2";

/// The variable that names the way to take, whatever was chosen.
pub const VARIABLE: &str = "AUDIT_STORE_TOOLCHAIN";

/// The packages of Debian's way: compiler, cargo and library source of one version.
pub const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// How the target's library comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `rustup target add` has installed it.
    Rustup,
    /// Debian's compiler builds it from Debian's source of it.
    Debian,
}

impl Way {
    /// The way that [`VARIABLE`] names, where it is set.
    ///
    /// # Errors
    /// Where it names no way.
    pub fn required() -> Result<Option<Self>> {
        let Some(name) = env::var_os(VARIABLE) else { return Ok(None) };
        let way = name.to_str().and_then(Self::named);
        way.map(Some).with_context(|| format!("{VARIABLE} is {name:?}; it can be `rustup` or `debian`"))
    }

    /// The way that was chosen in this target folder, if one was.
    ///
    /// # Errors
    /// Where the file of the choice cannot be read, or names no way.
    pub fn chosen(target_dir: &Path) -> Result<Option<Self>> {
        let path = choice_file(target_dir);
        let name = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            name => name.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let way = Self::named(name.trim());
        way.map(Some).with_context(|| format!("{} names no way: run `cargo xtask setup`", path.display()))
    }

    /// Makes this the way of builds in a target folder. A file that says so already stays untouched: build scripts
    /// watch it.
    ///
    /// # Errors
    /// Where the file of the choice cannot be written.
    pub fn choose(self, target_dir: &Path) -> Result<()> {
        if matches!(Self::chosen(target_dir), Ok(Some(chosen)) if chosen == self) {
            return Ok(());
        }
        let path = choice_file(target_dir);
        let written = fs::create_dir_all(target_dir).and_then(|()| fs::write(&path, format!("{self}\n")));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Rustup, Self::Debian].into_iter().find(|way| way.to_string() == name)
    }
}

/// Where `cargo xtask setup` records which way builds in a target folder take.
pub fn choice_file(target_dir: &Path) -> PathBuf {
    target_dir.join("component-toolchain")
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        })
    }
}

/// A compiler for [`TARGET`].
#[derive(Debug)]
pub enum Toolchain {
    /// The active toolchain.
    Rustup,
    /// Debian's compiler.
    Debian {
        /// The folder of the active toolchain's `wasm-component-ld`, which Debian does not carry.
        linkers: PathBuf,
    },
}

impl Toolchain {
    /// That of the way that [`VARIABLE`] names, else of the way that was chosen in the target folder, else rustup's.
    /// There is no other where it is missing: which compiler builds the component is never decided unseen.
    ///
    /// # Errors
    /// Where it is missing; the message says what to run.
    pub fn find(root: &Path, target_dir: &Path) -> Result<Self> {
        let way = match Way::required()? {
            Some(way) => way,
            None => Way::chosen(target_dir)?.unwrap_or(Way::Rustup),
        };
        Self::installed(way, root)?.with_context(|| match way {
            Way::Rustup => format!(
                "the Rust toolchain lacks the target {TARGET}: run `cargo xtask setup`, or `rustup target add {TARGET}`"
            ),
            Way::Debian => format!(
                "Debian's compiler and library source ({}) are not installed: run `cargo xtask setup`",
                DEBIAN_PACKAGES.join(", ")
            ),
        })
    }

    /// The compiler of a way, as seen from the folder `root`, where it is complete.
    ///
    /// # Errors
    /// Where that cannot be found out, or a part is missing that set-up does not install.
    pub fn installed(way: Way, root: &Path) -> Result<Option<Self>> {
        match way {
            Way::Rustup => Self::rustup(root),
            Way::Debian => Self::debian(root),
        }
    }

    fn rustup(root: &Path) -> Result<Option<Self>> {
        let folder = rustc(root, &["--print", "target-libdir", "--target", TARGET])?;
        Ok(Path::new(&folder).is_dir().then_some(Self::Rustup))
    }

    fn debian(root: &Path) -> Result<Option<Self>> {
        if !Path::new(DEBIAN_CARGO).is_file() || !Path::new(DEBIAN_RUSTC).is_file() {
            return Ok(None);
        }
        let sysroot = output(&mut Command::new(DEBIAN_RUSTC), &["--print", "sysroot"])?;
        if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
            return Ok(None);
        }
        let linkers = linkers(root)?;
        if !linkers.join("wasm-component-ld").is_file() {
            bail!(
                "Debian's compiler for {TARGET} needs the linker `wasm-component-ld` of a toolchain from rustup, and \
                 {} has none",
                linkers.display()
            );
        }
        Ok(Some(Self::Debian { linkers }))
    }

    /// The way that this is.
    pub fn way(&self) -> Way {
        match self {
            Self::Rustup => Way::Rustup,
            Self::Debian { .. } => Way::Debian,
        }
    }

    /// A `cargo build` in the workspace at `root`, apart from any cargo that runs already.
    pub fn cargo_build(&self, root: &Path) -> Command {
        let mut cargo = match self {
            Self::Rustup => Command::new(active_cargo()),
            Self::Debian { .. } => Command::new(DEBIAN_CARGO),
        };
        environment::clean(&mut cargo);
        cargo.arg("build").current_dir(root);
        if let Self::Debian { linkers } = self {
            use_debian(&mut cargo, linkers);
        }
        // Without it every address in the code takes five bytes: a fifteenth of the component.
        add_flags(&mut cargo, &["-Clink-arg=--compress-relocations".to_owned()]);
        add_flags(&mut cargo, &remappings(root));
        cargo
    }
}

/// The cargo that runs this program, else the one on `PATH`.
pub fn active_cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

fn use_debian(cargo: &mut Command, linkers: &Path) {
    // `wasm-component-ld` looks for `wasm-ld` on `PATH`.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([linkers.join("gcc-ld")].into_iter().chain(env::split_paths(&path)));
    if let Ok(path) = path {
        cargo.env("PATH", path);
    }
    cargo
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_WASIP2_LINKER", linkers.join("wasm-component-ld"))
        // The outer cargo's points at the libraries of another compiler.
        .env_remove("LD_LIBRARY_PATH")
        .arg("-Zbuild-std=core,alloc");
    add_flags(cargo, &["-Clink-self-contained=no".to_owned()]);
}

/// Unlike `RUSTFLAGS`, this adds to the flags in `.cargo/config.toml`.
fn add_flags(cargo: &mut Command, flags: &[String]) {
    // A list of strings reads the same in TOML.
    let setting = format!("target.{TARGET}.rustflags = {flags:?}");
    cargo.args(["--config", &setting]);
}

/// Paths in panic messages are to be the same, and so is the component, whoever builds it.
fn remappings(root: &Path) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let folders = [(cargo_home, "cargo"), (Some(root.to_owned()), "audit-store")];
    folders
        .into_iter()
        .filter_map(|(folder, name)| Some(format!("--remap-path-prefix={}={name}", folder?.to_str()?)))
        .collect()
}

/// Where the active toolchain keeps the linkers that rustc calls.
fn linkers(root: &Path) -> Result<PathBuf> {
    let sysroot = rustc(root, &["--print", "sysroot"])?;
    let version = rustc(root, &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc --version --verbose` names no host")?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(host).join("bin"))
}

fn rustc(root: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("rustc");
    environment::clean(&mut command);
    output(command.current_dir(root), arguments)
}

fn output(command: &mut Command, arguments: &[&str]) -> Result<String> {
    let output = command.args(arguments).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Way, choice_file};

    #[test]
    fn the_last_choice_holds() {
        let folder = tempfile::tempdir().unwrap();
        let target_dir = folder.path().join("target");
        assert_eq!(Way::chosen(&target_dir).unwrap(), None);
        for way in [Way::Debian, Way::Rustup] {
            way.choose(&target_dir).unwrap();
            assert_eq!(Way::chosen(&target_dir).unwrap(), Some(way));
        }
    }

    #[test]
    fn the_same_choice_again_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        Way::Debian.choose(folder.path()).unwrap();
        let path = choice_file(folder.path());
        fs::write(&path, "debian").unwrap();
        Way::Debian.choose(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "debian");
    }

    #[test]
    fn a_choice_that_is_no_way_is_an_error_and_mended_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(choice_file(folder.path()), "gcc\n").unwrap();
        let error = Way::chosen(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("run `cargo xtask setup`"), "{error}");
        Way::Rustup.choose(folder.path()).unwrap();
        assert_eq!(Way::chosen(folder.path()).unwrap(), Some(Way::Rustup));
    }
}
