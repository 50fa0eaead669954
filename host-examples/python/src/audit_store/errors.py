"""Why a call failed. `AuditStore.write` raises none of these: it counts instead."""

from __future__ import annotations


class AuditError(Exception):
    """The base of all errors of this package. Raised itself where no other class says more."""


class InvalidValue(AuditError, ValueError):
    """A value is not accepted. Nothing of the call was taken.

    Attributes:
        index: The position in the batch, from 0: of the event, or of the line. 0 where there is no batch.
        field: The field, in the spelling of the JSON lines; `json` where a line is no JSON object.
        reason: What is wrong, and what is accepted.
    """

    def __init__(self, index: int, field: str, reason: str) -> None:
        super().__init__(index, field, reason)
        self.index = index
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidEvent(InvalidValue):
    """An event of a batch is not accepted."""

    def __str__(self) -> str:
        return f"event {self.index}: {self.field}: {self.reason}"


class InvalidFilter(InvalidValue):
    """A filter, a cursor or a limit of a read is not accepted. `index` is 0."""


class ConfigError(AuditError, ValueError):
    """A setting is not accepted; the message names it."""


class AccessError(AuditError):
    """A file or folder cannot be read or written; the message names it."""


class Unavailable(AuditError):
    """The store or its database cannot take or give anything now. Later it may."""


class Unanswered(Unavailable):
    """The database was sent events, and there is no answer: they may be recorded or not.

    The store keeps them, and sends them again under the same identifiers. Whoever writes them anew may record them
    twice.
    """


class IncompleteBatch(AuditError):
    """A file took the first events of a batch and no more, such as where the disk is full.

    Attributes:
        stored: How many events are stored: the first ones of the batch. Go on behind them.
        reason: Why the others are not.
    """

    def __init__(self, stored: int, reason: str) -> None:
        super().__init__(stored, reason)
        self.stored = stored
        self.reason = reason

    def __str__(self) -> str:
        return f"only the first {self.stored} events are stored: {self.reason}"


class ComponentError(AuditError):
    """The component stopped, or could not be started. The store replaces it."""


class Closed(AuditError):
    """The store is closed."""
