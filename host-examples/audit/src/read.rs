//! `audit read`: what is recorded, a page at a time.

mod show;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use audit_format::event::Field;
use audit_format::query;
use audit_host::{Active, Error, Filter, Instance, Options, Order, PageRequest};

use self::show::{Csv, Jsonl, Show, Table};
use super::args::{Format, ReadArgs, option};
use super::{Failure, say};

pub(super) fn run(args: ReadArgs, options: &Options) -> Result<ExitCode, Failure> {
    let Some(mut instance) = open(options)? else { return Ok(ExitCode::SUCCESS) };
    let on_terminal = io::stdout().is_terminal();
    let format = args.format.unwrap_or(if on_terminal { Format::Table } else { Format::Jsonl });
    let mut show: Box<dyn Show> = match format {
        Format::Table => Box::new(Table::new()),
        Format::Jsonl => Box::new(Jsonl),
        Format::Csv => Box::new(Csv::default()),
    };
    let order = if args.newest { Order::NewestFirst } else { Order::OldestFirst };
    let mut request = PageRequest { order, limit: 0, cursor: args.cursor };
    let limit = if args.limit == 0 { u64::MAX } else { args.limit };
    let filter = query::Filter { from_ts: args.from, to_ts: args.to, texts: args.filters.0 };
    let filter = Filter::from(filter);
    let (mut shown, mut skipped) = (0, 0);
    loop {
        request.limit = u32::try_from(limit - shown).unwrap_or(u32::MAX).min(show.page());
        let page = show.next(&mut instance, &filter, &request).map_err(|stop| match stop {
            Stop::Store(error) => Some(named(error)),
            Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Stop::Output(error) => Some(Failure(format!("cannot write: {error}"))),
        });
        let page = match page {
            Ok(page) => page,
            // Whoever read the output has had enough.
            Err(None) => return Ok(ExitCode::SUCCESS),
            Err(Some(failure)) => return Err(failure),
        };
        shown += page.count;
        // A later page may pass over the same lines again.
        skipped += page.skipped;
        request.cursor = page.next;
        if request.cursor.is_none() || shown >= limit {
            break;
        }
    }
    if skipped > 0 {
        let (lines, why) = match skipped {
            1 => ("1 line was".into(), "it is no event, or its file cannot be read"),
            _ => (format!("{skipped} lines were"), "they are not events, or their file cannot be read"),
        };
        say(format_args!("{lines} passed over: {why}"));
    }
    if let Some(cursor) = request.cursor {
        say(format_args!("next cursor: {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of a page.
struct Shown {
    count: u64,
    next: Option<String>,
    skipped: u64,
}

enum Stop {
    Store(Error),
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// An instance to read from; none where nothing has been recorded.
fn open(options: &Options) -> Result<Option<Instance>, Failure> {
    let options = options.clone().read_only(true);
    let mut instance = Instance::open(&options)?;
    if !instance.found_no_folder() {
        return Ok(Some(instance));
    }
    if instance.status()?.backend == Active::Jsonl {
        let folder = options.folder().unwrap_or_default();
        say(format_args!("no events: {} does not exist", folder.display()));
        return Ok(None);
    }
    // Without a folder nothing is spooled, and all there is is in the database.
    Ok(Some(Instance::open(&options.backend("postgres"))?))
}

/// The error in terms of the options.
fn named(error: Error) -> Failure {
    let Error::Invalid(value) = error else { return error.into() };
    let option = match (value.field.as_str(), Field::named(&value.field)) {
        ("from_ts", _) => "from",
        ("to_ts", _) => "to",
        (_, Some(field)) => option(field),
        (field, None) => field,
    };
    Failure(format!("--{option}: {}", value.reason))
}
