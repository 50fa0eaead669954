//! The formats in which events are shown.

use std::io;

use audit_format::attributes;
use audit_format::event::{Event, Field, Value};
use audit_format::line::{Parsed, STAMP_FIELDS, Stamp, put_attributes};
use audit_format::read::parse_stored;
use audit_format::show::escaped;
use uuid::Uuid;

use super::table::Table;

/// A format in which events are shown.
pub(super) trait Show {
    /// Stored lines as they are shown.
    fn show<'s>(&'s mut self, lines: &'s str) -> io::Result<&'s [u8]>;

    /// The titles of what there was no room for.
    fn left_out(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// The lines as they are stored.
pub(super) struct Jsonl;

impl Show for Jsonl {
    fn show<'s>(&'s mut self, lines: &'s str) -> io::Result<&'s [u8]> {
        Ok(lines.as_bytes())
    }
}

/// The twenty fields of each entry as comma-separated values (RFC 4180), with control characters escaped.
#[derive(Default)]
pub(super) struct Csv {
    has_header: bool,
    shown: Vec<u8>,
}

impl Show for Csv {
    fn show<'s>(&'s mut self, lines: &'s str) -> io::Result<&'s [u8]> {
        self.shown.clear();
        let mut out = csv::Writer::from_writer(&mut self.shown);
        if !self.has_header {
            out.write_record(Field::NAMES.iter().chain(&[attributes::NAME]).chain(&STAMP_FIELDS))?;
            self.has_header = true;
        }
        let mut json = Vec::new();
        for parsed in lines.lines().filter_map(|line| parse_stored(line).ok()) {
            write_row(&parsed, &mut json, &mut out)?;
        }
        out.flush()?;
        drop(out);
        Ok(&self.shown)
    }
}

/// Writes an entry as a row. `json` is room for its attributes.
fn write_row(
    Parsed { event, stamp }: &Parsed<'_>,
    json: &mut Vec<u8>,
    out: &mut csv::Writer<impl io::Write>,
) -> io::Result<()> {
    let mut digits = itoa::Buffer::new();
    for field in Field::ALL {
        match event.get(field) {
            Value::Text(text) => out.write_field(&*escaped(text))?,
            Value::Number(number) => out.write_field(digits.format(number))?,
            Value::Absent => out.write_field("")?,
        }
    }
    json.clear();
    if !event.attributes.is_empty() {
        put_attributes(&event.attributes, json);
    }
    out.write_field(&*escaped(&String::from_utf8_lossy(json)))?;
    match stamp {
        Some(Stamp { id, chain, seq, hash }) => {
            let mut text = Uuid::encode_buffer();
            out.write_field(id.hyphenated().encode_lower(&mut text))?;
            out.write_field(chain.hyphenated().encode_lower(&mut text))?;
            out.write_field(digits.format(*seq))?;
            out.write_field(&**hash)?;
        }
        None => ["", "", "0", ""].iter().try_for_each(|text| out.write_field(text))?,
    }
    Ok(out.write_record(None::<&[u8]>)?)
}

/// The most entries of one table. All of them are needed to know how wide the columns are.
const ROWS: usize = 1000;

/// Tables, each with what there is room for in it.
pub(super) struct Tables {
    table: Table,
    shown: String,
}

impl From<Table> for Tables {
    fn from(table: Table) -> Self {
        Self { table, shown: String::new() }
    }
}

impl Show for Tables {
    fn show<'s>(&'s mut self, lines: &'s str) -> io::Result<&'s [u8]> {
        self.shown.clear();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(ROWS);
        for event in lines.lines().filter_map(|line| Some(parse_stored(line).ok()?.event)) {
            events.push(event);
            if events.len() == ROWS {
                self.table.show(&events, &mut self.shown);
                events.clear();
            }
        }
        self.table.show(&events, &mut self.shown);
        Ok(self.shown.as_bytes())
    }

    fn left_out(&self) -> Vec<&'static str> {
        self.table.left_out()
    }
}

#[cfg(test)]
mod tests {
    use audit_format::attributes::Attribute;
    use audit_format::show::is_escaped;
    use proptest::prelude::*;

    use super::*;

    /// Texts with what is quoted, escaped or longer than a byte.
    fn any_text() -> impl Strategy<Value = String> {
        "[ a-z\"\\\\,\n\r\u{1b}\u{7f}\u{9b}\u{e9}\u{202e}\u{6f22}\u{1f44d}]{0,40}"
    }

    fn shown(text: &str) -> String {
        let escape = |char| match char {
            '\n' => r"\n".to_owned(),
            '\r' => r"\r".to_owned(),
            char if is_escaped(char) => format!("\\u{:04x}", u32::from(char)),
            char => char.to_string(),
        };
        text.chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn a_reader_of_the_csv_finds_every_field(
            texts in proptest::collection::vec([any_text(), any_text(), any_text()], 1..20),
            number in any::<u64>(),
        ) {
            let mut lines = Vec::new();
            for [tool, job, model] in &texts {
                let event = Event {
                    ts: "2026-11-23T06:30:00.123456Z".into(),
                    tool: tool.into(),
                    job_id: (!job.is_empty()).then(|| job.into()),
                    in_size: number,
                    attributes: vec![Attribute::new("model", model)],
                    ..Event::default()
                };
                let stamp = Stamp {
                    id: Uuid::from_u128(u128::from(number) + 1),
                    chain: Uuid::from_u128(7),
                    seq: number,
                    hash: "0f".repeat(32).into(),
                };
                audit_format::line::put_entry(&event, &stamp, &mut lines);
            }
            let (first, second) = lines.split_at(memchr::memchr(b'\n', &lines).unwrap() + 1);
            let mut csv = Csv::default();
            let mut out = csv.show(str::from_utf8(first).unwrap()).unwrap().to_vec();
            out.extend_from_slice(csv.show(str::from_utf8(second).unwrap()).unwrap());
            let mut reader = csv::Reader::from_reader(&*out);
            let names: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
            prop_assert_eq!(names.len(), 20);
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), texts.len());
            for ([tool, job, model], row) in texts.iter().zip(&rows) {
                let of = |name: &str| &row[names.iter().position(|known| known == name).unwrap()];
                prop_assert_eq!(of("tool"), shown(tool));
                prop_assert_eq!(of("job_id"), shown(job));
                prop_assert_eq!(of("in_size"), number.to_string());
                prop_assert_eq!(of("attributes"), shown(&serde_json::json!({ "model": model }).to_string()));
                prop_assert_eq!(of("id"), Uuid::from_u128(u128::from(number) + 1).to_string());
                prop_assert_eq!(of("seq"), number.to_string());
                prop_assert_eq!(of("hash"), "0f".repeat(32));
            }
        }
    }
}
