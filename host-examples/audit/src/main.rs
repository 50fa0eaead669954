//! Starts the program, all of which is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    audit_cli::main()
}
