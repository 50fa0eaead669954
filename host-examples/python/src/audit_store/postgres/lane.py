"""One connection to the database, on a thread of its own, so that nobody waits for it longer than a call may take:
whatever hangs, a look-up of a name too."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

import psycopg

from audit_store.postgres.failure import TimedOut, ends_session

T = TypeVar("T")

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

CANCEL_TIME = 0.5
"""How long a statement that took too long has to end once it is cancelled, in seconds."""

CATALOG_FIRST = """
    SELECT pg_catalog.set_config('search_path', pg_catalog.array_to_string(ARRAY(
        SELECT pg_catalog.quote_ident(schema)
        FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (schema, place)
        WHERE schema OPERATOR(pg_catalog.<>) 'pg_catalog'
        ORDER BY place
    ), ', '), false)
    WHERE pg_catalog.current_setting('search_path') LIKE '%pg_catalog%'"""
"""Not named in the search path, `pg_catalog` comes before every schema that has functions of the same names."""


class Call(Generic[T]):
    """A job for the connection, and what became of it."""

    def __init__(self, job: Callable[[Call[T], Connection], T]) -> None:
        """`job` runs on the thread of the connection."""
        self.job = job
        self.done = threading.Event()
        self.sent = False
        """Whether a statement that writes was sent."""
        self.reused = False
        """Whether the connection had been used before: it may be stale."""
        self.result: T | None = None
        self.error: BaseException | None = None

    def answer(self) -> T:
        """The result, once it is done."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


class Lane:
    """A connection that is made when it is first needed, and made anew after it failed."""

    def __init__(self, url: str, statement_time: float) -> None:
        """The server ends statements that take longer than `statement_time`, in seconds."""
        self._url = url
        self._statement_time = statement_time
        self._thread: _Thread | None = None

    def run(self, job: Callable[[Call[T], Connection], T], seconds: float) -> T:
        """Runs the job on the connection, and waits for it this long.

        Raises:
            TimedOut: It took longer. It was cancelled.
            psycopg.Error: No connection could be made, or a statement failed.
        """
        call = Call(job)
        self.start(call, seconds)
        self.wait(call, seconds)
        return call.answer()

    def start(self, call: Call[T], seconds: float) -> None:
        """Has the job run, without waiting for it. A connection may take this long to be made."""
        if self._thread is None:
            self._thread = _Thread(self._url, self._statement_time, seconds)
        self._thread.calls.put(call)

    def wait(self, call: Call[T], seconds: float) -> None:
        """Waits until the job is done.

        Raises:
            TimedOut: It took longer. It was cancelled.
        """
        if call.done.wait(seconds):
            return
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.abandon(call)
        if not call.done.is_set() or call.error is not None:
            raise TimedOut(seconds, call.sent)

    def close(self) -> None:
        """Ends the connection, once what runs on it has ended."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.calls.put(None)


class _Thread:
    """The thread of one connection after the other."""

    def __init__(self, url: str, statement_time: float, connect_time: float) -> None:
        self.calls: queue.SimpleQueue[Call[Any] | None] = queue.SimpleQueue()
        self._url = url
        self._statement_time = statement_time
        self._connect_time = connect_time
        self._connection: Connection | None = None
        self._abandoned = False
        threading.Thread(target=self._run, name="audit-store-postgres", daemon=True).start()

    def _run(self) -> None:
        while not self._abandoned and (call := self.calls.get()) is not None:
            try:
                call.reused = self._connection is not None
                if self._connection is None:
                    self._connection = connect(self._url, self._statement_time, self._connect_time)
                if not self._abandoned:
                    call.result = call.job(call, self._connection)
            except BaseException as error:
                call.error = error
                if self._connection is not None and (self._connection.closed or ends_session(error)):
                    self._close()
            call.done.set()
        self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def abandon(self, call: Call[Any]) -> None:
        """Cancels what runs, and has the thread end."""
        self._abandoned = True
        self.calls.put(None)
        connection, by = self._connection, time.monotonic() + CANCEL_TIME
        if connection is None:
            return
        try:
            # Else the statement stays on the server, as a commit does that waits for a standby.
            connection.cancel_safe(timeout=CANCEL_TIME)
            call.done.wait(max(by - time.monotonic(), 0))
        except Exception:
            # The server does not answer that either.
            pass
        if not call.done.is_set():
            _cut(connection)


def _cut(connection: Connection) -> None:
    """Ends the connection under a thread that waits for it, which then closes it."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass


def connect(url: str, statement_time: float, connect_time: float) -> Connection:
    """A new connection, whose session has the settings that the statements need."""
    named = psycopg.conninfo.conninfo_to_dict(url)
    connection = psycopg.Connection[tuple[Any, ...]].connect(
        url,
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.RawCursor,
        client_encoding="UTF8",
        application_name=named.get("application_name") or "audit-store",
        connect_timeout=max(2, int(connect_time) + 1),
    )
    millis = max(1, min(int(statement_time * 1000), 2**31 - 1))
    # The server itself ends statements that nobody waits for any more. An insert waits for another one of the same
    # rows, where a higher level of isolation would fail.
    settings = (
        f"SET statement_timeout = {millis}; SET lock_timeout = {millis}; SET TimeZone = 'UTC'; "
        "SET DateStyle = 'ISO, MDY'; SET standard_conforming_strings = on; "
        "SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_custom_plan"
    )
    try:
        connection.execute(settings.encode())
        connection.execute(CATALOG_FIRST)
    except BaseException:
        connection.close()
        raise
    return connection
