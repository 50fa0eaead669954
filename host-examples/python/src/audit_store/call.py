"""A call of a tool while it runs. Its event has a hash and sizes of arguments and result, never the payload."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import rfc8785

from audit_store import encode

if TYPE_CHECKING:
    from audit_store.types import Event

MAX_CANONICAL = 16 << 20
"""The longest arguments, in bytes of JSON, of which the canonical form is hashed; longer ones are hashed as is."""

LARGEST_INTEGER = 2**53 - 1
"""RFC 8785 has numbers as IEEE 754 doubles; larger integers are rounded to one."""


class Sink(Protocol):
    """What takes the event: an `AuditStore`."""

    def write(self, event: Event | Mapping[str, Any] | None = None, /) -> None:
        """Records one event."""


def arguments(value: object) -> dict[str, Any]:
    """The fields of an event about the arguments of a call: `in_size` and `input_hash`. Never fails.

    The hash is that of the canonical form (RFC 8785); where there is none, `attributes` say so. A text that is a JSON
    object or array stands for that one. What has no form as JSON at all has neither size nor hash.
    """
    try:
        raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else _json(value)
    except Exception:
        return {"attributes": {"input_form": "none"}}
    canonical = _canonical(raw) if len(raw) <= MAX_CANONICAL else None
    hashed = raw if canonical is None else canonical
    fields: dict[str, Any] = {"in_size": len(hashed), "input_hash": hashlib.sha256(hashed).hexdigest()}
    if canonical is None:
        fields["attributes"] = {"input_form": "raw"}
    return fields


def attributes_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes among the fields of an event. Never fails: what is no mapping is one attribute."""
    given = fields.get("attributes")
    if isinstance(given, Mapping):
        return dict(given)
    return {} if given is None else {"attributes": given}


def size(value: object) -> int:
    """How many bytes a result has: a text in UTF-8, anything else as JSON. 0 where that is unknown. Never fails."""
    try:
        if isinstance(value, str):
            return len(value.encode("utf-8", "surrogatepass"))
        if isinstance(value, bytes | bytearray | memoryview):
            return len(value)
        return 0 if value is None else len(_json(value))
    except Exception:
        return 0


def _canonical(raw: bytes) -> bytes | None:
    try:
        value = json.loads(raw, object_pairs_hook=_unique)
        if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            value = json.loads(value, object_pairs_hook=_unique)
        return rfc8785.dumps(_doubles(value))
    except Exception:
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _doubles(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_doubles(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INTEGER:
        return float(value)
    return value


def _json(value: object) -> bytes:
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        # Half of a surrogate pair.
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    """What stands for a value that JSON has no form for. Equal values give the same: no address, no order of a set."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return f"<{type(value).__qualname__}>"


_ENCODER = msgspec.json.Encoder(enc_hook=_plain, order="deterministic")


class Call:
    """A call that has begun. `end` or `fail` writes its event, once."""

    def __init__(self, store: Sink, fields: Mapping[str, Any], given: object = None) -> None:
        """`fields` are those of the event that are known already; `given` are the arguments."""
        self._store = store
        self._fields: dict[str, Any] = {"ts": encode.now(), **fields, "attributes": attributes_of(fields)}
        if given is not None:
            self.given(given)
        self._began = time.perf_counter()
        self._ended = False

    def given(self, value: object) -> None:
        """Sets the arguments, where they are known only after the call has begun."""
        known = arguments(value)
        self._fields["attributes"].update(known.pop("attributes", {}))
        self._fields.update(known)

    def end(self, result: object = None, status: str = "ok", *, out_size: int | None = None, **attributes: str) -> None:
        """Writes the event of a call that has returned this; `out_size` is its size in bytes, where that is known."""
        self._write(status, size(result) if out_size is None else out_size, {})

    def fail(self, error: BaseException) -> None:
        """Writes the event of a call that has raised this."""
        self._write(status_of(error), 0, {"error_type": type(error).__qualname__})

    def _write(self, status: str, out_size: int, attributes: Mapping[str, str]) -> None:
        if self._ended:
            return
        self._ended = True
        self._store.write(
            {
                **self._fields,
                "status": status,
                "duration_ms": round((time.perf_counter() - self._began) * 1000),
                "out_size": out_size,
                "attributes": {**self._fields["attributes"], **attributes},
            }
        )


def status_of(error: BaseException) -> str:
    """The status of a call that has raised this: `timeout`, `cancelled` or `error`."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, asyncio.CancelledError | concurrent.futures.CancelledError):
        return "cancelled"
    return "error"
