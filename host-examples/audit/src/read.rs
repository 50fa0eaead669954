//! `audit read`: shows the recorded events, a page at a time.

mod archives;
mod follow;
mod output;
mod pages;
mod short;
mod show;
pub(crate) mod table;
mod unfinished;
pub(crate) mod visible;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use audit_format::event::Field;
use audit_format::query;
use audit_host::{Active, Error, Instance, Options, Order};

use self::output::Output;
use self::pages::Pages;
use self::show::{Csv, Jsonl, Show};
use self::table::Table;
use crate::args::{Format, ReadArgs, option};
use crate::message::{Failure, count, warn};

/// How many events `--follow` shows at first, where nothing says it, as `tail -f` does.
const FOLLOWED: u64 = 10;

/// Why a read ended before all was shown.
pub(super) enum Stop {
    Failed(Failure),
    /// The reader of the output has closed it, as `head` does. That is no error.
    Closed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(named(error))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(Failure::because("cannot write to stdout", error)),
        }
    }
}

/// What is read, and how it is shown.
struct Reading {
    filter: query::Filter,
    errors: bool,
    order: Order,
    limit: Option<u64>,
    show: Box<dyn Show>,
    output: Output,
}

pub(super) fn run(args: ReadArgs, options: &Options) -> Result<ExitCode, Failure> {
    let span = args.period.span()?;
    let unpacked = if args.follow { None } else { archives::unpacked(options, span)? };
    let options = unpacked.as_ref().map_or(options, |unpacked| &unpacked.options);
    let on_terminal = io::stdout().is_terminal();
    let format = args.format.unwrap_or(if on_terminal { Format::Table } else { Format::Jsonl });
    let show: Box<dyn Show> = match format {
        Format::Table if args.follow => Box::new(Table::that_goes_on(args.wide)),
        Format::Table => Box::new(Table::new(args.wide)),
        Format::Jsonl => Box::new(Jsonl),
        Format::Csv => Box::new(Csv::default()),
    };
    let order = if args.newest { Order::NewestFirst } else { Order::OldestFirst };
    let filter = query::Filter {
        from_ts: args.period.from().map(str::to_owned),
        to_ts: args.period.to.clone(),
        texts: args.filters.0,
        attributes: args.attributes,
    };
    let (errors, limit, output) = (args.errors, args.limit, Output::new(order.into()));
    let mut reading = Reading { filter, errors, order, limit, show, output };
    let done = if args.follow {
        follow::run(&mut reading, options)
    } else if args.unfinished {
        reading.show_unfinished(options)
    } else {
        reading.show_all(options, args.cursor)
    };
    reading.output.end();
    match done {
        Ok(()) | Err(Stop::Closed) => {}
        Err(Stop::Failed(failure)) => return Err(failure),
    }
    let left_out = reading.show.left_out();
    if !left_out.is_empty() && on_terminal && io::stderr().is_terminal() {
        warn(format_args!("there was no room for {}; --wide shows all", left_out.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

impl Reading {
    fn show_all(&mut self, options: &Options, cursor: Option<String>) -> Result<(), Stop> {
        let Some(mut instance) = open(options)? else { return Ok(()) };
        let mut pages = self.pages(cursor);
        while let Some(lines) = pages.next(&mut instance)? {
            self.write(&lines)?;
            if let Some(cursor) = pages.searched() {
                self.output.searched(cursor);
            }
        }
        self.output.end();
        warn_of_skipped(pages.skipped());
        if let Some(cursor) = pages.rest() {
            warn(format_args!("next cursor: {cursor}"));
        }
        Ok(())
    }

    fn show_unfinished(&mut self, options: &Options) -> Result<(), Stop> {
        let Some(mut instance) = open(options)? else { return Ok(()) };
        let found = unfinished::find(&mut instance, &self.filter, |cursor| self.output.searched(cursor))?;
        self.output.end();
        let limit = match self.limit {
            None | Some(0) => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let more = found.lines.len().saturating_sub(limit) as u64;
        let lines = found.lines.into_iter();
        let shown: Vec<String> = match self.order {
            Order::OldestFirst => lines.take(limit).collect(),
            Order::NewestFirst => lines.rev().take(limit).collect(),
        };
        self.write(&shown.concat())?;
        warn_of_skipped(found.skipped);
        if more > 0 {
            warn(format_args!("{} not shown; --limit 0 shows all", count(more, "more event")));
        }
        Ok(())
    }

    fn pages(&self, cursor: Option<String>) -> Pages {
        Pages::new(self.filter.clone(), self.errors, self.order, self.limit, self.show.page_size(), cursor)
    }

    fn write(&mut self, lines: &str) -> Result<(), Stop> {
        let text = self.show.show(lines)?;
        Ok(self.output.write(&text)?)
    }
}

fn warn_of_skipped(skipped: u64) {
    let (were, why) = match skipped {
        0 => return,
        1 => ("was", "it is no event, or its file cannot be read"),
        _ => ("were", "they are not events, or their file cannot be read"),
    };
    warn(format_args!("{} {were} passed over: {why}", count(skipped, "line")));
}

/// An instance to read from. `None` if nothing has been recorded.
fn open(options: &Options) -> Result<Option<Instance>, Failure> {
    let instance = open_quietly(options)?;
    if instance.is_none() {
        let folder = options.folder().unwrap_or_default();
        warn(format_args!("no events: {} does not exist", folder.display()));
    }
    Ok(instance)
}

/// As [`open`], without a word about a folder that does not exist.
pub(crate) fn open_quietly(options: &Options) -> Result<Option<Instance>, Failure> {
    let options = options.clone().read_only(true);
    let mut instance = Instance::open(&options)?;
    if !instance.found_no_folder() {
        return Ok(Some(instance));
    }
    if instance.status()?.backend == Active::Jsonl {
        return Ok(None);
    }
    // Without a folder there is no spool, so all events are in the database.
    Ok(Some(Instance::open(&options.backend("postgres"))?))
}

/// The failure of a read. It names the option that is invalid.
pub(crate) fn named(error: Error) -> Failure {
    let Error::Invalid(value) = error else { return error.into() };
    let option = match (value.field.as_str(), Field::named(&value.field)) {
        ("from_ts", _) => "from".into(),
        ("to_ts", _) => "to".into(),
        (_, Some(field)) => option(field),
        (field, None) => field.to_owned(),
    };
    Failure::because(format!("--{option}"), value.reason)
}
