//! What retention and proofs need of the table: the numbers of old rows and of one event, and removing rows.

use audit_format::time::Timestamp;
use audit_sql::statements;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;

/// The number of the row with an `event_id`.
pub(super) async fn number_of(link: &Link, event_id: String) -> Result<Option<i64>, SinkError> {
    link.run(&NumberOf(event_id)).await.map_err(|failure| link.sink_error(failure))
}

/// The numbers of rows whose time is before an instant, above one of them.
pub(super) async fn older(
    link: &Link,
    before: Timestamp,
    after: i64,
    most: u32,
) -> Result<Vec<i64>, SinkError> {
    let older = Older { before: before.to_string(), after, most: most.into() };
    link.run(&older).await.map_err(|failure| link.sink_error(failure))
}

/// Whether the role may remove rows.
pub(super) async fn may_delete(link: &Link) -> Result<bool, SinkError> {
    link.run(&MayDelete).await.map_err(|failure| link.sink_error(failure))
}

/// Removes the rows in some ranges of numbers, and says how many there were.
pub(super) async fn delete(link: &Link, ranges: Vec<[i64; 2]>) -> Result<u64, SinkError> {
    let (first, last) = ranges.into_iter().map(|[first, last]| (first, last)).unzip();
    link.run(&Delete { first, last }).await.map_err(|failure| link.sink_error(failure))
}

struct NumberOf(String);

impl Statement for NumberOf {
    type Output = Option<i64>;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(None)
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let rows = client.query_typed(statements::NUMBER_OF, &[(&self.0, Type::TEXT)]).await?;
        rows.first().map(|row| row.try_get(0)).transpose()
    }
}

struct Older {
    before: String,
    after: i64,
    most: i64,
}

impl Statement for Older {
    type Output = Vec<i64>;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(Vec::new())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let Self { before, after, most } = self;
        let values = [(before as _, Type::TEXT), (after as _, Type::INT8), (most as _, Type::INT8)];
        let rows = client.query_typed(statements::OLDER, &values).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }
}

struct Delete {
    first: Vec<i64>,
    last: Vec<i64>,
}

impl Statement for Delete {
    type Output = u64;
    const LANE: Lane = Lane::Writes;

    fn without_table(&self) -> Option<Self::Output> {
        Some(0)
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let values = [(&self.first as _, Type::INT8_ARRAY), (&self.last as _, Type::INT8_ARRAY)];
        let rows = client.query_typed(statements::DELETE, &values).await?;
        Ok(rows.len() as u64)
    }
}

struct MayDelete;

impl Statement for MayDelete {
    type Output = bool;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(true)
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        client.query_typed_one(statements::MAY_DELETE, &[]).await?.try_get(0)
    }
}
