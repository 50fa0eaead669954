"""Drives the package for tests of the contract: one JSON request a line on stdin, one JSON answer a line on stdout.

It uses the public API alone, so that this is what is tested.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from typing import Any

from audit_store import (
    AccessError,
    AuditStore,
    ConfigError,
    IncompleteBatch,
    InvalidValue,
    Unanswered,
    Unavailable,
)

DATABASE_TIMEOUT_MS = 30_000
"""A machine that runs many tests at once may be slow."""


class Driver:
    """One store at a time."""

    def __init__(self) -> None:
        self._store: AuditStore | None = None

    @property
    def store(self) -> AuditStore:
        if self._store is None:
            raise ConfigError("no store is open")
        return self._store

    def answer(self, request: dict[str, Any]) -> Any:
        ((name, value),) = request.items()
        match name:
            case "open":
                self.close()
                self._store = AuditStore(
                    dir=value["dir"],
                    backend=value["backend"],
                    database_url=value.get("database_url"),
                    database_timeout_ms=DATABASE_TIMEOUT_MS,
                )
            case "write":
                self.store.write(value)
            case "write_batch":
                self.store.write_batch(value)
            case "write_jsonl":
                self.store.write_jsonl(value)
            case "flush":
                self.store.flush()
            case "read":
                page = self.store.read_page(**read_arguments(value))
                entries = [dataclasses.asdict(entry) for entry in page.entries]
                return {"entries": entries, "next": page.next, "skipped": page.skipped}
            case "read_jsonl":
                return dataclasses.asdict(self.store.read_jsonl(**read_arguments(value)))
            case "status":
                status = self.store.status()
                counts = dataclasses.asdict(status.counts) | {"dropped": status.counts.dropped.total}
                return {"backend": status.backend, "mended": status.mended, "counts": counts}
            case "close":
                self.close()
            case _:
                raise ConfigError(f"there is no request {name!r}")
        return None

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def read_arguments(value: dict[str, Any]) -> dict[str, Any]:
    given = {name: value[name] for name in ("order", "limit", "cursor") if value.get(name) is not None}
    return given | (value.get("filter") or {})


def error(failure: Exception) -> dict[str, Any]:
    match failure:
        case InvalidValue():
            return {"kind": "invalid", "index": failure.index, "field": failure.field, "reason": failure.reason}
        case IncompleteBatch():
            kind = "incomplete"
        case ConfigError():
            kind = "config"
        case AccessError():
            kind = "access"
        case Unanswered():
            kind = "unanswered"
        case Unavailable():
            kind = "unavailable"
        case _:
            kind = "other"
    return {"kind": kind, "message": str(failure)}


def main() -> None:
    logging.disable(logging.WARNING)
    driver = Driver()
    # Not by `splitlines`: a JSON text may have other line separators in it.
    for line in sys.stdin.buffer:
        try:
            answer = {"ok": driver.answer(json.loads(line))}
        except Exception as failure:
            answer = {"error": error(failure)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    driver.close()


if __name__ == "__main__":
    main()
