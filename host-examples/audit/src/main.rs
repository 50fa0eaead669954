//! The program `audit`: runs commands as tool calls, writes and reads the audit trail from the shell. This file has what
//! all subcommands share.
#![forbid(unsafe_code)]

mod args;
#[cfg(unix)]
mod exec;
mod import;
mod input;
mod mask;
mod read;
mod status;
mod write;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use audit_host::{Error, SinkError};
use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command};
use mask::masked;

/// Something is wrong with the options, or the store cannot be used.
const TROUBLE: u8 = 2;

/// Why a subcommand could not do its work.
struct Failure(String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unavailable(text) | SinkError::Other(text) => Self(text),
            SinkError::NotConfigured => Self("there is no database".into()),
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    #[cfg(unix)]
    keep_alive_at_file_size_limit();
    run(cli).unwrap_or_else(|Failure(text)| {
        say(text);
        ExitCode::from(TROUBLE)
    })
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let options = cli.store.options()?;
    match cli.command {
        #[cfg(unix)]
        Command::Exec(args) => Ok(exec::run(&args, options)),
        Command::Write(args) => write::run(&args, &options.no_call_limit()),
        Command::Import(args) => import::run(&args, &options),
        Command::Read(args) => read::run(*args, &options.no_call_limit()),
        Command::Status(args) => status::run(&args, &options.no_call_limit()),
    }
}

/// Tells what this program has to say. That it cannot be written stops nothing.
fn say(text: impl fmt::Display) {
    complain(format_args!("audit: {text}"));
}

/// Writes a line to stderr, without the passwords that somebody may have given in the wrong place.
fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", masked(&line.to_string()));
}

/// So many things, such as `1 line` or `2 lines`.
fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Shows what clap has to say: help, or what is wrong with the options.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(TROUBLE)
        }
        _ => {
            let text = error.render().to_string();
            say(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
            ExitCode::from(TROUBLE)
        }
    }
}

/// A write beyond the limit on file sizes is an error, not the end of this program. A handler does that, and
/// not ignoring the signal, because a command that is run would inherit that.
#[cfg(unix)]
fn keep_alive_at_file_size_limit() {
    use signal_hook::consts::SIGXFSZ;
    if !exec::signals::ignored(SIGXFSZ) {
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::<AtomicBool>::default());
    }
}
