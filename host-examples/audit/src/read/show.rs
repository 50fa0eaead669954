//! The formats in which events are shown.

use std::borrow::Cow;
use std::io;

use audit_format::attributes::{self, Attribute};
use audit_format::event::{Event, Field, Value};
use audit_format::line::STAMP_FIELDS;
use audit_format::read::parse_stored;
use audit_format::show::escaped;

use super::table::Table;

/// A format in which events are shown.
pub(super) trait Show {
    /// How many events are read at once.
    fn page_size(&self) -> u32;

    /// Stored lines as they are shown.
    fn show<'l>(&mut self, lines: &'l str) -> io::Result<Cow<'l, [u8]>>;

    /// The titles of what there was no room for.
    fn left_out(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// The lines as they are stored.
pub(super) struct Jsonl;

impl Show for Jsonl {
    // A large page, because each page searches the files again. The component ends a page that takes more
    // than 64 MiB of its memory.
    fn page_size(&self) -> u32 {
        50_000
    }

    fn show<'l>(&mut self, lines: &'l str) -> io::Result<Cow<'l, [u8]>> {
        Ok(lines.as_bytes().into())
    }
}

/// The twenty fields of each entry as comma-separated values (RFC 4180), with control characters escaped.
#[derive(Default)]
pub(super) struct Csv {
    has_header: bool,
}

impl Show for Csv {
    fn page_size(&self) -> u32 {
        50_000
    }

    fn show<'l>(&mut self, lines: &'l str) -> io::Result<Cow<'l, [u8]>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        if !self.has_header {
            out.write_record(Field::NAMES.iter().chain(&[attributes::NAME]).chain(&STAMP_FIELDS))?;
            self.has_header = true;
        }
        for parsed in lines.lines().filter_map(|line| parse_stored(line).ok()) {
            for field in Field::ALL {
                out.write_field(cell(parsed.event.get(field)).as_bytes())?;
            }
            out.write_field(escaped(&json(&parsed.event.attributes)).as_bytes())?;
            let stamp = match parsed.stamp {
                Some(stamp) => [
                    stamp.id.to_string(),
                    stamp.chain.to_string(),
                    stamp.seq.to_string(),
                    stamp.hash.into_owned(),
                ],
                None => [String::new(), String::new(), "0".into(), String::new()],
            };
            stamp.iter().try_for_each(|text| out.write_field(text))?;
            out.write_record(None::<&[u8]>)?;
        }
        out.into_inner().map(Cow::Owned).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// The value of a field as text. Empty if there is no value.
fn cell(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text) => escaped(text),
        Value::Number(number) => number.to_string().into(),
        Value::Absent => "".into(),
    }
}

/// Attributes as a JSON object. Empty if there are none.
fn json(attributes: &[Attribute<'_>]) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let pair = |pair: &Attribute<'_>| (pair.key.to_string(), pair.value.to_string().into());
    serde_json::Value::Object(attributes.iter().map(pair).collect()).to_string()
}

/// The most entries of one table. All of them are needed to know how wide the columns are.
const ROWS: usize = 1000;

impl Show for Table {
    fn page_size(&self) -> u32 {
        10_000
    }

    fn show<'l>(&mut self, lines: &'l str) -> io::Result<Cow<'l, [u8]>> {
        let events: Vec<Event<'_>> =
            lines.lines().filter_map(|line| Some(parse_stored(line).ok()?.event)).collect();
        let mut out = String::new();
        for events in events.chunks(ROWS) {
            Self::show(self, events, &mut out);
        }
        Ok(out.into_bytes().into())
    }

    fn left_out(&self) -> Vec<&'static str> {
        Self::left_out(self)
    }
}
