"""The table: it is created or upgraded where a statement that writes does not find it as it needs it. A read takes it
as it is."""

from __future__ import annotations

import contextlib
import time
from functools import cache
from importlib import resources

import psycopg

from audit_store.instance import SinkError
from audit_store.postgres.failure import TABLE
from audit_store.postgres.lane import Call, Connection

UPGRADE_TIME = 3600.0
"""The time limit of an upgrade, in seconds. It runs on a connection of its own, and no call waits that long."""

LOCK_TIME_MS = 5000
"""How long an upgrade waits for others that use the table. Those that want to use it meanwhile wait too."""

ADVISORY_LOCK = 0x61_75_64_69_74_2D_73_74
"""By this lock all hosts take turns (sql/src/schema.rs)."""

TURN = 0.05
"""How often it is asked whether it is this program's turn, in seconds."""

KEYS = frozenset(
    ["event_id", "ts", "req_id", "workspace_id", "user_id", "agent_id", "tool", "action", "status", "input_hash"]
)
"""The columns that can be part of the key: no event is without them, and they never change."""

INSPECT = """
    SELECT pg_catalog.to_regclass($1::text) IS NOT NULL, (
        SELECT pg_catalog.array_agg(a.attname::text)
        FROM pg_catalog.pg_partitioned_table p, pg_catalog.unnest(p.partattrs) AS place
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass($1::text) AND a.attnum = place
        WHERE p.partrelid = pg_catalog.to_regclass($1::text)
    )"""


@cache
def sql(name: str) -> str:
    """The text of a statement of `sql/`, which the package carries."""
    return resources.files("audit_store").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def inspect(connection: Connection) -> tuple[bool, list[str]]:
    """Whether there is a table, and the columns by which it is partitioned.

    Raises:
        SinkError: It is partitioned by something that cannot be part of the key.
    """
    row = connection.execute(INSPECT, [TABLE]).fetchone()
    exists, columns = row or (False, None)
    for column in columns or []:
        if column not in KEYS:
            raise SinkError(
                "other",
                f"the table {TABLE} is partitioned by {column or 'an expression'}; "
                f"accepted is {', '.join(sorted(KEYS))}",
            )
    return bool(exists), list(columns or [])


def keyed(text: str, partitioned_by: list[str], next_parameter: int) -> str:
    """The text of `insert` or `missing` for a table that is partitioned by these columns."""
    others = list(dict.fromkeys(column for column in partitioned_by if column != "event_id"))
    if not others:
        return text
    key = ", ".join(["event_id", *others])
    text = text.replace("(event_id)", f"({key})")
    if "ts" not in others:
        return text
    known = "WHERE known.event_id = batch.event_id"
    of_batch = f"{known} AND known.ts BETWEEN ${next_parameter}::timestamptz AND ${next_parameter + 1}::timestamptz"
    return text.replace(known, of_batch)


def upgrade(_call: Call[None], connection: Connection) -> None:
    """Creates or upgrades the table, however long that takes, once it is this program's turn."""
    limit = int(UPGRADE_TIME * 1000)
    begin = (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {limit}; "
        f"SET LOCAL lock_timeout = {LOCK_TIME_MS}"
    )
    connection.execute(begin.encode())
    try:
        while not _is_our_turn(connection):
            time.sleep(TURN)
        exists, _ = inspect(connection)
        connection.execute(sql("upgrade" if exists else "schema").encode())
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise


def _is_our_turn(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_xact_lock($1::bigint)", [ADVISORY_LOCK]).fetchone()
    return bool(row and row[0])
