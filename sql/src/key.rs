//! The key of the table: the columns of the unique index by which an entry is stored only once.

use alloc::string::String;
use alloc::vec::Vec;
use audit_format::event::{Field, Kind};

/// `event_id`, and the columns by which the table is partitioned: PostgreSQL has unique indexes over partitions only
/// where they include those. No entry is stored twice by that, because the fields of an entry never change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    others: Vec<String>,
}

impl Key {
    /// The key of a table that is partitioned by these columns; the empty name stands for an expression. The error is
    /// the first column that cannot be part of a key: it can be NULL, or is another one for the same entry.
    pub(crate) fn of(partitioned_by: &[String]) -> Result<Self, &str> {
        let mut key = Self::default();
        for column in partitioned_by {
            let is_set = |field: Field| matches!(field.kind(), Kind::Time | Kind::Text);
            match column.as_str() {
                "event_id" => {}
                name if !Field::named(name).is_some_and(is_set) => return Err(name),
                _ if key.others.contains(column) => {}
                _ => key.others.push(column.clone()),
            }
        }
        Ok(key)
    }

    /// The columns, such as `event_id, ts`.
    pub fn columns(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }

    /// Whether a unique index on these columns, in any order, is one on the key.
    pub(crate) fn is(&self, columns: &str) -> bool {
        let mut found: Vec<&str> = columns.split(',').collect();
        let mut needed: Vec<&str> = self.names().collect();
        found.sort_unstable();
        needed.sort_unstable();
        found == needed
    }

    /// Whether the column is part of the key.
    pub fn has(&self, column: &str) -> bool {
        self.names().any(|name| name == column)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        core::iter::once("event_id").chain(self.others.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::vec;

    use super::*;

    fn of(columns: &[&str]) -> Result<String, String> {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        Key::of(&columns).map(|key| key.columns()).map_err(str::to_owned)
    }

    #[test]
    fn a_key_has_the_columns_of_the_partitions_that_an_entry_never_changes() {
        assert_eq!(of(&[]), Ok("event_id".into()));
        assert_eq!(of(&["ts", "event_id", "ts"]), Ok("event_id, ts".into()));
        assert_eq!(of(&["workspace_id", "ts"]), Ok("event_id, workspace_id, ts".into()));
        for unset in ["id", "", "job_id", "chain", "duration_ms", "tenant"] {
            assert_eq!(of(&["ts", unset]), Err(unset.into()));
        }
    }

    #[test]
    fn an_index_serves_whatever_the_order_of_its_columns_is() {
        let key = Key { others: vec!["ts".into()] };
        for (columns, is) in
            [("event_id,ts", true), ("ts,event_id", true), ("event_id", false), ("ts", false)]
        {
            assert_eq!(key.is(columns), is, "{columns}");
        }
    }
}
