//! The program `audit`: records the tool calls of agents, by whichever way they can be seen, and reads the record.
//!
//! It is a library so that tests and fuzzers reach what it reads from others ([`inputs`]). There is no other use for it: what
//! it has may change at any time.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod args;
mod call;
#[cfg(unix)]
mod child;
mod config;
mod end;
mod evidence;
#[cfg(unix)]
mod exec;
mod hook;
mod http;
mod import;
mod input;
#[doc(hidden)]
pub mod inputs;
mod mask;
#[cfg(unix)]
mod mcp;
mod message;
mod migrate;
mod otlp;
mod own;
mod read;
mod reconcile;
mod record;
mod status;
mod write;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command};
use message::{Failure, TROUBLE, warn_lines};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    #[cfg(unix)]
    if let Some(code) = child::bound::become_command(std::env::args_os()) {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return hook::refuse(&error).unwrap_or_else(|| usage(&error)),
    };
    #[cfg(unix)]
    survive_the_file_size_limit();
    let code = run(cli).unwrap_or_else(|failure| {
        failure.tell();
        ExitCode::from(TROUBLE)
    });
    message::finish();
    code
}

fn run(Cli { store, command }: Cli) -> Result<ExitCode, Failure> {
    match command {
        Command::Hook(args) => hook::run(&args, store),
        #[cfg(unix)]
        Command::Mcp(args) => mcp::run(*args, store),
        Command::Otlp(args) => otlp::run(*args, store),
        #[cfg(unix)]
        Command::Exec(args) => Ok(exec::run(&args, store.options()?)),
        Command::Write(args) => write::run(&args, &store.options()?.no_call_limit()),
        Command::Reconcile(args) => reconcile::run(&args, store.reading()?),
        Command::Read(args) => read::run(*args, &store.reading()?.options.no_call_limit()),
        Command::Status(args) => status::run(&args, &store.reading()?.options.no_call_limit()),
        Command::Seal(args) => evidence::seal::run(*args, store),
        Command::Verify(args) => evidence::verify::run(&args, store),
        Command::Keygen(args) => evidence::keygen::run(&args),
        Command::Prove(args) => evidence::prove::run(&args, store),
        Command::Check(args) => evidence::check::run(*args),
        Command::Prune(args) => evidence::prune::run(args, store),
        Command::Hold(args) => evidence::hold::run(args, store),
        Command::Import(args) => import::run(&args, &store.options()?),
        Command::Migrate(args) => migrate::run(&args, &store.options()?),
    }
}

/// Shows clap's output: the help, or what is wrong with the options.
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
            warn_lines(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
            ExitCode::from(TROUBLE)
        }
    }
}

/// Makes a write beyond the limit on file sizes an error, where SIGXFSZ would end this program. The signal is
/// handled and not ignored, because a command that `audit exec` runs would inherit that it is ignored.
#[cfg(unix)]
fn survive_the_file_size_limit() {
    use signal_hook::consts::SIGXFSZ;
    if !child::signals::ignored(SIGXFSZ) {
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::<AtomicBool>::default());
    }
}
