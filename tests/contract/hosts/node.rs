//! The package for Node.js, and the same in a browser: drivers of `host-examples/node`.

use super::Opener;
use super::driver::Driver;
use crate::node_package;

pub fn node() -> Box<dyn Opener> {
    start("test/driver.mjs")
}

pub fn browser() -> Box<dyn Opener> {
    start("test/browser-driver.mjs")
}

fn start(driver: &str) -> Box<dyn Opener> {
    let mut command = node_package::command();
    command.arg(driver);
    Driver::start(command)
}
