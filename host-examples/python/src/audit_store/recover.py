"""What a stopped instance had stored already. It may have stopped after it stored an event and before it said so: the
events are looked up by their chain and `seq`, so that none is recorded twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from audit_store.instance import Instance

PAGE = 10_000
"""Entries of a page while stored events are looked up."""


def spooled_seqs(folder: Path, chain: str, sought: Mapping[int, bytes]) -> set[int]:
    """Those `seq`s that are in the spool files of the chain, which are read without the component: it cannot read while
    the database is away. Files and lines that cannot be read are passed over."""
    found: set[int] = set()
    if not sought:
        return found
    first = min(sought)
    files = [(int(number), path) for path in folder.glob(f"spool_{chain}_*.jsonl") if (number := _number(path))]
    for _, path in sorted(files, reverse=True):
        try:
            seqs = {seq for line in path.read_bytes().splitlines() if (seq := _seq(line)) is not None}
        except OSError:
            continue
        found |= seqs & sought.keys()
        if any(seq < first for seq in seqs):
            break
    return found


def stored_seqs(instance: Instance, chain: str, sought: Mapping[int, bytes]) -> set[int]:
    """Those `seq`s that are stored in the chain, found by reading the span of time that they are in.

    Raises:
        AuditError: They cannot be read.
    """
    found: set[int] = set()
    if not sought:
        return found
    span, cursor = _span(sought), None
    while True:
        page = instance.read_jsonl(span, "oldest-first", PAGE, cursor)
        for line in page.lines.split("\n")[:-1]:
            entry = msgspec.json.decode(line)
            if entry.get("chain") == chain and entry["seq"] in sought:
                found.add(entry["seq"])
        cursor = page.next
        if cursor is None:
            return found


def _span(sought: Mapping[int, bytes]) -> dict[str, Any]:
    """The filter of their time span; without a bound, if one of the times is unknown or none that Python can read."""
    times = []
    for line in sought.values():
        try:
            time = datetime.fromisoformat(msgspec.json.decode(line)["ts"])
        except (msgspec.DecodeError, ValueError, TypeError, KeyError):
            return {}
        times.append(time if time.tzinfo else time.replace(tzinfo=UTC))
    return {"from_ts": min(times), "to_ts": max(times)}


def _number(path: Path) -> str | None:
    number = path.stem.rpartition("_")[2]
    return number if number.isdigit() else None


def _seq(line: bytes) -> int | None:
    try:
        seq = msgspec.json.decode(line)["seq"]
    except (msgspec.DecodeError, ValueError, TypeError, KeyError):
        return None
    return seq if isinstance(seq, int) else None
