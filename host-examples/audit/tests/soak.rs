//! Everything writes, reads and fails at once, for half a minute. `cargo xtask soak` goes on for longer.
#![cfg(unix)]

use std::env;
use std::process::Command;
use std::time::Duration;

use audit_soak::{Plan, run, run_from_environment};
use audit_testbed::seed;

/// This is no test: the run starts it as a process of its own, which writes through the library.
#[test]
fn handle_process() {
    run_from_environment();
}

fn handle() -> Command {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args(["--exact", "handle_process", "--nocapture"]);
    command
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn what_is_acknowledged_while_everything_fails_is_there_once() {
        let report = run(&Plan {
            audit: env!("CARGO_BIN_EXE_audit").into(),
            handle,
            length: Duration::from_secs(20),
            seed: seed(),
            progress: Box::new(|_, _| ()),
        });
        println!("{report}");
        assert!(report.wrong.is_empty(), "{report}");
    }
}
