"""What goes in and what comes out: events, entries, filters, counts. The names are those of the JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict

BackendName: TypeAlias = Literal["memory", "jsonl", "postgres", "auto", "null"]
ActiveName: TypeAlias = Literal["memory", "jsonl", "postgres", "spool", "null"]
DurabilityName: TypeAlias = Literal["buffered", "written", "synced"]
Order: TypeAlias = Literal["oldest-first", "newest-first"]

MAX_U32 = 2**32 - 1
MAX_U64 = 2**64 - 1

TEXTS = ("req_id", "workspace_id", "user_id", "agent_id", "tool", "action", "status", "input_hash")
NUMBERS = ("duration_ms", "in_size", "out_size")
OPTIONAL_TEXTS = ("graph_run_id", "graph_node", "job_id")


class EventFields(TypedDict, total=False):
    """The fields of an event as keyword arguments; see `Event`."""

    ts: str | datetime
    req_id: str
    workspace_id: str
    user_id: str
    agent_id: str
    tool: str
    action: str
    status: str
    duration_ms: int
    in_size: int
    out_size: int
    input_hash: str
    graph_run_id: str | None
    graph_node: str | None
    job_id: str | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """One tool call of an agent. It has no field for what the tool was given or has answered."""

    ts: str | datetime = ""
    """When the call happened: RFC 3339, or a datetime (without a zone: UTC). Empty: the time of `write`."""
    req_id: str = ""
    """The request that the call belongs to."""
    workspace_id: str = ""
    """The workspace or tenant."""
    user_id: str = ""
    """The person on whose behalf the agent works."""
    agent_id: str = ""
    """The agent that called."""
    tool: str = ""
    """The tool that was called."""
    action: str = ""
    """What the tool was asked to do, such as `query`."""
    status: str = ""
    """The outcome, such as `ok`, `error`, `denied`, `cancelled`, `timeout`."""
    duration_ms: int = 0
    """How long the call took, in milliseconds."""
    in_size: int = 0
    """The size of the input, in bytes."""
    out_size: int = 0
    """The size of the output, in bytes."""
    input_hash: str = ""
    """A hash of the input, such as SHA-256 in hexadecimal."""
    graph_run_id: str | None = None
    """The run of an agent graph or workflow."""
    graph_node: str | None = None
    """The node of that graph."""
    job_id: str | None = None
    """The background job."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the fields have no place for: at most 16 pairs."""


@dataclass(frozen=True, slots=True)
class Entry(Event):
    """An event as it is stored. Lines of other writers have no `id`, `chain` and `hash`, and their `seq` is 0."""

    ts: str = ""
    """In UTC with microseconds, such as `2026-11-23T06:30:00.123456Z`."""
    id: str = ""
    """A UUIDv7."""
    chain: str = ""
    """The instance that wrote it, a UUIDv7."""
    seq: int = 0
    """The position in its chain, from 0."""
    hash: str = ""
    """The RFC 6962 leaf hash of the line, in hexadecimal."""


class Filter(TypedDict, total=False):
    """What a read selects: all that is given must match, whole and exactly."""

    from_ts: str | datetime
    """The earliest instant, inclusive: RFC 3339, a date, or a datetime."""
    to_ts: str | datetime
    """The latest instant, inclusive; a date means its last instant in UTC."""
    tool: str
    agent_id: str
    workspace_id: str
    user_id: str
    action: str
    status: str
    req_id: str
    graph_run_id: str
    graph_node: str
    job_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the matching entries."""

    entries: list[Entry]
    next: str | None
    """The cursor of the next page; none: this is the last."""
    skipped: int
    """How many lines were passed over because they are no events."""


@dataclass(frozen=True, slots=True)
class JsonlPage:
    """A page as JSON lines."""

    lines: str
    """Each entry with a newline."""
    count: int
    next: str | None
    skipped: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an accepted batch got."""

    accepted: int
    chain: str
    first_seq: int
    """The `seq` of the first; the others follow without a gap."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Events that did not get into the record, by reason."""

    invalid: int = 0
    """They stopped the component each time."""
    queue_full: int = 0
    """There was no room in memory."""
    unwritable: int = 0
    """They could not be written, came after the store was closed, or were refused by the database."""

    @property
    def total(self) -> int:
        """The sum over the reasons."""
        return self.invalid + self.queue_full + self.unwritable


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events. At every moment `received` is the sum of the others."""

    received: int = 0
    stored: int = 0
    spooled: int = 0
    pending: int = 0
    rejected: int = 0
    dropped: Dropped = field(default_factory=Dropped)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a store."""

    backend: ActiveName
    """What takes the events now."""
    since: str
    """Since when it is in use: RFC 3339 in UTC."""
    requested: str
    """The name of the backend that was asked for."""
    jsonl_dir: str
    """The folder of the daily files, or of the spool; empty where the backend has none."""
    durability: DurabilityName
    chain: str
    """The chain of the component in use, a UUIDv7."""
    counts: Counts
    mended: int
    """How many of the events that were taken differ from what was sent."""
    spooled_by_others: int
    """Under `auto`: how many bytes others have left in spool files."""
    last_error: str | None
    """The last thing that went wrong, with its time."""
    warnings: tuple[str, ...]
    """What is wrong with the configuration, and what is done instead."""
    restarts: int = 0
    """How often the component was replaced."""
