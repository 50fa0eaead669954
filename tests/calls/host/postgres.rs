//! The import `postgres`, over the table of the world.

use audit_format::cursor::Key;
use audit_format::query::{self, Query};

use super::bindings::audit::store::postgres::{Host, RefusedRow, SinkError};
use super::bindings::audit::store::types::{self, Filter, JsonlPage, Order, PageRequest};
use super::fault::{Effect, Reason};
use super::state::State;
use super::stopped;
use super::world::{Call, Shared, Verdict};

impl types::Host for State {}

impl Host for State {
    fn is_configured(&mut self) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn insert_batch(&mut self, lines: String) -> wasmtime::Result<Result<Vec<RefusedRow>, SinkError>> {
        let rows = lines.lines().count();
        let call = Call { name: "insert-batch", file: format!("of {rows}"), effect: Effect::Writes };
        let verdict = self.world.begin(&call);
        let shared = &mut *self.world.lock();
        if let Some(error) = unavailable(shared, verdict)? {
            return Ok(Err(error));
        }
        let stored = match verdict {
            Verdict::Short(part, _) | Verdict::ShortStop(part) => part.of(rows),
            _ => rows,
        };
        shared.table.insert(lines.lines().take(stored));
        match verdict {
            Verdict::Short(..) | Verdict::Done(_) => {
                Ok(Err(SinkError::Unanswered("the answer is lost".into())))
            }
            Verdict::ShortStop(_) | Verdict::DoneStop => Err(stopped()),
            _ => Ok(Ok(Vec::new())),
        }
    }

    fn select(
        &mut self,
        filter: Filter,
        page: PageRequest,
    ) -> wasmtime::Result<Result<JsonlPage, SinkError>> {
        let call = Call { name: "select", file: String::new(), effect: Effect::Reads };
        let verdict = self.world.begin(&call);
        let shared = &mut *self.world.lock();
        if let Some(error) = unavailable(shared, verdict)? {
            return Ok(Err(error));
        }
        let order = match page.order {
            Order::OldestFirst => audit_format::cursor::Order::OldestFirst,
            Order::NewestFirst => audit_format::cursor::Order::NewestFirst,
        };
        let request = query::PageRequest { order, limit: page.limit, cursor: None };
        let mut query = Query::new(filter.into(), &request).expect("the component sends valid queries");
        query.after =
            page.cursor.map(|cursor| Key::from_row_cursor(&cursor).expect("it is a cursor of a row"));
        let (lines, next) = shared.table.select(&query);
        Ok(Ok(JsonlPage { count: lines.len() as u32, lines: lines.concat(), next, skipped: 0 }))
    }
}

/// The error of a call that has no effect.
fn unavailable(shared: &Shared, verdict: Verdict) -> wasmtime::Result<Option<SinkError>> {
    match verdict {
        Verdict::Stop => Err(stopped()),
        Verdict::Fail(Reason::Denied) => Ok(Some(SinkError::Other("permission denied".into()))),
        Verdict::Fail(_) => Ok(Some(SinkError::Unavailable("the connection is lost".into()))),
        _ if shared.table.down => Ok(Some(SinkError::Unavailable("it is down".into()))),
        _ => Ok(None),
    }
}
