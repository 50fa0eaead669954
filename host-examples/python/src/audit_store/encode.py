"""Events as JSON lines, which is how they wait in the queue and cross into the component.

Most events are encoded as they are, and the component checks them. What cannot be encoded, or is refused, is made
plain here first: `write` keeps every call in the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from audit_store.errors import InvalidEvent
from audit_store.types import MAX_U64, NUMBERS, OPTIONAL_TEXTS, TEXTS, Entry, Event

MAX_LINE = 1 << 20
"""The longest line, in bytes, that is passed on as it is. The component stores 4096 bytes of it."""

CUT_TEXT = 100
"""What is kept, in bytes, of each text of a longer line, so that the component need not cut again."""

_STAMPS = ("id", "chain", "seq", "hash")

_NO_TIME = b'{"ts":""'

_ENCODER = msgspec.json.Encoder()
_ENTRIES = msgspec.json.Decoder(Entry)


def members(event: object) -> dict[str, Any]:
    """The fields of an event that a caller gave as a mapping or a dataclass.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(event, Mapping):
        return dict(event)
    if is_dataclass(event) and not isinstance(event, type):
        left_out = _STAMPS if isinstance(event, Entry) else ()
        return {f.name: getattr(event, f.name) for f in fields(event) if f.name not in left_out}
    accepted = "a mapping, an Event or another dataclass"
    raise TypeError(f"event: found {type(event).__name__}; accepted is {accepted}")


def any_members(event: object) -> dict[str, Any]:
    """As `members`, but what has no fields is one attribute. Never fails."""
    try:
        return members(event)
    except Exception:
        return {"attributes": {"event": _text(event)}}


def line(event: dict[str, Any]) -> tuple[bytes, bool]:
    """The event's JSON, without a newline, and whether it was changed for that. Without a `ts` it gets the current
    time. Never fails."""
    try:
        if not event.get("ts"):
            event["ts"] = now()
        encoded = _ENCODER.encode(event)
        if len(encoded) <= MAX_LINE:
            return encoded, False
    except Exception:
        pass
    return plain_line(event), True


def _event_line(event: Event) -> bytes:
    """The event's JSON, with the current time where it has none. Its `ts` comes first."""
    encoded = _ENCODER.encode(event)
    if encoded.startswith(_NO_TIME):
        return b'{"ts":' + _ENCODER.encode(now()) + encoded[len(_NO_TIME) :]
    return encoded


def strict_line(index: int, event: object) -> bytes:
    """The JSON of an event in a batch, without a newline. Its content is no reason to refuse it, a wrong type is.

    Raises:
        InvalidEvent: It has no fields, or one of them has a wrong type. Unknown fields are the component's to refuse.
    """
    if isinstance(event, Event):
        try:
            return _event_line(event)
        except Exception:
            # Field by field it shows what is wrong.
            pass
    try:
        given = members(event)
    except TypeError as error:
        raise InvalidEvent(index, "json", str(error)) from None
    if not given.get("ts"):
        given["ts"] = now()
    try:
        return _ENCODER.encode(given)
    except Exception:
        for name, value in given.items():
            if wrong := _wrong_type(name, value):
                raise InvalidEvent(index, str(name), wrong) from None
        return _ENCODER.encode(_plain(given))


def _wrong_type(name: object, value: object) -> str | None:
    if name in NUMBERS:
        good, accepted = isinstance(value, int | float), "a number"
    elif name == "ts":
        good, accepted = isinstance(value, str | datetime), "a text or a datetime"
    elif name == "attributes":
        good = isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)
        accepted = "a mapping of texts"
    else:
        good, accepted = isinstance(value, str), "a text"
    return None if good or value is None else f"found a {type(value).__name__}; accepted is {accepted}"


def text_of(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which has no UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain_line(event: Mapping[Any, Any]) -> bytes:
    """The event's JSON with a right type for every field, and without texts that are too long. Never fails."""
    plain = _plain(event)
    encoded = _ENCODER.encode(plain)
    return encoded if len(encoded) <= MAX_LINE else _ENCODER.encode(_cut(plain))


def _plain(event: Mapping[Any, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    others: dict[str, str] = {}
    for name, value in event.items():
        if name == "ts":
            plain["ts"] = _time(value)
        elif name in TEXTS or name in OPTIONAL_TEXTS:
            plain[name] = None if value is None else _text(value)
        elif name in NUMBERS:
            plain[name] = _number(value)
        elif name == "attributes":
            others.update(_attributes(value))
        elif name not in _STAMPS:
            others.setdefault(_text(name), _text(value))
    if others:
        plain["attributes"] = others
    return plain


def _attributes(value: object) -> dict[str, str]:
    if value is None:
        return {}
    try:
        if isinstance(value, Mapping):
            return {_text(key): _text(one) for key, one in value.items()}
    except Exception:
        # Such as of a mapping that another thread changes.
        return {"attributes": f"<{type(value).__name__}>"}
    return {"attributes": _text(value)}


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def _text(value: object) -> str:
    try:
        text = value if type(value) is str else str(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text_of(text)


def _time(value: object) -> str | int | float | datetime:
    try:
        # The encoder takes no subclass of datetime, such as that of pandas.
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, str):
            return _text(value)
    except Exception:
        pass
    if isinstance(value, float):
        return float(value)
    return value if type(value) is int else now()


def _number(value: object) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except Exception:
        return 0
    return int(min(max(number, 0), MAX_U64))


def _cut(plain: dict[str, Any]) -> dict[str, Any]:
    short = {name: _short(value) if isinstance(value, str) else value for name, value in plain.items()}
    attributes = plain.get("attributes", {})
    short["attributes"] = {key[:64]: _short(value) for key, value in list(attributes.items())[:16]}
    return short


def _short(text: str) -> str:
    """The text as the component cuts it: its beginning, `…`, and 16 digits of the SHA-256 of the whole."""
    encoded = text.encode("utf-8")
    if len(encoded) <= CUT_TEXT + 3 + 16:
        return text
    digits = hashlib.sha256(text.replace("\0", "\ufffd").encode("utf-8")).hexdigest()[:16]
    return encoded[:CUT_TEXT].decode("utf-8", "ignore") + "…" + digits


def entries(lines: str) -> list[Entry]:
    """The entries of stored lines."""
    return _ENTRIES.decode_lines(lines)
