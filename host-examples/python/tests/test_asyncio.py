"""asyncio: the event loop goes on, whatever the store waits for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from conftest import assert_balanced

from audit_store import AuditStore, Unavailable


async def longest_pause(stop: asyncio.Event) -> float:
    """The longest time, in seconds, for which the event loop did not come round."""
    longest = 0.0
    while not stop.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - began)
    return longest


async def test_the_event_loop_is_not_blocked_while_the_database_hangs(silent_server: str, tmp_path: Path) -> None:
    async with AuditStore(
        dir=tmp_path, backend="postgres", database_url=silent_server, database_timeout_ms=1000, read_timeout_ms=100
    ) as store:
        stop = asyncio.Event()
        watch = asyncio.create_task(longest_pause(stop))
        await asyncio.sleep(0)
        began = time.perf_counter()
        for n in range(40):
            store.write(req_id=str(n))
            if n % 10 == 0:
                await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await store.aflush()
        with pytest.raises(Unavailable):
            async for _ in store.aread():
                pass
        assert time.perf_counter() - began > 1
        stop.set()
        # A call that blocked would take the second of the database.
        assert await watch < 0.8


async def test_entries_are_read_page_by_page(tmp_path: Path) -> None:
    async with AuditStore(dir=tmp_path) as store:
        for n in range(25):
            store.write(req_id=str(n))
        found = [int(entry.req_id) async for entry in store.aread(order="newest-first", page_size=10)]
        assert found == list(range(24, -1, -1))
        await store.aflush()
    assert assert_balanced(store).stored == 25
