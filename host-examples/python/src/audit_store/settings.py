"""The settings of a store: keyword arguments, else environment variables, else defaults. See docs/settings.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit_store.errors import ConfigError
from audit_store.types import MAX_U64

FLUSH_INTERVAL_MS = 2000
LEAST_FLUSH_INTERVAL = 0.01
"""In seconds: with less, the worker would do nothing else."""
RECOVERY_INTERVAL_S = 300
DATABASE_TIMEOUT_MS = 2000
READ_TIMEOUT_MS = 10_000
QUEUE_EVENTS = 100_000
QUEUE_BYTES = 64 << 20
GUEST_MEMORY = 256 << 20

LEAST_GUEST_MEMORY = 1 << 20
MOST_TIMEOUT_MS = 3_600_000

BACKENDS = ("memory", "jsonl", "postgres", "auto", "null")
DURABILITIES = ("buffered", "written", "synced")

_GUEST_VARIABLES = (
    "AUDIT_BACKEND",
    "AUDIT_DURABILITY",
    "AUDIT_MEMORY_LIMIT",
    "AUDIT_BATCH_SIZE",
    "AUDIT_FLUSH_INTERVAL_MS",
    "AUDIT_QUEUE_LIMIT",
    "AUDIT_RECOVERY_INTERVAL_S",
)
"""What the component reads itself; it warns of wrong values, and takes the default."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a store, checked."""

    dir: Path
    has_folder: bool
    """Whether the backend uses the folder."""
    config: Mapping[str, Any]
    """What goes to `control.configure`; what is absent comes from `environment`."""
    environment: Mapping[str, str]
    """What the component sees of the environment."""
    database_url: str | None = field(repr=False)
    """It has a password."""
    database_timeout: float
    """In seconds, as all times here."""
    read_timeout: float
    flush_interval: float
    recovery_interval: float
    queue_events: int
    queue_bytes: int
    guest_memory: int
    warnings: tuple[str, ...]
    """What is wrong with the environment."""


def resolve(
    *,
    dir: str | os.PathLike[str] | None,
    backend: str | None,
    database_url: str | None,
    durability: str | None,
    memory_limit: int | None,
    batch_size: int | None,
    flush_interval_ms: int | None,
    queue_limit: int | None,
    recovery_interval_s: int | None,
    database_timeout_ms: int | None,
    read_timeout_ms: int | None,
    queue_events: int | None,
    queue_bytes: int | None,
    guest_memory: int | None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Checks the arguments, and fills in what the environment has.

    Raises:
        ConfigError: An argument is not accepted.
    """
    env = {name: value for name, value in (environment or os.environ).items() if value}
    warnings: list[str] = []
    config: dict[str, Any] = {
        "backend": _one_of("backend", backend, BACKENDS),
        "durability": _one_of("durability", durability, DURABILITIES),
        "memory-limit": _number("memory_limit", memory_limit, 1),
        "batch-size": _number("batch_size", batch_size, 1),
        "flush-interval-ms": _number("flush_interval_ms", flush_interval_ms, 0),
        "queue-limit": _number("queue_limit", queue_limit, 1),
        "recovery-interval-s": _number("recovery_interval_s", recovery_interval_s, 1),
    }
    timeout = _number("database_timeout_ms", database_timeout_ms, 1, MOST_TIMEOUT_MS)
    if timeout is None:
        timeout = _variable(env, "AUDIT_DATABASE_TIMEOUT_MS", DATABASE_TIMEOUT_MS, 1, MOST_TIMEOUT_MS, warnings)
    read_timeout = _number("read_timeout_ms", read_timeout_ms, 1, MOST_TIMEOUT_MS)
    flush_ms, recovery_s = config["flush-interval-ms"], config["recovery-interval-s"]
    # The component warns of these two.
    if flush_ms is None:
        flush_ms = _variable(env, "AUDIT_FLUSH_INTERVAL_MS", FLUSH_INTERVAL_MS, 0, MAX_U64, [])
    if recovery_s is None:
        recovery_s = _variable(env, "AUDIT_RECOVERY_INTERVAL_S", RECOVERY_INTERVAL_S, 1, MAX_U64, [])
    url = _database_url(database_url, env)
    # Without a database, the component falls back from `postgres` to files.
    without_folder = ("memory", "null") if url is None else ("memory", "null", "postgres")
    return Settings(
        dir=_folder(dir, env),
        has_folder=(backend or env.get("AUDIT_BACKEND")) not in without_folder,
        config={name: value for name, value in config.items() if value is not None},
        environment={name: env[name] for name in _GUEST_VARIABLES if name in env},
        database_url=url,
        database_timeout=timeout / 1000,
        read_timeout=(READ_TIMEOUT_MS if read_timeout is None else read_timeout) / 1000,
        flush_interval=min(max(flush_ms / 1000, LEAST_FLUSH_INTERVAL), MOST_TIMEOUT_MS),
        recovery_interval=float(min(recovery_s, MOST_TIMEOUT_MS)),
        queue_events=_number("queue_events", queue_events, 1) or QUEUE_EVENTS,
        queue_bytes=_number("queue_bytes", queue_bytes, 1) or QUEUE_BYTES,
        guest_memory=_number("guest_memory", guest_memory, LEAST_GUEST_MEMORY, 1 << 32) or GUEST_MEMORY,
        warnings=tuple(warnings),
    )


def _folder(given: str | os.PathLike[str] | None, env: Mapping[str, str]) -> Path:
    if given is not None:
        path = os.fspath(given) if isinstance(given, str | os.PathLike) else None
        if not path or not isinstance(path, str) or "\0" in path:
            raise ConfigError(f"dir: found {given!r}; accepted is the path of a folder")
        return Path(path).absolute()
    return Path(env.get("AUDIT_JSONL_DIR") or Path(env.get("REPO_ROOT", "."), "ops", "audit")).absolute()


def _database_url(given: str | None, env: Mapping[str, str]) -> str | None:
    if given == "" or not isinstance(given, str | None):
        # What it is, is not said: it may have a password.
        found = '""' if given == "" else f"a {type(given).__name__}"
        raise ConfigError(f"database_url: found {found}; accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    return given or env.get("DATABASE_URL") or env.get("POSTGRES_DSN")


def _one_of(name: str, value: str | None, accepted: tuple[str, ...]) -> str | None:
    if value is None or value in accepted:
        return value
    raise ConfigError(f"{name}: found {value!r}; accepted is one of {', '.join(accepted)}")


def _number(name: str, value: int | None, least: int, most: int = MAX_U64) -> int | None:
    if value is None:
        return None
    # The boundary to the component takes a negative number for a very large one.
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigError(f"{name}: found {value!r}; accepted is a whole number from {least} to {most}")
    return value


def _variable(env: Mapping[str, str], name: str, default: int, least: int, most: int, warnings: list[str]) -> int:
    text = env.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    warnings.append(f"{name}: {text!r} is no whole number from {least} to {most}; {default} is used")
    return default
