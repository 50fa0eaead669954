//! What an error of the server means for a statement, and the messages about it.

use crate::column::{self, TABLE};
use crate::table;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// An error as the server sent it:
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerError<'e> {
    /// The SQLSTATE, such as `23505`: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub code: &'e str,
    /// The primary message.
    pub message: &'e str,
    /// The detail.
    pub detail: Option<&'e str>,
    /// Where it happened, such as in a trigger.
    pub context: Option<&'e str>,
    /// The column that it is about.
    pub column: Option<&'e str>,
    /// The constraint that it is about.
    pub constraint: Option<&'e str>,
    /// The function in the server's source code that reported it.
    pub routine: Option<&'e str>,
}

/// How messages name the server, the user and the database.
#[derive(Clone, Debug)]
pub struct Names {
    /// Host and port, such as `127.0.0.1:5432`.
    pub server: String,
    /// The user, such as `the user "audit"`.
    pub user: String,
    /// The database, such as `database "audit"`.
    pub database: String,
}

/// What an error of the server means for the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The database refuses a row.
    Refused,
    /// The same statement may succeed later.
    Unavailable,
    /// The same statement would fail again.
    Other,
}

/// Why a statement failed, as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The same statement may succeed later.
    Unavailable(String),
    /// The same statement would fail again.
    Other(String),
}

impl ServerError<'_> {
    /// Why the database refuses a row of the statement, without the row's values; none: the error is about
    /// something else.
    pub fn refusal(&self) -> Option<String> {
        (meaning(self) == Meaning::Refused).then(|| reason(self))
    }

    /// The server's message, if the same statement would fail again.
    pub fn lasting(&self) -> Option<String> {
        (meaning(self) != Meaning::Unavailable).then(|| reason(self))
    }

    /// Whether the server session is not the expected one: a prepared statement is unknown, is another one,
    /// or its name is taken.
    pub fn meets_another_session(&self) -> bool {
        // invalid_sql_statement_name, duplicate_prepared_statement, protocol_violation
        ["26000", "42P05", "08P01"].contains(&self.code)
    }

    /// Whether the server, or a pooler in front of it, has no connection left for this client. Others may end theirs soon.
    pub fn is_crowded(&self) -> bool {
        // too_many_connections; PgBouncer's max_client_conn has had the SQLSTATE of any protocol violation
        self.code == "53300" || (self.code == "08P01" && self.message.contains("no more connections allowed"))
    }

    /// Whether the server has ended the transaction in favour of another one, so that it can be repeated at once.
    pub fn is_contended(&self) -> bool {
        // serialization_failure, deadlock_detected
        ["40001", "40P01"].contains(&self.code)
    }

    /// Whether the server has become read-only, because another one has taken over.
    pub fn only_reads(&self) -> bool {
        self.code == "25006"
    }

    /// Whether a privilege or the table's schema is missing.
    pub fn is_denied(&self) -> bool {
        // insufficient_privilege, invalid_schema_name
        ["42501", "3F000"].contains(&self.code)
    }

    /// Whether the server does not support the statement for such a table.
    pub fn is_not_supported(&self) -> bool {
        self.code == "0A000"
    }

    /// Whether the table is missing, or lacks something that the statement needs.
    pub fn lacks_table(&self) -> bool {
        // undefined_table, undefined_column, and invalid_column_reference: no unique index for ON CONFLICT
        ["42P01", "42703", "42P10"].contains(&self.code)
    }

    /// Whether the statement was ended because it took longer than `statement_timeout`, or somebody ended it.
    pub fn is_cancelled(&self) -> bool {
        // query_canceled
        self.code == "57014"
    }

    /// Whether a stored text is not valid in the database's encoding.
    pub fn is_not_in_encoding(&self) -> bool {
        self.code == "22021"
    }

    /// Whether a text has a character that the database's encoding lacks.
    pub fn is_not_translatable(&self) -> bool {
        self.code == "22P05"
    }

    /// Whether a pooler, PgBouncer, does not take a parameter of the connection, such as `options`. It translates no
    /// message.
    fn refuses_a_parameter(&self) -> bool {
        self.code == "08P01" && self.message.starts_with("unsupported startup parameter")
    }

    /// The message about the failed statement.
    pub fn explain(&self, names: &Names) -> Reason {
        let Names { server, user, database } = names;
        let message = one_line(self.message);
        if meaning(self) == Meaning::Unavailable {
            return Reason::Unavailable(format!("the database is not available ({server}): {message}"));
        }
        if let Some(column) = unwritten(self) {
            return Reason::Other(table::unwritten(column));
        }
        if self.refuses_a_parameter() {
            return Reason::Other(format!(
                "the pooler in front of the database does not take the parameter ({server}): {message}; leave options \
                 out of the database URL, and set the search path for the role instead (ALTER ROLE … SET search_path = \
                 …), or list options in PgBouncer's ignore_startup_parameters, so that it drops them"
            ));
        }
        Reason::Other(match self.code {
            "28P01" => format!(
                "the database refuses {user}: password authentication failed; check user and password in \
                 the database URL"
            ),
            code if code.starts_with("28") => format!(
                "the database refuses {user}: {message}; check the database URL, and the server's \
                 pg_hba.conf"
            ),
            "3D000" | "57P04" => {
                format!("there is no {database} ({server}); create it, or name another in the database URL")
            }
            "42501" => format!(
                "{user} lacks a privilege: {message}; grant the user SELECT and INSERT on {TABLE}, and USAGE \
                 on the sequence of its column id"
            ),
            "2200H" => format!(
                "the table {TABLE} takes no more rows: {message}; let its owner run: ALTER TABLE {TABLE} \
                 ALTER COLUMN id TYPE BIGINT, and ALTER SEQUENCE … AS BIGINT NO MAXVALUE for that sequence"
            ),
            code => format!("the database cannot run the statement ({server}): {message} (SQLSTATE {code})"),
        })
    }
}

fn meaning(error: &ServerError<'_>) -> Meaning {
    // A row-level security policy that refuses a row has the SQLSTATE of a missing privilege. The message
    // cannot tell them apart, because it may be in any language.
    if error.code == "42501" && error.routine == Some("ExecWithCheckOptions") {
        return Meaning::Refused;
    }
    // sequence_generator_limit_exceeded
    if error.code == "2200H" || error.refuses_a_parameter() || unwritten(error).is_some() {
        return Meaning::Other;
    }
    match (error.code.get(..2).unwrap_or_default(), error.code) {
        ("22" | "23" | "44" | "54" | "P0", _) => Meaning::Refused,
        (_, "57P04") => Meaning::Other,
        ("08" | "40" | "53" | "57" | "58" | "XX", _) | (_, "25006" | "55P03") => Meaning::Unavailable,
        _ => Meaning::Other,
    }
}

/// The column that may not be NULL, if no row has a value for it. An error with a context is not such a one:
/// what a trigger stores elsewhere depends on the row.
fn unwritten<'e>(error: &ServerError<'e>) -> Option<&'e str> {
    // not_null_violation
    let column = error.column.filter(|_| error.code == "23502")?;
    (error.context.is_none() && !column::is_written(column)).then_some(column)
}

/// The server's message, without the values of the row. The detail may have such values, so it is left out,
/// except where it names what prevents an upgrade.
fn reason(error: &ServerError<'_>) -> String {
    let mut text = one_line(error.message);
    if let Some(detail) = error.detail.filter(|_| error.is_not_supported()) {
        text.push_str(&format!(" ({})", one_line(detail)));
    }
    if error.is_not_in_encoding() || error.is_not_translatable() {
        text = without_bytes(&text);
    } else if error.code.starts_with("22") {
        // Messages about invalid values quote them.
        text = without_quoted(&text);
    }
    for (kind, name) in [("constraint", error.constraint), ("column", error.column)] {
        if let Some(name) = name.filter(|name| !text.contains(*name)) {
            text.push_str(&format!(" ({kind} {name})"));
        }
    }
    text
}

/// The text without what is between its first and its last quote: a quoted value may contain quotes itself.
/// Also knows the quotes of PostgreSQL's translations.
fn without_quoted(text: &str) -> String {
    let is_quote = |sign| matches!(sign, '"' | '«' | '»' | '„' | '“' | '”');
    match (text.split_once(is_quote), text.rsplit_once(is_quote)) {
        (Some((before, rest)), Some((_, after))) if rest.contains(is_quote) => format!("{before}…{after}"),
        _ => text.into(),
    }
}

/// The text without the bytes that are not valid in an encoding, such as `0xe2 0x82 0xac`. The encodings are quoted too,
/// and stay.
fn without_bytes(text: &str) -> String {
    let is_byte = |word: &str| word.strip_prefix("0x").is_some_and(|digits| !digits.is_empty());
    let mut words: Vec<&str> = text.split(' ').map(|word| if is_byte(word) { "…" } else { word }).collect();
    words.dedup_by(|next, word| *next == "…" && *word == "…");
    words.join(" ")
}

/// The text on one line.
pub fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_left_out_of_messages_in_any_language() {
        for (text, expected) in [
            (r#"invalid input syntax for type integer: "a"b""#, "invalid input syntax for type integer: …"),
            ("ungültige Eingabesyntax für Typ integer: »abc«", "ungültige Eingabesyntax für Typ integer: …"),
            ("la valeur « abc » est en dehors des limites", "la valeur … est en dehors des limites"),
            (r#"value "300" is out of range"#, "value … is out of range"),
            ("integer out of range", "integer out of range"),
            (r#"one " alone"#, r#"one " alone"#),
        ] {
            assert_eq!(without_quoted(text), expected);
        }
    }

    #[test]
    fn encodings_are_named_without_the_bytes_of_the_text() {
        for (code, message, expected) in [
            (
                "22P05",
                r#"character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1""#,
                r#"character with byte sequence … in encoding "UTF8" has no equivalent in encoding "LATIN1""#,
            ),
            (
                "22021",
                r#"invalid byte sequence for encoding "UTF8": 0xff"#,
                r#"invalid byte sequence for encoding "UTF8": …"#,
            ),
            (
                "22021",
                "ungültige Byte-Sequenz für Kodierung »UTF8«: 0xe4 0x20",
                "ungültige Byte-Sequenz für Kodierung »UTF8«: …",
            ),
        ] {
            assert_eq!(reason(&ServerError { code, message, ..ServerError::default() }), expected);
        }
    }
}
