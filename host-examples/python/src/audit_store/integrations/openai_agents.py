"""The OpenAI Agents SDK: `agents.add_trace_processor(AuditTracingProcessor(store))` records each call of a tool.

A trace processor sees every call with its outcome; hooks of a run do not see those that fail. It needs tracing to be
on (`agents.set_tracing_disabled`), not that traces are exported anywhere. With `trace_include_sensitive_data` off, a
call has no sizes and no hash. A call without a result has the status `unknown`, as one that waits for approval looks
the same.
"""

from __future__ import annotations

import re
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from agents.tracing import AgentSpanData, FunctionSpanData, Span, SpanError, Trace, TracingProcessor

from audit_store.call import Call, Sink, attributes_of

if TYPE_CHECKING:
    from typing import Unpack

    from audit_store.types import EventFields

T = TypeVar("T")

MAX_OPEN = 10_000
"""How many spans may be open at once. An older call is recorded as it is then, with the status `unknown`."""

_REJECTED = re.compile(r"Tool execution for \S+ was manually rejected by user\.")
"""What the SDK notes of a call that was not approved, beside a message of the program's own."""

_STATUS = (("cancelled", "cancelled"), ("rejected", "denied"))
"""What the SDK's messages have of calls that were ended or not allowed, and their status."""


class AuditTracingProcessor(TracingProcessor):
    """Records each call of a function tool, of whatever kind.

    `agent_id` is the agent, `graph_run_id` the trace, and the attributes `trace_id` and `span_id` are those of the SDK.
    """

    def __init__(self, store: Sink, **fields: Unpack[EventFields]) -> None:
        """`fields` are those that all events have, such as `workspace_id`."""
        self._store = store
        self._fields = fields
        self._agents: dict[str, str] = {}
        self._parents: dict[str, str | None] = {}
        self._calls: dict[str, tuple[Call, BaseException | None]] = {}
        self._lock = threading.Lock()

    def on_trace_start(self, trace: Trace) -> None:
        """Nothing is recorded of a trace."""

    def on_trace_end(self, trace: Trace) -> None:
        """Nothing is recorded of a trace."""

    def on_span_start(self, span: Span[Any]) -> None:
        """Begins a call, or notes whose calls the spans below this one are."""
        oldest = None
        with self._lock:
            _put(self._parents, span.span_id, span.parent_id)
            if isinstance(span.span_data, AgentSpanData):
                _put(self._agents, span.span_id, span.span_data.name)
            elif isinstance(span.span_data, FunctionSpanData):
                call = Call(self._store, self._known(span))
                oldest = _put(self._calls, span.span_id, (call, sys.exc_info()[1]))
        if oldest:
            oldest[0].end(status="unknown")

    def on_span_end(self, span: Span[Any]) -> None:
        """Records a call."""
        with self._lock:
            self._parents.pop(span.span_id, None)
            self._agents.pop(span.span_id, None)
            found = self._calls.pop(span.span_id, None)
        if found is None:
            return
        call, handled_before = found
        if span.span_data.input is not None:
            call.given(span.span_data.input)
        if span.error is not None:
            call.end(None, _status(span.error))
        elif (error := sys.exc_info()[1]) is not None and error is not handled_before:
            # The SDK notes no error of a call that is cancelled with its run, nor of a span of the program's own; the
            # exception is on its way through.
            call.fail(error)
        else:
            call.end(span.span_data.output, "unknown" if span.span_data.output is None else "ok")

    def shutdown(self) -> None:
        """The store is closed by whoever opened it."""

    def force_flush(self) -> None:
        """Events wait for nothing here."""

    def _known(self, span: Span[Any]) -> dict[str, Any]:
        attributes = {
            "source": "openai-agents",
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            **attributes_of(self._fields),
        }
        if isinstance(server := (span.span_data.mcp_data or {}).get("server"), str):
            attributes.setdefault("server", server)
        return {
            "agent_id": self._agent(span.parent_id),
            "tool": span.span_data.name,
            "action": "call",
            "graph_run_id": span.trace_id,
            **self._fields,
            "attributes": attributes,
        }

    def _agent(self, span_id: str | None) -> str:
        while span_id is not None:
            if span_id in self._agents:
                return self._agents[span_id]
            span_id = self._parents.get(span_id)
        return ""


def _put(open_spans: dict[str, T], span_id: str, value: T) -> T | None:
    """Notes an open span, and returns the oldest one that there is no room for."""
    open_spans[span_id] = value
    return open_spans.pop(next(iter(open_spans))) if len(open_spans) > MAX_OPEN else None


def _status(error: SpanError) -> str:
    if _REJECTED.fullmatch(str((error["data"] or {}).get("error"))):
        return "denied"
    return next((status for part, status in _STATUS if part in error["message"]), "error")
