"""The counts of a store over all of its instances: each event is counted once.

An instance of the component counts for itself, also what it refuses and what is then passed on again. The ledger
corrects that: what was refused and is passed on again is `withdrawn`, and what the memory of an ended instance had is
written, and counted, once more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from audit_store.types import Counts, Dropped, Status


@dataclass(slots=True)
class Tally:
    """Counts that change."""

    received: int = 0
    stored: int = 0
    spooled: int = 0
    rejected: int = 0
    invalid: int = 0
    queue_full: int = 0
    unwritable: int = 0


@dataclass(slots=True)
class AcceptedBatch:
    """A batch that may be in the memory of the instance alone."""

    first_seq: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Placed:
    """An event with its place in the chain of an instance, which accepted it or stopped while it wrote it."""

    seq: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """How a call changed the counts of the instance."""

    taken: int
    rejected: int


def has_spool(status: Status) -> bool:
    """Whether events may go to a spool."""
    return status.requested == "auto" and status.backend in ("postgres", "spool")


class Ledger:
    """The counts of a store, and copies of the events that only the memory of its instance has."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._carried = Tally()
        self._carried_mended = 0
        self._current = Counts()
        self._current_mended = 0
        self._withdrawn = 0
        self._unflushed: deque[AcceptedBatch] = deque()
        self._unflushed_count = 0
        self.next_seq = 0
        """The `seq` that the next accepted event gets."""

    def observe(self, status: Status) -> Change:
        """Takes over the counts of the instance after a call, and returns what the call changed."""
        now, before = status.counts, self._current
        rejected = max(now.rejected - before.rejected, 0)
        refused = now.dropped.invalid + now.dropped.queue_full
        refused_before = before.dropped.invalid + before.dropped.queue_full
        # Taken events cannot be counted by the growth of the others: these also shrink, by each row that the
        # database refuses.
        not_taken = rejected + max(refused - refused_before, 0)
        taken = max(now.received - before.received - not_taken, 0)
        if has_spool(status) and status.spooled_by_others == 0:
            # This instance has drained what its predecessors had spooled.
            self._carried.stored += self._carried.spooled
            self._carried.spooled = 0
        self._current = now
        self._current_mended = status.mended
        self.next_seq += taken
        while self._unflushed and self._unflushed_count - len(self._unflushed[0].lines) >= now.pending:
            self._unflushed_count -= len(self._unflushed.popleft().lines)
        return Change(taken, rejected)

    def accepted(self, lines: list[bytes]) -> None:
        """Keeps the last events that were accepted, for as long as only the instance's memory has them."""
        if self._current.pending > 0 and lines:
            self._unflushed.append(AcceptedBatch(self.next_seq - len(lines), lines))
            self._unflushed_count += len(lines)

    def withdraw(self, count: int) -> None:
        """Withdraws events that the instance has counted as rejected and that are passed on again."""
        self._withdrawn += count

    def lost(self, count: int) -> None:
        """Counts events as lost that no instance has counted."""
        self._carried.received += count
        self._carried.unwritable += count

    def invalid(self, count: int) -> None:
        """Counts events that no instance takes, and none has counted."""
        self._carried.received += count
        self._carried.invalid += count

    def rejected(self, count: int) -> None:
        """Counts events as refused to the caller that no instance has counted."""
        self._carried.received += count
        self._carried.rejected += count

    def found(self, stored: int, spooled: int) -> None:
        """Counts events that a stopped instance turned out to have stored or spooled."""
        self._carried.received += stored + spooled
        self._carried.stored += stored
        self._carried.spooled += spooled

    def mended(self, count: int) -> None:
        """Counts events that the host has changed."""
        self._carried_mended += count

    @property
    def mended_count(self) -> int:
        """How many of the events that were taken differ from what was sent."""
        return self._carried_mended + self._current_mended

    def lose_spool(self) -> int:
        """Counts the events in the spool of ended instances as lost, and returns how many there were."""
        spooled, self._carried.spooled = self._carried.spooled, 0
        self._carried.unwritable += spooled
        return spooled

    def carry_over(self) -> tuple[list[Placed], int]:
        """Carries over the counts of the instance, which has ended.

        Returns the events that were in its memory and have to be written again, and how many others were in it, which
        are lost.
        """
        gone, pending = self._current, self._current.pending
        placed = [
            Placed(seq, line) for batch in self._unflushed for seq, line in enumerate(batch.lines, batch.first_seq)
        ]
        # The memory has the newest ones. Older ones that are still kept here were flushed.
        unwritten = placed[max(len(placed) - pending, 0) :]
        lost = pending - len(unwritten)
        carried = self._carried
        carried.received += max(gone.received - self._withdrawn - (pending - lost), 0)
        carried.stored += gone.stored
        carried.spooled += gone.spooled
        carried.rejected += max(gone.rejected - self._withdrawn, 0)
        carried.invalid += gone.dropped.invalid
        carried.queue_full += gone.dropped.queue_full
        carried.unwritable += gone.dropped.unwritable + lost
        self._carried_mended += self._current_mended
        self._current, self._current_mended, self._withdrawn, self.next_seq = Counts(), 0, 0, 0
        self._unflushed.clear()
        self._unflushed_count = 0
        return unwritten, lost

    def counts(self) -> Counts:
        """The counts of the store, without the events that wait in the host's queue."""
        carried, now = self._carried, self._current
        return Counts(
            received=max(now.received + carried.received - self._withdrawn, 0),
            stored=now.stored + carried.stored,
            spooled=now.spooled + carried.spooled,
            pending=now.pending,
            rejected=max(now.rejected + carried.rejected - self._withdrawn, 0),
            dropped=Dropped(
                now.dropped.invalid + carried.invalid,
                now.dropped.queue_full + carried.queue_full,
                now.dropped.unwritable + carried.unwritable,
            ),
        )
