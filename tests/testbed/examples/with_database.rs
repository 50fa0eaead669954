//! Runs a command with a PostgreSQL of its own, whose URL is in `DATABASE_URL`:
//!
//! ```text
//! cargo run -p audit-testbed --example with_database -- psql …
//! ```

use std::env;
use std::process::{Command, ExitCode};

use audit_testbed::Cluster;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let program = arguments.next().expect("the first argument is a command");
    let cluster = Cluster::start();
    let status = Command::new(program).args(arguments).env("DATABASE_URL", cluster.database()).status();
    let code = status.expect("the command runs").code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
