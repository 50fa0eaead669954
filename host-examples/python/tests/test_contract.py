"""The cases of `tests/contract/` in the root of the repository, on every backend, however the events are written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CONTRACT, TESTS, assert_balanced, server_url, sql

from audit_store import AuditStore, InvalidValue
from audit_store.types import BackendName

BACKENDS: list[BackendName] = ["memory", "jsonl", "postgres", "auto", "null"]
WAYS = ["each", "batch", "jsonl"]


def cases(name: str) -> list[Any]:
    found = json.loads((CONTRACT / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def shared_database() -> str:
    name = "python_contract"
    sql(server_url(), f"DROP DATABASE IF EXISTS {name}")
    sql(server_url(), f"CREATE DATABASE {name}")
    return server_url().rpartition("/")[0] + "/" + name


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> BackendName:
    found: BackendName = request.param
    return found


@pytest.fixture
def stores(backend: BackendName, tmp_path: Path, shared_database: str) -> Iterator[Any]:
    """Opens an empty store for each case."""
    opened: list[AuditStore] = []

    def open_store() -> AuditStore:
        url = shared_database if backend in ("postgres", "auto") else None
        if url:
            sql(url, "DROP TABLE IF EXISTS tool_audit_events")
        folder = tmp_path / str(len(opened))
        opened.append(AuditStore(dir=folder, backend=backend, database_url=url, database_timeout_ms=30_000))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


def write(store: AuditStore, events: list[dict[str, Any]], way: str) -> None:
    match way:
        case "each":
            for event in events:
                store.write(event)
        case "batch":
            store.write_batch(events)
        case _:
            store.write_jsonl("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["order", "filters"])
def test_reads_give_the_entries_that_match_in_their_order(stores: Any, backend: str, name: str, way: str) -> None:
    for case in cases(name):
        store = stores()
        write(store, case["write"], way)
        store.flush()
        counts = assert_balanced(store)
        assert (counts.received, counts.stored) == (len(case["write"]),) * 2
        for read in case["reads"]:
            order: Any = "newest-first" if read.get("newest") else "oldest-first"
            selected = read.get("filter", {})
            found = [one.req_id for one in store.read(order=order, page_size=read.get("limit", 0), **selected)]
            expected = [] if backend == "null" else read["expect"]
            assert found == expected, (case["name"], read)
            page = store.read_jsonl(order=order, **selected)
            lines = [json.loads(line)["req_id"] for line in page.lines.split("\n") if line]
            assert (lines, page.count, page.next, page.skipped) == (expected, len(expected), None, 0)
        store.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_invalid_field_is_named_and_nothing_of_its_batch_is_stored(stores: Any, way: str) -> None:
    for case in cases("invalid"):
        store, field = stores(), case["invalid"]
        if "read" in case:
            with pytest.raises(InvalidValue) as caught:
                store.read_page(**case["read"])
            index = 0
        elif way == "each":
            # `write` takes the clock's time.
            write(store, case["write"], way)
            assert store.status().mended == 1, case
            assert assert_balanced(store).received == len(case["write"])
            continue
        else:
            with pytest.raises(InvalidValue) as caught:
                write(store, case["write"], way)
            index = next(place for place, event in enumerate(case["write"]) if field in event)
        assert (caught.value.index, caught.value.field) == (index, field), case
        assert "accepted is" in caught.value.reason
        assert list(store.read()) == []
        store.close()


@pytest.mark.parametrize("way", WAYS)
def test_no_event_is_refused_for_its_content(stores: Any, backend: str, way: str) -> None:
    for case in cases("mended"):
        store = stores()
        write(store, [case["write"]], way)
        assert store.status().mended == int(case["mended"]), case
        entries = list(store.read())
        assert len(entries) == (backend != "null")
        for entry in entries:
            for field, value in case["stored"].items():
                assert getattr(entry, field) == value, case
        store.close()


def test_the_driver_answers_each_request_with_one_line(tmp_path: Path) -> None:
    requests: list[dict[str, Any]] = [
        {"status": None},
        {"open": {"backend": "jsonl", "dir": str(tmp_path), "database_url": None}},
        {"write": {"tool": "a\u2028b", "in_size": 2**64 - 1}},
        {"write_batch": [{"tool": "b"}, {"ts": "soon"}]},
        {"flush": None},
        {"read": {"filter": {"tool": "a\u2028b"}, "order": "newest-first", "limit": 1, "cursor": None}},
        {"read_jsonl": {"filter": {"from_ts": "soon"}, "order": "oldest-first", "limit": 0, "cursor": None}},
        {"status": None},
        {"close": None},
    ]
    lines = "".join(json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    driver = [sys.executable, str(TESTS / "driver.py")]
    done = subprocess.run(driver, input=lines, capture_output=True, text=True, encoding="utf-8", check=True)
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    closed, opened, written, refused, flushed, read, invalid, status, ended = answers
    assert closed["error"]["kind"] == "config"
    assert opened == written == flushed == ended == {"ok": None}
    assert (refused["error"]["kind"], refused["error"]["index"], refused["error"]["field"]) == ("invalid", 1, "ts")
    (entry,) = read["ok"]["entries"]
    assert (entry["tool"], entry["in_size"], read["ok"]["next"]) == ("a\u2028b", 2**64 - 1, None)
    assert (invalid["error"]["index"], invalid["error"]["field"]) == (0, "from_ts")
    assert status["ok"]["counts"] == {
        "received": 3,
        "stored": 1,
        "spooled": 0,
        "pending": 0,
        "rejected": 2,
        "dropped": 0,
    }
