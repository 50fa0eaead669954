//! Converts values between the driver's types and those of the SQL layer.

use std::error::Error;

use audit_sql::row::{Cells, Timestamptz};
use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

/// A TIMESTAMPTZ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Timestamptz);

impl ToSql for Time {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Timestamptz(micros) = self.0;
        micros.to_sql(kind, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        i64::from_sql(kind, raw).map(|micros| Self(Timestamptz(micros)))
    }

    accepts!(TIMESTAMPTZ);
}

/// A TEXT or BYTEA. Bytes that are not UTF-8 are replaced: a database without an encoding may have such
/// texts.
struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    accepts!(TEXT, BYTEA);
}

/// A row of a result, whose cells the SQL layer reads.
pub(super) struct Found<'r>(pub(super) &'r Row);

impl Cells for Found<'_> {
    type Error = tokio_postgres::Error;

    fn time(&self, column: usize) -> Result<Option<Timestamptz>, Self::Error> {
        Ok(self.0.try_get::<_, Option<Time>>(column)?.map(|Time(time)| time))
    }

    fn text(&self, column: usize) -> Result<Option<String>, Self::Error> {
        Ok(self.0.try_get::<_, Option<Text>>(column)?.map(|Text(text)| text))
    }

    fn uuid(&self, column: usize) -> Result<Option<Uuid>, Self::Error> {
        self.0.try_get(column)
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, Self::Error> {
        self.0.try_get(column)
    }

    fn boolean(&self, column: usize) -> Result<Option<bool>, Self::Error> {
        self.0.try_get(column)
    }
}
