//! SQL in one line of a test. Each call opens a connection of its own.

use postgres::error::{DbError, Error};
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::odd;

/// The rows of an answer, with their columns as text and `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

pub fn try_sql(url: &str, sql: &str) -> Result<Rows, Error> {
    let mut client = Client::connect(url, NoTls)?;
    if odd::is_asked_for() {
        client.batch_execute(odd::USUAL)?;
    }
    let messages = client.simple_query(sql)?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

pub fn sql(url: &str, sql: &str) -> Rows {
    try_sql(url, sql).unwrap_or_else(|error| {
        let message = error.as_db_error().map(DbError::message);
        panic!("`{sql}`: {}", message.map_or_else(|| error.to_string(), str::to_owned))
    })
}

/// The text as a string literal of SQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
