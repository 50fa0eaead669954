//! The package for Python, through its driver.

use std::path::Path;
use std::process::Command;

use super::Opener;
use super::driver::Driver;

pub fn start() -> Box<dyn Opener> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let python = xtask::python::with_host(target).expect("the package is installed");
    let mut command = Command::new(python);
    command.arg(xtask::python::package().join("tests/driver.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    Driver::start(command)
}
