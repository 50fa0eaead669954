//! `audit read --follow`: shows each event as it comes, in the order in which it comes, whenever its call began.

mod database;
mod files;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::thread;
use std::time::Duration;

use audit_format::query::{PageRequest, Query};
use audit_format::read::parse_stored;
use audit_host::{Active, Instance, Options, Order};

use self::database::Rows;
use self::files::Files;
use super::pages::{Pages, is_of_error};
use super::{FOLLOWED, Reading, Stop, open_quietly, warn_of_skipped};
use crate::message::Failure;

/// Where events come.
enum Source {
    Files(Files),
    Rows(Box<Rows>),
}

pub(super) fn run(reading: &mut Reading, options: &Options) -> Result<(), Stop> {
    let query = Query::new(reading.filter.clone(), &PageRequest::default()).map_err(|invalid| {
        let option = if invalid.field == "from_ts" { "--from" } else { &invalid.field };
        Failure::because(option, &invalid.reason)
    })?;
    // What comes while the first events are read is not missed, and may be found twice.
    let mut source = Source::open(options, reading)?;
    let mut shown = reading.show_first(options)?;
    loop {
        let (lines, wait) = source.arrived(&query)?;
        let new: String = lines
            .split_inclusive('\n')
            .filter(|line| !reading.errors || is_of_error(line))
            .filter(|line| !shown.take(line))
            .collect();
        if !new.is_empty() {
            reading.write(&new)?;
        }
        if is_closed() {
            return Err(Stop::Closed);
        }
        thread::sleep(wait);
    }
}

impl Source {
    fn open(options: &Options, reading: &Reading) -> Result<Self, Failure> {
        // The read of what is there warns of what is wrong.
        let quiet = options.clone().read_only(true).warnings(|_| {});
        match Instance::open(&quiet)?.status()?.backend {
            Active::Jsonl => {
                let folder = options.folder().unwrap_or_default();
                let here = Files::open(&folder)
                    .map_err(|error| Failure::because(format!("cannot read {}", folder.display()), error))?;
                Ok(Self::Files(here))
            }
            Active::Postgres | Active::Spool => match options.open_database()? {
                Some(database) => {
                    Ok(Self::Rows(Box::new(Rows::open(database, reading.filter.clone().into())?)))
                }
                None => Err(Failure::new("--follow: there is no database")),
            },
            other @ (Active::Memory | Active::Null) => Err(Failure::because(
                "--follow",
                format_args!(
                    "the backend {other} keeps nothing that another program writes; accepted are files and databases"
                ),
            )),
        }
    }

    /// Lines of events that have come and match, and how long to wait for the next.
    fn arrived(&mut self, query: &Query) -> Result<(String, Duration), Failure> {
        match self {
            Self::Files(files) => Ok((files.arrived(query), files::INTERVAL)),
            Self::Rows(rows) => rows.arrived(),
        }
    }
}

impl Reading {
    /// Shows what is there: all from a time on, or the last events.
    fn show_first(&mut self, options: &Options) -> Result<Shown, Stop> {
        let mut shown = Shown::default();
        let Some(mut instance) = open_quietly(options)? else { return Ok(shown) };
        let last = match self.limit {
            None if self.filter.from_ts.is_none() => Some(FOLLOWED),
            None | Some(0) => None,
            limit => limit,
        };
        let order = if last.is_some() { Order::NewestFirst } else { Order::OldestFirst };
        let mut pages = Pages::new(self.filter.clone(), self.errors, order, last, None);
        let mut newest: Vec<String> = Vec::new();
        while let Some(lines) = pages.next(&mut instance)? {
            if last.is_some() {
                newest.extend(lines.split_inclusive('\n').map(str::to_owned));
            } else {
                lines.split_inclusive('\n').for_each(|line| shown.note(line));
                self.write(&lines)?;
            }
        }
        newest.reverse();
        newest.iter().for_each(|line| shown.note(line));
        // Also where there is nothing: CSV has a header.
        self.write(&newest.concat())?;
        warn_of_skipped(pages.skipped(), false);
        Ok(shown)
    }
}

/// How many of the events that were shown first are remembered.
const REMEMBERED: usize = 100_000;

/// The events that were shown first, so that none of them is shown again.
#[derive(Default)]
struct Shown {
    times: HashMap<String, u32>,
    order: VecDeque<String>,
}

impl Shown {
    /// What tells an event from others: its identifier, or all of it.
    fn key(line: &str) -> String {
        match parse_stored(line).ok().and_then(|parsed| parsed.stamp) {
            Some(stamp) => stamp.id.to_string(),
            None => line.trim_end().to_owned(),
        }
    }

    fn note(&mut self, line: &str) {
        let key = Self::key(line);
        *self.times.entry(key.clone()).or_default() += 1;
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
    }

    /// Whether it was shown. It is then forgotten.
    fn take(&mut self, line: &str) -> bool {
        !self.times.is_empty() && self.remove(&Self::key(line))
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some(times) = self.times.get_mut(key) else { return false };
        *times -= 1;
        if *times == 0 {
            self.times.remove(key);
        }
        true
    }
}

/// Whether nobody reads the output any more. Without that, a program that finds nothing to write would not learn it.
#[cfg(unix)]
fn is_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let polled = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.is_ok() && fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

#[cfg(not(unix))]
fn is_closed() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_was_shown_is_known_as_often_as_it_was_shown() {
        let mut shown = Shown::default();
        let other = "{\"ts\":\"2026-11-23T06:30:00.000000Z\",\"tool\":\"t\"}\n";
        shown.note(other);
        shown.note(other);
        assert_eq!([(); 3].map(|()| shown.take(other)), [true, true, false]);
        for n in 0..REMEMBERED + 5 {
            shown.note(&format!("{{\"tool\":\"{n}\"}}"));
        }
        assert!(shown.times.len() <= REMEMBERED && shown.order.len() <= REMEMBERED);
    }
}
