"""Inserts batches and selects pages, each call within its time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
import psycopg

from audit_store.errors import ConfigError
from audit_store.instance import FILTER_TEXTS, SinkError
from audit_store.postgres.failure import (
    TABLE,
    TimedOut,
    ends_session,
    is_contended,
    is_not_translatable,
    lacks_table,
    may_be_stored,
    refusal,
    sink_error,
    sqlstate,
)
from audit_store.postgres.lane import Call, Connection, Lane
from audit_store.postgres.schema import UPGRADE_TIME, inspect, keyed, sql, upgrade
from audit_store.types import JsonlPage

T = TypeVar("T")

PAGE_BYTES = 24 << 20
"""The most bytes that the lines of a page may take: well below the memory of the component."""

PAGE_ENTRIES = 50_000
"""The most entries of a page where none is asked for."""

CONTENDED = 0.02
"""The longest wait, in seconds, before a statement is run again that the server ended in favour of another one."""

LONG_WAIT = 0.1
"""An insert that fails after this time, in seconds, has waited for the database."""

VANISHED = "the database accepted the row without storing it, as a trigger does that drops rows"


class Database:
    """A database for one instance of the component, which calls it from one thread at a time."""

    def __init__(self, url: str, timeout: float, read_timeout: float) -> None:
        """A connection and a statement together may take `timeout` seconds, the statements of a page `read_timeout`.

        Raises:
            ConfigError: The URL is none.
        """
        self._server = server_name(url)
        self._timeout = timeout
        self._read_timeout = read_timeout
        self._lane = Lane(url, max(timeout, read_timeout))
        self._upgrades = Lane(url, UPGRADE_TIME)
        self._upgrade: Call[None] | None = None
        self._partitioned_by: list[str] | None = None
        self.insert_deadline: float | None = None
        self.missed_insert_deadline = False
        self._unanswered: SinkError | None = None

    def close(self) -> None:
        """Ends the connections."""
        self._lane.close()
        self._upgrades.close()

    def insert_batch(self, lines: str) -> list[tuple[int, str]]:
        """Stores all lines but those that the database refuses, which it returns with the reasons.

        Raises:
            SinkError: See wit/postgres.wit.
        """
        if self.insert_deadline is not None and time.monotonic() >= self.insert_deadline:
            self.missed_insert_deadline = True
            text = "the database does not take events as fast as they come"
            # This batch is not sent, whatever became of the one before.
            raise SinkError("unavailable", self._unanswered.message if self._unanswered else text)
        began = time.monotonic()
        self._unanswered = None
        try:
            return self._insert_all(lines.split("\n")[:-1])
        except SinkError as error:
            if time.monotonic() - began >= LONG_WAIT and error.kind != "other":
                self._unanswered = error
            raise

    def _insert_all(self, lines: list[str]) -> list[tuple[int, str]]:
        refused: list[tuple[int, str]] = []
        begun = False
        # A stack: the first half goes on top, so that the rows are inserted in their order.
        left = [(0, len(lines))]
        try:
            while left:
                start, end = left.pop()
                if start == end:
                    continue
                try:
                    vanished = self._write(partial(self._insert, lines[start:end]))
                except psycopg.Error as error:
                    if end - start > 1:
                        middle = (start + end) // 2
                        left += [(middle, end), (start, middle)]
                        continue
                    holes = [(start, refusal(error) or "")]
                else:
                    begun = True
                    holes = [(start + row, VANISHED) for row in vanished]
                # The rows behind a hole are stored once it is explained: else nothing might ever explain it.
                refused += [(row, self._keep(lines[row], reason)) for row, reason in holes]
        except SinkError as error:
            if not begun:
                raise
            # What was stored of the batch before stays.
            raise SinkError("unanswered", error.message) from error
        return refused

    def _insert(self, lines: list[str], call: Call[Any], connection: Connection) -> list[int]:
        """Returns the positions of the rows that the table does not have nevertheless."""
        if self._partitioned_by is None:
            self._partitioned_by = inspect(connection)[1]
        columns = self._partitioned_by
        values = ["[" + ",".join(lines) + "]", *(_bounds(lines) if "ts" in columns else ())]
        statement = keyed(sql("insert"), columns, 2)
        call.sent = True
        added = connection.execute(statement.encode(), values).rowcount
        if added >= len(lines):
            return []
        try:
            rows = connection.execute(keyed(sql("missing"), columns, 2).encode(), values).fetchall()
        except psycopg.Error as error:
            if may_be_stored(error):
                raise
            # The others are stored by now, whatever the server says of this statement.
            raise SinkError("unanswered", sink_error(error, self._server, sent=True).message) from error
        return [row[0] for row in rows]

    def _keep(self, line: str, reason: str) -> str:
        """Keeps what is known of a refused entry, and returns the reason. Where another try would fail too, it says why
        nothing is kept.

        Raises:
            SinkError: It may be kept later.
        """
        entry = msgspec.json.decode(line)
        stamp = [str(entry.get(name, "")) for name in ("id", "chain", "seq", "hash", "ts")]
        if not all(stamp):
            return reason

        def keep(_call: Call[Any], connection: Connection) -> None:
            connection.execute(sql("refused").encode(), [*stamp, reason])

        try:
            self._write(keep)
        except psycopg.Error as error:
            why = refusal(error)
        except SinkError as error:
            if error.kind != "other" or (error.__cause__ and ends_session(error.__cause__)):
                raise
            why = error.message
        else:
            return reason
        return f"{reason} (nothing is kept of it in tool_audit_refused: {why})"

    def select(self, filter: Mapping[str, Any], order: str, limit: int, cursor: str | None) -> JsonlPage:
        """A page of the lines that match.

        Raises:
            SinkError: See wit/postgres.wit.
        """
        attributes = filter["attributes"]
        values = [
            *(filter[name] for name in FILTER_TEXTS),
            msgspec.json.encode(attributes).decode() if attributes else None,
        ]
        most = min(limit or PAGE_ENTRIES, PAGE_ENTRIES)
        statement = sql("select_newest" if order == "newest-first" else "select_oldest")

        def page(_call: Call[JsonlPage], connection: Connection) -> JsonlPage:
            # One row more than the page has shows whether there is a next page.
            rows = connection.execute(statement.encode(), [*values, cursor, most + 1]).fetchall()
            return _page(rows, most, self._timeless(connection, values) if cursor is None else 0)

        try:
            return self._run(page, self._timeout + self._read_timeout)
        except psycopg.Error as error:
            if sqlstate(error) == "42P01":
                return JsonlPage("", 0, None, 0)
            # No row can match a character that the encoding of the database lacks.
            if is_not_translatable(error) and any(text and not text.isascii() for text in values):
                return JsonlPage("", 0, None, 0)
            raise sink_error(error, self._server, sent=False) from error
        except TimedOut as error:
            raise sink_error(error, self._server, sent=False) from error

    def _timeless(self, connection: Connection, values: list[Any]) -> int:
        row = connection.execute(sql("count_timeless").encode(), values).fetchone()
        return int(row[0]) if row else 0

    def _write(self, job: Callable[[Call[T], Connection], T]) -> T:
        """Runs a job that writes, with the table made ready where it is not.

        Raises:
            SinkError: It cannot be run now, or not at all.
            psycopg.Error: The server refuses a row.
        """
        by = time.monotonic() + self._timeout
        upgraded = False
        while True:
            try:
                self._wait_for_upgrade(by)
                return self._run(job, max(by - time.monotonic(), 0.001))
            except TimedOut as error:
                raise sink_error(TimedOut(self._timeout, error.sent), self._server, sent=error.sent) from error
            except psycopg.Error as error:
                if refusal(error):
                    raise
                if not lacks_table(error) or upgraded:
                    sent = getattr(error, "sent", False)
                    raise sink_error(error, self._server, sent=sent) from error
                upgraded = True
                self._partitioned_by = None
                self._begin_upgrade()

    def _run(self, job: Callable[[Call[T], Connection], T], seconds: float) -> T:
        """Runs the job, and once more where a restart of the server has broken the connection."""
        by = time.monotonic() + seconds
        repeated, sent = False, False
        while True:
            call = Call(job)
            left = max(by - time.monotonic(), 0.001)
            self._lane.start(call, left)
            try:
                self._lane.wait(call, left)
                return call.answer()
            except TimedOut as error:
                raise TimedOut(seconds, error.sent or sent) from error
            except psycopg.Error as error:
                if is_contended(error) and time.monotonic() < by:
                    time.sleep(random.uniform(0, CONTENDED))  # noqa: S311
                    continue
                # What one try may have stored stays in doubt until another one succeeds.
                sent = sent or (call.sent and may_be_stored(error))
                if repeated or not (call.reused and may_be_stored(error)):
                    error.sent = sent  # type: ignore[attr-defined]
                    raise
                repeated = True

    def _begin_upgrade(self) -> None:
        if self._upgrade is None:
            self._upgrade = Call(upgrade)
            self._upgrades.start(self._upgrade, self._timeout)

    def _wait_for_upgrade(self, by: float) -> None:
        if self._upgrade is None:
            return
        if not self._upgrade.done.wait(max(by - time.monotonic(), 0)):
            text = f"the table {TABLE} is being upgraded, which takes long for many rows"
            raise SinkError("unavailable", text)
        ended, self._upgrade = self._upgrade, None
        self._upgrades.close()
        try:
            ended.answer()
        except psycopg.Error as error:
            found = sink_error(error, self._server, sent=False)
            what = f"the table {TABLE} cannot be created or upgraded: {found.message}"
            raise SinkError(found.kind, f"{what}; its owner can run `audit migrate`") from error


def _page(rows: list[tuple[Any, ...]], most: int, skipped: int) -> JsonlPage:
    lines: list[str] = []
    size, last = 0, None
    for line, cursor in rows:
        length = len(line.encode())
        if len(lines) == most or (lines and size + length > PAGE_BYTES):
            return JsonlPage("\n".join(lines) + "\n", len(lines), last, skipped)
        if length > PAGE_BYTES:
            # A row of another writer, which the component has no room for.
            skipped += 1
        else:
            lines.append(line)
            size += length
        last = cursor
    return JsonlPage("".join(f"{line}\n" for line in lines), len(lines), None, skipped)


def _bounds(lines: list[str]) -> tuple[str, str]:
    """The first and the last `ts`. They have one width, so that their order is that of texts."""
    times = [msgspec.json.decode(line)["ts"] for line in lines]
    first, last = min(times), max(times)
    return tuple(f"0001{ts[4:]} BC" if ts.startswith("0000-") else ts for ts in (first, last))  # type: ignore[return-value]


def server_name(url: str) -> str:
    """How messages name the server: hosts and ports.

    Raises:
        ConfigError: The URL is none. Its text is in no message: it may have a password.
    """
    try:
        named = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigError(
            "database_url: it cannot be read; accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE, where the "
            "characters @ / ? # : of user and password are written %40 %2F %3F %23 %3A"
        ) from None
    port = str(named.get("port") or 5432)
    # A password with a slash ends there, and is taken for host and port.
    path = url.partition("?")[0].partition("//")[2].partition("/")[2] if url.startswith("postgres") else ""
    if "@" in path or not all(one.isascii() and (one.isdigit() or not one) for one in port.split(",")):
        raise ConfigError(
            "database_url: host and port are no such; in a password, the characters @ / ? # : are written "
            "%40 %2F %3F %23 %3A"
        )
    hosts = str(named.get("host") or named.get("hostaddr") or "local socket")
    # A host with such a character is a part of a password that was not written as it should.
    if any(sign in hosts for sign in "@?#"):
        raise ConfigError("database_url: the host has one of the characters @ ? #; in a password they are %40 %3F %23")
    return f"{hosts}:{port}"
