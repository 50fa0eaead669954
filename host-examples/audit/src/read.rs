//! `audit read`: shows the recorded events, a page at a time.

mod ahead;
mod archives;
mod follow;
mod output;
mod pages;
mod parts;
mod short;
mod show;
pub(crate) mod table;
mod unfinished;
pub(crate) mod visible;

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::iter;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use audit_format::event::Field;
use audit_format::query;
use audit_host::{Active, Error, Instance, Options, Order};

use self::ahead::Ahead;
use self::output::Output;
use self::pages::Pages;
use self::parts::Span;
use self::show::{Csv, Jsonl, Show, Tables};
use self::table::Table;
use crate::args::{Format, ReadArgs, option};
use crate::message::{Failure, count, warn, warn_of_store};

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
    /// The time that the filter names.
    span: Span,
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
        Format::Table if args.follow => Box::new(Tables::from(Table::that_goes_on(args.wide))),
        Format::Table => Box::new(Tables::from(Table::new(args.wide))),
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
    let mut reading = Reading { filter, span, errors, order, limit, show, output };
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
        let options = telling_once(options);
        let Some(instance) = open(&options)? else { return Ok(()) };
        let (mut skipped, mut rest) = (Vec::new(), None);
        for read in self.reads(&options, instance, cursor)? {
            while let Some(page) = read.next() {
                self.write(&page.lines)?;
                if let Some(cursor) = page.searched {
                    self.output.searched(&cursor);
                }
            }
            let pages = read.end()?;
            skipped.push(pages.skipped());
            rest = pages.rest();
        }
        self.output.end();
        // Parts of the time that meet both read the files around where they do.
        let may_be_twice = skipped.windows(2).any(|pair| pair.iter().all(|skipped| *skipped > 0));
        warn_of_skipped(skipped.iter().sum(), may_be_twice);
        if let Some(cursor) = rest {
            warn(format_args!("next cursor: {cursor}"));
        }
        Ok(())
    }

    /// The reads that go on at once, whose events are shown one read after the other.
    fn reads(
        &self,
        options: &Options,
        mut instance: Instance,
        cursor: Option<String>,
    ) -> Result<Vec<Ahead>, Failure> {
        let filters = match cursor {
            None => self.parts(options, &mut instance)?,
            Some(_) => vec![self.filter.clone()],
        };
        let others = filters.iter().skip(1).map(|_| instance.reopen()).collect::<Result<Vec<_>, _>>()?;
        iter::once(instance)
            .chain(others)
            .zip(filters)
            .map(|(instance, filter)| Ahead::start(self.pages(filter, cursor.clone()), instance))
            .collect()
    }

    /// The filters of parts of the time that are searched at once, in the order of the read.
    fn parts(&self, options: &Options, instance: &mut Instance) -> Result<Vec<query::Filter>, Failure> {
        let is_search = self.errors || !self.filter.texts.is_empty() || !self.filter.attributes.is_empty();
        // What is shown in full is not read faster than it is shown, and of what has a limit the first part may be all.
        let folder = options.folder().filter(|_| is_search && self.limit.unwrap_or_default() == 0);
        let mut filters = match folder {
            Some(folder) if instance.status()?.backend == Active::Jsonl => {
                parts::of_filter(&self.filter, &parts::of_folder(&folder, self.span))
            }
            _ => vec![self.filter.clone()],
        };
        if self.order == Order::NewestFirst {
            filters.reverse();
        }
        Ok(filters)
    }

    fn show_unfinished(&mut self, options: &Options) -> Result<(), Stop> {
        let Some(instance) = open(options)? else { return Ok(()) };
        let found = unfinished::find(instance, &self.filter, |cursor| self.output.searched(cursor))?;
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
        warn_of_skipped(found.skipped, false);
        if more > 0 {
            warn(format_args!("{} not shown; --limit 0 shows all", count(more, "more event")));
        }
        Ok(())
    }

    fn pages(&self, filter: query::Filter, cursor: Option<String>) -> Pages {
        Pages::new(filter, self.errors, self.order, self.limit, cursor)
    }

    fn write(&mut self, lines: &str) -> Result<(), Stop> {
        let text = self.show.show(lines)?;
        Ok(self.output.write(text)?)
    }
}

/// Warns of lines that were passed over. Some of them may be counted twice.
fn warn_of_skipped(skipped: u64, may_be_twice: bool) {
    let (were, why) = match skipped {
        0 => return,
        1 => ("was", "it is no event, or its file cannot be read"),
        _ => ("were", "they are not events, or their file cannot be read"),
    };
    let most = if may_be_twice { "at most " } else { "" };
    warn(format_args!("{most}{} {were} passed over: {why}", count(skipped, "line")));
}

/// The same options for several instances, which tell each warning once between them.
fn telling_once(options: &Options) -> Options {
    let told = Mutex::new(HashSet::new());
    options.clone().warnings(move |line| {
        let is_new = told.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_owned());
        if is_new {
            warn_of_store(line);
        }
    })
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
