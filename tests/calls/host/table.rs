//! The database of the host: a table in memory, whose key is the `id` of the entry.

use audit_format::cursor::{Key, Order};
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// Rows, in the order of insertion.
#[derive(Default)]
pub struct Table {
    pub rows: Vec<Row>,
    /// Whether it does not answer.
    pub down: bool,
}

pub struct Row {
    pub id: Uuid,
    /// The line, with its newline.
    pub line: String,
}

impl Table {
    /// Inserts lines. Rows that are stored already stay as they are.
    pub fn insert<'l>(&mut self, lines: impl Iterator<Item = &'l str>) {
        for line in lines {
            let parsed = parse_stored(line).expect("the component sends lines of entries");
            let id = parsed.stamp.expect("the component sends lines of entries").id;
            if self.rows.iter().all(|row| row.id != id) {
                self.rows.push(Row { id, line: format!("{line}\n") });
            }
        }
    }

    /// The lines of a page, and the cursor of the next one.
    pub fn select(&self, query: &Query) -> (Vec<&str>, Option<String>) {
        let mut found: Vec<(Key, &str)> =
            self.rows.iter().filter_map(|row| Some((row.key(query)?, &*row.line))).collect();
        found.sort_by(|(a, _), (b, _)| query.order.compare(a, b));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|(key, _)| key.to_row_cursor());
        (found.into_iter().map(|(_, line)| line).collect(), next)
    }
}

impl Row {
    /// Its key, if it is what the query asks for.
    fn key(&self, query: &Query) -> Option<Key> {
        let event = parse_stored(self.line.trim_end()).expect("it was parsed when it was inserted").event;
        let at = Timestamp::parse(&event.ts).expect("a stored time is valid");
        let key = Key::of_entry(at, self.id);
        let follows = |after: Key| match query.order {
            Order::OldestFirst => key > after,
            Order::NewestFirst => key < after,
        };
        let asked = (query.from..=query.to).contains(&at) && query.after.is_none_or(follows);
        (asked && query.texts_match(&event)).then_some(key)
    }
}
