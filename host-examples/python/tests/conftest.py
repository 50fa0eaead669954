"""What the tests share: databases of their own, servers that hang or lose answers, and counts that add up."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from audit_store import AuditStore, Counts

TESTS = Path(__file__).parent
CONTRACT = TESTS.parents[2] / "tests" / "contract"

PATIENCE = 20.0
"""How long something may take that has to happen, in seconds."""

_numbers = itertools.count()


def server_url() -> str:
    """The database server of `cargo test --test python`."""
    url = os.environ.get("AUDIT_TEST_DATABASE_URL")
    if not url:
        pytest.fail("AUDIT_TEST_DATABASE_URL has no URL of a PostgreSQL whose user may create databases")
    return url


@pytest.fixture
def database() -> str:
    """The URL of an empty database."""
    name = f"python_{os.getpid()}_{next(_numbers)}"
    sql(server_url(), f"CREATE DATABASE {name}")
    return server_url().rpartition("/")[0] + "/" + name


def sql(url: str, text: str) -> list[tuple[object, ...]]:
    """Runs statements, and returns the rows of the last one."""
    with psycopg.connect(url, autocommit=True) as connection:
        # The server's own may have functions that are not PostgreSQL's: that is for the store to cope with.
        connection.execute('SET search_path = "$user", public')
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def assert_balanced(store: AuditStore) -> Counts:
    """The counts of the store, which add up."""
    status = store.status()
    counts = status.counts
    taken = counts.stored + counts.spooled + counts.pending
    assert counts.received == taken + counts.rejected + counts.dropped.total, counts
    return counts


def wait_until(is_so: Callable[[], bool]) -> None:
    """Waits until something is so."""
    by = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < by, "it did not happen"
        threading.Event().wait(0.01)


class Proxy:
    """Stands between a client and the database. It can lose answers, or not answer at all."""

    def __init__(self, url: str) -> None:
        named = psycopg.conninfo.conninfo_to_dict(url)
        self._to = (str(named["host"]), int(str(named["port"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.swallows = threading.Event()
        """While it is set, nothing that the server answers is passed on."""
        self.cut_on = b""
        """Once this passes to the server, its answer is lost, and the connection cut."""
        self.lost = 0
        self._sockets: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.url = url.replace(f":{self._to[1]}/", f":{port}/")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            self._sockets += [client, server]
            cut = threading.Event()
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(*ends, cut), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket, is_request: bool, cut: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_request and self.cut_on and self.cut_on in data:
                    self.cut_on = b""
                    cut.set()
                if not is_request and cut.is_set():
                    # The server has answered, so that it has executed the statement.
                    self.lost += 1
                    break
                if is_request or not self.swallows.is_set():
                    to.sendall(data)
        except OSError:
            pass
        for one in (source, to):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            one.close()


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    """A proxy to an empty database."""
    between = Proxy(database)
    yield between
    between.close()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that takes connections and never says anything."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield f"postgres://audit:s3cret-word@127.0.0.1:{listener.getsockname()[1]}/audit"
    listener.close()
