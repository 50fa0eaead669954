"""One instance of the component, called by one thread at a time. It blocks, and it stops for good with a trap."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from audit_store._wasm import Runtime, runtime
from audit_store.encode import text_of
from audit_store.errors import (
    AccessError,
    AuditError,
    ComponentError,
    ConfigError,
    IncompleteBatch,
    InvalidEvent,
    InvalidFilter,
    Unanswered,
    Unavailable,
)
from audit_store.settings import Settings
from audit_store.types import MAX_U32, Counts, Dropped, JsonlPage, Receipt, Status

PACKAGE = "audit:store/{}@0.1.0"
LOGGER = logging.getLogger("audit_store")

FILTER_TEXTS = (
    "from_ts",
    "to_ts",
    "tool",
    "agent_id",
    "workspace_id",
    "user_id",
    "action",
    "status",
    "req_id",
    "graph_run_id",
    "graph_node",
    "job_id",
)
CONFIG = (
    "backend",
    "jsonl-dir",
    "durability",
    "memory-limit",
    "batch-size",
    "flush-interval-ms",
    "queue-limit",
    "recovery-interval-s",
)


def warn(text: str, error: BaseException | None = None) -> None:
    """Warns. A program's own handler of log records may raise, which is no reason to stop."""
    with contextlib.suppress(Exception):
        LOGGER.warning("%s", text, exc_info=error)


class SinkError(Exception):
    """Why the database has not done what the component asked for.

    `kind` is a case of the WIT variant `sink-error`: `unavailable`, `unanswered` or `other`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message


class Postgres(Protocol):
    """What an instance imports as `audit:store/postgres`. Failures are `SinkError`."""

    def insert_batch(self, lines: str) -> list[tuple[int, str]]:
        """Stores the lines, and returns the positions of those that the database refuses, each with the reason."""

    def select(self, filter: Mapping[str, Any], order: str, limit: int, cursor: str | None) -> JsonlPage:
        """A page of the lines that match."""


class Instance:
    """One instance of the component over a folder and, where there is one, a database."""

    def __init__(self, settings: Settings, database: Postgres | None, read_only: bool = False) -> None:
        """Starts the component. The folder is created, unless `read_only`.

        Raises:
            AccessError: The folder cannot be created or opened.
            ConfigError: The component refuses a setting.
            ComponentError: The component cannot be started.
        """
        self._runtime = runtime()
        self._record = self._runtime.component_model.Record
        self.stopped = False
        self._stderr: list[bytes] = []
        self._folder = settings.dir
        try:
            self._start(settings, database, read_only)
        except self._runtime.wasmtime.WasmtimeError as error:
            raise ComponentError(f"the component cannot be started: {_cause(error)}") from error
        values = {**settings.config, "jsonl-dir": str(settings.dir)}
        self._call("configure", self._new(CONFIG, values), invalid=InvalidEvent)

    def _start(self, settings: Settings, database: Postgres | None, read_only: bool) -> None:
        wasm = self._runtime
        wasi = wasm.wasmtime.WasiConfig()
        wasi.env = list(settings.environment.items())
        wasi.stderr_custom = self._stderr.append
        self._folder_id = _preopen(wasi, settings, read_only)
        linker = wasm.component_model.Linker(wasm.engine)
        linker.add_wasip2()
        _link_postgres(linker, wasm, database)
        self._store = wasm.wasmtime.Store(wasm.engine)
        self._store.set_wasi(wasi)
        self._store.set_limits(memory_size=settings.guest_memory)
        instance = linker.instantiate(self._store, wasm.component)
        self._functions = {
            name: _function(instance, self._store, interface, name)
            for interface, names in {
                "writer": ("write-jsonl", "flush"),
                "reader": ("read-jsonl",),
                "control": ("configure", "status", "close"),
            }.items()
            for name in names
        }

    def folder_has_moved(self) -> bool:
        """Whether the path of the folder leads to another folder now, or to none."""
        return self._folder_id is not None and _folder_id(self._folder) != self._folder_id

    def write_jsonl(self, lines: str) -> Receipt:
        """Calls `writer.write-jsonl`."""
        answer = self._call("write-jsonl", lines, invalid=InvalidEvent)
        return Receipt(answer.accepted, answer.chain, getattr(answer, "first-seq"))

    def flush(self) -> None:
        """Calls `writer.flush`."""
        self._call("flush", invalid=InvalidEvent)

    def close(self) -> None:
        """Calls `control.close`."""
        self._call("close", invalid=InvalidEvent)

    def read_jsonl(self, filter: Mapping[str, Any], order: str, limit: int, cursor: str | None) -> JsonlPage:
        """Calls `reader.read-jsonl`."""
        request = self._new(("order", "limit", "cursor"), {"order": order, "limit": limit, "cursor": cursor})
        page = self._call("read-jsonl", self._filter(filter), request, invalid=InvalidFilter)
        return JsonlPage(page.lines, page.count, page.next, page.skipped)

    def status(self) -> Status:
        """Calls `control.status`."""
        status = self._call("status", invalid=InvalidEvent)
        counts, dropped = status.counts, status.counts.dropped
        return Status(
            backend=status.backend,
            since=status.since,
            requested=status.requested,
            jsonl_dir=getattr(status, "jsonl-dir"),
            durability=status.durability,
            chain=status.chain,
            counts=Counts(
                counts.received,
                counts.stored,
                counts.spooled,
                counts.pending,
                counts.rejected,
                Dropped(dropped.invalid, getattr(dropped, "queue-full"), dropped.unwritable),
            ),
            mended=status.mended,
            spooled_by_others=getattr(status, "spooled-by-others"),
            last_error=getattr(status, "last-error"),
            warnings=tuple(status.warnings),
        )

    def _filter(self, given: Mapping[str, Any]) -> Any:
        """The filter as a record.

        Raises:
            InvalidFilter: A field is unknown, or is no text.
        """
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name == "attributes":
                if not isinstance(value, Mapping | None):
                    raise InvalidFilter(0, name, f"found a {type(value).__name__}; accepted is a mapping of texts")
                values[name] = [self._attribute(key, one) for key, one in (value or {}).items()]
            elif name not in FILTER_TEXTS:
                accepted = ", ".join((*FILTER_TEXTS, "attributes"))
                raise InvalidFilter(0, name, f"there is no such field; accepted is one of {accepted}")
            elif value is not None:
                values[name] = _filter_text(name, value)
        values.setdefault("attributes", [])
        names = (*FILTER_TEXTS, "attributes")
        return self._new(tuple(name.replace("_", "-") for name in names), _hyphenated(values))

    def _attribute(self, key: object, value: object) -> Any:
        texts = {"key": _filter_text("attributes", key), "value": _filter_text("attributes", value)}
        return self._new(("key", "value"), texts)

    def _new(self, names: tuple[str, ...], values: Mapping[str, Any]) -> Any:
        record = self._record()
        for name in names:
            setattr(record, name, values.get(name))
        return record

    def _call(self, name: str, *parameters: Any, invalid: type[InvalidEvent] | type[InvalidFilter]) -> Any:
        """Calls a function of the component, and raises what it answers as an error.

        Raises:
            ComponentError: The component has stopped.
        """
        if self.stopped:
            raise ComponentError("the component has stopped")
        done = False
        try:
            answer = self._functions[name](self._store, *parameters)
            done = True
        except Exception as error:
            raise ComponentError(f"the component stopped: {_cause(error)}") from error
        finally:
            # Whatever leaves a call, an interrupt too, leaves the instance in the middle of it.
            self.stopped = not done
            self._pass_warnings_on()
        if isinstance(answer, self._runtime.component_model.Variant):
            raise _error(answer.tag, answer.payload, invalid)
        return answer

    def _pass_warnings_on(self) -> None:
        if self._stderr:
            text = b"".join(self._stderr).decode("utf-8", "replace")
            self._stderr.clear()
            for one in text.splitlines():
                warn(one)


def _error(tag: str, payload: Any, invalid: type[InvalidEvent] | type[InvalidFilter]) -> AuditError:
    match tag:
        case "invalid":
            return invalid(payload.index, payload.field, payload.reason)
        case "incomplete":
            return IncompleteBatch(payload.stored, payload.reason)
        case "config":
            return ConfigError(payload)
        case "access":
            return AccessError(payload)
        case "unavailable":
            return Unavailable(payload)
        case "unanswered":
            return Unanswered(payload)
        case _:
            return AuditError(payload)


def check_limit(limit: int) -> None:
    """Checks the most entries of a page.

    Raises:
        InvalidFilter: It is out of range; the boundary to the component would take it for another number.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= MAX_U32:
        raise InvalidFilter(0, "limit", f"found {limit!r}; accepted is a whole number from 0 to {MAX_U32}")


def _filter_text(name: str, value: object) -> str:
    if isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
        return zoned.isoformat()
    if not isinstance(value, str):
        raise InvalidFilter(0, name, f"found a {type(value).__name__}; accepted is a text")
    # The store replaces them in events too.
    return text_of(value)


def _hyphenated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in values.items()}


def _function(instance: Any, store: Any, interface: str, name: str) -> Any:
    exports = instance.get_export_index(store, PACKAGE.format(interface))
    return instance.get_func(store, instance.get_export_index(store, name, exports))


def _preopen(wasi: Any, settings: Settings, read_only: bool) -> tuple[int, int] | None:
    folder = settings.dir
    if not settings.has_folder:
        return None
    try:
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            return None
        wasi.preopen_dir(str(folder), str(folder), not read_only)
    except OSError as error:
        raise AccessError(f"the folder {folder} cannot be created: {error.strerror}") from error
    return _folder_id(folder)


def _folder_id(folder: os.PathLike[str]) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _link_postgres(linker: Any, wasm: Runtime, database: Postgres | None) -> None:
    variant, record = wasm.component_model.Variant, wasm.component_model.Record

    def refused_row(index: int, reason: str) -> Any:
        row = record()
        row.index, row.reason = index, reason
        return row

    def answer(ask: Callable[[Postgres], Any]) -> Any:
        # An exception that left an import would break the instance for good.
        try:
            return ask(database) if database else variant("not-configured")
        except SinkError as error:
            return variant(error.kind, error.message)
        except BaseException as error:
            warn(f"the database was not used: {type(error).__name__}", error)
            return variant("other", f"the host failed: {type(error).__name__}")

    def insert_batch(database: Postgres, lines: str) -> Any:
        return [refused_row(index, reason) for index, reason in database.insert_batch(lines)]

    def select(database: Postgres, filter: Any, request: Any) -> Any:
        given = {name: getattr(filter, name.replace("_", "-")) for name in FILTER_TEXTS}
        given["attributes"] = [{"key": one.key, "value": one.value} for one in filter.attributes]
        page = database.select(given, request.order, request.limit, request.cursor)
        found = record()
        for name in ("lines", "count", "next", "skipped"):
            setattr(found, name, getattr(page, name))
        return found

    with linker.root() as root, root.add_instance(PACKAGE.format("postgres")) as postgres:
        postgres.add_func("is-configured", lambda _store: database is not None)
        postgres.add_func("insert-batch", lambda _, lines: answer(lambda to: insert_batch(to, lines)))
        postgres.add_func("select", lambda _, *given: answer(lambda to: select(to, *given)))


def _cause(error: Exception) -> str:
    """The line of wasmtime's message that says what happened: the last one, below the stack of the component."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
