//! Spin's interface for PostgreSQL: a pool of connections for each address, errors as texts and as the server's, and rows that
//! come as a whole.

#![allow(clippy::result_large_err, reason = "the error is generated from the WIT, where it has this size")]

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use ::postgres::config::Host as Place;
use ::postgres::types::private::BytesMut;
use ::postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use ::postgres::{Client, Config, NoTls, Row};
use anyhow::Context;
use wasmtime::component::Resource;

use crate::bindings::spin::spin::postgres::postgres::{
    Column, DbDataType, DbError, DbValue, Error, Host, HostConnection, ParameterValue, QueryError, RowSet,
};
use crate::state::State;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 128 << 20;

/// How Spin makes a session as good as new before it gives it to somebody again: deadpool's `RecyclingMethod::Clean`.
const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;";

/// The connections that nobody uses, by their address.
#[derive(Default)]
pub struct Pools(Mutex<HashMap<String, Vec<Client>>>);

impl Pools {
    fn take(&self, address: &str) -> Option<Client> {
        loop {
            let mut client = self.lock().get_mut(address)?.pop()?;
            if !client.is_closed() && client.batch_execute(CLEAN).is_ok() {
                return Some(client);
            }
        }
    }

    fn put(&self, address: String, client: Client) {
        self.lock().entry(address).or_default().push(client);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Client>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in use. Dropped, it goes back into its pool.
pub struct Pooled {
    pools: Arc<Pools>,
    address: String,
    client: Option<Client>,
}

impl Pooled {
    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is there until the drop")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.pools.put(std::mem::take(&mut self.address), client);
        }
    }
}

impl Host for State {}

impl HostConnection for State {
    fn open(&mut self, address: String) -> Result<Resource<Pooled>, Error> {
        let failed = |text: String| Error::ConnectionFailed(text);
        let config: Config = address.parse().map_err(|error: ::postgres::Error| failed(error.to_string()))?;
        for (n, place) in config.get_hosts().iter().enumerate() {
            let Place::Tcp(host) = place else {
                return Err(failed("Unix sockets are not supported on WebAssembly".into()));
            };
            let port = config.get_ports().get(n).or(config.get_ports().first()).copied().unwrap_or(5432);
            let called = format!("{host}:{port}");
            if !self.allowed.contains(&called) {
                return Err(failed(format!("address postgres://{called} is not permitted")));
            }
        }
        let client = match self.pools.take(&address) {
            Some(client) => client,
            None => {
                let client = config.connect(NoTls);
                let client = client.context("Error occurred while creating a new object");
                client.map_err(|error| failed(format!("{error:?}")))?
            }
        };
        let pooled = Pooled { pools: Arc::clone(&self.pools), address, client: Some(client) };
        self.table.push(pooled).map_err(|_| failed("too many connections".into()))
    }

    fn query(
        &mut self,
        connection: Resource<Pooled>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let parameters = parameters(&params)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value).collect();
        let rows = self.pooled(&connection)?.client().query(&statement, &parameters).map_err(query_failed)?;
        let columns = rows.first().map(columns).unwrap_or_default();
        let mut bytes = 0;
        let mut values = Vec::with_capacity(rows.len());
        for row in &rows {
            let row: Vec<DbValue> = (0..row.len()).map(|n| value(row, n)).collect::<Result<_, _>>()?;
            bytes += row.iter().map(size).sum::<usize>();
            if bytes > MAX_ANSWER {
                return Err(text(format!("query result exceeds limit of {MAX_ANSWER} bytes")));
            }
            values.push(row);
        }
        Ok(RowSet { columns, rows: values })
    }

    fn execute(
        &mut self,
        connection: Resource<Pooled>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let parameters = parameters(&params)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value).collect();
        self.pooled(&connection)?.client().execute(&statement, &parameters).map_err(query_failed)
    }

    fn drop(&mut self, connection: Resource<Pooled>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl State {
    fn pooled(&mut self, connection: &Resource<Pooled>) -> Result<&mut Pooled, Error> {
        self.table.get_mut(connection).map_err(|_| Error::ConnectionFailed("no connection found".into()))
    }
}

fn text(text: String) -> Error {
    Error::QueryFailed(QueryError::Text(text))
}

fn query_failed(error: ::postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    let Some(db) = error.as_db_error() else { return text(as_text) };
    let line = db.line().map(|line| line.to_string());
    let extras = [
        ("column", db.column()),
        ("constraint", db.constraint()),
        ("routine", db.routine()),
        ("hint", db.hint()),
        ("table", db.table()),
        ("datatype", db.datatype()),
        ("schema", db.schema()),
        ("file", db.file()),
        ("line", line.as_deref()),
        ("where_", db.where_()),
    ];
    let extras = extras.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: db.severity().to_owned(),
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: db.detail().map(str::to_owned),
        extras: extras.collect(),
    }))
}

/// NULL, for a parameter of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn parameters(values: &[ParameterValue]) -> Result<Vec<Box<dyn ToSql + Sync>>, Error> {
    let parameter = |value: &ParameterValue| -> Result<Box<dyn ToSql + Sync>, Error> {
        match value {
            ParameterValue::Str(text) => Ok(Box::new(text.clone())),
            ParameterValue::Int64(number) => Ok(Box::new(*number)),
            ParameterValue::DbNull => Ok(Box::new(Null)),
            other => Err(Error::ValueConversionFailed(format!("no test has needed {other:?} yet"))),
        }
    };
    values.iter().map(parameter).collect()
}

fn columns(row: &Row) -> Vec<Column> {
    let column = |column: &::postgres::Column| {
        let data_type = match *column.type_() {
            Type::INT8 => DbDataType::Int64,
            Type::TEXT => DbDataType::Str,
            Type::TEXT_ARRAY => DbDataType::ArrayStr,
            ref other => DbDataType::Other(other.name().to_owned()),
        };
        Column { name: column.name().to_owned(), data_type }
    };
    row.columns().iter().map(column).collect()
}

fn value(row: &Row, n: usize) -> Result<DbValue, Error> {
    let value = match *row.columns()[n].type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(n).map(|value| value.map(DbValue::Int64)),
        Type::TEXT => row.try_get::<_, Option<String>>(n).map(|value| value.map(DbValue::Str)),
        Type::TEXT_ARRAY => {
            row.try_get::<_, Option<Vec<Option<String>>>>(n).map(|value| value.map(DbValue::ArrayStr))
        }
        _ => Ok(Some(DbValue::Unsupported(Vec::new()))),
    };
    let value = value.map_err(|error| text(format!("{error:?}: {:?}", error.source())))?;
    Ok(value.unwrap_or(DbValue::DbNull))
}

fn size(value: &DbValue) -> usize {
    let owned = match value {
        DbValue::Str(text) => text.len(),
        DbValue::ArrayStr(texts) => texts.iter().flatten().map(String::len).sum(),
        _ => 0,
    };
    size_of::<DbValue>() + owned
}
