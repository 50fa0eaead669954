"""LangChain and LangGraph: `config={"callbacks": [AuditCallbackHandler(store)]}` records each call of a tool."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.base import BaseCallbackHandler

from audit_store.call import Call, Sink, attributes_of

if TYPE_CHECKING:
    from typing import Unpack
    from uuid import UUID

    from audit_store.types import EventFields

MAX_RUNNING = 10_000
"""How many calls may be running at once. An older one is recorded as it is then, with the status `unknown`."""


class AuditCallbackHandler(BaseCallbackHandler):
    """Records each call of a tool, also those of graphs: `graph_run_id` is the parent run, `graph_node` the node of
    LangGraph, `req_id` the run of the tool, and the attribute `call_id` the model's name for the call."""

    run_inline = True

    def __init__(self, store: Sink, **fields: Unpack[EventFields]) -> None:
        """`fields` are those that all events have, such as `agent_id`."""
        self._store = store
        self._fields = fields
        self._running: dict[UUID, Call] = {}
        self._lock = threading.Lock()

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Begins the call."""
        known = metadata or {}
        node = known.get("langgraph_node")
        fields: dict[str, Any] = {
            "tool": kwargs.get("name") or (serialized or {}).get("name") or "",
            "action": "call",
            "req_id": str(run_id),
            "graph_run_id": str(parent_run_id) if parent_run_id else None,
            "graph_node": str(node) if node else None,
            **self._fields,
        }
        attributes = {"source": "langchain", **attributes_of(self._fields)}
        for name, value in (("session_id", known.get("thread_id")), ("call_id", kwargs.get("tool_call_id"))):
            if value:
                attributes.setdefault(name, str(value))
        call = Call(self._store, {**fields, "attributes": attributes}, input_str if inputs is None else inputs)
        oldest = None
        with self._lock:
            self._running[run_id] = call
            if len(self._running) > MAX_RUNNING:
                oldest = self._running.pop(next(iter(self._running)))
        if oldest:
            oldest.end(status="unknown")

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Records a call that has returned. A tool's own message of an error is one too."""
        if call := self._take(run_id):
            failed = getattr(output, "status", None) == "error"
            call.end(getattr(output, "content", output), "error" if failed else "ok")

    def on_tool_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Records a call that has raised."""
        if call := self._take(run_id):
            call.fail(error)

    def _take(self, run_id: UUID) -> Call | None:
        with self._lock:
            return self._running.pop(run_id, None)
