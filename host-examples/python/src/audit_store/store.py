"""`AuditStore`: what a program opens, writes to and reads from."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from audit_store import encode
from audit_store._wasm import leave_behind
from audit_store.errors import AuditError, Closed, ComponentError, ConfigError, InvalidEvent
from audit_store.instance import LOGGER, Instance, check_limit
from audit_store.queue import Queue, Request
from audit_store.settings import resolve
from audit_store.types import BackendName, DurabilityName, Entry, Event, JsonlPage, Order, Page, Receipt, Status
from audit_store.worker import Worker, open_database, work

if TYPE_CHECKING:
    from typing import Self, Unpack

    from audit_store.postgres import Database
    from audit_store.types import EventFields, Filter

T = TypeVar("T")

STATUS_WAIT = 3.0
"""How long `status` waits for a busy worker, in seconds: longer than one database timeout by default."""


class AuditStore:
    """A store of audit events. It may be used by any number of threads, and by a process that is forked later.

    `write` never blocks and never raises. All other calls block until they are answered, and see the events that were
    written before them; `aflush`, `aread` and `aclose` are for asyncio. The store is closed by `close`, by `with`, or
    at the end of the interpreter.
    """

    def __init__(
        self,
        *,
        dir: str | os.PathLike[str] | None = None,
        backend: BackendName | None = None,
        database_url: str | None = None,
        durability: DurabilityName | None = None,
        memory_limit: int | None = None,
        batch_size: int | None = None,
        flush_interval_ms: int | None = None,
        queue_limit: int | None = None,
        recovery_interval_s: int | None = None,
        database_timeout_ms: int | None = None,
        read_timeout_ms: int | None = None,
        queue_events: int | None = None,
        queue_bytes: int | None = None,
        guest_memory: int | None = None,
    ) -> None:
        """Opens the store. Each setting that is not given comes from its environment variable, else its default.

        Args:
            dir: The folder of the daily files and the spool. `AUDIT_JSONL_DIR`, default `$REPO_ROOT/ops/audit`.
            backend: Where events are kept. `AUDIT_BACKEND`, default `jsonl`.
            database_url: `DATABASE_URL`, else `POSTGRES_DSN`. It needs the extra `audit-store[postgres]`.
            durability: When an event counts as stored in a file. `AUDIT_DURABILITY`, default `written`.
            memory_limit: How many events `memory` keeps. `AUDIT_MEMORY_LIMIT`, default 100 000.
            batch_size: How many events go to the database at once. `AUDIT_BATCH_SIZE`, default 50.
            flush_interval_ms: How long an event may wait in the component. `AUDIT_FLUSH_INTERVAL_MS`, default 2000.
            queue_limit: How many events may wait there. `AUDIT_QUEUE_LIMIT`, default 10 000.
            recovery_interval_s: How long until a database that failed is tried again, at most.
                `AUDIT_RECOVERY_INTERVAL_S`, default 300.
            database_timeout_ms: How long the database may take for a connection and a statement.
                `AUDIT_DATABASE_TIMEOUT_MS`, default 2000.
            read_timeout_ms: How long it may take for a page of a read beside that; default 10 000.
            queue_events: How many events `write` may leave waiting; default 100 000.
            queue_bytes: How many bytes they may have as JSON; default 64 MiB.
            guest_memory: How many bytes of memory the component may take; default 256 MiB.

        Raises:
            ConfigError: A setting is not accepted.
            AccessError: The folder cannot be created.
            ComponentError: The component cannot be started.
        """
        self._settings = resolve(
            dir=dir,
            backend=backend,
            database_url=database_url,
            durability=durability,
            memory_limit=memory_limit,
            batch_size=batch_size,
            flush_interval_ms=flush_interval_ms,
            queue_limit=queue_limit,
            recovery_interval_s=recovery_interval_s,
            database_timeout_ms=database_timeout_ms,
            read_timeout_ms=read_timeout_ms,
            queue_events=queue_events,
            queue_bytes=queue_bytes,
            guest_memory=guest_memory,
        )
        self._needs_start = False
        self._reset()
        _open_stores[id(self)] = self
        try:
            self._start().result()
        except BaseException:
            self.close()
            raise

    def _reset(self) -> None:
        """Begins anew: when it is opened, and in a process that was forked."""
        self._queue = Queue(self._settings.queue_events, self._settings.queue_bytes)
        self._worker_thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._reader: Instance | None = None
        self._reader_database: Database | None = None
        self._reader_lock = threading.Lock()

    def _start(self) -> Future[Any]:
        """Starts the worker, and returns the future of that."""
        started = Request(lambda worker: None)
        self._worker_thread = threading.Thread(
            target=work, args=(self._queue, self._settings, started), name="audit-store", daemon=True
        )
        self._worker_thread.start()
        return started.answer

    def write(self, event: Event | Mapping[str, Any] | None = None, /, **fields: Unpack[EventFields]) -> None:
        """Records one event. Never blocks and never raises.

        The fields are keyword arguments, or an `Event`, another dataclass or a mapping, which keywords overrule. An
        event without a `ts` gets the time of this call. What is wrong with an event is mended: a time that is none
        becomes the current one, an unknown field an attribute. An event that cannot be kept is counted in `status` by
        its reason, with a warning of the logger `audit_store`.
        """
        given: dict[str, Any] = cast("dict[str, Any]", fields)
        if event is not None:
            given = encode.any_members(event) | given
        line, mended = encode.line(given)
        self._queue.push(line, mended)
        if self._needs_start:
            self._start_again()

    def write_batch(self, events: Iterable[Event | Mapping[str, Any]]) -> Receipt:
        """Records all of the events, in their order, or none of them. Blocks until they are taken.

        Raises:
            InvalidEvent: An event has a field that is unknown, of a wrong type, or a `ts` that is no time.
            IncompleteBatch: Only the first events are stored.
            AccessError: The files cannot be written; nothing is stored.
            Unavailable: The component's memory or its database takes no events now.
            ComponentError: The component stopped; the message says how many are stored.
            Closed: The store is closed.
        """
        batch = list(events)
        try:
            lines = [encode.strict_line(index, event) for index, event in enumerate(batch)]
        except InvalidEvent:
            self._ask(lambda worker: worker.reject(len(batch)))
            raise
        receipt: Receipt = self._ask(lambda worker: worker.write(lines))
        return receipt

    def write_jsonl(self, lines: str | bytes) -> Receipt:
        """As `write_batch`, for JSON objects, one a line. Empty lines are passed over.

        Raises:
            InvalidEvent: `index` is that of the line, empty ones counted; else as for `write_batch`.
        """
        text = encode.text_of(lines).encode() if isinstance(lines, str) else lines
        split = text.split(b"\n")
        receipt: Receipt = self._ask(lambda worker: worker.write(split))
        return receipt

    def flush(self) -> None:
        """Passes on all events that were written before, also those that the component has in memory.

        Under `auto` it also tries the database again, and drains the spool as far as the database takes it.

        Raises:
            AuditError: Why some events still have to wait. None of them is lost.
        """
        left: tuple[int, int] | None = None
        # Each call drains a part of the spool, so that the worker can take events from the queue in between.
        while (now := self._ask(Worker.flush)) is not None and (left is None or now < left):
            left = now

    def read(self, *, order: Order = "oldest-first", page_size: int = 0, **filter: Unpack[Filter]) -> Iterator[Entry]:
        """The entries that match the filter, page after page: `store.read(tool="shell", status="error")`.

        Args:
            order: By `ts`, ties by `id`.
            page_size: The most entries of a page, which are in memory at once; 0: 50 000.
            **filter: The fields of `Filter`.

        Raises:
            InvalidFilter: A time is none, or there is no such field.
            AccessError: The folder cannot be read.
            Unavailable: The database does not answer.
            Closed: The store is closed.
        """
        cursor: str | None = None
        while True:
            page = self.read_page(order=order, limit=page_size, cursor=cursor, **filter)
            yield from page.entries
            cursor = page.next
            if cursor is None:
                return

    def read_page(
        self,
        *,
        order: Order = "oldest-first",
        limit: int = 0,
        cursor: str | None = None,
        **filter: Unpack[Filter],
    ) -> Page:
        """One page of the entries that match, at most `limit` (0: 50 000), behind `cursor`, the `next` of a page.

        Raises:
            InvalidFilter: The cursor is none; else as for `read`.
        """
        page = self.read_jsonl(order=order, limit=limit, cursor=cursor, **filter)
        return Page(encode.entries(page.lines), page.next, page.skipped)

    def read_jsonl(
        self,
        *,
        order: Order = "oldest-first",
        limit: int = 0,
        cursor: str | None = None,
        **filter: Unpack[Filter],
    ) -> JsonlPage:
        """As `read_page`, with the entries as JSON lines."""
        check_limit(limit)
        if order not in ("oldest-first", "newest-first"):
            raise ConfigError(f"order: found {order!r}; accepted is oldest-first or newest-first")

        def read(instance: Instance) -> JsonlPage:
            return instance.read_jsonl(filter, order, limit, cursor)

        if not self._ask(Worker.prepare_read):
            page: JsonlPage = self._ask(lambda worker: worker.read(read))
            return page
        with self._reader_lock:
            return read(self._reading_instance())

    def _reading_instance(self) -> Instance:
        """An instance that only reads, so that a long read holds up no write."""
        reader = self._reader
        if reader is None or reader.stopped or reader.folder_has_moved():
            if self._reader_database is None:
                self._reader_database = open_database(self._settings)
            reader = self._reader = Instance(self._settings, self._reader_database, read_only=True)
        return reader

    def status(self) -> Status:
        """How the store is doing, and what became of the events. After `close`, the last state.

        A worker that is busy for more than 3 seconds is not waited for: the counts are right all the same.
        """
        try:
            self._ask(Worker.refresh, STATUS_WAIT)
        except (FutureTimeout, Closed):
            pass
        status = self._queue.status()
        if status is None:
            raise ComponentError("the component was never started")
        return status

    def close(self) -> Status | None:
        """Takes no more events, stores those that wait, and closes. Blocks until that is done.

        Returns the last status; none, where the store was never opened. Events that could not be stored are counted
        in it as `unwritable`. A second call does nothing.
        """
        if self._needs_start:
            self._needs_start = False
            self._queue.close()
            _open_stores.pop(id(self), None)
            return None
        self._queue.close()
        thread = self._worker_thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        # An interrupt before this leaves the rest to the next call, or to the end of the interpreter.
        _open_stores.pop(id(self), None)
        with self._reader_lock:
            self._reader = None
            if self._reader_database is not None:
                self._reader_database.close()
                self._reader_database = None
        return self._queue.status()

    async def aflush(self) -> None:
        """`flush` for asyncio: on a thread, so that the event loop goes on."""
        await asyncio.to_thread(self.flush)

    async def aread(
        self, *, order: Order = "oldest-first", page_size: int = 0, **filter: Unpack[Filter]
    ) -> AsyncIterator[Entry]:
        """`read` for asyncio: each page is read on a thread."""
        cursor: str | None = None
        while True:
            page = await asyncio.to_thread(self.read_page, order=order, limit=page_size, cursor=cursor, **filter)
            for entry in page.entries:
                yield entry
            cursor = page.next
            if cursor is None:
                return

    async def aclose(self) -> Status | None:
        """`close` for asyncio: on a thread."""
        return await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the store."""
        self.close()

    async def __aenter__(self) -> Self:
        """The store itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the store."""
        await self.aclose()

    def _ask(self, ask: Callable[[Worker], Any], seconds: float | None = None) -> Any:
        if self._needs_start:
            self._start_again()
        if threading.current_thread() is self._worker_thread:
            # It would wait for itself.
            raise AuditError("a handler of the store's own warnings can only write")
        request = Request(ask)
        if not self._queue.ask(request):
            raise Closed("the store is closed")
        return request.answer.result(seconds)

    def _start_again(self) -> None:
        """Starts the worker of a process that was forked, at the first use of the store."""
        with self._start_lock:
            if self._needs_start:
                self._needs_start = False
                _close_at_exit()
                self._start().add_done_callback(_warn_of_failure)

    def _leave_to_parent(self) -> None:
        """Makes this a store of its own, in a process that was forked: what waits in the queue is the parent's."""
        for value in (self._queue, self._worker_thread, self._reader, self._reader_database):
            leave_behind(value)
        closed = self._queue.closed
        self._reset()
        if closed:
            self._queue.close()
        self._needs_start = not closed


def _warn_of_failure(started: Future[None]) -> None:
    """Says why there is no component in a process that was forked, where nobody waits for it to start."""
    if error := started.exception():
        LOGGER.error("no event is recorded in this process: %s", error)


_open_stores: dict[int, AuditStore] = {}
_fork_held: list[AuditStore] = []


def _close_all() -> None:
    for store in list(_open_stores.values()):
        store.close()


def _close_at_exit() -> None:
    """Has the stores of a child of `multiprocessing` closed, which runs no function of `atexit`."""
    from multiprocessing import util

    util.Finalize(None, _close_all, exitpriority=0)


def _before_fork() -> None:
    # In a fixed order, so that two threads that fork do not wait for each other.
    for store in [_open_stores[key] for key in sorted(_open_stores)]:
        store._queue.lock.acquire()
        _fork_held.append(store)


def _after_fork_in_parent() -> None:
    while _fork_held:
        _fork_held.pop()._queue.lock.release()


def _after_fork_in_child() -> None:
    while _fork_held:
        store = _fork_held.pop()
        store._queue.lock.release()
        store._leave_to_parent()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
