//! `audit status`: which store is in use, and what is wrong with it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use audit_host::{Instance, Options};

use super::Failure;
use super::args::StatusArgs;

pub(super) fn run(args: &StatusArgs, options: &Options) -> Result<ExitCode, Failure> {
    // The warnings are part of the status.
    let options = options.clone().read_only(true).warnings(|_| {});
    let status = Instance::open(&options)?.status()?;
    let mut out = String::new();
    if args.json {
        out = serde_json::to_string_pretty(&status).map_err(io::Error::from)? + "\n";
    } else {
        let folder = options.folder().map(|path| match path.is_dir() {
            true => path.display().to_string(),
            false => format!("{} (does not exist yet)", path.display()),
        });
        let backend = match status.requested == status.backend {
            true => status.backend,
            false => format!("{} ({} was asked for)", status.backend, status.requested),
        };
        let rows = [
            ("backend", Some(backend)),
            ("folder", folder),
            ("durability", (!status.jsonl_dir.is_empty()).then_some(status.durability)),
            ("last error", status.last_error),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                out += &format!("{name:<11} {value}\n");
            }
        }
        for warning in status.warnings {
            out += &format!("{:<11} {warning}\n", "warning");
        }
    }
    match io::stdout().write_all(out.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
