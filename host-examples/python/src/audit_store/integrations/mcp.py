"""MCP: `await audited_session(session, store).call_tool(...)` records each call that a client makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from audit_store.call import Call, Sink, attributes_of

if TYPE_CHECKING:
    from typing import Unpack

    from audit_store.types import EventFields


class Session(Protocol):
    """What calls tools: `mcp.ClientSession`, or `mcp.Client`."""

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None, /) -> Any:
        """Calls a tool."""


S = TypeVar("S", bound=Session)


def audited_session(session: S, store: Sink, *, server: str = "", **fields: Unpack[EventFields]) -> S:
    """The session, whose `call_tool` records each call. All else of it is as before, and so is its type.

    The status is `error` where the server says that the tool failed.

    Args:
        session: A session of a client, such as `mcp.ClientSession`.
        store: What records the events, such as an `AuditStore`.
        server: The name of the server, for the attribute `server`.
        **fields: Other fields that all of the events have, such as `agent_id`.
    """
    call_tool = session.call_tool
    attributes = {"source": "mcp", **({"server": server} if server else {}), **attributes_of(fields)}

    async def audited_call_tool(name: str, arguments: dict[str, Any] | None = None, *rest: Any, **options: Any) -> Any:
        known = {"action": "tools/call", **fields, "tool": name, "attributes": attributes}
        call = Call(store, known, arguments or {})
        try:
            result = await call_tool(name, arguments, *rest, **options)
        except BaseException as error:
            call.fail(error)
            raise
        # `isError` is the name that earlier versions of the package have.
        failed = getattr(result, "is_error", getattr(result, "isError", False))
        call.end(result, "error" if failed else "ok")
        return result

    session.call_tool = audited_call_tool  # type: ignore[method-assign]
    return session
