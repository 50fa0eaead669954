"""`@audited`: records each call of a function."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from audit_store import call

if TYPE_CHECKING:
    from typing import Unpack

    from audit_store.types import EventFields

P = ParamSpec("P")
R = TypeVar("R")


def audited(store: call.Sink, **fields: Unpack[EventFields]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Records each call of the function: when, how long, with what outcome, how many bytes in and out, and the SHA-256
    of its arguments (RFC 8785, by their names, without `self` and `cls`). What the arguments and the result are is not
    recorded.

    The status is `ok`, `timeout` for a `TimeoutError`, `cancelled` for an `asyncio.CancelledError`, else `error`, with
    the attribute `error_type`. Functions, coroutine functions and generators of both kinds are accepted; a generator is
    one call, from its first value to its end, and `out_size` is the sum over its values. A function that returns a
    coroutine, a future or a generator is a call until that has ended.

    Args:
        store: What records the events, such as an `AuditStore`.
        **fields: The fields that all of the events have, such as `agent_id`. `tool` is the name of the function by
            default, and `action` is `call`.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        if isinstance(function, staticmethod | classmethod):
            return cast("Callable[P, R]", type(function)(wrap(function.__func__)))
        known = {"tool": _name(function), "action": "call", **fields}
        signature = _signature(function)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> call.Call:
            return call.Call(store, known, _named(signature, args, kwargs))

        for is_kind, wrapper in _WRAPPERS:
            if is_kind(function):
                return cast("Callable[P, R]", functools.wraps(function)(wrapper(function, begin)))
        return cast("Callable[P, R]", functools.wraps(function)(_function(function, begin)))

    return wrap


Begin = Callable[[tuple[Any, ...], dict[str, Any]], call.Call]


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        # Some functions in C have none.
        return None


def _function(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        current = begin(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            current.fail(error)
            raise
        for is_kind, wrapper in _BEGUN:
            if is_kind(result):
                return wrapper(lambda: result, lambda *_: current)()
        if isinstance(result, asyncio.Future | concurrent.futures.Future):
            result.add_done_callback(functools.partial(_done, current))
            return result
        current.end(result)
        return result

    return called


def _done(current: call.Call, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    if future.cancelled():
        current.fail(asyncio.CancelledError())
    elif error := future.exception():
        current.fail(error)
    else:
        current.end(future.result())


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> Any:
        current = begin(args, kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            current.fail(error)
            raise
        current.end(result)
        return result

    return called


def _generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        current, passed = begin(args, kwargs), _Passed()
        try:
            result = yield from passed.through(function(*args, **kwargs))
        except GeneratorExit:
            # Whoever took the values wanted no more of them.
            current.end(out_size=passed.size)
            raise
        except BaseException as error:
            current.fail(error)
            raise
        current.end(out_size=passed.size)
        return result

    return called


def _async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        current, passed = begin(args, kwargs), _Passed()
        try:
            values = function(*args, **kwargs)
            step, given = values.asend, None
            while True:
                try:
                    value = await step(given)
                except StopAsyncIteration:
                    break
                passed.add(value)
                try:
                    step, given = values.asend, (yield value)
                except GeneratorExit:
                    await values.aclose()
                    raise
                except BaseException as error:
                    step, given = values.athrow, error
        except GeneratorExit:
            # Whoever took the values wanted no more of them.
            current.end(out_size=passed.size)
            raise
        except BaseException as error:
            current.fail(error)
            raise
        current.end(out_size=passed.size)

    return called


class _Passed:
    """The values that a generator has given."""

    def __init__(self) -> None:
        self.size = 0
        """Their bytes."""

    def add(self, value: object) -> None:
        self.size += call.size(value)

    def through(self, values: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The values, with what is sent and thrown to them."""
        step: Callable[[Any], Any] = values.send
        given: Any = None
        while True:
            try:
                value = step(given)
            except StopIteration as end:
                result: object = end.value
                return result
            self.add(value)
            try:
                step, given = values.send, (yield value)
            except GeneratorExit:
                values.close()
                raise
            except BaseException as error:
                step, given = values.throw, error


_WRAPPERS: tuple[tuple[Callable[[Any], bool], Callable[[Callable[..., Any], Begin], Callable[..., Any]]], ...] = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
)

"""The kinds of functions that are no plain ones, and what wraps each."""

_BEGUN: tuple[tuple[Callable[[Any], bool], Callable[[Callable[..., Any], Begin], Callable[..., Any]]], ...] = (
    (inspect.iscoroutine, _coroutine),
    (inspect.isasyncgen, _async_generator),
    (inspect.isgenerator, _generator),
)
"""The same for what a function has returned."""


def _named(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by their names. Those that the function does not take are left to it to refuse."""
    if signature is None:
        return {"args": list(args), "kwargs": kwargs}
    try:
        named = dict(signature.bind(*args, **kwargs).arguments)
    except TypeError:
        return {"args": list(args), "kwargs": kwargs}
    first = next(iter(signature.parameters), None)
    if first in ("self", "cls"):
        named.pop(first, None)
    return named
