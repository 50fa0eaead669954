//! `audit hold`: keeps events from being pruned.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use audit_evidence::hold::{Change, HeldFilter, HoldChange};
use audit_evidence::prune::Trail as _;
use audit_evidence::{Log, LogFolder};
use audit_format::attributes::Attribute;
use audit_format::event::{Event, Field};
use audit_format::show::escaped;
use audit_format::time::Timestamp;

use super::record::Source;
use super::trail::Recorder;
use crate::args::{
    HoldAddArgs, HoldArgs, HoldCommand, HoldListArgs, HoldRemoveArgs, LogArgs, StoreArgs, option,
};
use crate::call::place;
use crate::message::Failure;

pub(crate) fn run(args: HoldArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    match args.what {
        HoldCommand::Add(args) => add(*args, store),
        HoldCommand::Remove(args) => remove(args, store),
        HoldCommand::List(args) => list(&args, store),
    }
}

fn add(args: HoldAddArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    args.period.span()?;
    let filter = HeldFilter {
        from: args.period.from().map(str::to_owned),
        to: args.period.to.clone(),
        fields: args.filters.0.iter().map(|(field, text)| (field.name().to_owned(), text.clone())).collect(),
        attributes: args.attributes.iter().map(|one| (one.key.to_string(), one.value.to_string())).collect(),
    };
    let is_all = filter == HeldFilter::default();
    if is_all != args.all {
        let why = if args.all {
            "a filter is given too"
        } else {
            "give a filter, such as --workspace acme, or --all"
        };
        return Err(Failure::because("--all", why));
    }
    let change = |id| (Change::Add, id, args.reason.clone(), Some(filter.clone()));
    let id = apply(store, &args.log, args.by, args.id, change)?;
    say(&format!("{id} holds {}", shown(&filter)))
}

fn remove(args: HoldRemoveArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let change = |id| (Change::Remove, id, args.reason.clone(), None);
    let id = apply(store, &args.log, args.by, Some(args.id), change)?;
    say(&format!("{id} has ended"))
}

/// Makes a change, on the disk, and records it. The events of a hold are held before that is recorded, and still held where
/// it is not.
fn apply(
    store: StoreArgs,
    log: &LogArgs,
    by: Option<String>,
    id: Option<String>,
    change: impl FnOnce(String) -> (Change, String, String, Option<HeldFilter>),
) -> Result<String, Failure> {
    let (source, options) = Source::open_to_write(store)?;
    source.check()?;
    let folder = source.log(log)?;
    let mut log = Log::new(LogFolder::for_sealing(folder).map_err(Failure::new)?);
    let mut holds = log.holds().map_err(Failure::new)?;
    let (change, id, reason, filter) = change(id.unwrap_or_else(|| holds.free_id()));
    let ts = Timestamp::from(SystemTime::now()).to_string();
    let by = by.unwrap_or_else(place::user);
    let change = HoldChange { ts, by, change, id: id.clone(), reason, filter };
    holds.apply(change.clone()).map_err(Failure::new)?;
    let mut trail = Recorder::new(options);
    let mut record = || {
        trail
            .record(&event(&change))
            .map_err(|error| Failure::because("the change could not be recorded", error))
    };
    if change.change == Change::Remove {
        record()?;
        log.put_holds(&holds).map_err(Failure::new)?;
    } else {
        log.put_holds(&holds).map_err(Failure::new)?;
        record()?;
    }
    Ok(id)
}

fn event(change: &HoldChange) -> Event<'static> {
    let filter = change.filter.as_ref().map(shown).unwrap_or_default();
    let verb = match change.change {
        Change::Add => "add",
        Change::Remove => "remove",
    };
    let attributes =
        [("change", verb), ("filter", &filter), ("hold", &change.id), ("reason", &change.reason)];
    let given = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    Event {
        user_id: change.by.clone().into(),
        tool: "audit".into(),
        action: "hold".into(),
        status: "ok".into(),
        attributes: given.map(|(key, value)| Attribute::new(key, value.to_owned())).collect(),
        ..Event::default()
    }
}

fn list(args: &HoldListArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let source = Source::open(store)?;
    let folder = source.log(&args.log)?;
    let holds = Log::new(LogFolder::new(folder)).holds().map_err(Failure::new)?;
    let line = |hold: &HoldChange| match (args.json, &hold.filter) {
        (true, _) => serde_json::to_string(hold).map_err(io::Error::from),
        (false, filter) => {
            let filter = filter.as_ref().map(shown).unwrap_or_default();
            let line = format!("{}  since {} by {}  {}  {}", hold.id, hold.ts, hold.by, filter, hold.reason);
            // One line a hold, whatever its reason has.
            Ok(escaped(&line).into_owned())
        }
    };
    let lines = holds.active().map(line).collect::<Result<Vec<_>, _>>()?;
    if lines.is_empty() { Ok(ExitCode::SUCCESS) } else { say(&lines.join("\n")) }
}

/// A filter as the options that it was given by.
fn shown(filter: &HeldFilter) -> String {
    let named = |name: &String| Field::named(name).map_or_else(|| name.clone(), option);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(filter.from.iter().map(|from| format!("--from {from}")));
    parts.extend(filter.to.iter().map(|to| format!("--to {to}")));
    parts.extend(filter.fields.iter().map(|(name, text)| format!("--{} {text}", named(name))));
    parts.extend(filter.attributes.iter().map(|(key, value)| format!("--attr {key}={value}")));
    if parts.is_empty() { "all events".into() } else { parts.join(" ") }
}

fn say(lines: &str) -> Result<ExitCode, Failure> {
    let shown: Vec<String> = lines.lines().map(|line| escaped(line).into_owned()).collect();
    match writeln!(io::stdout(), "{}", shown.join("\n")) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
