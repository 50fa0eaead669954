//! The import `postgres`: rows and queries as the host takes them.

use super::audit::store::{postgres, types};
use crate::event::{Event, TextField};
use crate::host::{RefusedRow, Row, Rows, SinkError};
use crate::id;
use crate::line::{Parsed, Stamp};
use crate::query::{Order, Query};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;

pub fn insert(rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, SinkError> {
    let rows: Vec<types::Entry> = rows.into_iter().map(types::Entry::from).collect();
    let refused = postgres::insert_batch(&rows)?;
    Ok(refused.into_iter().map(|row| RefusedRow { index: row.index as usize, reason: row.reason }).collect())
}

pub fn select(query: &Query) -> Result<Rows, SinkError> {
    let text = |field| query.text(field).map(|text| text.to_string());
    let filter = types::Filter {
        from_ts: (query.from > Timestamp::MIN).then(|| query.from.to_string()),
        to_ts: (query.to < Timestamp::MAX).then(|| query.to.to_string()),
        tool: text(TextField::Tool),
        agent_id: text(TextField::AgentId),
        workspace_id: text(TextField::WorkspaceId),
        user_id: text(TextField::UserId),
        action: text(TextField::Action),
        status: text(TextField::Status),
        req_id: text(TextField::ReqId),
        graph_run_id: text(TextField::GraphRunId),
        graph_node: text(TextField::GraphNode),
        job_id: text(TextField::JobId),
    };
    let request = types::PageRequest {
        order: match query.order {
            Order::OldestFirst => types::Order::OldestFirst,
            Order::NewestFirst => types::Order::NewestFirst,
        },
        limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
        cursor: query.after.map(|key| key.to_cursor(query.order)),
    };
    let page = postgres::select(&filter, &request)?;
    let rows = page.entries.into_iter().map(Row::from).collect();
    Ok(Rows { rows, next: page.next, skipped: page.skipped })
}

impl From<types::Entry> for Row {
    fn from(entry: types::Entry) -> Self {
        let ids = id::parse(&entry.id).zip(id::parse(&entry.chain));
        let hash = Cow::Owned(entry.hash);
        let stamp = ids.map(|(id, chain)| Stamp { id, chain, seq: entry.seq, hash });
        Self { entry: Parsed { event: Event::from(entry.event), stamp }, position: entry.seq }
    }
}

impl From<postgres::SinkError> for SinkError {
    fn from(error: postgres::SinkError) -> Self {
        match error {
            postgres::SinkError::NotConfigured => Self::NotConfigured,
            postgres::SinkError::Unavailable(text) => Self::Unavailable(text),
            postgres::SinkError::Other(text) => Self::Other(text),
        }
    }
}
