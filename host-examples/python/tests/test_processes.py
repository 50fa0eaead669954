"""Several processes: none loses or doubles an event, also if it is forked or killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from conftest import assert_balanced, sql, wait_until

from audit_store import AuditStore, Event, _wasm


def run(folder: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a program in a Python of its own, with the store's folder as its first argument."""
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


WRITER = """
    import sys
    from audit_store import AuditStore
    store = AuditStore(dir=sys.argv[1])
    for n in range(5000):
        store.write(req_id=f"{sys.argv[2]}/{n}", agent_id=sys.argv[2])
"""


def test_two_processes_write_to_one_folder_and_the_end_of_the_interpreter_closes_their_stores(tmp_path: Path) -> None:
    writers = [run(tmp_path, WRITER, name) for name in ("a", "b")]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with AuditStore(dir=tmp_path) as store:
        assert store.read_page().skipped == 0
        for name in ("a", "b"):
            assert [entry.req_id for entry in store.read(agent_id=name)] == [f"{name}/{n}" for n in range(5000)]


def test_a_killed_process_loses_at_most_what_was_not_flushed(tmp_path: Path) -> None:
    program = """
        import sys
        from audit_store import AuditStore
        store = AuditStore(dir=sys.argv[1])
        for n in range(10**9):
            store.write(req_id=str(n))
            if n % 1000 == 999:
                store.flush()
                print(n + 1, flush=True)
    """
    writer = run(tmp_path, program)
    assert writer.stdout
    flushed = [int(writer.stdout.readline()) for _ in range(5)][-1]
    writer.kill()
    flushed = max([flushed, *(int(line) for line in writer.stdout.read().split())])
    assert writer.wait() == -signal.SIGKILL
    with AuditStore(dir=tmp_path) as store:
        found = [int(entry.req_id) for entry in store.read()]
    assert found == list(range(len(found)))
    assert len(found) >= flushed


def in_fork(child: object) -> None:
    """Runs the function in a fork of this process, which has to end well."""
    process = os.fork()
    if process == 0:
        try:
            child()  # type: ignore[operator]
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_fork_has_a_store_of_its_own_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        chain = store.status().chain
        for n in range(3000):
            store.write(req_id=f"parent/{n}", agent_id="parent")

        def child() -> None:
            for n in range(3000):
                store.write(req_id=f"child/{n}", agent_id="child")
            store.flush()
            assert assert_balanced(store).stored == 3000
            assert store.status().chain != chain
            in_fork(grandchild)
            store.close()

        def grandchild() -> None:
            store.write(agent_id="grandchild")
            assert [entry.agent_id for entry in store.read(agent_id="grandchild")] == ["grandchild"]
            store.close()

        in_fork(child)
        store.write(req_id="parent/3000", agent_id="parent")
        store.flush()
        assert assert_balanced(store).stored == 3001
        assert [one.req_id for one in store.read(agent_id="parent")] == [f"parent/{n}" for n in range(3001)]
        assert [one.req_id for one in store.read(agent_id="child")] == [f"child/{n}" for n in range(3000)]
        assert len(list(store.read(agent_id="grandchild"))) == 1


def test_a_process_of_multiprocessing_closes_its_store_at_its_end(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        store.write(agent_id="parent")

        def work() -> None:
            for n in range(500):
                store.write(req_id=str(n), agent_id="worker")

        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
        assert [int(one.req_id) for one in store.read(agent_id="worker")] == list(range(500))


def test_a_fork_leaves_the_connection_of_its_parent_alone(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        store.write_batch([Event(req_id=f"a{n}") for n in range(100)])
        store.flush()
        sessions = (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'audit-store' AND datname = current_database()"
        )
        # The one that has made the table ends by itself.
        wait_until(lambda: len(sql(database, sessions)) == 1)
        before = sql(database, sessions)

        def child() -> None:
            store.write(req_id="child")
            store.flush()
            assert len(list(store.read())) == 101
            store.close()

        in_fork(child)
        store.write(req_id="b")
        store.flush()
        assert len(list(store.read())) == 102
        assert set(before) <= set(sql(database, sessions))


def test_a_fork_that_never_uses_the_store_has_nothing_to_close(tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path) as store:
        in_fork(store.close)
        in_fork(lambda: None)
        store.write(tool="t")
        store.flush()
        assert assert_balanced(store).stored == 1


def test_a_fork_while_other_threads_write_goes_well(tmp_path: Path) -> None:
    program = """
        import os, sys, threading
        from audit_store import AuditStore
        store = AuditStore(dir=sys.argv[1])
        go_on = threading.Event()
        def work():
            n = 0
            while not go_on.is_set():
                store.write(agent_id="parent", req_id=str(n))
                n += 1
            counts.append(n)
        counts = []
        thread = threading.Thread(target=work)
        thread.start()
        for n in range(10):
            if os.fork() == 0:
                store.write(agent_id="child", req_id=str(n))
                store.close()
                os._exit(0)
        for _ in range(10):
            _, status = os.wait()
            assert status == 0
        go_on.set()
        thread.join()
        status = store.close()
        assert status.counts.stored + status.counts.dropped.queue_full == counts[0]
        print(status.counts.stored)
    """
    process = run(tmp_path, program)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    with AuditStore(dir=tmp_path) as store:
        assert sum(1 for _ in store.read(agent_id="parent")) == int(out)
        assert sorted(int(entry.req_id) for entry in store.read(agent_id="child")) == list(range(10))


def test_a_cache_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": os.devnull, "XDG_CACHE_HOME": os.devnull}
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), "a"]
    subprocess.run(command, env=environment, check=True)
    with AuditStore(dir=tmp_path) as store:
        assert len(list(store.read())) == 5000


@pytest.mark.parametrize("backend", ["jsonl", "auto"])
def test_the_last_events_of_a_program_are_stored_at_its_end(backend: str, database: str, tmp_path: Path) -> None:
    program = """
        import sys
        from audit_store import AuditStore
        store = AuditStore(dir=sys.argv[1], backend=sys.argv[2], database_url=sys.argv[3])
        store.write(tool="last")
    """
    process = run(tmp_path, program, backend, database)
    process.communicate()
    assert process.returncode == 0
    with AuditStore(dir=tmp_path, backend=backend, database_url=database) as store:  # type: ignore[arg-type]
        assert [entry.tool for entry in store.read()] == ["last"]
    wait_until(lambda: process.poll() is not None)


def test_no_process_is_forked_while_the_library_is_loaded() -> None:
    begun, loaded = threading.Event(), threading.Event()

    def load() -> None:
        with _wasm._lock:
            begun.set()
            loaded.wait(0.2)
            loaded.set()

    loader = threading.Thread(target=load)
    loader.start()
    begun.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if loaded.is_set() else 1)
    loader.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
