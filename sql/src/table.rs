//! What the table is like, what it lacks, and the statements that add that. Another program may have created
//! it, with only the columns of an event's fields, and with other types.

use crate::column::{self, TABLE, Type, columns};
use crate::key::Key;
use crate::statements::{self, SCHEMA};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The columns of each index that only saves time.
const INDEXES: [&str; 4] = ["ts", "tool,ts", "agent_id,ts", "workspace_id,ts"];

impl Type {
    /// Whether the column can hold all values of this type.
    fn fits(self, column: &Column) -> bool {
        match self {
            // `Table::problem` checks it.
            Self::Position => true,
            Self::Time => column.base == "timestamptz" && column.modifier < 0,
            Self::Text => column.base == "text",
            // https://github.com/postgres/postgres/blob/REL_18_0/src/backend/utils/adt/numeric.c:
            // make_numeric_typmod
            Self::Number => {
                let (precision, scale) = ((column.modifier - 4) >> 16, (column.modifier - 4) & 0x7ff);
                column.base == "numeric" && (column.modifier < 0 || precision - scale >= 20)
            }
            Self::Uuid => column.base == "uuid",
            Self::Json => column.base == "jsonb",
        }
    }

    /// The expression that converts a column of another type.
    fn converted(self, name: &str, column: &Column) -> String {
        match self {
            Self::Time if column.base == "timestamp" => format!("{name} AT TIME ZONE 'UTC'"),
            other => format!("{name}::{}", other.sql()),
        }
    }
}

/// A column of the existing table.
#[derive(Debug)]
struct Column {
    /// The name of its type; for a domain, of the domain's base type.
    base: String,
    /// The type modifier, such as a length or a precision; -1: none.
    modifier: i32,
    not_null: bool,
    /// Whether an insert must give it a value: the column or its domain is NOT NULL, and there is no default,
    /// no identity and no trigger.
    required: bool,
}

/// Whether an index is unique.
#[derive(Debug, PartialEq, Eq)]
enum Unique {
    No,
    Yes,
    /// It belongs to the deferrable constraint of this name.
    Deferrable(String),
}

/// The table as it was found.
#[derive(Debug)]
pub struct Table {
    /// The current role.
    pub role: String,
    /// The schema of the table, or the one in which it would be created; empty: there is none.
    pub schema: String,
    /// The kind of relation, as in `pg_class.relkind`: `r` and `p` are tables; none: there is no relation of
    /// the name.
    kind: Option<String>,
    columns: BTreeMap<String, Column>,
    /// The columns of each B-tree index, such as `tool,ts`, and what it is.
    indexes: Vec<(String, Unique)>,
    /// The columns by which it and its partitions are partitioned; empty: an expression.
    partitioned_by: Vec<String>,
    /// A partition that is a foreign table.
    foreign_partition: Option<String>,
    /// The commands for which row-level security has no policy for the role.
    unpoliced: Vec<String>,
    /// A rule that rewrites what is inserted or updated.
    rule: Option<String>,
}

/// The row that [`INSPECT`] returns.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// The current role.
    pub role: String,
    /// The schema of the table, or the one in which it would be created; empty: there is none.
    pub schema: String,
    /// The kind of relation, as in `pg_class.relkind`.
    pub kind: Option<String>,
    /// The columns: name, type, modifier, whether it may not be NULL, and whether it needs a value.
    pub columns: Vec<String>,
    /// The columns of each B-tree index, with ` unique` if it is, or ` deferrable` and its name if it is a deferrable
    /// constraint.
    pub indexes: Vec<String>,
    /// The columns by which the table and its partitions are partitioned; an expression has an empty name.
    pub partitioned_by: Vec<String>,
    /// A partition that is a foreign table.
    pub foreign_partition: Option<String>,
    /// `INSERT` and `SELECT`, where row-level security has no policy for the role.
    pub unpoliced: Vec<String>,
    /// A rule that rewrites what is inserted or updated.
    pub rule: Option<String>,
}

/// What the table lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lack {
    /// In words, such as `the column event_id`.
    pub what: Vec<String>,
    /// The statements that add it.
    pub sql: Vec<String>,
    /// Whether the table can be used without it, only more slowly.
    pub only_speed: bool,
}

/// The query whether the table is just as [`SCHEMA`] creates it, so that it need not be inspected, which takes the server
/// several times as long. It returns one row with a BOOLEAN, or none.
pub fn is_usual() -> String {
    let place = |name: &str| columns().position(|(column, _)| column == name).map_or(0, |place| place + 1);
    let columns: Vec<String> = columns()
        .map(|(name, kind)| {
            let (oid, modifier) = kind.catalog();
            let (not_null, default) = (["id", "ts"].contains(&name), name == "id");
            format!("{name} {oid} {modifier} {not_null} {default}")
        })
        .collect();
    let places =
        |list: &str| list.split(',').map(|name| place(name).to_string()).collect::<Vec<_>>().join(" ");
    let mut indexes: Vec<String> = INDEXES.into_iter().map(|list| format!("'{}'", places(list))).collect();
    indexes.push(format!("'{} unique'", place("event_id")));
    let (columns, indexes) = (columns.join(","), indexes.join(", "));
    // 403 is the access method btree.
    format!(
        "SELECT c.relkind = 'r' AND NOT (c.relrowsecurity OR c.relhasrules OR c.relhastriggers OR c.relhassubclass)
                AND (
                    SELECT pg_catalog.string_agg(
                        pg_catalog.format('%s %s %s %s %s', a.attname, a.atttypid, a.atttypmod,
                                          a.attnotnull::text, a.atthasdef::text), ',' ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                ) = '{columns}'
                AND (
                    SELECT ARRAY[{indexes}] <@ pg_catalog.array_agg(
                               i.indkey::text || CASE WHEN i.indisunique THEN ' unique' ELSE '' END
                           ) FILTER (WHERE i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                                           AND x.relam = 403) AND pg_catalog.bool_and(i.indimmediate)
                    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                    WHERE i.indrelid = c.oid
                )
         FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass('{TABLE}')"
    )
}

/// The query for what the table is like. It returns one row, with the fields of [`Inspected`] in their order. Any
/// role may read these catalogs.
pub const INSPECT: &str = "
    SELECT current_user::text,
           coalesce(n.nspname, current_schema(), '')::text,
           c.relkind::text,
           coalesce((
               SELECT pg_catalog.array_agg(a.attname::text || ' ' || coalesce(b.typname, t.typname) || ' '
                                || CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END || ' '
                                || a.attnotnull || ' '
                                || ((a.attnotnull OR t.typnotnull)
                                    AND NOT (a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL
                                             OR c.relhastriggers)))
               FROM pg_catalog.pg_attribute a
               JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
               LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           ), '{}'),
           coalesce((
               SELECT pg_catalog.array_agg((
                   SELECT string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k, false), ',' ORDER BY k)
                   FROM generate_series(1, i.indnkeyatts) k
               ) || CASE WHEN NOT i.indisunique THEN '' WHEN i.indimmediate THEN ' unique'
                    ELSE ' deferrable ' || x.relname END)
               FROM pg_catalog.pg_index i
               JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
               JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
               WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
           ), '{}'),
           tree.keys,
           tree.foreign_partition,
           CASE WHEN pg_catalog.row_security_active(c.oid) THEN ARRAY(
               SELECT needed.command
               FROM (VALUES ('INSERT', 'a'), ('SELECT', 'r')) AS needed (command, letter)
               WHERE NOT EXISTS (
                   SELECT FROM pg_catalog.pg_policy p
                   WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd::text IN ('*', needed.letter) AND EXISTS (
                       SELECT FROM unnest(p.polroles) AS role (oid)
                       WHERE CASE WHEN role.oid = 0 THEN true ELSE pg_catalog.pg_has_role(role.oid, 'USAGE') END
                   )
               )
           ) ELSE '{}' END,
           (
               SELECT w.rulename::text FROM pg_catalog.pg_rewrite w
               WHERE w.ev_class = c.oid AND w.ev_type::text IN ('2', '3') AND w.ev_enabled::text <> 'D'
               ORDER BY w.rulename LIMIT 1
           )
    FROM (SELECT pg_catalog.to_regclass('tool_audit_events') AS oid) named
    LEFT JOIN pg_catalog.pg_class c ON c.oid = named.oid
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        WITH RECURSIVE tree (oid) AS (
            SELECT c.oid
            UNION ALL
            SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid WHERE c.relkind = 'p'
        )
        SELECT ARRAY(
                   SELECT coalesce(a.attname::text, '')
                   FROM tree
                   JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = tree.oid
                   CROSS JOIN unnest(p.partattrs) AS key (attnum)
                   LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = key.attnum
               ) AS keys,
               (
                   SELECT f.oid::regclass::text FROM tree JOIN pg_catalog.pg_class f ON f.oid = tree.oid
                   WHERE f.relkind = 'f' ORDER BY 1 LIMIT 1
               ) AS foreign_partition
    ) tree";

impl Table {
    /// The table from the row that [`INSPECT`] returns.
    pub fn new(found: Inspected) -> Self {
        let column = |text: String| {
            let mut parts = text.rsplitn(5, ' ');
            let required = parts.next()? == "true";
            let not_null = parts.next()? == "true";
            let modifier = parts.next()?.parse().ok()?;
            let base = parts.next()?.to_owned();
            Some((parts.next()?.to_owned(), Column { base, modifier, not_null, required }))
        };
        let index = |text: String| match (text.strip_suffix(" unique"), text.split_once(" deferrable ")) {
            (Some(columns), _) => (columns.to_owned(), Unique::Yes),
            (None, Some((columns, name))) => (columns.to_owned(), Unique::Deferrable(name.to_owned())),
            (None, None) => (text, Unique::No),
        };
        Self {
            role: found.role,
            schema: found.schema,
            kind: found.kind,
            columns: found.columns.into_iter().filter_map(column).collect(),
            indexes: found.indexes.into_iter().map(index).collect(),
            partitioned_by: found.partitioned_by,
            foreign_partition: found.foreign_partition,
            unpoliced: found.unpoliced,
            rule: found.rule,
        }
    }

    /// A problem that no upgrade solves, if there is one.
    pub fn problem(&self) -> Option<String> {
        if !matches!(self.kind.as_deref(), None | Some("r" | "p")) {
            return Some(format!(
                "{TABLE} in the schema \"{}\" is not a table; accepted is a table, or no relation of this \
                 name",
                self.schema
            ));
        }
        let id = &self.columns.get("id")?.base;
        (!["int2", "int4", "int8"].contains(&id.as_str())).then(|| {
            format!(
                "the column id of the table {TABLE} is of the type {id}; accepted are SMALLINT, INTEGER and \
                 BIGINT"
            )
        })
    }

    /// The key by which entries are stored once.
    ///
    /// # Errors
    /// Why no unique index can tell entries apart, and what to do about it.
    pub fn key(&self) -> Result<Key, String> {
        let rename = format!(
            "rename this one, so that a new table is created: ALTER TABLE {TABLE} RENAME TO {TABLE}_partitioned"
        );
        if let Some(partition) = &self.foreign_partition {
            return Err(format!(
                "the partition {partition} of the table {TABLE} is a foreign table, so that no unique index can tell \
                 entries apart; detach it, or {rename}"
            ));
        }
        let unfit = |column: &&String| {
            let found = self.columns.get(*column);
            found.is_some_and(|found| columns().any(|(name, kind)| name == *column && !kind.fits(found)))
        };
        let key = Key::of(&self.partitioned_by);
        let unfit = self.partitioned_by.iter().find(unfit).map(String::as_str);
        let key = unfit.map_or(key, Err);
        key.map_err(|column| {
            let by = if column.is_empty() { "an expression".into() } else { format!("the column {column}") };
            format!(
                "the table {TABLE} is partitioned by {by}, so that no unique index can tell entries apart; accepted \
                 are partition keys of ts (TIMESTAMPTZ), event_id (UUID) and the texts that no event is without; \
                 {rename}"
            )
        })
    }

    /// What keeps all rows from being inserted, if there is something, and what to do about it.
    pub fn unwritable(&self) -> Option<String> {
        self.unfilled()
            .or_else(|| self.key().err())
            .or_else(|| self.deferrable())
            .or_else(|| self.rewritten())
            .or_else(|| self.unpoliced())
    }

    /// A deferrable constraint on the key keeps PostgreSQL from using another index too.
    fn deferrable(&self) -> Option<String> {
        let key = self.key().ok()?;
        self.indexes.iter().find_map(|(index, unique)| match unique {
            Unique::Deferrable(name) if key.is(index) => Some(format!(
                "the constraint {name} of the table {TABLE} is deferrable, with which PostgreSQL takes no INSERT with \
                 ON CONFLICT; let the table's owner run: ALTER TABLE {TABLE} DROP CONSTRAINT \"{name}\""
            )),
            _ => None,
        })
    }

    fn rewritten(&self) -> Option<String> {
        let rule = self.rule.as_ref()?;
        Some(format!(
            "the table {TABLE} has the rule {rule}, with which PostgreSQL takes no INSERT with ON CONFLICT; let the \
             table's owner make a trigger of it, and run: DROP RULE \"{rule}\" ON {TABLE}"
        ))
    }

    fn unpoliced(&self) -> Option<String> {
        let role = &self.role;
        let policies = self.unpoliced.iter().map(|command| {
            let (name, allows) = match command.as_str() {
                "SELECT" => ("read", "USING (true)"),
                _ => ("write", "WITH CHECK (true)"),
            };
            format!("CREATE POLICY audit_{name} ON {TABLE} FOR {command} TO \"{role}\" {allows}")
        });
        let policies = policies.collect::<Vec<_>>().join("; ");
        (!policies.is_empty()).then(|| {
            format!(
                "the row-level security of the table {TABLE} has no policy for {} that applies to the user \
                 \"{role}\", and an insert needs both: it looks for rows that are stored already; let the table's \
                 owner run: {policies}",
                self.unpoliced.join(" and ")
            )
        })
    }

    /// A column that no insert fills, if there is one, and what to do about it.
    fn unfilled(&self) -> Option<String> {
        let required = |(name, column): &(&String, &Column)| column.required && !column::is_written(name);
        let (name, _) = self.columns.iter().filter(required).min_by_key(|(name, _)| *name)?;
        Some(match name.as_str() {
            "id" => format!(
                "the column id of the table {TABLE} may not be NULL and has neither a default nor an \
                 identity; accepted is a column that PostgreSQL numbers; let the table's owner run this, \
                 with an n greater than all its ids: ALTER TABLE {TABLE} ALTER COLUMN id ADD GENERATED BY \
                 DEFAULT AS IDENTITY (START WITH n)"
            ),
            name => unwritten(name),
        })
    }

    /// Whether a relation of the name exists.
    pub fn exists(&self) -> bool {
        self.kind.is_some()
    }

    /// What the table lacks; none: it is complete.
    pub fn lack(&self) -> Option<Lack> {
        if !self.exists() {
            return Some(Lack {
                what: vec!["the table".into()],
                sql: statements::of(SCHEMA),
                only_speed: false,
            });
        }
        let mut lack = Lack { only_speed: true, ..Lack::default() };
        self.compare_columns(&mut lack);
        for columns in INDEXES {
            if !self.indexes.iter().any(|(index, _)| begins_with(index, columns)) {
                let list = columns.replace(',', ", ");
                lack.what.push(format!("the index on ({list})"));
                lack.sql.push(format!("CREATE INDEX ON {TABLE} ({list})"));
            }
        }
        if let Ok(key) = self.key()
            && !self.indexes.iter().any(|(index, unique)| *unique == Unique::Yes && key.is(index))
        {
            let list = key.columns();
            lack.only_speed = false;
            lack.what.push(format!("the unique index on ({list})"));
            lack.sql.push(format!("CREATE UNIQUE INDEX ON {TABLE} ({list})"));
        }
        if !lack.only_speed {
            lack.sql.push(statements::refused_table());
        }
        (!lack.sql.is_empty()).then_some(lack)
    }

    /// Whether there is an index with which rows are found by their time.
    pub fn has_time_index(&self) -> bool {
        self.columns.get("ts").is_some_and(|ts| Type::Time.fits(ts))
            && self.indexes.iter().any(|(index, _)| begins_with(index, "ts"))
    }

    fn compare_columns(&self, lack: &mut Lack) {
        // All in one statement, because each may rewrite the whole table.
        let mut actions = Vec::new();
        for (name, kind) in columns() {
            match self.columns.get(name) {
                // Without NOT NULL: existing rows have no value.
                None => {
                    lack.what.push(format!("the column {name}"));
                    actions.push(format!("ADD COLUMN {name} {}", kind.sql()));
                }
                Some(column) if !kind.fits(column) => {
                    lack.what.push(format!("the type {} of the column {name}", kind.sql()));
                    actions.push(format!(
                        "ALTER COLUMN {name} TYPE {} USING {}",
                        kind.sql(),
                        kind.converted(name, column)
                    ));
                }
                Some(_) => {}
            }
            if column::is_optional(name) && self.columns.get(name).is_some_and(|column| column.not_null) {
                lack.what.push(format!("NULL in the column {name}"));
                actions.push(format!("ALTER COLUMN {name} DROP NOT NULL"));
            }
        }
        if !actions.is_empty() {
            lack.only_speed = false;
            lack.sql.push(format!("ALTER TABLE {TABLE} {}", actions.join(", ")));
        }
    }
}

/// The message about a column that may not be NULL, and that no event has a value for.
pub fn unwritten(column: &str) -> String {
    format!(
        "the column {column} of the table {TABLE} may not be NULL and has no default, and no event has a \
         value for it; give it a default, or let the table's owner run: ALTER TABLE {TABLE} ALTER COLUMN \
         {column} DROP NOT NULL"
    )
}

/// The message that there is no schema for the table.
pub fn without_schema(role: &str) -> String {
    format!(
        "the search path names no schema that exists and that the user \"{role}\" may use, so there is no \
         schema for the table {TABLE}; create a schema that it names, or name another one, such as with \
         options=-csearch_path%3Dpublic in the database URL"
    )
}

/// Whether the index can be used in place of one on these columns.
fn begins_with(index: &str, columns: &str) -> bool {
    index.strip_prefix(columns).is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}
