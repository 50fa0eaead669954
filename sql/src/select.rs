//! Reading: a page starts after the key of the page before, and not after a number of rows. So rows that
//! others insert meanwhile neither repeat entries nor hide them.

use crate::column::TABLE;
use crate::row::Timestamptz;
use audit_format::cursor::{Key, Order};
use audit_format::event::{Field, Kind};
use audit_format::query::Query;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// The condition that a store wrote a row. An identifier of zeros does not count, because in a cursor it
/// means that there is none.
const OWN: &str = "(num_nulls(event_id, chain, seq, hash) = 0 \
                   AND event_id <> '00000000-0000-0000-0000-000000000000')";

/// The position of another writer's row, which orders those of the same time: its `id`. A row without an `id`
/// comes after those with one, in the order of its place in the table, which stays the same until the row is
/// updated.
const POSITION: &str = "coalesce(id::bigint, (1::bigint << 62) + ((ctid::text::point)[0]::bigint << 16) \
                        + (ctid::text::point)[1]::bigint)";

/// The value of a parameter.
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

/// The statement that reads a page.
#[derive(Clone, Debug)]
pub struct Select {
    matching: Conditions,
    /// The SQL after the conditions.
    rest: String,
    /// The conditions of matching rows whose time no event can have. They are counted with the first page.
    timeless: Option<Conditions>,
}

impl Select {
    /// The statement of the page that `query` asks for; none: no row can match.
    pub fn new(query: &Query) -> Option<Self> {
        let (first, last) = query.span();
        let mut matching = Conditions::default();
        if first > last || !matching.texts(query) {
            return None;
        }
        let (past, future) = (query.from == Timestamp::MIN, query.to == Timestamp::MAX);
        let timeless = query.after.is_none().then(|| Conditions::timeless(query, past, future));
        matching.compare("ts >=", Value::Time(first.into()));
        matching.compare("ts <=", Value::Time(last.into()));
        if let Some(after) = query.after {
            matching.after(&after, query.order);
        }
        // One row more than the page's limit shows whether there is a next page.
        let more = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
        let more = matching.value(Value::Integer(more));
        let direction = if query.order == Order::OldestFirst { "ASC" } else { "DESC" };
        let rest = format!(
            "ORDER BY ts {direction}, own {direction}, CASE WHEN {OWN} THEN NULL ELSE {POSITION} END \
             {direction}, event_id {direction} LIMIT {more}",
        );
        Some(Self { matching, rest, timeless: timeless.flatten() })
    }

    /// The SQL, whose rows [`read`](crate::row::read) takes. It returns texts, or with `bytes` their bytes in
    /// the database's encoding.
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

    /// The values of the parameters, in their order.
    pub fn values(&self) -> &[Value] {
        &self.matching.values
    }

    /// The statement that counts matching rows whose time no event can have, and its values. It is for the
    /// first page. None: there is nothing to count.
    pub fn count_of_timeless(&self) -> Option<(String, &[Value])> {
        let conditions = self.timeless.as_ref()?;
        Some((format!("SELECT count(*) FROM {TABLE} WHERE {}", conditions.sql()), &conditions.values))
    }

    /// Whether it filters by a text that is not ASCII, which the database's encoding may lack.
    pub fn is_beyond_ascii(&self) -> bool {
        self.matching.beyond_ascii
    }
}

/// Conditions on rows. All values are parameters.
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

    /// Adds a value, and returns its placeholder.
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn compare(&mut self, left: &str, value: Value) {
        let value = self.value(value);
        self.parts.push(format!("{left} {value}"));
    }

    /// Adds the texts that fields must have. False: no row can match.
    fn texts(&mut self, query: &Query) -> bool {
        for (field, text) in query.texts() {
            let column = field.name();
            if text.is_empty() && field.kind() != Kind::Optional {
                // NULL is read as an empty text.
                self.parts.push(format!("({column} = '' OR {column} IS NULL)"));
            } else {
                self.compare(&format!("{column} ="), Value::Text(text.to_owned()));
            }
        }
        self.beyond_ascii = query.texts().any(|(_, text)| !text.is_ascii());
        // PostgreSQL's texts cannot have this character, not even as parameters.
        !query.texts().any(|(_, text)| text.contains('\0'))
    }

    /// Adds that rows come after this key in the order. The caller has limited their time to the key's or
    /// later in the order.
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

    /// The matching rows whose time no event can have, in each direction without a bound in the filter.
    fn timeless(query: &Query, past: bool, future: bool) -> Option<Self> {
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
