//! `audit migrate`: creates or upgrades the tables of the database.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use audit_host::{Database, Options, SinkError};
use indicatif::ProgressBar;

use crate::args::{HOW_TO_GIVE_A_URL, MigrateArgs};
use crate::message::Failure;

pub(super) fn run(args: &MigrateArgs, options: &Options) -> Result<ExitCode, Failure> {
    let Some(database) = options.open_database()? else {
        return Err(Failure::new(format_args!("a migration needs a database; {HOW_TO_GIVE_A_URL}")));
    };
    let spinner = match io::stderr().is_terminal() {
        true => ProgressBar::new_spinner().with_message("upgrading; a big table takes minutes"),
        false => ProgressBar::hidden(),
    };
    spinner.enable_steady_tick(Duration::from_millis(100));
    let added = migrate(&database, args);
    spinner.finish_and_clear();
    let added = added?;
    let text = match added.is_empty() {
        true => "the tables are complete; nothing was changed".to_owned(),
        false => format!("added: {}", added.join(", ")),
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Does what the options ask for, and returns what was added.
fn migrate(database: &Database, args: &MigrateArgs) -> Result<Vec<String>, SinkError> {
    let mut added = match args.partitioned {
        true => database.partition()?,
        false => database.migrate()?,
    };
    let fields: Vec<&str> = args.indexes.iter().map(|field| field.name()).collect();
    if !fields.is_empty() {
        added.extend(database.add_indexes(&fields)?);
    }
    Ok(added)
}
