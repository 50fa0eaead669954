"""The integrations, each with the real package of its framework, without a model behind it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import agents
import pytest
from agents.items import ModelResponse
from agents.usage import Usage
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from mcp import Client
from mcp.server import MCPServer
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from audit_store import AuditStore, Entry
from audit_store.integrations.langchain import AuditCallbackHandler
from audit_store.integrations.mcp import audited_session
from audit_store.integrations.openai_agents import AuditTracingProcessor


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    with AuditStore(dir=tmp_path) as opened:
        yield opened


async def entries(store: AuditStore) -> list[Entry]:
    return sorted([entry async for entry in store.aread()], key=lambda entry: entry.seq)


def lines(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.jsonl"))


def sha256(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@tool
async def fail(why: str) -> str:
    """Fails."""
    raise RuntimeError(why)


@tool(response_format="content")
async def wait(seconds: float) -> str:
    """Waits."""
    await asyncio.sleep(seconds)
    return "done"


async def test_langchain_tools_are_recorded_with_their_outcome(store: AuditStore) -> None:
    config: Any = {"callbacks": [AuditCallbackHandler(store, agent_id="planner")], "metadata": {"thread_id": "t1"}}
    assert add.invoke({"a": 1, "b": 2}, config) == 3
    with pytest.raises(RuntimeError):
        await fail.ainvoke({"why": "secret"}, config)
    waiting = asyncio.create_task(wait.ainvoke({"seconds": 60}, config))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first, second, third = await entries(store)
    assert (first.tool, first.status, first.agent_id, first.out_size) == ("add", "ok", "planner", 1)
    assert first.input_hash == sha256({"a": 1, "b": 2})
    assert first.req_id
    assert first.attributes == {"session_id": "t1", "source": "langchain"}
    assert (second.tool, second.status, second.attributes["error_type"]) == ("fail", "error", "RuntimeError")
    assert (third.tool, third.status) == ("wait", "cancelled")


async def test_langgraph_tool_nodes_are_recorded_with_their_run_and_node(store: AuditStore, tmp_path: Path) -> None:
    calls = [
        {"name": "add", "args": {"a": 20, "b": 22}, "id": "call_1"},
        {"name": "fail", "args": {"why": "secret"}, "id": "call_2"},
    ]

    def model(state: MessagesState) -> Any:
        if isinstance(state["messages"][-1], ToolMessage):
            return {"messages": [AIMessage("42")]}
        return {"messages": [AIMessage("", tool_calls=calls)]}

    def route(state: MessagesState) -> str:
        return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([add, fail], handle_tool_errors=True))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", route)
    graph.add_edge("tools", "model")
    config: Any = {"callbacks": [AuditCallbackHandler(store)], "configurable": {"thread_id": "t2"}}
    answer = await graph.compile().ainvoke({"messages": [HumanMessage("?")]}, config)
    assert answer["messages"][-1].content == "42"
    by_tool = {entry.tool: entry for entry in await entries(store)}
    assert sorted(by_tool) == ["add", "fail"]
    added, failed = by_tool["add"], by_tool["fail"]
    assert (added.status, added.graph_node, added.attributes["call_id"]) == ("ok", "tools", "call_1")
    assert (failed.status, failed.graph_node) == ("error", "tools")
    assert added.graph_run_id
    assert added.attributes["session_id"] == "t2"
    assert "secret" not in lines(tmp_path)


class ScriptedModel(agents.Model):
    """Calls the tools of a script, and then says that it is done."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        self._calls = calls
        self._answered = False

    async def get_response(self, *_args: Any, **_options: Any) -> ModelResponse:
        output: list[Any] = [
            ResponseFunctionToolCall(
                type="function_call", name=name, arguments=json.dumps(given), call_id=f"call_{place}"
            )
            for place, (name, given) in enumerate(self._calls)
        ]
        if self._answered:
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            output = [
                ResponseOutputMessage(type="message", id="m", role="assistant", status="completed", content=[text])
            ]
        self._answered = True
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *_args: Any, **_options: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@agents.function_tool
def multiply(a: int, b: int) -> int:
    """Multiplies."""
    return a * b


@agents.function_tool
def broken(why: str) -> str:
    """Fails, and tells the model so."""
    raise ValueError(why)


@agents.function_tool(failure_error_function=None)
def fatal(why: str) -> str:
    """Fails, and ends the run."""
    raise ValueError(why)


@agents.function_tool
async def sleep(seconds: float) -> str:
    """Sleeps."""
    await asyncio.sleep(seconds)
    return "slept"


@agents.function_tool
def nothing() -> None:
    """Does nothing."""


@pytest.fixture
def processor(store: AuditStore) -> Iterator[AuditTracingProcessor]:
    found = AuditTracingProcessor(store, workspace_id="acme")
    agents.set_trace_processors([found])
    yield found
    agents.set_trace_processors([])


def agent(*calls: tuple[str, dict[str, Any]]) -> agents.Agent[Any]:
    return agents.Agent(name="planner", model=ScriptedModel(*calls), tools=[multiply, broken, fatal, sleep, nothing])


@pytest.mark.usefixtures("processor")
async def test_every_tool_call_of_openai_agents_is_recorded_with_its_outcome(store: AuditStore, tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("multiply", {"a": 6, "b": 7}),
        ("broken", {"why": "secret"}),
        ("nothing", {}),
    ]
    result = await agents.Runner.run(agent(*calls), "?")
    assert result.final_output == "done"
    by_tool = {entry.tool: entry for entry in await entries(store)}
    assert sorted(by_tool) == ["broken", "multiply", "nothing"]
    multiplied = by_tool["multiply"]
    assert (multiplied.status, multiplied.agent_id, multiplied.workspace_id) == ("ok", "planner", "acme")
    assert multiplied.input_hash == sha256({"a": 6, "b": 7})
    assert multiplied.out_size == 2
    assert multiplied.graph_run_id == multiplied.attributes["trace_id"]
    assert (by_tool["broken"].status, by_tool["nothing"].status) == ("error", "unknown")
    assert "secret" not in lines(tmp_path)


@pytest.mark.usefixtures("processor")
async def test_a_tool_of_openai_agents_that_ends_its_run_is_recorded(store: AuditStore) -> None:
    with pytest.raises(agents.UserError):
        await agents.Runner.run(agent(("fatal", {"why": "x"})), "?")
    running = asyncio.create_task(agents.Runner.run(agent(("sleep", {"seconds": 60})), "?"))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [(entry.tool, entry.status) for entry in await entries(store)] == [
        ("fatal", "error"),
        ("sleep", "cancelled"),
    ]


@agents.function_tool(needs_approval=True)
def dangerous(a: int) -> int:
    """Needs somebody's approval."""
    return a


@pytest.mark.usefixtures("processor")
async def test_a_call_of_openai_agents_that_was_not_approved_is_not_ok(store: AuditStore) -> None:
    asks = agents.Agent(name="planner", model=ScriptedModel(("dangerous", {"a": 1})), tools=[dangerous])
    waiting = await agents.Runner.run(asks, "?")
    assert len(waiting.interruptions) == 1
    assert [entry.status for entry in await entries(store)] == ["unknown"]


@pytest.mark.usefixtures("processor")
async def test_what_a_span_of_openai_agents_says_of_its_end_is_the_status(store: AuditStore) -> None:
    own = "The user cancelled this."
    with agents.trace("workflow"):
        with agents.function_span("denied", output="no") as span:
            data = {"error": "Tool execution for call_1 was manually rejected by user."}
            span.set_error({"message": own, "data": data})
        with agents.function_span("failed") as span:
            span.set_error({"message": "Error running tool", "data": {"error": "it was rejected"}})
        with pytest.raises(TimeoutError), agents.function_span("late"):
            raise TimeoutError
        try:
            raise ValueError
        except ValueError:
            with agents.function_span("other", output="done"):
                pass
    assert [(entry.tool, entry.status) for entry in await entries(store)] == [
        ("denied", "denied"),
        ("failed", "error"),
        ("late", "timeout"),
        ("other", "ok"),
    ]


@pytest.mark.usefixtures("processor")
async def test_calls_that_there_is_no_room_for_are_recorded_before_their_end(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit_store.integrations.openai_agents.MAX_OPEN", 1)
    monkeypatch.setattr("audit_store.integrations.langchain.MAX_RUNNING", 1)
    with agents.trace("workflow"), agents.function_span("first"), agents.function_span("second", output="done"):
        pass
    handler = AuditCallbackHandler(store)
    for name in ("third", "fourth"):
        handler.on_tool_start({"name": name}, "", run_id=uuid4())
    found = [(entry.tool, entry.status) for entry in await entries(store)]
    assert found == [("first", "unknown"), ("second", "ok"), ("third", "unknown")]


async def test_calls_of_an_mcp_session_are_recorded_with_their_outcome(store: AuditStore, tmp_path: Path) -> None:
    server = MCPServer("calculator")

    @server.tool()
    def plus(a: int, b: int) -> int:
        """Adds."""
        return a + b

    @server.tool()
    def refuses(why: str) -> str:
        """Fails."""
        raise RuntimeError(why)

    @server.tool()
    async def hangs() -> str:
        """Hangs."""
        await asyncio.sleep(60)
        return "late"

    async with Client(server) as client:
        session = audited_session(client, store, server="calculator", agent_id="planner")
        assert session is client
        result = await session.call_tool("plus", {"a": 1, "b": 2})
        assert not result.is_error
        assert (await session.call_tool("refuses", {"why": "secret"})).is_error
        waiting = asyncio.create_task(session.call_tool("hangs"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with Client(server) as client:
        inner = audited_session(client.session, store)
        # A client calls tools through its session.
        assert not (await inner.call_tool("plus", {"a": 2, "b": 2}, 5.0)).is_error
        assert not (await client.call_tool("plus", {"a": 3, "b": 2})).is_error
    first, second, third, *others = await entries(store)
    assert [one.input_hash for one in others] == [sha256({"a": 2, "b": 2}), sha256({"a": 3, "b": 2})]
    assert (first.tool, first.action, first.status, first.agent_id) == ("plus", "tools/call", "ok", "planner")
    assert first.attributes == {"server": "calculator", "source": "mcp"}
    assert first.input_hash == sha256({"a": 1, "b": 2})
    assert first.out_size > 0
    assert (second.tool, second.status) == ("refuses", "error")
    assert (third.tool, third.status, third.input_hash) == ("hangs", "cancelled", sha256({}))
    assert "secret" not in lines(tmp_path)
