"""`AuditHandler`: records calls of tools that a program logs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

from audit_store.call import Sink, status_of

OWN_LOGGER = "audit_store"
"""The logger of this package, whose warnings about a store must not come back into it."""


class AuditHandler(logging.Handler):
    """Records the log records that have an event: `log.info("searched", extra={"audit": {"tool": "search"}})`.

    The event is a mapping of its fields, or an `Event`. It gets the time of the record; the status `ok`, or, where the
    record has an exception, that of the exception with the attribute `error_type`; and the logger's name as the
    attribute `source`: each where it has none. The message is not recorded, and other log records are passed over.
    """

    def __init__(self, store: Sink, level: int | str = logging.NOTSET) -> None:
        """`store` records the events, such as an `AuditStore`."""
        super().__init__(level)
        self._store = store

    def emit(self, record: logging.LogRecord) -> None:
        """Records the event of a log record, if it has one. Never raises."""
        given = getattr(record, "audit", None)
        if given is None or record.name.partition(".")[0] == OWN_LOGGER:
            return
        try:
            self._store.write(_event(record, given))
        except Exception:
            self.handleError(record)


def _event(record: logging.LogRecord, given: object) -> dict[str, Any]:
    if is_dataclass(given) and not isinstance(given, type):
        fields = asdict(given)
    else:
        fields = dict(given) if isinstance(given, Mapping) else {"attributes": {"audit": str(given)}}
    attributes = {"source": record.name}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        attributes["error_type"] = type(error).__qualname__
    found = fields.get("attributes")
    fields["attributes"] = {**attributes, **(found if isinstance(found, Mapping) else {})}
    if not fields.get("ts"):
        fields["ts"] = datetime.fromtimestamp(record.created, UTC)
    if not fields.get("status"):
        fields["status"] = "ok" if error is None else status_of(error)
    return fields
