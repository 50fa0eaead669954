"""The instance of a worker: it is called here, its events are counted, and it is replaced where it has stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from audit_store.backlog import Backlog
from audit_store.encode import now
from audit_store.errors import AuditError, ComponentError
from audit_store.instance import Instance, warn
from audit_store.ledger import Change, Ledger, has_spool
from audit_store.recover import spooled_seqs, stored_seqs
from audit_store.settings import Settings

T = TypeVar("T")

WARN_EVERY = 60.0
"""How often a warning of one kind is repeated, in seconds."""


class Deadline(Protocol):
    """What a worker tells the database."""

    insert_deadline: float | None
    """After this time (`time.monotonic`) the database refuses inserts as unavailable. None: never."""
    missed_insert_deadline: bool
    """Whether that has happened since the deadline was set."""


class Keeper:
    """Owns the instance. All of its methods run on one thread."""

    def __init__(self, settings: Settings, start: Callable[[], Instance], deadline: Deadline | None) -> None:
        """Starts the component with `start`, whose errors it passes on."""
        self._settings = settings
        self._start = start
        self._deadline = deadline
        self._instance = start()
        self._last_status = self._instance.status()
        self._ledger = Ledger()
        self._backlog = Backlog()
        self._restarts = 0
        self._last_error: str | None = None
        self._probe_at = time.monotonic()
        self._warned: dict[str, float] = {}

    def _call(self, call: Callable[[Instance], T]) -> tuple[T | AuditError, Change]:
        """Calls the instance, and takes over its counts.

        Raises:
            ComponentError: It has stopped.
        """
        answer: T | AuditError
        try:
            answer = call(self._instance)
        except ComponentError:
            raise
        except AuditError as error:
            answer = error
        try:
            status = self._instance.status()
        except AuditError as error:
            raise ComponentError(str(error)) from error
        change = self._ledger.observe(status)
        if status.backend == "spool" and self._last_status.backend != "spool":
            # A database that was only too slow for the deadline is tried again at once.
            slow = self._deadline is not None and self._deadline.missed_insert_deadline
            self._probe_at = time.monotonic() + (0 if slow else self._settings.recovery_interval)
        self._last_status = status
        return answer, change

    def _ensure_started(self) -> None:
        if self._instance.stopped:
            self._restart()

    def _restart(self) -> None:
        try:
            instance = self._start()
            status = instance.status()
        except AuditError as error:
            self._note(str(error))
            raise
        self._instance, self._last_status = instance, status
        self._ledger.observe(status)
        self._restarts += 1

    def _follow_folder(self, rejected: int) -> bool:
        """Replaces the instance if the path of its folder leads to another folder now."""
        if not self._instance.folder_has_moved():
            return False
        self._ledger.withdraw(rejected)
        self._replace("the folder was removed or replaced; events now go to the new one", [], lost_spool=True)
        return not self._instance.stopped

    def _recover(self, error: ComponentError, busy: list[bytes]) -> list[bytes]:
        """Replaces the instance, which has stopped. Returns those of the lines it was writing that are not stored."""
        return self._replace(f"the component is replaced: {error}", busy, lost_spool=False)

    def _replace(self, why: str, busy: list[bytes], *, lost_spool: bool) -> list[bytes]:
        self._note(why)
        self._instance.stopped = True
        chain, first = self._last_status.chain, self._ledger.next_seq
        unwritten, lost = self._ledger.carry_over()
        if lost:
            self._note(f"{events(lost)} lost that the component had in memory")
        if lost_spool and (gone := self._ledger.lose_spool()):
            self._note(f"{events(gone)} lost with the spool in the old folder")
        if self._last_status.backend == "memory" and self._last_status.counts.stored:
            self._note("the events that the backend `memory` kept are lost")
        sought = {placed.seq: placed.line for placed in unwritten}
        sought.update(enumerate(busy, first))
        try:
            self._restart()
            in_spool = spooled_seqs(self._settings.dir, chain, sought) if has_spool(self._last_status) else set()
            left = {seq: line for seq, line in sought.items() if seq not in in_spool}
            in_store = stored_seqs(self._instance, chain, left)
            self._ledger.found(len(in_store), len(in_spool))
        except AuditError as error:
            if sought:
                self._note(f"some events may be recorded twice: {error}")
            in_spool, in_store = set(), set()
        found = in_spool | in_store
        self._backlog.put_back([placed.line for placed in unwritten if placed.seq not in found])
        return [line for seq, line in enumerate(busy, first) if seq not in found]

    def _note(self, text: str) -> None:
        """Notes an error for the status, and warns."""
        self._last_error = f"{now():%Y-%m-%dT%H:%M:%S.%fZ} {text}"
        warn(text)

    def _warn(self, kind: str, text: str) -> None:
        at = time.monotonic()
        if at - self._warned.get(kind, -WARN_EVERY) >= WARN_EVERY:
            self._warned[kind] = at
            warn(text)


def events(count: int) -> str:
    """The count in words."""
    return "1 event" if count == 1 else f"{count} events"
