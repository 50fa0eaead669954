"""The queue between the callers and the worker: a bounded number of lines, and requests.

Nobody waits for the component here. The lock is held only while values are moved, and only the worker warns, so that a
slow log does not hold up a caller.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from audit_store.types import Dropped, Status

if TYPE_CHECKING:
    from audit_store.worker import Worker


class Request:
    """What a caller wants from the worker, and where the answer goes."""

    __slots__ = ("_ask", "answer")

    def __init__(self, ask: Callable[[Worker], object]) -> None:
        """The worker calls `ask`, on its thread."""
        self._ask = ask
        self.answer: Future[Any] = Future()

    def run(self, worker: Worker) -> None:
        """Answers."""
        try:
            self.answer.set_result(self._ask(worker))
        except BaseException as error:
            self.answer.set_exception(error)


@dataclass(slots=True)
class Taken:
    """All that the worker takes at once."""

    lines: list[bytes]
    requests: list[Request]
    full: int
    """How many events the full queue has dropped so far."""
    closed: bool


class Queue:
    """Events, as lines without newlines, and requests that wait for the worker."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        """`max_bytes` is the most that the lines may take together."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        # A signal handler that writes interrupts a thread that may have it already.
        self.lock = threading.RLock()
        self._wake = threading.Condition(self.lock)
        self._lines: list[bytes] = []
        # Those that are here and those that the worker has taken and not passed on yet: both count towards the limits.
        self._count = 0
        self._bytes = 0
        # Those that the worker has.
        self._held = 0
        self._held_bytes = 0
        self._requests: deque[Request] = deque()
        self._full = 0
        self._after_close = 0
        self._mended = 0
        self._worker_waits = False
        self._closed = False
        self._status: Status | None = None

    def push(self, line: bytes, mended: bool = False) -> None:
        """Adds an event, or counts it as not queued. Never blocks."""
        size = len(line)
        with self.lock:
            if self._closed:
                self._after_close += 1
                return
            if self._count >= self._max_events or self._bytes + size > self._max_bytes:
                self._full += 1
                return
            self._count += 1
            self._bytes += size
            self._mended += mended
            self._lines.append(line)
            if self._worker_waits:
                self._worker_waits = False
                self._wake.notify()

    def ask(self, request: Request) -> bool:
        """Adds a request. False where the queue is closed, and nobody can answer it."""
        with self.lock:
            if self._closed:
                return False
            self._requests.append(request)
            self._worker_waits = False
            self._wake.notify()
            return True

    def close(self) -> None:
        """Takes no more events and requests."""
        with self.lock:
            self._closed = True
            self._worker_waits = False
            self._wake.notify()

    def end(self, error: BaseException, taken: Iterable[Request] = ()) -> None:
        """Closes the queue when the worker has ended, and answers the requests that wait with the error, and so those
        that the worker has taken."""
        self.close()
        with self.lock:
            requests = [*taken, *self._requests]
            self._requests.clear()
        for request in requests:
            request.answer.set_exception(error)

    @property
    def closed(self) -> bool:
        """Whether the queue takes no more."""
        return self._closed

    def take(self, deadline: float) -> Taken:
        """Waits for events, requests or the close, until `deadline` (`time.monotonic`) at most, and takes everything.

        The events count as held until the next `publish`.
        """
        with self.lock:
            while not (self._lines or self._requests or self._closed):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._worker_waits = True
                self._wake.wait(min(left, threading.TIMEOUT_MAX))
            self._worker_waits = False
            lines, self._lines = self._lines, []
            self._held, self._held_bytes = self._count, self._bytes
            requests = list(self._requests)
            self._requests.clear()
            return Taken(lines, requests, self._full, self._closed)

    def publish(self, status: Status, events: int, size: int) -> None:
        """Publishes the worker's status, and how many events and bytes it still holds."""
        with self.lock:
            self._status = status
            self._count -= self._held - events
            self._bytes -= self._held_bytes - size
            self._held, self._held_bytes = events, size

    def status(self) -> Status | None:
        """The status that was last published, with the events that wait here and those that were not queued."""
        with self.lock:
            status = self._status
            if status is None:
                return None
            waiting = self._count
            counts, dropped = status.counts, status.counts.dropped
            counts = replace(
                counts,
                received=counts.received + waiting + self._full + self._after_close,
                pending=counts.pending + waiting,
                dropped=Dropped(
                    dropped.invalid,
                    dropped.queue_full + self._full,
                    dropped.unwritable + self._after_close,
                ),
            )
            return replace(status, counts=counts, mended=status.mended + self._mended)

    def is_half_full(self) -> bool:
        """Whether the events, or their bytes, take at least half of the limit."""
        with self.lock:
            return 2 * self._count >= self._max_events or 2 * self._bytes >= self._max_bytes
