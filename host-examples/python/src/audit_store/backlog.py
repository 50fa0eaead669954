"""The events that the worker has taken from the queue and that the component has not accepted yet."""

from __future__ import annotations

from collections import deque
from itertools import islice

BATCH_EVENTS = 4096
"""The most events of one batch. After each call the worker waits for the interpreter, up to 5 ms, so that small batches
would be slow while other threads are busy."""

BATCH_BYTES = 4 << 20
"""The most bytes of one batch, unless a single event is larger: a small part of the component's memory."""


class Backlog:
    """Lines without newlines, the oldest first."""

    def __init__(self) -> None:
        """It is empty."""
        self._lines: deque[bytes] = deque()
        self.bytes = 0
        """What the lines take together."""

    def append(self, lines: list[bytes]) -> None:
        """Adds lines behind all others."""
        self._lines.extend(lines)
        self.bytes += sum(map(len, lines))

    def put_back(self, lines: list[bytes]) -> None:
        """Puts lines back in front of all others, in their order."""
        self._lines.extendleft(reversed(lines))
        self.bytes += sum(map(len, lines))

    def take_batch(self) -> list[bytes]:
        """Takes the lines of the next batch out."""
        count, size = 0, 0
        for line in islice(self._lines, BATCH_EVENTS):
            if count and size + len(line) > BATCH_BYTES:
                break
            count, size = count + 1, size + len(line)
        self.bytes -= size
        return [self._lines.popleft() for _ in range(count)]

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)
