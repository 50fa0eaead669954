//! `audit read`: shows the recorded events, a page at a time.

mod output;
mod show;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use audit_format::event::Field;
use audit_format::query;
use audit_host::{Active, Error, Filter, Instance, Options, Order, PageRequest};

use self::output::Output;
use self::show::{Csv, Jsonl, Show, Stop, Table};
use crate::args::{Format, ReadArgs, option};
use crate::message::{Failure, count, warn};

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
    let filter = query::Filter {
        from_ts: args.from,
        to_ts: args.to,
        texts: args.filters.0,
        attributes: args.attributes,
    };
    let filter = Filter::from(filter);
    let output = Output::new(order.into());
    let (mut shown, mut skipped) = (0, 0);
    loop {
        request.limit = u32::try_from(limit - shown).unwrap_or(u32::MAX).min(show.page_size());
        let page = show.show_page(&mut instance, &filter, &request, &output).map_err(|stop| match stop {
            Stop::Store(error) => Some(named(error)),
            Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Stop::Output(error) => Some(Failure::because("cannot write to stdout", error)),
        });
        let page = match page {
            Ok(page) => page,
            // The reader of the output has closed it, as `head` does. That is no error.
            Err(None) => return Ok(ExitCode::SUCCESS),
            Err(Some(failure)) => return Err(failure),
        };
        shown += page.count;
        // The pages of one read on one instance count each skipped line once.
        skipped += page.skipped;
        request.cursor = page.next;
        match &request.cursor {
            Some(cursor) if shown < limit => output.searched(cursor),
            _ => break,
        }
    }
    drop(output);
    if skipped > 0 {
        let (were, why) = match skipped {
            1 => ("was", "it is no event, or its file cannot be read"),
            _ => ("were", "they are not events, or their file cannot be read"),
        };
        warn(format_args!("{} {were} passed over: {why}", count(skipped, "line")));
    }
    if let Some(cursor) = request.cursor {
        warn(format_args!("next cursor: {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// An instance to read from. `None` if nothing has been recorded.
fn open(options: &Options) -> Result<Option<Instance>, Failure> {
    let options = options.clone().read_only(true);
    let mut instance = Instance::open(&options)?;
    if !instance.found_no_folder() {
        return Ok(Some(instance));
    }
    if instance.status()?.backend == Active::Jsonl {
        let folder = options.folder().unwrap_or_default();
        warn(format_args!("no events: {} does not exist", folder.display()));
        return Ok(None);
    }
    // Without a folder there is no spool, so all events are in the database.
    Ok(Some(Instance::open(&options.backend("postgres"))?))
}

/// The failure of a read. It names the option that is invalid.
fn named(error: Error) -> Failure {
    let Error::Invalid(value) = error else { return error.into() };
    let option = match (value.field.as_str(), Field::named(&value.field)) {
        ("from_ts", _) => "from".into(),
        ("to_ts", _) => "to".into(),
        (_, Some(field)) => option(field),
        (field, None) => field.to_owned(),
    };
    Failure::because(format!("--{option}"), value.reason)
}
