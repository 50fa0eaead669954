"""The thread that owns the instance: it passes queued events to the component, answers requests and flushes from time
to time. When the queue is closed it drains it, closes the component and ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from audit_store.backlog import Backlog
from audit_store.errors import (
    AccessError,
    AuditError,
    Closed,
    ComponentError,
    ConfigError,
    IncompleteBatch,
    InvalidEvent,
    Unanswered,
    Unavailable,
)
from audit_store.instance import Instance, warn
from audit_store.keeper import Deadline, Keeper, events
from audit_store.ledger import has_spool
from audit_store.mend import mended_line
from audit_store.queue import Queue, Request
from audit_store.settings import Settings
from audit_store.types import Receipt, Status

if TYPE_CHECKING:
    from audit_store.postgres import Database

T = TypeVar("T")

INSERT_TIME = 1.0
"""How long inserts into the database may hold up the worker while a spool can take the events instead, in seconds."""

SHORT_REQUEST = 0.1
"""After a request that took longer, in seconds, queued events are passed on before the next one is answered."""

MAX_STOPS_IN_A_ROW = 3
"""How many events in a row may stop the component, until something else is taken to be the cause."""


class Worker(Keeper):
    """Passes events on and answers requests. All of its methods run on its thread."""

    def __init__(
        self, queue: Queue, settings: Settings, start: Callable[[], Instance], deadline: Deadline | None
    ) -> None:
        """Starts the component with `start`, whose errors it passes on."""
        super().__init__(settings, start, deadline)
        self._queue = queue
        self._stalled: AuditError | None = None
        self._warned_full = 0
        self.requests: deque[Request] = deque()
        """Those that were taken and not answered yet."""
        for warning in settings.warnings:
            warn(warning)
        self._publish()

    def run(self) -> None:
        """Works until the queue is closed and drained."""
        next_flush = time.monotonic() + self._settings.flush_interval
        requests = self.requests
        while True:
            taken = self._queue.take(0 if requests else self._chores_at(next_flush))
            self._backlog.append(taken.lines)
            requests.extend(taken.requests)
            if taken.full > self._warned_full:
                self._warned_full = taken.full
                self._warn("queue-full", f"the queue is full; {events(taken.full)} dropped so far")
            if time.monotonic() >= self._chores_at(next_flush):
                self._stalled = None
                self._deliver()
                more_to_drain = self._do_chores()
                self._publish()
                # The flush may have emptied the component's own queue, for which the backlog had to wait.
                self._stalled = None
                next_flush = time.monotonic() + (0 if more_to_drain else self._settings.flush_interval)
            self._deliver()
            self._answer(requests)
            if taken.closed and not requests:
                break
        self._finish()

    def _answer(self, requests: deque[Request]) -> None:
        while requests:
            began = time.monotonic()
            requests.popleft().run(self)
            self._publish()
            if time.monotonic() - began > SHORT_REQUEST:
                break

    # Requests.

    def refresh(self) -> None:
        """Gets the status of the instance, and publishes it."""
        try:
            self._call(lambda _instance: None)
        except ComponentError as error:
            self._recover(error, [])
        self._publish()

    def write(self, lines: list[bytes]) -> Receipt:
        """Stores the lines, or raises why not; some may be empty."""
        given = [line for line in lines if line.strip()]
        text = b"\n".join(lines).decode("utf-8", "replace")
        try:
            self._ensure_started()
        except AuditError:
            self._ledger.rejected(len(given))
            raise
        self._limit_inserts(time.monotonic() + INSERT_TIME)
        try:
            answer, change = self._call(lambda instance: instance.write_jsonl(text))
            if isinstance(answer, AccessError) and change.taken == 0 and self._follow_folder(change.rejected):
                answer, change = self._call(lambda instance: instance.write_jsonl(text))
        except ComponentError as error:
            left = self._recover(error, given)
            self._ledger.rejected(len(left))
            raise ComponentError(f"{error}; {len(given) - len(left)} of {events(len(given))} stored") from error
        self._ledger.accepted(given[: change.taken])
        if isinstance(answer, AuditError):
            raise answer
        return answer

    def reject(self, count: int) -> None:
        """Counts events that were refused to the caller before they came here."""
        self._ledger.rejected(count)

    def flush(self) -> tuple[int, int] | None:
        """Passes on the backlog and what the component has buffered, and drains a part of the spool.

        Returns what is left of the spool, if it became smaller: events, and bytes of others.
        """
        self._deliver_all()
        return self._flush_instance()

    def prepare_read(self) -> bool:
        """Passes on what was written before, and says whether another instance can read all of it."""
        if self._last_status.backend == "memory":
            return False
        if self._last_status.counts.pending:
            try:
                self._flush_instance()
            except AuditError:
                # The events stay in the memory of this instance, which alone can read them then.
                pass
        return self._last_status.counts.pending == 0

    def read(self, read: Callable[[Instance], T]) -> T:
        """Reads with the instance that events are written to."""
        self._ensure_started()
        try:
            return read(self._instance)
        except AccessError:
            if not self._follow_folder(0):
                raise
            return read(self._instance)
        except ComponentError as error:
            self._recover(error, [])
            raise

    # Delivery.

    def _deliver(self) -> None:
        """Delivers the backlog until it is empty, or until the component does not take it."""
        insert_by = time.monotonic() + INSERT_TIME
        while self._stalled is None and len(self._backlog):
            self._limit_inserts(insert_by)
            left, why = self._deliver_batch(self._backlog.take_batch())
            self._backlog.put_back(left)
            self._stalled = why
            self._publish()

    def _deliver_batch(self, batch: list[bytes]) -> tuple[list[bytes], AuditError | None]:
        """Returns the events that have to wait, and why."""
        # A stack of lines, and how often the component has stopped over them.
        pieces: list[tuple[list[bytes], int]] = [(batch, 0)]
        mended: set[bytes] = set()
        stops_in_a_row, followed = 0, False
        while pieces:
            lines, stops = pieces.pop()
            try:
                left, why = self._submit(lines)
            except ComponentError as error:
                left = self._recover(error, lines)
                if not left:
                    continue
                if stops == 0:
                    pieces.append((left, 1))
                elif len(left) > 1:
                    # Tried one by one, only the event that stops the component is lost.
                    pieces.extend(([line], 2) for line in reversed(left))
                else:
                    self._drop(left)
                    stops_in_a_row += 1
                    if stops_in_a_row == MAX_STOPS_IN_A_ROW:
                        rest = [line for piece, _ in reversed(pieces) for line in piece]
                        return rest, ComponentError(f"each of {MAX_STOPS_IN_A_ROW} events in a row stopped it")
                continue
            if why is None:
                stops_in_a_row = 0
            elif isinstance(why, InvalidEvent) and why.index < len(left):
                self._mend(left, why, mended, pieces)
            elif isinstance(why, AccessError | IncompleteBatch) and not followed and self._follow_folder(0):
                followed = True
                pieces.append((left, stops))
            elif isinstance(why, AccessError | IncompleteBatch | Unavailable):
                return left + [line for piece, _ in reversed(pieces) for line in piece], why
            elif len(left) > 1:
                # The component would refuse the same batch again, not each of its events.
                middle = len(left) // 2
                pieces.extend([(left[middle:], stops), (left[:middle], stops)])
            else:
                self._drop(left)
        return [], None

    def _submit(self, lines: list[bytes]) -> tuple[list[bytes], AuditError | None]:
        """Passes the lines to the component. Returns those that it has not accepted, and why.

        Raises:
            ComponentError: It has stopped.
        """
        try:
            self._ensure_started()
        except AuditError as error:
            return lines, Unavailable(str(error))
        text = b"\n".join(lines).decode("utf-8", "replace")
        answer, change = self._call(lambda instance: instance.write_jsonl(text))
        self._ledger.accepted(lines[: change.taken])
        self._ledger.withdraw(change.rejected)
        return lines[change.taken :], answer if isinstance(answer, AuditError) else None

    def _mend(
        self, lines: list[bytes], why: InvalidEvent, mended: set[bytes], pieces: list[tuple[list[bytes], int]]
    ) -> None:
        """Goes on with the event that is invalid made plain. One that stays invalid is dropped."""
        before, wrong, after = lines[: why.index], lines[why.index], lines[why.index + 1 :]
        pieces.append((after, 0))
        if wrong in mended and why.field != "ts":
            self._drop([wrong])
        else:
            plain = mended_line(wrong, why.field)
            self._ledger.mended(wrong not in mended)
            mended.add(plain)
            self._warn("mended", f"an event was changed: {why.field}: {why.reason}")
            pieces.append(([plain], 0))
        pieces.append((before, 0))

    def _drop(self, lines: list[bytes]) -> None:
        self._note("an event was not recorded: the component does not take it")
        self._ledger.invalid(len(lines))

    def _deliver_all(self) -> None:
        """Delivers the backlog. If the component's own queue is full, it is flushed first."""
        self._stalled = None
        self._deliver()
        if isinstance(self._stalled, Unavailable):
            try:
                self._flush_instance()
            except AuditError:
                # The backlog then stalls again, for the same reason.
                pass
            self._stalled = None
            self._deliver()
        # It may be set by now, which mypy does not see.
        stalled: AuditError | None = self._stalled
        if stalled is not None:
            raise stalled

    def _limit_inserts(self, insert_by: float) -> None:
        """Where a spool can take the events, inserts nothing more after this time, or at once if the queue fills up."""
        if self._deadline is not None:
            at = time.monotonic() if self._queue.is_half_full() else insert_by
            self._set_insert_deadline(at if has_spool(self._last_status) else None)

    def _set_insert_deadline(self, at: float | None) -> None:
        if self._deadline is not None:
            self._deadline.insert_deadline = at
            self._deadline.missed_insert_deadline = False

    # Flushing.

    def _flush_instance(self) -> tuple[int, int] | None:
        before = _spooled(self._last_status)
        self._set_insert_deadline(None)
        try:
            answer, _ = self._call(Instance.flush)
            if isinstance(answer, AccessError) and self._follow_folder(0):
                # The backlog now also has what the old instance had in memory.
                self._stalled = None
                self._deliver()
                self._set_insert_deadline(None)
                answer, _ = self._call(Instance.flush)
        except ComponentError as error:
            self._recover(error, [])
            raise
        if isinstance(answer, AuditError):
            raise answer
        left = _spooled(self._last_status)
        return left if left != (0, 0) and left < before else None

    def _do_chores(self) -> bool:
        """Flushes if events wait in the component, and has it try a database again. Returns whether to go on now."""
        spools = has_spool(self._last_status)
        probes = spools and time.monotonic() >= self._probe_at
        if not self._last_status.counts.pending and not probes:
            return False
        more = False
        try:
            more = spools and self._flush_instance() is not None
            if not spools:
                self._flush_instance()
        except AuditError:
            # The component notes it in its status, and the events stay pending.
            pass
        if not more:
            self._probe_at = time.monotonic() + self._settings.recovery_interval
        return more

    def _chores_at(self, next_flush: float) -> float:
        return min(next_flush, self._probe_at) if has_spool(self._last_status) else next_flush

    # The end, and what is published.

    def _finish(self) -> None:
        """Drains the queue and closes the component."""
        unanswered = False
        # A second round passes the events of a component that stops here to the one that replaces it.
        for _ in range(2):
            try:
                self._deliver_all()
            except AuditError:
                pass
            backend, since = self._last_status.backend, self._last_status.since
            self._set_insert_deadline(None)
            try:
                answer, _change = self._call(Instance.close)
            except ComponentError as error:
                self._recover(error, [])
                continue
            if isinstance(answer, AuditError):
                unanswered = isinstance(answer, Unanswered)
                self._note(f"the store could not be closed: {answer}")
            else:
                # A closed component reports no backend. The last status shows the one that was in use.
                self._last_status = replace(self._last_status, backend=backend, since=since)
            break
        unwritten = self._ledger.carry_over()[0] if self._last_status.counts.pending else []
        if lost := len(self._backlog) + len(unwritten):
            why = f": {self._stalled}" if self._stalled else ""
            doubt = " given up when the store was closed, and may be recorded or not"
            end = doubt if unanswered else " not recorded when the store was closed"
            self._note(f"{events(lost)}{end}{why}")
            self._ledger.lost(lost)
            self._backlog = Backlog()
        self._publish()

    def _publish(self) -> None:
        status = self._last_status
        errors = [error for error in (status.last_error, self._last_error) if error]
        self._queue.publish(
            replace(
                status,
                counts=self._ledger.counts(),
                mended=self._ledger.mended_count,
                restarts=self._restarts,
                # Both texts begin with their time in the same format.
                last_error=max(errors, default=None),
            ),
            len(self._backlog),
            self._backlog.bytes,
        )


def _spooled(status: Status) -> tuple[int, int]:
    return status.counts.spooled, status.spooled_by_others


def work(queue: Queue, settings: Settings, started: Request) -> None:
    """The thread of the worker."""
    database: Database | None = None
    worker: Worker | None = None
    error: BaseException = Closed("the store is closed")
    try:
        database = open_database(settings)
        worker = Worker(queue, settings, lambda: Instance(settings, database), database)
        started.run(worker)
        worker.run()
    except BaseException as failure:
        error = failure if isinstance(failure, AuditError) else ComponentError(f"the worker ended: {failure!r}")
        if started.answer.done():
            raise
        started.answer.set_exception(error)
    finally:
        queue.end(error, worker.requests if worker else ())
        if database is not None:
            database.close()


def open_database(settings: Settings) -> Database | None:
    """The database of an instance; none: there is none, or it is not needed.

    Raises:
        ConfigError: The URL is none, or psycopg is not installed.
    """
    backend = settings.config.get("backend") or settings.environment.get("AUDIT_BACKEND")
    if settings.database_url is None or backend not in ("postgres", "auto"):
        return None
    try:
        from audit_store.postgres import Database
    except ImportError as error:
        raise ConfigError(f"database_url: psycopg is missing: pip install 'audit-store[postgres]' ({error})") from None
    return Database(settings.database_url, settings.database_timeout, settings.read_timeout)
