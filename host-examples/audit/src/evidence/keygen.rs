//! `audit keygen`: makes the key of a log.

use std::io::{self, Write as _};
use std::process::ExitCode;

use audit_evidence::key;

use crate::args::KeygenArgs;
use crate::message::{Failure, warn};

pub(crate) fn run(args: &KeygenArgs) -> Result<ExitCode, Failure> {
    let key = key::generate(args.name.clone(), &args.out).map_err(Failure::new)?;
    writeln!(io::stdout(), "{}", key.verifier())?;
    warn(format_args!("the private key is in {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
