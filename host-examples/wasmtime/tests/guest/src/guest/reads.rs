//! What the guest reads.

use alloc::string::String;
use alloc::vec;

use super::audit::store::reader;
use super::audit::store::types::{
    AttributeParam as Attribute, FilterParam as Filter, Order, PageRequestParam as PageRequest,
};
use super::exports::audit::guest::reads::{Guest, Seen};
use super::{long, text};

const ANY: Filter<'static> = Filter {
    from_ts: None,
    to_ts: None,
    tool: None,
    agent_id: None,
    workspace_id: None,
    user_id: None,
    action: None,
    status: None,
    req_id: None,
    graph_run_id: None,
    graph_node: None,
    job_id: None,
    attributes: &[],
};

const NEWEST: PageRequest<'static> = PageRequest { order: Order::NewestFirst, limit: 0, cursor: None };

fn read(filter: Filter<'_>, page: PageRequest<'_>) -> Result<Seen, String> {
    let page = reader::read(filter, page).map_err(text)?;
    let tools = page.entries.into_iter().map(|entry| entry.event.tool).collect();
    Ok(Seen { tools, next: page.next, skipped: page.skipped })
}

impl Guest for super::Guest {
    fn read(
        workspace_id: Option<String>,
        since: Option<String>,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Seen, String> {
        let filter = Filter { workspace_id: workspace_id.as_deref(), from_ts: since.as_deref(), ..ANY };
        read(filter, PageRequest { limit, cursor: cursor.as_deref(), ..NEWEST })
    }

    fn read_jsonl(workspace_id: Option<String>) -> Result<String, String> {
        let filter = Filter { workspace_id: workspace_id.as_deref(), ..ANY };
        reader::read_jsonl(filter, NEWEST).map(|page| page.lines).map_err(text)
    }

    fn read_large(count: u32, size: u32) -> Result<Seen, String> {
        let value = long(size);
        let attributes = vec![Attribute { key: "model", value: &value }; count as usize];
        read(Filter { attributes: &attributes, ..ANY }, NEWEST)
    }
}
