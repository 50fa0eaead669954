//! Bindings generated from the WIT, and Spin's interface as the driver of the database.

use alloc::string::String;
use alloc::vec::Vec;

use crate::link::{self, Driver, Fault, Parameter, Report, Value};

wit_bindgen::generate!({
    path: ["../../../wit", "wit/postgres", "wit/variables", "wit"],
    world: "audit:spin/postgres-adapter",
    generate_all,
    pub_export_macro: true,
});

use audit::store::types;
use spin::postgres::postgres::{Connection, DbValue, Error, ParameterValue, QueryError};

audit_format::event_record!(types::Event, types::Attribute);
audit_format::filter_record!(types::Filter);

/// Spin, which pools the connections.
pub struct Spin;

impl Driver for Spin {
    type Connection = Connection;

    fn open(&self, address: &str) -> Result<Connection, Fault> {
        Connection::open(address).map_err(Fault::from)
    }
}

impl link::Connection for Connection {
    fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<Value>>, Fault> {
        let answer = Connection::query(self, statement, &values(parameters))?;
        Ok(answer.rows.into_iter().map(|row| row.into_iter().map(Value::from).collect()).collect())
    }

    fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Fault> {
        Ok(Connection::execute(self, statement, &values(parameters))?)
    }
}

fn values(parameters: &[Parameter<'_>]) -> Vec<ParameterValue> {
    let value = |parameter: &Parameter<'_>| match parameter {
        Parameter::Text(text) => ParameterValue::Str(String::from(*text)),
        Parameter::Number(number) => ParameterValue::Int64(*number),
        Parameter::Null => ParameterValue::DbNull,
    };
    parameters.iter().map(value).collect()
}

impl From<DbValue> for Value {
    fn from(value: DbValue) -> Self {
        match value {
            DbValue::Str(text) => Self::Text(text),
            DbValue::Int64(number) => Self::Number(number),
            DbValue::ArrayStr(texts) => Self::Texts(texts.into_iter().flatten().collect()),
            DbValue::DbNull => Self::Null,
            _ => Self::Other,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionFailed(text) => Self::NotConnected(text),
            Error::QueryFailed(QueryError::Text(text)) => Self::Broken(text),
            Error::QueryFailed(QueryError::DbError(error)) => Self::Server(Report {
                severity: error.severity,
                code: error.code,
                message: error.message,
                detail: error.detail,
                extras: error.extras,
            }),
            Error::BadParameter(text) | Error::ValueConversionFailed(text) | Error::Other(text) => {
                Self::Unusable(text)
            }
        }
    }
}
