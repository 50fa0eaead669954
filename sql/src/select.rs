//! Reading: a page by its position in the order, never by counting rows, so that what others write meanwhile
//! neither repeats an entry nor hides one.

use crate::column::TABLE;
use crate::row::Timestamptz;
use audit_format::cursor::{Key, Order};
use audit_format::event::{Field, Kind};
use audit_format::query::Query;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// Whether a row is in a chain. The identifier of zeros stands for none in a cursor.
const OWN: &str = "(num_nulls(event_id, chain, seq, hash) = 0 \
                   AND event_id <> '00000000-0000-0000-0000-000000000000')";

/// Where another writer's row stands among those of its time. Without an `id` that is its place in the table,
/// above all that are numbered; it stays where it is until somebody writes the row anew.
const POSITION: &str = "coalesce(id::bigint, (1::bigint << 62) + ((ctid::text::point)[0]::bigint << 16) \
                        + (ctid::text::point)[1]::bigint)";

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// TIMESTAMPTZ
    Time(Timestamptz),
    /// TEXT
    Text(String),
    /// BIGINT
    Integer(i64),
    /// UUID
    Uuid(Uuid),
}

/// The statement of a page.
#[derive(Clone, Debug)]
pub struct Select {
    matching: Conditions,
    /// What follows the conditions.
    rest: String,
    /// Counts the matching rows whose time is none that events have; it belongs to the first page.
    uncounted: Option<Conditions>,
}

impl Select {
    /// The statement; none where nothing can match.
    pub fn new(query: &Query) -> Option<Self> {
        let (first, last) = query.span();
        let mut matching = Conditions::default();
        if first > last || !matching.texts(query) {
            return None;
        }
        let (past, future) = (query.from == Timestamp::MIN, query.to == Timestamp::MAX);
        let uncounted = query.after.is_none().then(|| Conditions::uncounted(query, past, future));
        matching.compare("ts >=", Value::Time(first.into()));
        matching.compare("ts <=", Value::Time(last.into()));
        if let Some(after) = query.after {
            matching.after(&after, query.order);
        }
        // One more tells whether there is a next page.
        let more = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
        let more = matching.value(Value::Integer(more));
        let direction = if query.order == Order::OldestFirst { "ASC" } else { "DESC" };
        let rest = format!(
            "ORDER BY ts {direction}, own {direction}, CASE WHEN {OWN} THEN NULL ELSE {POSITION} END \
             {direction}, event_id {direction} LIMIT {more}",
        );
        Some(Self { matching, rest, uncounted: uncounted.flatten() })
    }

    /// The statement, whose rows [`read`](crate::row::read) takes: with the texts, or with their bytes in the
    /// database's encoding.
    pub fn sql(&self, bytes: bool) -> String {
        let text = |name: &str| match bytes {
            true => format!("convert_to({name}, getdatabaseencoding())"),
            false => name.into(),
        };
        let column = |field: Field| match field.kind() {
            Kind::Time => field.name().into(),
            Kind::Number => format!("{}::text", field.name()),
            Kind::Text | Kind::Optional => text(field.name()),
        };
        format!(
            "SELECT {}, event_id, chain, seq::text, {}, {POSITION}, {OWN} AS own FROM {TABLE} WHERE {} {}",
            Field::ALL.map(column).join(", "),
            text("hash"),
            self.matching.sql(),
            self.rest
        )
    }

    /// The values of the statement, in the order of its parameters.
    pub fn values(&self) -> &[Value] {
        &self.matching.values
    }

    /// Counts the rows that match, but whose time is none that events have: it belongs to the first page.
    /// None: there is nothing to count.
    pub fn count_of_timeless(&self) -> Option<(String, &[Value])> {
        let conditions = self.uncounted.as_ref()?;
        Some((format!("SELECT count(*) FROM {TABLE} WHERE {}", conditions.sql()), &conditions.values))
    }

    /// Whether it looks for a text that not every encoding has.
    pub fn is_beyond_ascii(&self) -> bool {
        self.matching.beyond_ascii
    }
}

/// What a row has to be; all values are parameters.
#[derive(Clone, Debug, Default)]
struct Conditions {
    parts: Vec<String>,
    values: Vec<Value>,
    beyond_ascii: bool,
}

impl Conditions {
    fn sql(&self) -> String {
        self.parts.join(" AND ")
    }

    /// The placeholder of a value.
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn compare(&mut self, left: &str, value: Value) {
        let value = self.value(value);
        self.parts.push(format!("{left} {value}"));
    }

    /// The texts that fields have to hold. False: no row can match.
    fn texts(&mut self, query: &Query) -> bool {
        for (field, text) in query.texts() {
            let column = field.name();
            if text.is_empty() && field.kind() != Kind::Optional {
                // What is missing is read as empty.
                self.parts.push(format!("({column} = '' OR {column} IS NULL)"));
            } else {
                self.compare(&format!("{column} ="), Value::Text(text.to_owned()));
            }
        }
        self.beyond_ascii = query.texts().any(|(_, text)| !text.is_ascii());
        // PostgreSQL has no text with this character, and takes none.
        !query.texts().any(|(_, text)| text.contains('\0'))
    }

    /// The rows after this one, at its time or later in the order.
    fn after(&mut self, key: &Key, order: Order) {
        let at = self.value(Value::Time(key.at.into()));
        let rest = match (key.id, order) {
            (Some(id), Order::OldestFirst) => {
                format!("ts > {at} OR ({OWN} AND event_id > {})", self.value(Value::Uuid(id)))
            }
            (Some(id), Order::NewestFirst) => {
                format!("ts < {at} OR NOT {OWN} OR event_id < {}", self.value(Value::Uuid(id)))
            }
            (None, order) => {
                let position = self.value(Value::Integer(key.position.offset.cast_signed()));
                match order {
                    Order::OldestFirst => format!("ts > {at} OR {OWN} OR {POSITION} > {position}"),
                    Order::NewestFirst => format!("ts < {at} OR (NOT {OWN} AND {POSITION} < {position})"),
                }
            }
        };
        self.parts.push(format!("({rest})"));
    }

    /// The rows that match but for a time that no event has, in the direction in which the filter sets no
    /// bound.
    fn uncounted(query: &Query, past: bool, future: bool) -> Option<Self> {
        if !past && !future {
            return None;
        }
        let mut conditions = Self::default();
        conditions.texts(query);
        let mut times = Vec::new();
        if past {
            let first = conditions.value(Value::Time(Timestamp::MIN.into()));
            times.push(format!("ts < {first}"));
        }
        if future {
            let last = conditions.value(Value::Time(Timestamp::MAX.into()));
            times.push(format!("ts > {last}"));
        }
        if past && future {
            times.push("ts IS NULL".into());
        }
        conditions.parts.push(format!("({})", times.join(" OR ")));
        Some(conditions)
    }
}
