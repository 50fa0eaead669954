"""`python -m audit_store.bench`: how fast the store takes and gives events, on this machine.

With `DATABASE_URL`, rows go into that database too, into the table `tool_audit_events`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence

from audit_store import AuditStore, Event, EventFields

EVENT: EventFields = {
    "req_id": "01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44",
    "workspace_id": "workspace",
    "user_id": "user",
    "agent_id": "planner",
    "tool": "search",
    "action": "query",
    "status": "ok",
    "duration_ms": 45,
    "in_size": 120,
    "out_size": 4800,
    "input_hash": "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f",
}

BATCH = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="python -m audit_store.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="how many events go into files (300000)")
    parser.add_argument("--rows", type=int, default=50_000, help="how many go into a database (50000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the best round counts (3)")
    parser.add_argument("--json", action="store_true", help="print each figure as a JSON object, in events a second")
    options = parser.parse_args(arguments)
    if min(options.events, options.rows) < BATCH or options.rounds < 1:
        parser.error(f"accepted is at least {BATCH} for --events and --rows, and 1 for --rounds")
    report = _print_json if options.json else _report
    report("files", options.events, [_files(options.events) for _ in range(options.rounds)])
    url = os.environ.get("DATABASE_URL")
    if url:
        report("database", options.rows, [_database(url, options.rows) for _ in range(options.rounds)])


def _files(count: int) -> dict[str, float]:
    seconds: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        AuditStore(dir=folder, queue_events=count + 1, queue_bytes=1 << 32) as store,
    ):
        began = time.perf_counter()
        for _ in range(count):
            store.write(**EVENT)
        seconds["write, enqueued"] = time.perf_counter() - began
        store.flush()
        seconds["write, on disk"] = time.perf_counter() - began
        assert store.status().counts.stored == count
        _time(seconds, "read, entries", lambda: _count(store, count))
        _time(seconds, "read_jsonl", lambda: _count_lines(store, count))
    with tempfile.TemporaryDirectory() as folder, AuditStore(dir=folder) as store:
        batch = [Event(**EVENT)] * BATCH
        _time(seconds, f"write_batch of {BATCH}", lambda: _each(count // BATCH, lambda: store.write_batch(batch)))
        lines = (json.dumps(EVENT) + "\n") * BATCH
        _time(seconds, f"write_jsonl of {BATCH}", lambda: _each(count // BATCH, lambda: store.write_jsonl(lines)))
    return seconds


def _database(url: str, count: int) -> dict[str, float]:
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = AuditStore(dir=folder, backend="postgres", database_url=url, batch_size=500, queue_events=count + 1)
        with store:
            batch = [Event(**EVENT)] * 500

            def insert() -> None:
                _each(count // 500, lambda: store.write_batch(batch))
                store.flush()

            _time(seconds, "write_batch of 500", insert)
            counts = store.status().counts
            assert counts.stored == counts.received
    return seconds


def _count(store: AuditStore, expected: int) -> None:
    assert sum(1 for _ in store.read(page_size=10_000)) == expected


def _count_lines(store: AuditStore, expected: int) -> None:
    count, cursor = 0, None
    while True:
        page = store.read_jsonl(cursor=cursor)
        count, cursor = count + page.count, page.next
        if cursor is None:
            break
    assert count == expected


def _each(times: int, call: Callable[[], object]) -> None:
    for _ in range(times):
        call()


def _time(seconds: dict[str, float], name: str, call: Callable[[], object]) -> None:
    began = time.perf_counter()
    call()
    seconds[name] = time.perf_counter() - began


def _report(where: str, count: int, rounds: list[dict[str, float]]) -> None:
    for name in rounds[0]:
        best = min(one[name] for one in rounds)
        print(f"{where:9} {name:22} {count / best:10,.0f} events/s   ({best:.2f} s for {count:,})")


def _print_json(where: str, count: int, rounds: list[dict[str, float]]) -> None:
    for name in rounds[0]:
        best = min(one[name] for one in rounds)
        print(json.dumps({"figure": f"{where}: {name}", "value": count / best}))


if __name__ == "__main__":
    main()
