"""`@audited`, `AuditHandler`, and what is recorded of arguments and results."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from audit_store import AuditHandler, AuditStore, Entry, Event, audited
from audit_store.call import arguments, size


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    with AuditStore(dir=tmp_path) as opened:
        yield opened


def last(store: AuditStore) -> Entry:
    (page,) = [store.read_page(order="newest-first", limit=1)]
    return page.entries[0]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_call_is_recorded_with_hash_and_sizes_and_without_its_payload(store: AuditStore, tmp_path: Path) -> None:
    @audited(store, agent_id="planner", attributes={"session_id": "s"})
    def search(query: str, limit: int = 10, *, deep: bool = False) -> list[str]:
        """Searches."""
        return ["one-secret-result"]

    assert search("secret-query", deep=True) == ["one-secret-result"]
    entry = last(store)
    assert (entry.tool, entry.action, entry.status, entry.agent_id) == ("search", "call", "ok", "planner")
    assert entry.input_hash == sha256('{"deep":true,"query":"secret-query"}')
    assert (entry.in_size, entry.out_size) == (36, len('["one-secret-result"]'))
    assert entry.attributes == {"session_id": "s"}
    assert search.__name__ == "search"
    assert list(inspect.signature(search).parameters) == ["query", "limit", "deep"]
    assert "secret" not in "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))


def test_the_outcome_of_a_call_is_its_status(store: AuditStore) -> None:
    @audited(store, tool="t")
    def fails(error: BaseException) -> None:
        raise error

    class OwnError(ValueError):
        pass

    outcomes = [
        (OwnError("secret"), "error", "test_the_outcome_of_a_call_is_its_status.<locals>.OwnError"),
        (TimeoutError(), "timeout", "TimeoutError"),
        (KeyboardInterrupt(), "error", "KeyboardInterrupt"),
        (asyncio.CancelledError(), "cancelled", "CancelledError"),
    ]
    for error, status, kind in outcomes:
        with pytest.raises(type(error)):
            fails(error)
        entry = last(store)
        assert (entry.status, entry.attributes["error_type"], entry.out_size) == (status, kind, 0)


async def test_coroutines_are_recorded_at_their_end(store: AuditStore) -> None:
    @audited(store)
    async def slow(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "é"

    assert await slow(0.02) == "é"
    entry = await asyncio.to_thread(last, store)
    assert (entry.status, entry.out_size) == ("ok", 2)
    assert entry.duration_ms >= 19
    task = asyncio.create_task(slow(60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asyncio.to_thread(last, store)).status == "cancelled"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await slow(60)
    # What the call itself has seen is that it was cancelled.
    assert (await asyncio.to_thread(last, store)).status == "cancelled"


async def test_generators_are_one_call_each(store: AuditStore) -> None:
    @audited(store)
    def counts(to: int) -> Iterator[str]:
        for n in range(to):
            got = yield str(n)
            assert got in (None, "sent")
        if to > 5:
            raise ValueError

    @audited(store)
    async def acounts(to: int) -> AsyncIterator[str]:
        for n in range(to):
            yield str(n)

    assert list(counts(3)) == ["0", "1", "2"]
    assert (last(store).tool, last(store).status, last(store).out_size) == ("counts", "ok", 3)
    with pytest.raises(ValueError):  # noqa: PT011
        list(counts(6))
    assert last(store).status == "error"
    early: Any = counts(5)
    next(early)
    early.send("sent")
    early.close()
    assert (last(store).status, last(store).out_size) == ("ok", 2)
    assert [one async for one in acounts(4)] == ["0", "1", "2", "3"]
    assert (last(store).tool, last(store).out_size) == ("acounts", 4)


async def test_a_function_that_returns_a_coroutine_is_a_call_until_its_end(store: AuditStore) -> None:
    async def fails(seconds: float) -> None:
        await asyncio.sleep(seconds)
        raise KeyError

    def decorated(*args: Any) -> Any:
        return fails(*args)

    def future(seconds: float) -> Any:
        return asyncio.ensure_future(fails(seconds))

    class Tools:
        @audited(store, tool="static")
        @staticmethod
        async def static(seconds: float) -> None:
            await fails(seconds)

        @audited(store, tool="class")
        @classmethod
        async def of_class(cls, seconds: float) -> None:
            await fails(seconds)

    calls: dict[str, Any] = {
        "decorated": audited(store)(decorated),
        "future": audited(store)(future),
        "static": Tools.static,
        "class": Tools().of_class,
        "fails": audited(store)(functools.partial(fails)),
    }
    for name, one in calls.items():
        with pytest.raises(KeyError):
            await one(0.02)
        entry = await asyncio.to_thread(last, store)
        assert (entry.tool, entry.status) == (name, "error")
        assert entry.duration_ms >= 19
    assert store.status().counts.received == len(calls)


async def test_generators_get_what_is_sent_and_thrown_to_them(store: AuditStore) -> None:
    async def echoes() -> AsyncGenerator[Any, Any]:
        got = yield "first"
        while True:
            try:
                got = yield got
            except ValueError as error:
                got = error

    def decorated() -> Any:
        return echoes()

    for function in (echoes, decorated):
        values = audited(store)(function)()
        error = ValueError()
        assert await values.asend(None) == "first"
        assert await values.asend("sent") == "sent"
        assert await values.athrow(error) is error
        await values.aclose()
        entry = await asyncio.to_thread(last, store)
        assert (entry.tool, entry.status) == (function.__name__, "ok")
    assert inspect.isasyncgenfunction(audited(store)(echoes))


def test_whatever_can_be_called_can_be_audited(store: AuditStore) -> None:
    class Tool:
        def __call__(self, text: str) -> str:
            return text

    for function, name in ((Tool(), "Tool"), (functools.partial(str.upper), "upper"), (dict, "dict")):
        assert audited(store)(function)(x="x") if function is dict else audited(store)(function)("x")
        assert (last(store).tool, last(store).status) == (name, "ok")


@pytest.mark.parametrize("attributes", [None, 5, {1: object()}])
def test_wrong_fields_do_not_stop_a_call(store: AuditStore, attributes: Any) -> None:
    @audited(store, attributes=attributes)
    def tool() -> int:
        return 1

    assert tool() == 1
    assert last(store).tool == "tool"


def test_methods_are_hashed_without_their_object(store: AuditStore) -> None:
    class Tools:
        @audited(store, action="query")
        def search(self, query: str) -> None:
            pass

    Tools().search("q")
    first = last(store).input_hash
    Tools().search(query="q")
    assert last(store).input_hash == first == sha256('{"query":"q"}')
    with pytest.raises(TypeError):
        Tools().search()  # type: ignore[call-arg]
    assert last(store).status == "error"


def test_the_hash_of_arguments_is_that_of_their_canonical_form() -> None:
    numbers = "[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001, -0, 9007199254740993]"
    canonical = {
        numbers: "[333333333.3333333,1e+30,4.5,0.002,1e-27,0,9007199254740992]",
        '{"€":1,"\\r":2,"\\ufb33":3,"1":4,"😀":5,"\\u0080":6,"ö":7}': (
            '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'
        ),
        '" {\\"b\\": 1, \\"a\\": [ ]}"': '{"a":[],"b":1}',
    }
    for text, form in canonical.items():
        assert arguments(text) == {"in_size": len(form.encode()), "input_hash": sha256(form)}
    # The values themselves have the hash of their JSON.
    assert arguments({"b": 1, "a": (True, None, 2**53 + 1)}) == arguments('{"a":[true,null,9007199254740993],"b":1}')
    for text in ("", "{", '{"a":1,"a":2}', "[1e999]", "9" * 400):
        raw = {"in_size": len(text), "input_hash": sha256(text), "attributes": {"input_form": "raw"}}
        assert arguments(text) == raw
    one, other = arguments({"x": {3, 1, 2}, "f": object()}), arguments({"f": object(), "x": {2, 1, 3}})
    assert one == other
    assert "input_hash" in arguments({"half": "\ud800"})
    endless: list[Any] = []
    endless.append(endless)
    for none in (endless, {("a", 1): 2}):
        assert arguments(none) == {"attributes": {"input_form": "none"}}
    assert (size("é"), size(b"abc"), size(None), size({"a": 1}), size(object())) == (2, 3, 0, 7, len('"<object>"'))


def test_a_log_record_with_an_event_is_recorded_and_no_other(store: AuditStore, tmp_path: Path) -> None:
    log = logging.getLogger("app.tools")
    log.setLevel(logging.INFO)
    handler = AuditHandler(store)
    log.addHandler(handler)
    try:
        log.info("secret message", extra={"audit": {"tool": "search", "duration_ms": 3, "attributes": {"k": "v"}}})
        log.info("no event")
        log.info("an event", extra={"audit": Event(tool="fetch", status="denied")})
        try:
            raise TimeoutError("secret")
        except TimeoutError:
            log.exception("failed", extra={"audit": {"tool": "slow"}})
        log.info("odd", extra={"audit": 7})
    finally:
        log.removeHandler(handler)
    first, second, third, fourth = sorted(store.read(), key=lambda entry: entry.seq)
    assert (first.tool, first.status, first.duration_ms) == ("search", "ok", 3)
    assert first.attributes == {"k": "v", "source": "app.tools"}
    assert (second.tool, second.status) == ("fetch", "denied")
    assert (third.status, third.attributes["error_type"]) == ("timeout", "TimeoutError")
    assert fourth.attributes["audit"] == "7"
    assert "secret" not in "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))


def test_warnings_about_the_store_do_not_come_back_into_it(store: AuditStore) -> None:
    logger = logging.getLogger("audit_store")
    handler = AuditHandler(store)
    logger.addHandler(handler)
    try:
        logger.warning("full", extra={"audit": {"tool": "t"}})
    finally:
        logger.removeHandler(handler)
    assert list(store.read()) == []
