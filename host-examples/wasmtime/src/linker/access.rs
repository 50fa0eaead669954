//! What a guest may do with a store, and as whom.

use std::fmt;
use std::sync::Arc;

use audit_format::query;
use audit_format::read::parse_sent;

use super::narrow::narrow;
use super::told::told;
use crate::bindings::exports::audit::store::types;
use crate::error::Error;
use crate::store::Handle;
use crate::types::{Event, Filter, InvalidValue, JsonlPage, Page, PageRequest, Receipt};

/// Who a guest is, as far as the host says so. What is given here is in each of the guest's events, whatever the guest has
/// in its place. The rest is the guest's to fill in, also when the call was: an event with an old `ts` is among old events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The agent that calls.
    pub agent_id: Option<String>,
    /// The workspace or tenant.
    pub workspace_id: Option<String>,
    /// The person on whose behalf the agent works.
    pub user_id: Option<String>,
}

impl Identity {
    fn set(&self, event: &mut Event) {
        let fields = [&mut event.agent_id, &mut event.workspace_id, &mut event.user_id];
        for (field, (_, given)) in fields.into_iter().zip(self.fields()) {
            if let Some(text) = given {
                field.clone_from(text);
            }
        }
    }

    fn fields(&self) -> [(&'static str, &Option<String>); 3] {
        [("agent_id", &self.agent_id), ("workspace_id", &self.workspace_id), ("user_id", &self.user_id)]
    }

    /// The lines, each with these fields as its last members: of a field that comes twice the last one counts. A line that
    /// is no event stays as it is, and is refused.
    fn set_in_lines(&self, lines: &str) -> String {
        let fields = self.fields().into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let members =
            serde_json::Map::from_iter(fields.map(|(name, text)| (name.into(), text.as_str().into())));
        if members.is_empty() {
            return lines.into();
        }
        let members = serde_json::Value::Object(members).to_string();
        let mut out = String::with_capacity(lines.len() + lines.len() / 4);
        for line in lines.split_inclusive('\n') {
            let object = line.trim_ascii();
            match object.strip_suffix('}').filter(|_| parse_sent(object).is_ok()) {
                Some(start) => {
                    let start = start.trim_ascii_end();
                    let comma = if start.ends_with('{') { "" } else { "," };
                    // `parse_sent` has found one whole object, so this brace is its last one.
                    out.extend([start, comma, &members[1..], "\n"]);
                }
                None => out.push_str(line),
            }
        }
        out
    }
}

/// Lets a guest write to a store, for [`add_writer_to_linker`](crate::add_writer_to_linker). A clone is cheap.
#[derive(Clone)]
pub struct GuestWriter {
    pub(super) handle: Handle,
    identity: Option<Arc<Identity>>,
}

impl fmt::Debug for GuestWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestWriter").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl GuestWriter {
    /// A guest whose events are recorded as they are.
    pub fn new(handle: Handle) -> Self {
        Self { handle, identity: None }
    }

    /// The same, with fields that the host sets in each event.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity: Some(Arc::new(identity)), ..self }
    }

    pub(super) fn write(&self, event: Event) {
        self.handle.write(self.identified(event));
    }

    pub(super) fn write_batch(&self, events: Vec<Event>) -> Result<Receipt, Error> {
        self.handle.write_batch(self.all_identified(events))
    }

    pub(super) async fn write_batch_async(&self, events: Vec<Event>) -> Result<Receipt, Error> {
        self.handle.write_batch_async(self.all_identified(events)).await
    }

    pub(super) fn write_jsonl(&self, lines: String) -> Result<Receipt, Error> {
        self.handle.write_jsonl(self.lines_identified(lines))
    }

    pub(super) async fn write_jsonl_async(&self, lines: String) -> Result<Receipt, Error> {
        self.handle.write_jsonl_async(self.lines_identified(lines)).await
    }

    fn identified(&self, mut event: Event) -> Event {
        if let Some(identity) = &self.identity {
            identity.set(&mut event);
        }
        event
    }

    fn all_identified(&self, events: Vec<Event>) -> Vec<Event> {
        events.into_iter().map(|event| self.identified(event)).collect()
    }

    fn lines_identified(&self, lines: String) -> String {
        match &self.identity {
            Some(identity) => identity.set_in_lines(&lines),
            None => lines,
        }
    }
}

/// Lets a guest read a part of a store, for [`add_reader_to_linker`](crate::add_reader_to_linker). A clone is cheap.
///
/// What the guest asks for narrows that part, and never widens it. A cursor only says where to go on: with one of somebody
/// else the guest still reads its own part. `skipped` is always 0, because what is no event belongs to nobody.
#[derive(Clone)]
pub struct GuestReader {
    handle: Handle,
    part: Arc<query::Filter>,
}

impl fmt::Debug for GuestReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestReader").field("part", &self.part).finish_non_exhaustive()
    }
}

impl GuestReader {
    /// A guest that reads the entries which match `part`. [`Filter::default`] is the whole record.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `from_ts` or `to_ts` that is none.
    pub fn new(handle: Handle, part: Filter) -> Result<Self, Error> {
        let part = query::Filter::from(part);
        query::Query::new(part.clone(), &query::PageRequest::default())
            .map_err(|invalid| Error::Invalid(value(invalid)))?;
        Ok(Self { handle, part: Arc::new(part) })
    }

    pub(super) fn read(&self, asked: Filter, page: PageRequest) -> Result<Page, types::Error> {
        match self.narrowed(asked, &page)? {
            Some(filter) => seen(told(self.handle.read(&filter, page))),
            None => Ok(Page { entries: Vec::new(), next: None, skipped: 0 }),
        }
    }

    pub(super) async fn read_async(&self, asked: Filter, page: PageRequest) -> Result<Page, types::Error> {
        match self.narrowed(asked, &page)? {
            Some(filter) => seen(told(self.handle.read_async(filter, page).await)),
            None => Ok(Page { entries: Vec::new(), next: None, skipped: 0 }),
        }
    }

    pub(super) fn read_jsonl(&self, asked: Filter, page: PageRequest) -> Result<JsonlPage, types::Error> {
        match self.narrowed(asked, &page)? {
            Some(filter) => seen_lines(told(self.handle.read_jsonl(&filter, page))),
            None => Ok(JsonlPage { lines: String::new(), count: 0, next: None, skipped: 0 }),
        }
    }

    pub(super) async fn read_jsonl_async(
        &self,
        asked: Filter,
        page: PageRequest,
    ) -> Result<JsonlPage, types::Error> {
        match self.narrowed(asked, &page)? {
            Some(filter) => seen_lines(told(self.handle.read_jsonl_async(filter, page).await)),
            None => Ok(JsonlPage { lines: String::new(), count: 0, next: None, skipped: 0 }),
        }
    }

    /// What the guest reads. `None` if nothing can match.
    fn narrowed(&self, asked: Filter, page: &PageRequest) -> Result<Option<Filter>, types::Error> {
        let narrowed = narrow(&self.part, asked.into(), &page.into());
        Ok(narrowed.map_err(|invalid| types::Error::Invalid(value(invalid)))?.map(Filter::from))
    }
}

fn value(invalid: audit_format::Invalid) -> InvalidValue {
    InvalidValue { index: 0, field: invalid.field, reason: invalid.reason }
}

fn seen(page: Result<Page, types::Error>) -> Result<Page, types::Error> {
    page.map(|page| Page { skipped: 0, ..page })
}

fn seen_lines(page: Result<JsonlPage, types::Error>) -> Result<JsonlPage, types::Error> {
    page.map(|page| JsonlPage { skipped: 0, ..page })
}
