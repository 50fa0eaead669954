"""The store: what `write` promises, what the other calls raise, and how the events are counted."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, assert_balanced, wait_until

from audit_store import (
    AccessError,
    AuditError,
    AuditStore,
    Closed,
    ComponentError,
    ConfigError,
    Event,
    InvalidEvent,
    InvalidFilter,
)
from audit_store.queue import Queue, Request
from audit_store.store import _close_all


class Hostile:
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Ambiguous:
    """It is neither true nor false, and no number, as an array or a missing value of pandas."""

    def __bool__(self) -> bool:
        raise TypeError("ambiguous")

    def __int__(self) -> int:
        raise RuntimeError("no number")


class Changing(dict[str, Any]):
    """Another thread changes it."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


class OwnDatetime(datetime):
    """As that of pandas, or of a clock for tests."""


def held(store: AuditStore) -> threading.Event:
    """Keeps the worker busy until the event is set."""
    begun, end = threading.Event(), threading.Event()

    def hold(_worker: object) -> None:
        begun.set()
        end.wait()

    store._queue.ask(Request(hold))
    begun.wait()
    return end


def test_write_keeps_whatever_it_is_given_and_never_raises(tmp_path: Path) -> None:
    @dataclass
    class Other:
        tool: str = "dataclass"

    odd: list[Any] = [
        {"tool": 5, "ts": "soon", "unknown": [1], "duration_ms": -7},
        {"tool": "half \ud83d", "in_size": 2**70, "out_size": 1e400, "attributes": {"k": 1, 2: "v"}},
        {"tool": Hostile(), "attributes": "text", "duration_ms": "12"},
        {1: 2, "ts": object()},
        Other(),
        Event(tool="event", ts=datetime(2026, 11, 23, 7, 30, tzinfo=timezone(timedelta(hours=1)))),
        "no event",
        None,
        {"tool": "x" * (40 << 20)},
        {"tool": "ambiguous", "ts": Ambiguous()},
        {"tool": "number", "duration_ms": Ambiguous()},
        {"tool": "changes", "attributes": Changing(a=object())},
        {"tool": "datetime", "ts": OwnDatetime(2026, 11, 23, tzinfo=UTC)},
    ]
    with AuditStore(dir=tmp_path) as store:
        for event in odd:
            store.write(event)
        entries = sorted(store.read(), key=lambda entry: entry.seq)
        counts = assert_balanced(store)
        assert (counts.received, counts.stored, store.status().mended) == (len(odd), len(odd), 9)
        first, second, third = entries[:3]
        assert (first.tool, first.duration_ms, first.attributes) == ("5", 0, {"unknown": "[1]"})
        assert (second.tool, second.in_size, second.attributes) == ("half \ufffd", 2**64 - 1, {"k": "1", "2": "v"})
        assert (third.tool, third.duration_ms, third.attributes) == ("<Hostile>", 12, {"attributes": "text"})
        assert entries[3].attributes == {"1": "2"}
        assert entries[5].ts == "2026-11-23T06:30:00.000000Z"
        assert entries[6].attributes == {"event": "no event"}
        assert [entry.tool for entry in entries[9:]] == ["ambiguous", "number", "changes", "datetime"]
        assert entries[11].attributes == {"attributes": "<Changing>"}
        assert entries[12].ts == "2026-11-23T00:00:00.000000Z"
        # A text that was cut is found by the whole.
        assert [one.seq for one in store.read(tool="x" * (40 << 20))] == [entries[8].seq]


def test_a_batch_takes_every_kind_of_datetime(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        store.write_batch([Event(ts=OwnDatetime(2026, 11, 23, tzinfo=UTC)), {"ts": OwnDatetime(2026, 11, 23)}])
        assert {entry.ts for entry in store.read()} == {"2026-11-23T00:00:00.000000Z"}


def test_a_signal_handler_can_write_while_its_thread_does() -> None:
    queue = Queue(10, 1000)

    def interrupted() -> None:
        # Python runs the handlers of signals between any two steps of the main thread.
        with queue.lock:
            queue.push(b"handler")

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert queue.take(0).lines == [b"handler"]


def test_a_close_that_was_interrupted_goes_on_at_the_end_of_the_interpreter(tmp_path: Path) -> None:
    store = AuditStore(dir=tmp_path)
    end = held(store)
    store.write(tool="late")
    worker = store._worker_thread
    assert worker is not None

    def interrupted() -> None:
        raise KeyboardInterrupt

    join, worker.join = worker.join, interrupted  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        store.close()
    worker.join = join  # type: ignore[method-assign]
    end.set()
    _close_all()
    assert store.status().counts.stored == 1


def test_a_flush_interval_of_zero_leaves_the_processor_idle(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, flush_interval_ms=0) as store:
        takes, began = 0, time.monotonic()
        take = store._queue.take

        def counted(deadline: float) -> Any:
            nonlocal takes
            takes += 1
            return take(deadline)

        store._queue.take = counted  # type: ignore[method-assign]
        threading.Event().wait(0.3)
        assert 0 < takes <= (time.monotonic() - began) / 0.01 + 1


def test_a_log_handler_that_raises_costs_no_event(tmp_path: Path) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with pytest.raises(AuditError, match="can only write"):
                store.flush()
            store.write(tool="from handler")
            raise RuntimeError

    handler = Raises()
    logging.getLogger("audit_store").addHandler(handler)
    try:
        with AuditStore(dir=tmp_path) as store:
            store.write(tool=5)  # type: ignore[arg-type]
            store.flush()
            store.flush()
            assert assert_balanced(store).stored == 2
    finally:
        logging.getLogger("audit_store").removeHandler(handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_worker_that_has_ended(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:

        def break_worker(worker: Any) -> None:
            def broken() -> None:
                raise MemoryError

            worker._publish = broken

        end = held(store)
        requests = [Request(break_worker), Request(lambda worker: None), Request(lambda worker: None)]
        for request in requests:
            assert store._queue.ask(request)
        end.set()
        for request in requests[1:]:
            with pytest.raises(ComponentError, match="MemoryError"):
                request.answer.result(PATIENCE)
        with pytest.raises(Closed):
            store.flush()


def test_an_event_has_the_time_of_the_call_and_not_of_its_storing(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        end = held(store)
        store.write(tool="early")
        after = datetime.now(UTC)
        threading.Event().wait(0.01)
        end.set()
        (entry,) = store.read()
        assert datetime.fromisoformat(entry.ts) <= after


def test_fields_can_be_changed_after_write_has_returned(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        end = held(store)
        attributes = {"k": "before"}
        store.write(attributes=attributes)
        attributes["k"] = "after"
        end.set()
        assert [entry.attributes for entry in store.read()] == [{"k": "before"}]


@pytest.mark.parametrize(("limits", "kept"), [({"queue_events": 10}, 10), ({"queue_bytes": 2000}, 0)])
def test_a_full_queue_drops_the_newest_counts_them_and_warns(
    tmp_path: Path, limits: dict[str, int], kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    with AuditStore(dir=tmp_path, **limits) as store:  # type: ignore[arg-type]
        end = held(store)
        for n in range(100):
            store.write(req_id=str(n), tool="t" * 50)
        queued = store._queue.status()
        assert queued is not None
        end.set()
        found = [int(entry.req_id) for entry in store.read()]
        counts = assert_balanced(store)
        assert found == list(range(len(found)))
        assert len(found) == kept or kept == 0
        assert 0 < len(found) < 100
        assert (counts.received, counts.stored) == (100, len(found))
        assert counts.dropped.queue_full == 100 - len(found)
        assert queued.counts.pending == len(found)
        wait_until(lambda: any("the queue is full" in record.message for record in caplog.records))


def test_a_batch_is_refused_with_the_place_and_the_field(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        wrong: list[tuple[Any, str, str]] = [
            ({"ts": "soon"}, "ts", '"soon"'),
            ({"tool": 5}, "tool", "found"),
            ({"tool": object()}, "tool", "found a object; accepted is a text"),
            ({"tol": "x"}, '"tol"', "unknown"),
            ({"attributes": {"k": object()}}, "attributes", "a mapping of texts"),
            (7, "json", "found int"),
        ]
        for event, field, reason in wrong:
            with pytest.raises(InvalidEvent) as caught:
                store.write_batch([Event(tool="good"), event])
            assert (caught.value.index, caught.value.field) == (1, field)
            assert reason in str(caught.value)
        with pytest.raises(InvalidEvent) as caught:
            store.write_jsonl('{"tool":"a"}\n\n{"tool":')
        assert (caught.value.index, caught.value.field) == (2, "json")
        assert list(store.read()) == []
        receipt = store.write_batch([Event(tool="half \ud83d"), {"in_size": 2**70}, {}])
        assert (receipt.accepted, receipt.first_seq) == (3, 0)
        counts = assert_balanced(store)
        assert (counts.stored, counts.rejected) == (3, 2 * len(wrong) + 2)


def test_numbers_that_the_boundary_would_wrap_are_refused_before_it(tmp_path: Path) -> None:
    settings: list[dict[str, Any]] = [
        {"batch_size": 0},
        {"batch_size": -1},
        {"queue_limit": 2**64},
        {"memory_limit": True},
        {"flush_interval_ms": 1.5},
        {"database_timeout_ms": 0},
        {"backend": "postgre"},
        {"durability": "maybe"},
        {"dir": ""},
        {"dir": "a\0b"},
        {"dir": b"bytes"},
        {"database_url": ""},
        {"database_url": 5},
    ]
    for setting in settings:
        with pytest.raises(ConfigError, match=f"^{next(iter(setting))}: .*accepted is"):
            AuditStore(**{"dir": tmp_path, **setting})
    with AuditStore(dir=tmp_path) as store:
        wrong: list[Any] = [-1, 2**32, 1.5, True]
        for limit in wrong:
            with pytest.raises(InvalidFilter, match="^limit: "):
                store.read_page(limit=limit)
        for selected in ({"tol": "x"}, {"tool": 5}, {"attributes": {"k": 5}}, {"from_ts": "soon"}):
            with pytest.raises(InvalidFilter, match=f"^{next(iter(selected))}: "):
                store.read_page(**selected)
        with pytest.raises(InvalidFilter, match="^cursor: "):
            store.read_page(cursor="nowhere")


def test_settings_come_from_the_environment_where_no_argument_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AUDIT_JSONL_DIR", str(tmp_path / "env"))
    monkeypatch.setenv("AUDIT_BACKEND", "auto")
    monkeypatch.setenv("AUDIT_DURABILITY", "synced")
    monkeypatch.setenv("AUDIT_DATABASE_TIMEOUT_MS", "soon")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with AuditStore() as store:
        status = store.status()
        assert (status.backend, status.durability, status.jsonl_dir) == ("jsonl", "synced", str(tmp_path / "env"))
        assert status.warnings
    assert any("AUDIT_DATABASE_TIMEOUT_MS" in record.message for record in caplog.records)
    with AuditStore(backend="memory", durability="written") as store:
        assert store.status().backend == "memory"
    monkeypatch.delenv("AUDIT_JSONL_DIR")
    monkeypatch.setenv("REPO_ROOT", str(tmp_path))
    with AuditStore(backend="jsonl") as store:
        store.write(tool="t")
    assert list((tmp_path / "ops" / "audit").glob("tool_audit_*.jsonl"))


def test_a_backend_without_files_makes_no_folder(tmp_path: Path) -> None:
    for backend in ("memory", "null"):
        with AuditStore(dir=tmp_path / "audit", backend=backend) as store:
            store.write(tool="t")
            store.flush()
            assert len(list(store.read())) == (backend == "memory")
    assert list(tmp_path.iterdir()) == []


def test_pages_follow_their_cursors_and_give_each_entry_once(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        store.write_batch([Event(req_id=str(n)) for n in range(25)])
        sizes, found, cursor = [], [], None
        while True:
            page = store.read_page(order="newest-first", limit=10, cursor=cursor)
            sizes.append(len(page.entries))
            found += [int(entry.req_id) for entry in page.entries]
            cursor = page.next
            if cursor is None:
                break
        assert (sizes, found) == ([10, 10, 5], list(range(24, -1, -1)))
        assert [int(entry.req_id) for entry in store.read(page_size=7)] == list(range(25))


def test_what_a_closed_store_is_given_is_counted_or_refused(tmp_path: Path) -> None:
    store = AuditStore(dir=tmp_path)
    store.write(tool="before")
    last = store.close()
    assert last is not None
    assert (last.backend, last.counts.stored) == ("jsonl", 1)
    assert store.close() == last
    store.write(tool="after")
    counts = assert_balanced(store)
    assert (counts.received, counts.stored, counts.dropped.unwritable) == (2, 1, 1)
    for call in (store.flush, lambda: store.write_batch([]), lambda: list(store.read())):
        with pytest.raises(Closed):
            call()


def test_a_folder_that_cannot_be_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="file"):
        AuditStore(dir=tmp_path / "file" / "below")


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    with AuditStore(dir=folder) as store:
        store.write(req_id="old")
        store.flush()
        shutil.rmtree(folder)
        for n in range(100):
            store.write(req_id=str(n))
        store.flush()
        assert [entry.req_id for entry in store.read()] == [str(n) for n in range(100)]
        assert assert_balanced(store).stored == 101


def test_the_component_is_replaced_after_a_trap_and_nothing_queued_is_lost(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, guest_memory=4 << 20, durability="buffered", flush_interval_ms=3_600_000) as store:
        end = held(store)
        for n in range(300):
            store.write(req_id=str(n))
        trapping = Request(lambda worker: worker.write([b'{"tool":"' + b"x" * (6 << 20) + b'"}']))
        store._queue.ask(trapping)
        for n in range(300, 600):
            store.write(req_id=str(n))
        end.set()
        with pytest.raises(ComponentError, match=r"0 of 1 event stored"):
            trapping.answer.result()
        found = [entry.req_id for entry in store.read()]
        assert sorted(map(int, found)) == list(range(600))
        status = store.status()
        assert status.restarts == 1
        assert "the component is replaced" in str(status.last_error)
        counts = assert_balanced(store)
        assert (counts.received, counts.rejected) == (601, 1)
        store.flush()
        assert assert_balanced(store).stored == 600


def test_what_a_trapped_component_had_stored_is_not_stored_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit_store.instance import Instance

    write_jsonl = Instance.write_jsonl
    failing = threading.Event()

    def stops_after_storing(self: Instance, lines: str) -> Any:
        receipt = write_jsonl(self, lines)
        if failing.is_set():
            failing.clear()
            self.stopped = True
            raise ComponentError("stopped by the test")
        return receipt

    monkeypatch.setattr(Instance, "write_jsonl", stops_after_storing)
    with AuditStore(dir=tmp_path) as store:
        store.write(req_id="first")
        store.flush()
        failing.set()
        end = held(store)
        for n in range(50):
            store.write(req_id=str(n))
        end.set()
        store.flush()
        assert [entry.req_id for entry in store.read()] == ["first", *map(str, range(50))]
        counts = assert_balanced(store)
        assert (counts.received, counts.stored, store.status().restarts) == (51, 51, 1)


def test_an_event_that_stops_the_component_each_time_is_dropped_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit_store.instance import Instance

    write_jsonl = Instance.write_jsonl

    def stops(self: Instance, lines: str) -> Any:
        if "poison" in lines:
            self.stopped = True
            raise ComponentError("stopped by the test")
        return write_jsonl(self, lines)

    monkeypatch.setattr(Instance, "write_jsonl", stops)
    with AuditStore(dir=tmp_path) as store:
        end = held(store)
        for n in range(20):
            store.write(req_id="poison" if n == 7 else str(n))
        end.set()
        store.flush()
        assert [entry.req_id for entry in store.read()] == [str(n) for n in range(20) if n != 7]
        counts = assert_balanced(store)
        assert (counts.stored, counts.dropped.invalid) == (19, 1)


def test_warnings_of_the_component_go_to_the_logger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "audit_store"), AuditStore(dir=tmp_path) as store:
        store.write(ts="soon", tool="t")
        store.flush()
        assert [record.name for record in caplog.records] == ["audit_store"]


def test_lines_of_other_writers_are_read_and_torn_ones_skipped(tmp_path: Path) -> None:
    line = json.dumps({"ts": "2026-11-23T12:00:00Z", "tool": "other", "duration_ms": 1.5})
    (tmp_path / "tool_audit_2026-11-23.jsonl").write_text(f'{line}\n{{"ts":"2026-\n')
    with AuditStore(dir=tmp_path) as store:
        page = store.read_page()
        assert page.skipped == 1
        (entry,) = page.entries
        assert (entry.tool, entry.duration_ms, entry.id, entry.seq) == ("other", 2, "", 0)


def test_many_threads_write_and_read_at_once(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:

        def work(thread: int) -> None:
            for n in range(200):
                store.write(req_id=f"{thread}/{n}", agent_id=str(thread))
            found = [entry.req_id for entry in store.read(agent_id=str(thread))]
            assert found == [f"{thread}/{n}" for n in range(200)]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert assert_balanced(store).stored == 1600


def test_buffered_events_are_flushed_by_themselves(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, durability="buffered", flush_interval_ms=20) as store:
        store.write(tool="t")
        wait_until(lambda: assert_balanced(store).stored == 1)
