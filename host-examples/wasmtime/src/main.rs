//! The program `audit`: runs commands as tool calls, writes and reads the audit trail from the shell.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
