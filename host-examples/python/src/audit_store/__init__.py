"""audit-store: an audit trail of AI agents' tool calls, in daily files of JSON lines or in PostgreSQL.

from audit_store import AuditStore

with AuditStore(dir="ops/audit") as store:
    store.write(agent_id="planner", tool="search", action="query", status="ok", duration_ms=45)
    for entry in store.read(tool="search"):
        print(entry.ts, entry.agent_id, entry.duration_ms)
"""

from audit_store.audited import audited
from audit_store.errors import (
    AccessError,
    AuditError,
    Closed,
    ComponentError,
    ConfigError,
    IncompleteBatch,
    InvalidEvent,
    InvalidFilter,
    InvalidValue,
    Unanswered,
    Unavailable,
)
from audit_store.logs import AuditHandler
from audit_store.store import AuditStore
from audit_store.types import (
    Counts,
    Dropped,
    Entry,
    Event,
    EventFields,
    Filter,
    JsonlPage,
    Order,
    Page,
    Receipt,
    Status,
)

__all__ = [
    "AccessError",
    "AuditError",
    "AuditHandler",
    "AuditStore",
    "Closed",
    "ComponentError",
    "ConfigError",
    "Counts",
    "Dropped",
    "Entry",
    "Event",
    "EventFields",
    "Filter",
    "IncompleteBatch",
    "InvalidEvent",
    "InvalidFilter",
    "InvalidValue",
    "JsonlPage",
    "Order",
    "Page",
    "Receipt",
    "Status",
    "Unanswered",
    "Unavailable",
    "audited",
]
